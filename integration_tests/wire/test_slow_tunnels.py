"""Tunnels with a side that reads slowly, or not at all: only who takes nothing of what waits for it is cut
(docs/websocket.md)."""

import fcntl
import socket
import struct
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from harness.bodies import noise
from harness.client import Client, breaks, request
from harness.processes import wait_until
from harness.websocket import Switching, switched

ROUTES = [{"path": "/", "upstream": "api", "auth": "none", "upgrades": ["x-chat"]}]
IDLE = 'gateway_tunnels_closed_total{reason="idle"}'
BODY = 2.0
# 650 KB in a second, without a break.
SLOW = noise(8_000_000)
PIECE, PAUSE = 16_384, 0.025


@pytest.fixture
def chat(backend) -> Iterator[Switching]:
    backend.handler = handler = Switching(switched("x-chat", None))
    yield handler
    handler.release()


def open_chat(gateway) -> Client:
    client = gateway.connect(timeout=60)
    client.send(request("GET", "/chat", {"Connection": "Upgrade", "Upgrade": "x-chat"}))
    assert client.read_head().status == 101
    return client


def send(connection: socket.socket, data: bytes) -> threading.Thread:
    def run() -> None:
        with suppress(OSError):
            connection.sendall(data)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def read_slowly(connection: socket.socket, count: int) -> bytes:
    """The system takes little in advance, but some packets of the loopback's 64 KB."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)
    taken = bytearray()
    while len(taken) < count:
        time.sleep(PAUSE)
        piece = connection.recv(PIECE)
        assert piece, f"ended after {len(taken)} of {count} bytes"
        taken += piece
    return bytes(taken)


def unacknowledged(connection: socket.socket) -> int:
    """SIOCOUTQ."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


@pytest.mark.once
@pytest.mark.parametrize("slow", ["server", "client"])
def test_a_side_that_reads_slowly_but_steadily_gets_all_that_the_other_sends(start_gateway, backend, chat, slow):
    """The system tells of room in a full send buffer when a third of it is free: on the loopback that is near 1 MB."""
    gateway = start_gateway(backend, routes=ROUTES, timeouts={"body": f"{BODY:g}s", "drain": "1s"})
    client = open_chat(gateway)
    ends = {"client": client.socket, "server": chat.socket()}
    reader = ends.pop(slow)
    [writer] = ends.values()
    writer.settimeout(60)
    began = time.monotonic()
    sender = send(writer, SLOW)
    assert read_slowly(reader, len(SLOW)) == SLOW
    assert time.monotonic() - began > 4 * BODY, "it took longer than a side may stand still"
    sender.join(10)
    assert gateway.metrics()["gateway_tunnels"] == 1


def test_a_server_that_does_not_read_is_cut_although_it_sends(start_gateway, backend, chat):
    gateway = start_gateway(backend, routes=ROUTES, timeouts={"body": "600ms", "drain": "1s"})
    client = open_chat(gateway)
    server = chat.socket()
    sender = send(client.socket, bytes(64 << 20))

    wait_until("the cut", lambda: breaks(server), every=0.05)
    wait_until("its end", lambda: gateway.metrics()[IDLE] == 1)
    sender.join(10)
    assert not sender.is_alive()


def test_a_client_that_does_not_read_is_cut_although_its_server_takes_slowly_what_it_sends(
        start_gateway, backend, chat):
    """What one side takes gives the other no more time."""
    gateway = start_gateway(backend, routes=ROUTES, timeouts={"body": f"{BODY:g}s", "drain": "1s"})
    client = open_chat(gateway)
    server = chat.socket()
    server.settimeout(60)
    senders = [send(client.socket, bytes(64 << 20)), send(server, bytes(64 << 20))]
    with pytest.raises((AssertionError, ConnectionResetError)):
        read_slowly(server, 64 << 20)
    wait_until("its end", lambda: gateway.metrics()[IDLE] == 1)
    for sender in senders:
        sender.join(10)
        assert not sender.is_alive()


def test_a_server_that_has_said_everything_and_left_is_heard_to_its_end(start_gateway, backend, chat):
    """Its client sends on, which nobody hears, and reads what the system still holds for it: now and then, and for longer
    than a tunnel may take to end."""
    gateway = start_gateway(backend, routes=ROUTES, timeouts={"body": "5s", "drain": "1s"})
    client = open_chat(gateway)
    server = chat.socket()
    told = SLOW[:2_500_000]
    server.settimeout(60)
    sender = send(server, told)
    heard = read_slowly(client.socket, 200_000)
    sender.join(20)
    wait_until("nothing is left at the server", lambda: not sender.is_alive() and unacknowledged(server) == 0)
    server.close()
    for _ in range(3):
        client.send(b"nobody hears this")
        heard += read_slowly(client.socket, 100_000)
    # The system acknowledges nothing meanwhile.
    time.sleep(3)
    heard += read_slowly(client.socket, len(told) - len(heard))
    assert heard == told
    assert client.read_to_end() == b""
    client.close()
    wait_until("its end", lambda: gateway.metrics()['gateway_tunnels_closed_total{reason="server_closed"}'] == 1)
