"""Servers on Unix sockets."""

import os
import socket
from collections.abc import Callable
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


def test_a_full_queue_of_a_socket_is_no_wait_without_end(start_gateway: START, path: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        waiting.append(client)
        try:
            client.connect(path)
        except BlockingIOError:
            break
    gateway = start_gateway(f"unix:{path}")
    assert gateway.get("/").status == 503
    for held in [*waiting, listener]:
        held.close()


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
