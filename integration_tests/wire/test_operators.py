"""The admin server and the command line against a running gateway."""

import json
import os
import socket
import subprocess

import pytest

from harness.backend import Backend
from harness.client import fetch, json_request, request
from harness.gateway import ADMIN_TOKEN, Gateway, binary, merged
from harness.processes import wait_until

BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def ask_socket(gateway: Gateway, data: bytes) -> bytes:
    """Everything the admin socket answers until it closes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(gateway.admin_socket)
        client.sendall(data)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
        return received


def test_a_block_by_command_is_in_force_when_the_command_returns(gateway, address):
    for _ in range(20):
        gateway.command("block", address, "--for", "5m", "--reason", "a test")
        assert gateway.get("/", address).code == "AUTH_004"
        gateway.command("unblock", address)
        assert gateway.get("/", address).status == 200


def test_a_block_names_its_reason_actor_and_end(gateway):
    gateway.command("block", "203.0.113.0/24", "--for", "2h", "--reason", "a scanner")
    gateway.command("block", "2001:db8::1", "--for", "permanent")
    blocks = {block["network"]: block for block in gateway.command_json("blocks")["blocks"]}
    scanner = blocks["203.0.113.0/24"]
    assert scanner["reason"] == "a scanner" and scanner["actor"].startswith("uid:")
    assert 7190 <= scanner["ttl_seconds"] <= 7200 and not scanner["permanent"]
    assert blocks["2001:db8::1"]["permanent"] and blocks["2001:db8::1"]["expires_at"] is None
    table = gateway.command("blocks").stdout
    assert "1h 59m" in table or "2h" in table
    assert "never" in table


def test_a_block_that_would_not_hold_is_refused(start_gateway, backend):
    gateway = start_gateway(backend, never_block=["127.0.0.0/8"])
    refused = gateway.command("block", "127.0.0.1", check=False)
    assert refused.returncode == 1 and "127.0.0.0/8" in refused.stderr
    assert "127.0.0.0/8" in gateway.command("block", "126.0.0.0/7").stdout
    assert gateway.get("/").status == 200


def test_unblocking_an_address_within_a_blocked_network_says_so(gateway):
    gateway.command("block", "203.0.113.0/24")
    assert "within 203.0.113.0/24" in gateway.command("unblock", "203.0.113.9").stdout


def test_each_command_is_in_the_audit_log_with_its_actor(gateway, address):
    for command in (["block", address], ["unblock", address], ["unblock", address], ["log-level", "debug"], ["reload"]):
        gateway.command(*command)
    for action in ("ip_blocked", "ip_unblocked", "unblock", "log_level_changed", "configuration_reloaded"):
        line = wait_until(f"a record of {action}", lambda: gateway.events(service="audit", action=action), 3)[0]
        assert line["context"]["actor"].startswith("uid:"), line


def test_over_tcp_only_health_and_metrics_are_open(gateway):
    for path in ("/health", "/health/detailed", "/ready", "/live", "/metrics"):
        assert gateway.ask_admin(path).status == 200, path
    for path in ("/api/v1/status", "/api/v1/blocks", "/api/v1/reload", "/api/v1/log-level", "/nothing"):
        assert gateway.ask_admin(path).status == 401, path
        assert gateway.ask_admin(path, "another token, just as long as the real").status == 401, path
    assert gateway.ask_admin("/api/v1/status", ADMIN_TOKEN).status == 200
    assert gateway.ask_admin("/nothing", ADMIN_TOKEN).status == 404


def test_without_a_token_the_socket_is_the_only_way(start_gateway, backend):
    gateway = start_gateway(backend, admin={"token": None})
    refused = gateway.ask_admin("/api/v1/blocks", "anything")
    assert refused.status == 403 and "admin socket" in refused.json()["detail"]
    assert gateway.command_json("blocks")["count"] == 0


def test_the_public_listener_knows_nothing_of_it(gateway, backend: Backend):
    for path in ("/metrics", "/health/detailed", "/api/v1/blocks"):
        assert gateway.get(path).body == b"ok", "it belongs to the backend"


def test_blocking_over_tcp_with_the_token(gateway, address):
    blocked = fetch(gateway.admin, json_request("POST", "/api/v1/blocks", {"network": address}, {
        **BEARER, "X-Actor": "alice"}))
    assert blocked.status == 201
    assert blocked.json()["block"]["actor"] == "admin-token (claims alice)"
    assert gateway.get("/", address).status == 403
    lifted = fetch(gateway.admin, request("DELETE", f"/api/v1/blocks/{address}%2F32", BEARER))
    assert lifted.json()["count"] == 1
    assert gateway.get("/", address).status == 200


def test_requests_in_a_pipeline_are_answered_in_order(gateway):
    each = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = ask_socket(gateway, each * 500 + b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 500
    assert answer.rindex(b"200 OK") < answer.index(b"404 Not Found")


def test_a_malformed_request_is_answered_and_the_connection_closed(gateway):
    for data in (
        b"GET / HTTP/1.1\n\n", b"GET /live HTTP/1.1\r\n\r\n", b"GET /live HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        assert ask_socket(gateway, data).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    too_large = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000
    assert ask_socket(gateway, too_large).startswith(b"HTTP/1.1 413 ")
    assert ask_socket(gateway, b"GET /live HTTP/2.0\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 505 ")


def test_a_malformed_head_request_is_answered_without_content(gateway):
    answer = ask_socket(gateway, b"HEAD /live HTTP/1.1\r\nHost : a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"\r\n\r\n")


def test_close_among_other_options_closes(gateway):
    answer = ask_socket(gateway, b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: TE, close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nConnection: close\r\n" in answer


def test_a_reload_with_mistakes_says_why_and_changes_nothing(gateway):
    sound = gateway.config_path.read_text()
    gateway.config_path.write_text(sound.replace('"routes"', '"routs"'))
    refused = gateway.command("reload", check=False)
    assert refused.returncode == 1
    assert 'did you mean "routes"?' in refused.stderr and "CONF_001" in refused.stderr
    assert gateway.get("/").status == 200
    gateway.config_path.write_text(sound)
    assert "generation 2" in gateway.command("reload").stdout


@pytest.mark.parametrize("setting", ["logs.access", "logs.audit", "state_dir"])
def test_a_reload_refuses_what_cannot_be_written_as_the_start_does(gateway, setting):
    section, _, name = setting.partition(".")
    sound = gateway.settings
    gateway.write_config(merged(sound, {section: {name: "/proc/nothing/x.log"} if name else "/proc/nothing/x"}))
    refused = gateway.command("reload", check=False)
    assert refused.returncode == 1
    assert "/proc/nothing/x" in refused.stderr and "cannot be" in refused.stderr
    assert "cannot be" in "".join(gateway.wait_event("gateway.reload_failed")["diagnostics"])
    gateway.write_config(sound)
    assert "generation 2" in gateway.command("reload").stdout


def test_the_runbooks_find_database_and_cache(start_gateway, backend, redis):
    detailed = start_gateway(backend, redis).ask_admin("/health/detailed").json()
    assert detailed["database"]["status"] == "healthy"
    expected = {"status": "healthy", "kind": "redis", "address": f"127.0.0.1:{redis.port}", "database": 0}
    assert detailed["cache"].items() >= expected.items()
    assert detailed["upstreams"][0]["addresses"] == [backend.address]


def test_a_gateway_that_was_killed_leaves_no_socket_in_the_way(gateway):
    gateway.child.kill()
    gateway.start()
    assert gateway.command_json("status")["status"] == "healthy"


def test_check_tells_people_and_programs(gateway):
    def check(*words: str) -> subprocess.CompletedProcess[str]:
        # Its own environment: GATEWAY_BINARY would be an unknown setting.
        return subprocess.run(
            [str(binary()), "check", "--config", str(gateway.config_path), *words], capture_output=True, text=True,
            timeout=20, check=False, env={"PATH": os.environ["PATH"]})

    assert check().returncode == 0
    effective = check("--effective").stdout
    assert "login.limit: 5" in effective and ADMIN_TOKEN not in effective
    gateway.config_path.write_text('{"workers": "many"}')
    assert check().returncode == 78 and "^" in check().stderr
    report = json.loads(check("--json").stdout)
    assert not report["sound"] and report["diagnostics"][0]["severity"] == "error"
