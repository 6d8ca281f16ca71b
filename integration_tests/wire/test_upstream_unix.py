"""Servers on Unix sockets."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from harness.backend import Backend, answer
from harness.client import request
from harness.gateway import Gateway, run_binary
from harness.processes import wait_until

START = Callable[..., Gateway]


@pytest.fixture
def path(directory: Path) -> str:
    return str(directory / "api.sock")


@pytest.fixture
def at_socket(start_backend: Callable[..., Backend], path: str) -> Backend:
    return start_backend(path=path)


def test_requests_reach_a_server_on_a_socket_and_its_connection_is_kept(
    start_gateway: START, at_socket: Backend, path: str,
) -> None:
    gateway = start_gateway(at_socket, workers=1)
    for _ in range(3):
        assert gateway.get("/a").status == 200
    assert at_socket.connections == 1
    assert gateway.wait_event("http.request")["server"] == f"unix:{path}"


def test_a_body_goes_through_unharmed_both_ways(start_gateway: START, at_socket: Backend) -> None:
    body = bytes(index * 7 % 251 for index in range(1_000_000))
    at_socket.handler = lambda exchange: exchange.send(answer(200, exchange.read_body()))
    gateway = start_gateway(at_socket)
    with gateway.connect() as client:
        assert client.ask_while_sending(request("POST", "/", body=body), "POST").body == body


def test_sockets_and_ports_stand_side_by_side(start_gateway: START, at_socket: Backend, backend: Backend) -> None:
    gateway = start_gateway(at_socket, upstreams={"api": {"servers": [at_socket.address, backend.address]}}, workers=1)
    for _ in range(4):
        assert gateway.get("/").status == 200
    assert len(at_socket.requests) == len(backend.requests) == 2


def test_without_its_socket_the_service_cannot_be_reached_and_with_it_it_can(
    start_gateway: START, start_backend: Callable[..., Backend], path: str,
) -> None:
    gateway = start_gateway(f"unix:{path}")
    refused = gateway.get("/")
    assert (refused.status, refused.code) == (503, "SVC_001")
    assert refused.field("Proxy-Status") == "gateway; error=destination_unavailable"
    start_backend(path=path)
    assert gateway.get("/").status == 200


def test_a_socket_that_nobody_listens_at_any_more_gives_503(start_gateway: START, at_socket: Backend, path: str) -> None:
    gateway = start_gateway(at_socket)
    assert gateway.get("/").status == 200
    at_socket.close()
    wait_until("the connection is gone", lambda: at_socket.open_connections == 0)
    assert Path(path).exists()
    assert gateway.get("/").status == 503


@pytest.fixture
def full(path: str) -> Iterator[socket.socket]:
    """A listening socket at `path` with no place in its queue."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        with suppress(BlockingIOError):
            while True:
                client = held.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(path)
        yield listener


STRICT = {"ejection": {"failures": 1}, "circuit_breaker": {"failures": 1}, "retries": 0}


def test_a_full_queue_of_a_socket_is_no_wait_without_end(start_gateway: START, full: socket.socket, path: str) -> None:
    gateway = start_gateway(f"unix:{path}", timeouts={"connect": "400ms"}, upstreams={"api": STRICT})
    refused = gateway.get("/")
    assert (refused.status, refused.code) == (504, "SVC_002")
    assert gateway.wait_event("upstream.circuit_opened")["reason"] == "connect_timeout"


@pytest.mark.parametrize("body", [None, b"x" * 300_000], ids=["a head alone", "with a body"])
def test_a_full_queue_of_a_socket_is_waited_for_and_no_fault(
    start_gateway: START, full: socket.socket, path: str, body: bytes | None,
) -> None:
    gateway = start_gateway(f"unix:{path}", timeouts={"connect": "10s"}, upstreams={"api": STRICT})
    with gateway.connect() as client:
        assert client.ask(request("GET", "/health")).status == 200
        before = gateway.open_files("socket")
        client.send(request("POST", "/", body=body) if body else request("GET", "/"))
        wait_until("it tries to connect", lambda: gateway.open_files("socket") >= before + 1)
        full.settimeout(10)
        with ExitStack() as taken:
            while not is_asked(taken.enter_context(full.accept()[0]), body or b"\r\n\r\n"):
                continue
            assert client.read_final("POST" if body else "GET").status == 200
    assert gateway.metrics()['gateway_upstream_failures_total{upstream="api"}'] == 0
    assert gateway.events("upstream.circuit_opened") == []


def is_asked(connection: socket.socket, last: bytes) -> bool:
    """Answers the request that ends like that; those who only hold a place say nothing."""
    connection.settimeout(2)
    received = b""
    try:
        while not received.endswith(last):
            piece = connection.recv(65_536)
            if not piece:
                return False
            received += piece
    except TimeoutError:
        return False
    connection.sendall(answer())
    return True


def test_a_reload_goes_over_to_another_socket(
    start_gateway: START, at_socket: Backend, start_backend: Callable[..., Backend], directory: Path,
) -> None:
    gateway = start_gateway(at_socket)
    assert gateway.get("/").status == 200
    second = start_backend(path=str(directory / "second.sock"))
    gateway.write_config({**gateway.settings, "upstreams": {"api": {"servers": [second.address]}}})
    gateway.command("reload")
    os.unlink(at_socket.path)
    assert gateway.get("/").status == 200
    assert len(second.requests) == 1


def test_status_names_the_socket(start_gateway: START, at_socket: Backend, path: str) -> None:
    assert f"unix:{path}" in start_gateway(at_socket).command("status").stdout


def test_a_path_that_the_system_cannot_hold_is_told_before_anything_runs(directory: Path) -> None:
    conf = directory / "gateway.conf"
    conf.write_text(
        'upstreams: {api: {servers: ["unix:/%s"]}}\nroutes: [{path: /, upstream: api, auth: none}]\n' % ("a" * 107))
    result = run_binary("check", "--config", conf)
    assert result.returncode != 0
    assert "the path of the socket is 108 bytes long" in result.stdout + result.stderr
