"""The units of deploy/systemd, as systemd itself judges them."""

import re
import subprocess

import pytest

from harness.client import fetch, request
from harness.gateway import ROOT, Gateway, binary, config, run_binary
from harness.processes import Process
from harness.programs import needed

UNITS = ROOT / "deploy" / "systemd"


@pytest.fixture
def units(directory):
    """The units with the built program in place of the installed one, which `verify` looks for."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/usr/local/bin/gateway", str(binary()))
        (directory / path.name).write_text(text)
    return directory


def analyze(*words):
    command = [needed("systemd-analyze"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["gateway.service", "gateway.socket"])
def test_systemd_has_nothing_to_say_against_the_unit(units, name):
    run = analyze("verify", units / name)
    # It may complain of other units of the machine; ours are named in what is about them.
    about_ours = [line for line in run.stderr.splitlines() if "gateway" in line]
    assert about_ours == [] and run.returncode == 0


def test_verify_would_find_a_mistake(units):
    path = units / "gateway.service"
    path.write_text(path.read_text().replace("Type=notify", "Typ=notify").replace("NotifyAccess=all", "NotifyAccess=some"))
    run = analyze("verify", path)
    assert "Unknown key 'Typ'" in run.stderr and "notify access" in run.stderr


def test_the_service_is_exposed_to_little(units):
    run = analyze("security", "--offline=yes", units / "gateway.service")
    exposure = re.search(r"Overall exposure level for gateway\.service: ([0-9.]+)", run.stdout)
    assert exposure and float(exposure[1]) < 2.0, run.stdout


def test_the_unit_is_for_what_the_program_does(units):
    """Each line that depends on the gateway, by the gateway's own words."""
    service = (UNITS / "gateway.service").read_text()
    settings = dict(line.split("=", 1) for line in service.splitlines() if "=" in line and not line.startswith("#"))
    assert settings["Type"] == "notify" and settings["NotifyAccess"] == "all"
    assert settings["RestartPreventExitStatus"] == "64 78"
    for line, verb in (("ExecStartPre", "check"), ("ExecStart", "run"), ("ExecReload", "reload")):
        words = settings[line].split()
        assert words == ["/usr/local/bin/gateway", verb, "--config", "/etc/gateway/gateway.conf"]


def test_start_reload_upgrade_and_end_need_no_other_system_calls(directory, backend):
    """By what the kernel saw of a gateway that did all of it: the filter would end the process at the first other one."""
    strace, allowed = needed("strace"), allowed_calls()
    gateway = Gateway(directory, config(backend.address, directory))
    gateway.write_config()
    trace = directory / "trace.txt"
    gateway.process = Process(
        "gateway", [strace, "-f", "-o", trace, binary(), "run", "--config", gateway.config_path], directory)
    try:
        ready = gateway.wait_event("gateway.ready", 20)
        socket = ready["admin_socket"]
        host, port = ready["listeners"][0].rsplit(":", 1)
        assert fetch((host, int(port)), request("GET", "/")).status == 200
        assert run_binary("reload", "--socket", socket).returncode == 0
        assert run_binary("block", "203.0.113.7", "--socket", socket).returncode == 0
        assert run_binary("upgrade", "--socket", socket).returncode == 0
        assert fetch((host, int(port)), request("GET", "/")).status == 200
    finally:
        gateway.stop()
    used = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace.read_text(), re.MULTILINE))
    assert {"accept4", "epoll_wait", "flock", "execve"} <= used
    assert used - allowed == set()


def allowed_calls():
    """What the two SystemCallFilter lines of the unit leave."""
    groups, current = {}, []
    for line in analyze("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            current = groups.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            current.append(line.strip())

    def members(name):
        return set().union(*({entry} if not entry.startswith("@") else members(entry) for entry in groups[name]))

    first, second = re.findall(r"^SystemCallFilter=(.*)$", (UNITS / "gateway.service").read_text(), re.MULTILINE)
    assert second.startswith("~")
    return set().union(*map(members, first.split())) - set().union(*map(members, second[1:].split()))
