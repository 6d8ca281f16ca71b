"""How the gateway's container is made, stopped and configured."""

import os
import shutil
import time

import pytest

from harness.client import fetch, json_request
from harness.gateway import ROOT
from harness.processes import wait_until

GATEWAY_GROUP = 10001


def test_it_runs_without_privileges(stack):
    # 1 is Docker's init, which runs as the same user.
    status = stack.compose("exec", "-T", "gateway", "cat", "/proc/1/status").split("\n")
    facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert (facts["CapEff"], facts["CapBnd"], facts["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert stack.inspect("gateway", "{{.HostConfig.ReadonlyRootfs}}") == "true"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", "gateway", "touch", "/usr/local/bin/x")


def test_it_stops_at_once_when_nothing_is_under_way(stack):
    container = stack.container("gateway")
    began = time.monotonic()
    stack.docker("stop", "--time", "25", container)
    took = time.monotonic() - began
    try:
        assert stack.inspect("gateway", "{{.State.ExitCode}}") == "0"
        assert "gateway.stopped" in stack.docker("logs", "--tail", "1", container)
        assert took < 3
    finally:
        stack.docker("start", container)
    wait_until("the gateway is healthy", lambda: stack.health("gateway") == "healthy", 30, every=0.5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to the gateway's group")
def test_secrets_come_from_files_and_a_trusted_proxy_names_the_client(stack, new_stack, tmp_path):
    secret = tmp_path / "jwt_secret"
    secret.write_text("another secret, from a file, of more than thirty-two bytes\n")
    shutil.chown(secret, group=GATEWAY_GROUP)
    secret.chmod(0o440)
    changed = new_stack(
        {"SECRETS_DIRECTORY": str(tmp_path), "GATEWAY_TRUSTED_PROXIES": stack.bridge()},
        overlays=[ROOT / "docker" / "compose.secrets.yaml"])
    changed.up()
    try:
        assert "JWT_SECRET_FILE" in changed.inspect("gateway", "{{.Config.Env}}")
        login = json_request("POST", "/auth/login", {"username": "alice", "password": "correct horse"})
        published = ("127.0.0.1", changed.published_port())
        token = fetch(published, login).json()["access_token"]
        me, = changed.ask("client-a", ("GET", "/me", {"Authorization": f"Bearer {token}"}, None))
        assert me.status == 200, "both read the same file"

        wrong = json_request(
            "POST", "/auth/login", {"username": "alice", "password": "wrong"}, {"X-Forwarded-For": "203.0.113.7"})
        assert fetch(published, wrong).status == 401
        assert changed.redis("--scan", "--pattern", "login_fail:*") == "login_fail:203.0.113.7"
    finally:
        stack.up()
