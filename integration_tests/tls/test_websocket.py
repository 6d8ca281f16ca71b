"""WebSockets over TLS: the same tunnel, with a session on the client's side."""

import socket

import pytest
from websockets.sync.client import connect

from harness.websocket import Echo


@pytest.fixture
def backend():
    server = Echo()
    yield server
    server.close()


def test_a_websocket_over_tls_echoes_and_is_closed_by_a_block(edge, address):
    plain = socket.socket()
    plain.bind((address, 0))
    plain.settimeout(10)
    plain.connect(edge.gateway.secure_address)
    with connect(
        "wss://gateway.test/", sock=plain, ssl=edge.context(), proxy=None, max_size=None, compression=None,
    ) as client:
        for message in ["hello", b"x" * 300_000, "x" * 65_536]:
            client.send(message)
            assert client.recv(timeout=10) == message
        edge.gateway.command("block", address)
        with pytest.raises(Exception, match="1008"):
            client.recv(timeout=10)
