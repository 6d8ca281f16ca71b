"""WebSockets and other tunnels over TLS: the same tunnel, with a session on the client's side or on the server's."""

import socket
import ssl

import pytest
from websockets.sync.client import connect

from harness.client import request
from harness.websocket import Echo, Switching, switched


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


@pytest.mark.once
def test_a_tunnel_that_is_cut_does_not_look_whole_to_a_server_with_tls(
        start_gateway, start_backend, authority, directory, address):
    """RFC 8446 §6.1: close_notify is the end that the other side meant. A server that reads one before the RST takes
    what it has for everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1").write(directory / "server"))
    chat = Switching(switched("x-chat", None))
    gateway = start_gateway(
        start_backend(chat, tls=context),
        upstreams={"api": {"tls": {"enabled": True, "ca_file": authority.write(directory / "server")}}},
        routes=[{"path": "/", "upstream": "api", "auth": "none", "upgrades": ["x-chat"]}])
    with gateway.connect(address) as client:
        client.send(request("GET", "/chat", {"Connection": "Upgrade", "Upgrade": "x-chat"}))
        assert client.read_head().status == 101
        client.send(b"half of it")
        assert chat.read(10) == b"half of it"
        gateway.command("block", address)
        with pytest.raises(ConnectionResetError):
            client.read_to_end()
        server = chat.socket()
        server.suppress_ragged_eofs = False
        with pytest.raises(ssl.SSLEOFError):
            server.recv(1)
    chat.release()
