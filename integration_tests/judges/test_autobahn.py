"""Autobahn's fuzzing client talks to Autobahn's own server, directly and through the gateway: the same verdicts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.client import Client, request
from harness.gateway import Gateway
from harness.processes import Process, answers, free_port, wait_until
from harness.programs import wstest

# Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, sending parts at once.
SHORT = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
# Large messages (16 MiB) and compression take minutes.
LONG = ["9.*", "12.*", "13.*"]

HANDSHAKE = request("GET", "/", {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13"})


@pytest.fixture
def echo_server(directory: Path) -> Iterator[int]:
    """The port of Autobahn's own server, which is right in every case."""
    suite = wstest().parent
    port = free_port()
    process = Process("echo-server", [suite / "echo-server", str(port)], directory)
    wait_until("the echo server listens", lambda: answers(port), 30)
    yield port
    process.stop()


def verdicts(directory: Path, servers: dict[str, str], cases: list[str], timeout: float) -> dict[str, dict[str, tuple]]:
    """Of each server, by case: how it behaved, how it closed, and the close code."""
    specification = directory / "autobahn.json"
    reports = directory / "autobahn"
    specification.write_text(json.dumps({
        "outdir": str(reports), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {},
        "servers": [{"agent": agent, "url": url} for agent, url in servers.items()]}))
    client = Process("wstest-client", [wstest(), "-m", "fuzzingclient", "-s", specification], directory)
    assert client.wait(timeout) == 0, client.log()[-2000:]
    index = json.loads((reports / "index.json").read_text())
    return {
        agent: {case: (one["behavior"], one["behaviorClose"], one["remoteCloseCode"]) for case, one in found.items()}
        for agent, found in index.items()}


@pytest.mark.timeout(3600)
def test_every_verdict_is_the_same_as_without_the_gateway(
    start_gateway: Callable[..., Gateway], echo_server: int, directory: Path, pytestconfig: pytest.Config,
) -> None:
    gateway = start_gateway(f"127.0.0.1:{echo_server}", logs={"access": "off"})
    with Client(gateway.address) as client:
        assert client.send(HANDSHAKE).read_head().status == 101
    long = pytestconfig.getoption("--all-cases")
    host, port = gateway.address
    found = verdicts(
        directory, {"direct": f"ws://127.0.0.1:{echo_server}", "gateway": f"ws://{host}:{port}"},
        SHORT + LONG if long else SHORT, 3500 if long else 120)
    assert len(found["direct"]) >= (500 if long else 240)
    assert found["gateway"] == found["direct"]
    # A failure without the gateway could hide one of the gateway.
    assert {behavior for behavior, _, _ in found["direct"].values()} <= {"OK", "INFORMATIONAL"}
