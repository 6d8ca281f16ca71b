"""Upgrades to the byte (RFC 9110 §7.8): who may change the protocol, and what passes then."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.backend import Exchange, answer
from harness.client import breaks, request
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, token
from harness.websocket import HANDSHAKE, Switching, closing, frame, handshake, switched

CHAT = {"Connection": "Upgrade", "Upgrade": "x-chat"}
ROUTES = [
    {"path": "/", "upstream": "api", "auth": "none", "upgrades": ["websocket", "x-chat"]},
    {"path": "/still", "upstream": "api", "auth": "none", "upgrades": []},
    {"path": "/private", "upstream": "api", "auth": "required", "cookie": "access"},
    {"path": "/admin", "upstream": "api", "auth": "required", "roles": ["admin"]},
]
TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}], "leeway": "0s"}


@pytest.fixture
def gateway(start_gateway, backend):
    return start_gateway(backend, routes=ROUTES, tokens=TOKENS)


@pytest.fixture
def chat(backend) -> Iterator[Switching]:
    backend.handler = handler = Switching(switched("x-chat", None))
    yield handler
    handler.release()


def open_chat(gateway, chat, source=None, early=b""):
    client = gateway.connect(source)
    client.send(request("GET", "/chat", CHAT) + early)
    head = client.read_head()
    assert head.status == 101
    return client, head


def open_tunnels(gateway) -> float:
    return gateway.metrics()["gateway_tunnels"]


def closed_tunnels(gateway, reason: str) -> float:
    return gateway.metrics()[f'gateway_tunnels_closed_total{{reason="{reason}"}}']


def test_bytes_pass_in_both_directions_behind_a_101(gateway, backend, chat):
    client, head = open_chat(gateway, chat)
    assert (head.field("Upgrade"), head.field("Connection")) == ("x-chat", "Upgrade")
    assert head.field("Via") == "1.1 gateway" and head.field("X-Request-Id")
    asked = backend.requests[0]
    assert (asked.field("Upgrade"), asked.field("Connection")) == ("x-chat", "Upgrade")
    client.send(b"GET /not/http HTTP/1.1\r\n\r\n")
    assert chat.read(26) == b"GET /not/http HTTP/1.1\r\n\r\n"
    chat.socket().sendall(b"HTTP/1.1 500 no\r\n\r\n")
    assert client.read_exactly(19) == b"HTTP/1.1 500 no\r\n\r\n"
    assert len(backend.requests) == 1


def test_bytes_that_came_with_the_heads_are_not_lost(gateway, backend, chat):
    chat._answer += b"hello from the server"
    client, _ = open_chat(gateway, chat, early=b"hello from the client")
    assert client.read_exactly(21) == b"hello from the server"
    assert chat.read(21) == b"hello from the client"


def test_the_end_of_the_client_s_side_is_passed_on_and_the_other_goes_on(gateway, backend, chat):
    client, _ = open_chat(gateway, chat)
    client.send(b"all").socket.shutdown(socket.SHUT_WR)
    assert chat.read(3) == b"all"
    assert chat.socket().recv(1) == b""
    chat.socket().sendall(b"reply")
    assert client.read_exactly(5) == b"reply"
    chat.socket().shutdown(socket.SHUT_WR)
    assert client.ended()
    wait_until("the end", lambda: open_tunnels(gateway) == 0)
    assert closed_tunnels(gateway, "client_closed") == 1


def test_the_end_of_the_server_s_side_is_passed_on_and_the_other_goes_on(gateway, backend, chat):
    client, _ = open_chat(gateway, chat)
    chat.socket().sendall(b"all")
    chat.socket().shutdown(socket.SHUT_WR)
    assert client.read_exactly(3) == b"all"
    assert client.ended()
    client.send(b"reply")
    assert chat.read(5) == b"reply"
    client.close()
    assert chat.socket().recv(1) == b""
    wait_until("the end", lambda: open_tunnels(gateway) == 0)
    assert closed_tunnels(gateway, "server_closed") == 1


def test_a_server_that_breaks_off_is_seen_by_the_client(gateway, backend, chat):
    client, _ = open_chat(gateway, chat)
    chat.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    chat.socket().close()
    with pytest.raises(ConnectionResetError):
        client.read_to_end()
    wait_until("the end", lambda: closed_tunnels(gateway, "server_lost") == 1)
    assert open_tunnels(gateway) == 0


def test_a_client_that_breaks_off_is_seen_by_the_server(gateway, backend, chat):
    client, _ = open_chat(gateway, chat)
    chat.socket()
    client.reset()
    with pytest.raises(ConnectionResetError):
        chat.socket().recv(1)
    wait_until("the end", lambda: closed_tunnels(gateway, "client_lost") == 1)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_reset_that_comes_together_with_bytes_ends_the_tunnel(gateway, backend, chat, side):
    """Nobody writes to the connection afterwards, so only looking at it shows the reset."""
    client, _ = open_chat(gateway, chat)
    gateway.freeze()
    if side == "client":
        client.send(b"last words")
        client.reset()
    else:
        chat.socket().sendall(b"last words")
        chat.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        chat.socket().close()
    gateway.signal(signal.SIGCONT)
    lost = "client_lost" if side == "client" else "server_lost"
    wait_until("the end", lambda: closed_tunnels(gateway, lost) == 1, 3)


@pytest.mark.once
@pytest.mark.parametrize(("resets", "reason"), [(True, "server_lost"), (False, "server_closed")])
def test_a_server_that_is_gone_while_its_client_sends_ends_the_tunnel(gateway, backend, chat, resets, reason):
    """The write that fails takes the error off the socket, and the read behind it finds an end like any other."""
    client, _ = open_chat(gateway, chat)
    gateway.freeze()
    client.send(b"never to arrive")
    chat.socket().sendall(b"last words")
    if resets:
        chat.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    chat.socket().close()
    gateway.signal(signal.SIGCONT)
    assert client.read_exactly(10) == b"last words"
    if resets:
        with pytest.raises(ConnectionResetError):
            client.read_to_end()
    else:
        assert client.read_to_end() == b"", "its side was whole"
        wait_until("the reset", lambda: client.offer(b"x"), every=0.05)
    wait_until("the end", lambda: closed_tunnels(gateway, reason) == 1, 3)
    assert open_tunnels(gateway) == 0


def test_a_client_that_was_reset_before_its_tunnel_began_is_noticed(gateway, backend, chat):
    """Its reset came together with the request, and has no edge of its own."""
    agree = threading.Event()

    def later(exchange: Exchange) -> None:
        agree.wait(10)
        chat(exchange)

    backend.handler = later
    client = gateway.connect()
    gateway.freeze()
    client.send(request("GET", "/chat", CHAT))
    client.reset()
    gateway.signal(signal.SIGCONT)
    assert gateway.wait_event("http.request", path="/chat")["ended_by"] == "client_lost"
    agree.set()


def test_a_tunnel_has_one_line_at_its_end_and_is_counted_at_its_beginning(gateway, backend, chat, address):
    client, _ = open_chat(gateway, chat, address)
    assert open_tunnels(gateway) == 1
    sent = 'gateway_http_requests_total{route="/",method="GET",code="101"}'
    assert gateway.metrics()[sent] == 1
    client.send(b"x" * 1_000)
    assert chat.read(1_000) == b"x" * 1_000
    chat.socket().sendall(b"y" * 5_000)
    client.read_exactly(5_000)
    assert not gateway.events("http.request", client_ip=address)
    client.close()
    assert chat.socket().recv(1) == b""
    chat.socket().close()
    line = gateway.wait_event("http.request", client_ip=address)
    assert (line["status"], line["upstream_status"], line["path"], line["route"]) == (101, 101, "/chat", "/")
    assert line["ended_by"] == "client_closed"
    assert line["bytes_in"] > 1_000 and line["bytes_out"] > 5_000
    assert gateway.metrics()[sent] == 1
    assert len(gateway.events("http.request", client_ip=address)) == 1


def test_a_connection_that_was_a_tunnel_is_not_used_again(gateway, backend, chat):
    client, _ = open_chat(gateway, chat)
    client.close()
    chat.socket().close()
    wait_until("the end", lambda: open_tunnels(gateway) == 0)
    backend.answers(answer())
    assert gateway.get("/").status == 200
    assert backend.connections == 2


def test_whatever_a_slow_client_does_not_read_waits_at_the_server(gateway, backend, chat):
    """The gateway holds one read of each tunnel and not what the server would like to send."""
    status = Path(f"/proc/{gateway.child.pid}/status")

    def resident() -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))

    client = gateway.connect(receive_buffer=8_192)
    client.send(request("GET", "/chat", CHAT))
    assert client.read_head().status == 101
    before = resident()
    size = 48 << 20
    sender = threading.Thread(target=chat.socket().sendall, args=(b"z" * size,), daemon=True)
    sender.start()
    sender.join(0.7)
    assert sender.is_alive(), "the server must be made to wait"
    assert resident() - before < 12_000
    received = len(client.buffered())
    while received < size:
        piece = client.socket.recv(1 << 20)
        assert piece
        received += len(piece)
    sender.join(10)
    assert not sender.is_alive() and received == size


def test_a_tunnel_without_a_byte_is_closed(start_gateway, backend, chat):
    gateway = start_gateway(backend, routes=ROUTES, timeouts={"tunnel": "400ms", "drain": "1s"})
    client, _ = open_chat(gateway, chat)
    for _ in range(4):
        assert client.silent(0.2)
        client.send(b"x")
    with pytest.raises(ConnectionResetError):
        client.read_to_end()
    assert closed_tunnels(gateway, "idle") == 1


def test_a_client_that_does_not_read_is_cut_although_it_sends(start_gateway, backend, chat):
    gateway = start_gateway(backend, routes=ROUTES, timeouts={"body": "600ms", "drain": "1s"})
    client = gateway.connect(receive_buffer=8_192)
    client.send(request("GET", "/chat", CHAT))
    assert client.read_head().status == 101
    flood = threading.Thread(target=_flood, args=(chat.socket(),), daemon=True)
    flood.start()

    wait_until("the cut", lambda: breaks(client.socket), every=0.05)
    assert closed_tunnels(gateway, "idle") == 1
    flood.join(10)
    assert not flood.is_alive()


def _flood(connection: socket.socket) -> None:
    try:
        while True:
            connection.sendall(b"z" * 65_536)
    except OSError:
        return


@pytest.mark.parametrize("data", [
    switched(key=None), switched(key="AAAAAAAAAAAAAAAAAAAAAA=="), switched("x-chat"), switched("websocket, x-chat"),
    switched().replace(b"Connection: Upgrade\r\n", b""), switched().replace(b"Upgrade: websocket\r\n", b""),
    switched(fields="Upgrade: websocket\r\n"), switched().replace(b"HTTP/1.1", b"HTTP/1.0"),
], ids=["no-proof", "wrong-proof", "other-protocol", "two-protocols", "no-connection", "no-upgrade", "twice", "old"])
def test_a_101_that_does_not_agree_is_a_502(gateway, backend, data):
    backend.handler = lambda exchange: data + frame(b"secret")
    refused = gateway.fetch(handshake())
    assert (refused.status, refused.code) == (502, "SVC_001")
    assert b"secret" not in refused.body


@pytest.mark.parametrize("fields", [{}, {"Upgrade": "websocket"}, {"Connection": "Upgrade"}])
def test_a_101_that_nobody_asked_for_is_a_502(gateway, backend, fields):
    backend.handler = lambda exchange: switched()
    assert gateway.fetch(request("GET", "/", fields)).status == 502


@pytest.mark.parametrize("version, target, fields", [
    ("1.0", "/", HANDSHAKE), ("1.1", "/still", HANDSHAKE), ("1.1", "/private", CHAT),
    ("1.1", "/", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}),
    ("1.1", "/", {**HANDSHAKE, "Upgrade": "websocket, x-chat"}), ("1.1", "/", {**HANDSHAKE, "Connection": "close"}),
])
def test_an_upgrade_that_is_not_allowed_is_an_ordinary_request(gateway, backend, version, target, fields):
    asked = request("GET", target, {**fields, **bearer(token())}).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    assert gateway.fetch(asked).status == 200
    arrived = backend.only()
    assert arrived.field("Upgrade") is None and "upgrade" not in (arrived.field("Connection") or "").lower()


@pytest.mark.parametrize("data, status", [
    (request("POST", "/", HANDSHAKE), 400), (request("GET", "/", HANDSHAKE, b"body"), 400),
    (request("GET", "/", {**HANDSHAKE, "Sec-WebSocket-Key": "short"}), 400),
    (request("GET", "/", {**HANDSHAKE, "Sec-WebSocket-Version": "8"}), 426),
])
def test_a_malformed_handshake_is_refused_before_it_reaches_the_backend(gateway, backend, data, status):
    refused = gateway.fetch(data)
    assert refused.status == status
    if status == 426:
        assert (refused.field("Sec-WebSocket-Version"), refused.field("Upgrade")) == ("13", "websocket")
    assert backend.requests == []


def test_nothing_that_follows_a_refused_handshake_goes_on(gateway, backend):
    with gateway.connect() as client:
        client.send(request("GET", "/", {**HANDSHAKE, "Sec-WebSocket-Key": "short"}) + request("GET", "/smuggled"))
        assert client.read_final().status == 400
        assert client.ended()
    assert backend.requests == []


@pytest.mark.parametrize("status", [200, 400, 426, 503])
def test_a_server_that_does_not_switch_leaves_the_connection_in_step(gateway, backend, status):
    """Some proxies open the tunnel when they see the request, and pass what follows unread to the backend."""
    backend.handler = lambda exchange: answer(status, b"no")
    with gateway.connect() as client:
        client.send(handshake() + request("GET", "/private"))
        assert client.read_final().status == status
        assert client.read_final().status == 401
        assert client.ask(request("GET", "/next")).status == status
    assert [seen.target for seen in backend.requests] == ["/", "/next"]


def test_frames_that_were_sent_ahead_of_a_refusal_are_no_request(gateway, backend):
    backend.answers(answer(403, b"no"))
    with gateway.connect() as client:
        client.send(handshake() + frame(b"hello", masked=True) + b"\r\n\r\n")
        assert client.read_final().status == 403
        assert client.read_final().status == 400
        assert client.ended()
    assert len(backend.requests) == 1


def test_an_upgrade_is_judged_like_any_request(gateway, backend, address):
    assert gateway.fetch(handshake("/private")).status == 401
    assert gateway.fetch(handshake("/admin", bearer(token()))).status == 403
    gateway.command("block", address)
    assert gateway.fetch(handshake(), address).code == "AUTH_004"
    assert backend.requests == []


@pytest.mark.parametrize("origin, status", [("https://gateway.test", 101), ("https://evil.example", 403), ("null", 403)])
def test_a_cookie_opens_a_websocket_for_pages_of_this_host_only(gateway, backend, origin, status):
    """Cross-site WebSocket hijacking: browsers send the cookie whatever page asks."""
    backend.handler = lambda exchange: switched()
    fields = {"Cookie": f"access={token()}", "Origin": origin}
    with gateway.connect() as client:
        head = client.send(handshake("/private", fields)).read_head()
        assert head.status == status
    assert len(backend.requests) == (status == 101)
    if status == 101:
        with gateway.connect() as client:
            foreign = {**bearer(token()), "Origin": "https://evil.example"}
            assert client.send(handshake("/private", foreign)).read_head().status == 101


def test_a_blocked_client_s_tunnel_is_cut(gateway, backend, chat, address):
    client, _ = open_chat(gateway, chat, address)
    gateway.command("block", address)
    with pytest.raises(ConnectionResetError):
        client.read_to_end()
    with pytest.raises(ConnectionResetError):
        chat.socket().recv(1)
    assert closed_tunnels(gateway, "blocked") == 1


def test_a_websocket_in_the_middle_of_a_frame_is_cut_without_a_close(gateway, backend, address):
    backend.handler = handler = Switching(switched())
    client = gateway.connect(address)
    client.send(handshake())
    assert client.read_head().status == 101
    handler.socket().sendall(frame(b"half a message")[:5])
    assert client.read_exactly(5) == frame(b"half a message")[:5]
    gateway.command("block", address)
    assert client.ended()
    # The other direction stands between two frames and can be told.
    assert closing(handler.read(2 + 4 + 2 + len("blocked"))) == (1008, "blocked")
    handler.socket().sendall(frame(b"more"))
    handler.release()


def test_a_websocket_is_told_at_the_end_of_a_frame_when_the_gateway_ends(gateway, backend):
    backend.handler = handler = Switching(switched())
    client = gateway.connect()
    client.send(handshake())
    assert client.read_head().status == 101
    whole = frame(b"half a message")
    handler.socket().sendall(whole[:5])
    assert client.read_exactly(5) == whole[:5]
    gateway.signal(signal.SIGTERM)
    assert closing(handler.read(2 + 4 + 2 + len("going away"))) == (1001, "going away")
    handler.socket().sendall(whole[5:] + frame(b"never to arrive"))
    rest = client.read_to_end()
    assert rest.startswith(whole[5:])
    assert closing(rest[len(whole) - 5:]) == (1001, "going away")
    handler.release()


def test_a_websocket_that_breaks_its_framing_is_passed_on_and_gets_no_close(gateway, backend, address):
    backend.handler = handler = Switching(switched())
    client = gateway.connect(address)
    client.send(handshake())
    assert client.read_head().status == 101
    client.send(frame(b"unmasked"))
    assert handler.read(10) == frame(b"unmasked")
    gateway.command("block", address)
    assert handler.socket().recv(100) == b""
    assert closing(client.read_to_end()) == (1008, "blocked")
    handler.release()


def test_an_open_tunnel_outlives_reloads_even_of_its_route(gateway, backend, chat):
    client, _ = open_chat(gateway, chat)
    for number in range(3):
        gateway.write_config({**gateway.settings, "routes": [
            {"path": f"/only-{number}", "upstream": "api", "auth": "none"}]})
        gateway.signal(signal.SIGHUP)
        wait_until("the reload", lambda done=number: len(gateway.events("gateway.reloaded")) > done)
        client.send(b"ping")
        assert chat.read(4) == b"ping"
        chat.socket().sendall(b"pong")
        assert client.read_exactly(4) == b"pong"
    assert open_tunnels(gateway) == 1
    assert gateway.get("/chat").status == 404
    client.close()
    chat.socket().close()
    wait_until("the end", lambda: open_tunnels(gateway) == 0)
