"""Log levels for a while and for a part (docs/operations.md): who set them, and that they end by themselves."""

from harness.processes import wait_until


def levels(gateway):
    return [(each["scope"], each["level"]) for each in gateway.command_json("status")["log_levels"]]


def test_a_level_with_a_time_ends_by_itself_and_outlives_a_reload(gateway):
    report = gateway.command("log-level", "error", "--for", "2s").stdout
    assert report.startswith("the log level is error for 2s, until ")
    gateway.command("reload")
    gateway.wait_event("operation", action="configuration_reloaded")
    assert not gateway.events("gateway.reloaded"), "the line is below the level"
    assert levels(gateway) == [(None, "error")]
    assert "error for " in gateway.command("status").stdout
    gateway.wait_event("operation", action="log_level_restored",
                       message="The log level is error no longer: its time is over")
    assert gateway.command_json("status")["log_level"] == "info"
    gateway.command("reload")
    gateway.wait_event("gateway.reloaded")


def test_a_level_of_one_scope_is_that_of_nothing_else(gateway):
    assert gateway.command("log-level", "warning").stdout == "the log level is warning until the next reload\n"
    assert gateway.command("log-level", "info", "--for", "10m", "--scope", "gateway").stdout.startswith(
        "the log level of gateway is info for 10m, until ")
    gateway.command("reload")
    gateway.wait_event("gateway.reloaded")
    wait_until("the untimed one is over", lambda: levels(gateway) == [("gateway", "info")])
    assert "log level gateway" in gateway.command("status").stdout


def test_what_makes_no_sense_changes_nothing(gateway):
    assert gateway.command("log-level", "debug", "--for", "2d", check=False).returncode == 64
    unknown = gateway.command("log-level", "debug", "--scope", "redis", check=False)
    assert unknown.returncode == 1
    known = "scope is one of assertion, block, break_glass, challenge, forward_auth, gateway, introspection, keys, ledger,"
    assert known in unknown.stderr
    assert levels(gateway) == []
