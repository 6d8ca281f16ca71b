"""Addresses that no block holds back for a while (docs/runbook-sec-010.md): against blocks of every origin."""

import pytest

from harness.client import request
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.logins import fail, is_blocked
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until


@pytest.fixture
def start(start_gateway, login_backend):
    def start(redis=None, **sections):
        return start_gateway(login_backend, redis, **sections)
    return start


def soon(what: str, probe) -> None:
    wait_until(what, probe, 0.5, every=0.005)


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_an_allowed_address_passes_blocks_of_every_origin(start, redis, address, other_address, where):
    gateway = start(redis if where == "redis" else None)
    gateway.command("block", address, "--for", "1h")
    gateway.command("block", other_address, "--for", "1h")
    assert is_blocked(gateway, address)
    report = gateway.command("allow", address, "--for", "30m", "--reason", "the office").stdout
    assert report.startswith(f"{address} is not held back by any block for 30m, until ")
    assert f"(without effect on it meanwhile: the block of {address})" in report
    assert not is_blocked(gateway, address)
    assert is_blocked(gateway, other_address)
    if where == "redis":
        redis.block("127.0.0.0/8")
        soon("the network is blocked", lambda: is_blocked(gateway, "127.77.0.9"))
        assert not is_blocked(gateway, address)
    listed = gateway.command_json("allowed")["allowances"]
    assert [(one["network"], one["reason"], one["origin"]) for one in listed] == [(address, "the office", "command")]
    assert address in gateway.command("allowed").stdout
    assert f"allowed {address}" in gateway.command("status").stdout
    assert gateway.metrics()["gateway_allowances"] == 1
    began = gateway.wait_event("block.allowance_began", level="WARNING", network=address)
    assert began["reason"] == "the office"
    assert "the office" in gateway.wait_event("operation", action="address_allowed")["message"]

    assert gateway.command("disallow", address).stdout == f"{address} is held back by blocks again\n"
    assert is_blocked(gateway, address)
    assert gateway.command("disallow", address).stdout == f"{address} was not allowed\n"
    gateway.wait_event("block.allowance_ended", network=address, cause="command")
    gateway.wait_event("operation", action="allowance_ended", message=f"{address} is held back by blocks again: command")
    assert gateway.command("allowed").stdout == "no address is allowed for a while\n"


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_failures_of_an_allowed_address_are_counted_and_told_and_block_it_afterwards(start, redis, address, where):
    gateway = start(redis if where == "redis" else None)
    gateway.command("allow", f"{address}/32", "--for", "30m")
    assert fail(gateway, address, 8) == [401] * 8
    told = wait_until("all are told", lambda: [
        one["context"]["failed_attempts"] for one in gateway.events("security.auth_failure", client_ip=address)
    ][7:] and gateway.events("security.auth_failure", client_ip=address))
    assert [one["context"]["failed_attempts"] for one in told] == list(range(1, 9))
    assert gateway.command_json("blocks")["blocks"] == []
    if where == "redis":
        assert redis.failures(address) == 8
    gateway.command("disallow", address)
    assert fail(gateway, address, 2) == [401, 403], "the count stands at the limit: the next failure blocks"


def test_all_replicas_follow_and_open_connections_too(start, redis, address):
    gateways = [start(redis), start(redis)]
    redis.block(address)
    with gateways[1].connect(address) as client:
        soon("blocked", lambda: client.ask(request("GET", "/health")).status == 403)
        gateways[0].command("allow", "127.0.0.0/8", "--for", "1h")
        soon("let past", lambda: client.ask(request("GET", "/health")).status == 200)
        assert fail(gateways[1], address, 7) == [401] * 7, "its rule knows, too"
        gateways[1].command("disallow", "127.0.0.0/8")
        soon("held back", lambda: not gateways[0].command_json("allowed")["allowances"])
        assert client.ask(request("GET", "/health")).status == 403
    assert is_blocked(gateways[0], address)


def test_by_hand_in_redis(start, redis, address):
    gateway = start(redis)
    redis.block(address)
    soon("blocked", lambda: is_blocked(gateway, address))
    redis.cli("SET", f"ip_allow:::ffff:{address}", "1", "EX", "600")
    soon("let past, in another spelling", lambda: not is_blocked(gateway, address))
    redis.cli("DEL", f"ip_allow:::ffff:{address}")
    soon("held back", lambda: is_blocked(gateway, address))
    gateway.wait_event("block.allowance_ended", cause="the key was deleted")
    redis.cli("SET", f"ip_allow:{address}", "1")
    soon("let past", lambda: not is_blocked(gateway, address))
    gateway.wait_event("block.allowance_endless", level="ERROR", network=address)
    redis.cli("EXPIRE", f"ip_allow:{address}", "1")
    wait_until("its time is over", lambda: is_blocked(gateway, address), 3, every=0.01)
    gateway.wait_event("block.allowance_ended", cause="its time is over")
    for name in ("0.0.0.0/0", "::/0", "11.0.0.0/7", "office"):
        redis.cli("SET", f"ip_allow:{name}", "1", "EX", "600")
        gateway.wait_event("block.unparsable_allowance", level="ERROR", key=f"ip_allow:{name}")
    assert is_blocked(gateway, address)


def test_it_survives_restarts_outages_and_flushes(start, redis, address):
    gateway = start(redis)
    gateway.command("allow", address, "--for", "30m")
    redis.cli("FLUSHALL")
    wait_until("it is back", lambda: redis.cli("EXISTS", f"ip_allow:{address}") == "1")
    assert 1700 < redis.integer("TTL", f"ip_allow:{address}") <= 1800
    redis.kill()
    gateway.stop()
    gateway.start()
    gateway.command("block", address, "--for", "1h")
    assert not is_blocked(gateway, address)
    assert fail(gateway, address, 7) == [401] * 7
    assert "Redis is away" in gateway.command("disallow", address).stdout
    assert is_blocked(gateway, address)


def test_it_survives_a_restart_without_redis_and_a_reload(start, address):
    gateway = start()
    gateway.command("allow", address, "--for", "30m")
    gateway.command("reload")
    assert fail(gateway, address, 7) == [401] * 7
    gateway.stop()
    gateway.start()
    assert fail(gateway, address, 7) == [401] * 7
    assert 1700 < gateway.command_json("allowed")["allowances"][0]["ttl_seconds"] <= 1800


def test_what_makes_no_sense_allows_nothing(start, address):
    gateway = start()
    wide = gateway.command("allow", "0.0.0.0/0", "--for", "1m", check=False)
    assert (wide.returncode, "too wide" in wide.stderr) == (1, True)
    assert gateway.command("allow", address, check=False).returncode == 64
    assert gateway.command("allow", address, "--for", "31d", check=False).returncode == 64
    assert gateway.command("allow", "office", "--for", "1m", check=False).returncode == 64
    assert gateway.command("allowed").stdout == "no address is allowed for a while\n"


def test_an_upgrade_takes_it_along_and_the_former_process_hears_of_its_end(start, login_backend, address):
    gateway = start(timeouts={"drain": "30s"})
    login_backend.handler = handler = LongExchanges()
    try:
        gateway.command("block", address, "--for", "1h")
        gateway.command("allow", address, "--for", "30m")
        client = gateway.connect(address).send(request("GET", "/events"))
        assert client.read_head().status == 200
        gateway.command("upgrade")
        Heirs().of(gateway)
        assert not is_blocked(gateway, address)
        assert client.silent(0.1)
        gateway.command("disallow", address)
        assert is_blocked(gateway, address)
        assert is_cut(client), "the former process had it"
    finally:
        handler.release()
