"""How connections over TLS to servers of an upstream end: what is whole, what was cut off, and what idles till then."""

import socket
import struct
from typing import Any

import pytest

from harness.backend import answer
from harness.client import request
from harness.processes import wait_until
from harness.upstream_tls import Service

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nall of it"


def test_an_answer_that_ends_with_close_notify_is_whole(service: Service) -> None:
    def handler(exchange: Any) -> None:
        exchange.send(UNTIL_CLOSE)
        exchange.socket.unwrap()
        exchange.close()

    backend = service.backend(handler=handler)
    assert service.gateway(backend).get("/").body == b"all of it"


@pytest.mark.parametrize("way", ["end", "reset"])
def test_an_answer_that_is_cut_off_is_not_whole(service: Service, way: str) -> None:
    """RFC 8446 §6.1: anybody in between can end a TCP connection, so only close_notify is an end."""
    def handler(exchange: Any) -> None:
        exchange.send(UNTIL_CLOSE)
        if way == "reset":
            exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.close()

    backend = service.backend(handler=handler)
    gateway = service.gateway(backend)
    with gateway.connect() as client, pytest.raises((ConnectionResetError, AssertionError)):
        client.ask(request("GET", "/"))


def test_an_idle_connection_that_the_server_ends_is_not_used_again(service: Service) -> None:
    backend = service.backend()

    def handler(exchange: Any) -> None:
        exchange.send(answer())
        exchange.socket.unwrap()
        exchange.close()

    backend.handler = handler
    gateway = service.gateway(backend)
    for _ in range(5):
        assert gateway.get("/").status == 200


@pytest.mark.once
def test_unasked_for_bytes_on_an_idle_connection_are_nobodys_answer(service: Service) -> None:
    backend = service.backend()
    backend.handler = lambda exchange: (exchange.read_body(), answer() + answer(200, "stolen"))[1]
    gateway = service.gateway(backend)
    for _ in range(5):
        assert gateway.get("/").body == b"ok"


def test_the_gateway_says_goodbye_to_idle_connections(service: Service) -> None:
    ends: list[bytes] = []

    def handler(exchange: Any) -> None:
        exchange.socket.suppress_ragged_eofs = False
        exchange.send(answer())
        ends.append(exchange.socket.recv(1))  # SSLEOFError without close_notify
        exchange.close()

    backend = service.backend(handler=handler)
    gateway = service.gateway(backend, upstreams={"api": {"tls": service.tls(), "idle_timeout": "100ms"}})
    assert gateway.get("/").status == 200
    wait_until("the idle connection is closed", lambda: backend.open_connections == 0)
    assert ends == [b""]
