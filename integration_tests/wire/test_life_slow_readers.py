"""A drain lets answers finish, and an answer is finished when its client has it: not when the backend has sent it all,
and not when the gateway has read it all."""

import signal
import socket
import threading
import time

import pytest

from harness.backend import Exchange
from harness.bodies import noise
from harness.client import Client, ConnectionEnded, request

ANSWER = noise(3_100_000, 3)
# Longer than a connection may wait for its next request during a drain, which is a second.
PAUSE = 3


class LateBodies:
    """Answers `/<size>` with a head at once, and with so many bytes when it is told to."""

    def __init__(self) -> None:
        self.proceed = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        size = int(exchange.request.target[1:])
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        self.proceed.wait(30)
        exchange.send(ANSWER[:size])


def rest(client: Client, size: int) -> bytes:
    """The body, or as much of it as was to be had."""
    # It has paused for long enough; with a buffer as small as this it would also be slow.
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    try:
        return client.read_exactly(size)
    except (ConnectionEnded, ConnectionError):
        return client.buffered()


def drain(house, change: str) -> None:
    if change == "upgrade":
        house.upgrade()
    else:
        house.gateway.signal(signal.SIGTERM)
        house.gateway.wait_event("gateway.draining")


# The sizes go in small steps past the point where the system's buffers are full: what matters are those of which the
# last piece, and nothing else, waits in the gateway.
NEAR = {"receive_buffer": 4_096}
FAR = {"receive_buffer": 16_384, "segment": 1_460}


@pytest.mark.once
@pytest.mark.parametrize("change", ["SIGTERM", "upgrade"])
@pytest.mark.parametrize(("reader", "sizes"), [
    pytest.param(NEAR, range(2_600_000, 3_100_001, 20_000), id="2.6 to 3.1 MB"),
    pytest.param({**NEAR, "secure": True}, range(2_700_000, 3_000_001, 10_000), id="2.7 to 3 MB over TLS"),
    pytest.param(FAR, range(200_000, 500_001, 10_000), id="200 to 500 KB from afar"),
])
def test_who_pauses_in_an_answer_that_ends_during_a_drain_gets_all_of_it(start_house, change, reader, sizes):
    """Its head was out before the drain, so the connection goes on behind it; but waiting for the next request begins
    when the client has read this answer."""
    house = start_house(drain="20s")
    house.backend.handler = bodies = LateBodies()
    clients = {size: house.connect(**reader) for size in sizes}
    for size, client in clients.items():
        assert client.send(request("GET", f"/{size}")).read_head().field("Connection") is None
    drain(house, change)
    bodies.proceed.set()
    time.sleep(PAUSE)
    received = {size: rest(client, size) for size, client in clients.items()}
    assert {size: len(body) for size, body in received.items() if len(body) < size} == {}, "cut short"
    assert all(body == ANSWER[:size] for size, body in received.items())
    assert house.gateway.child.wait(5) == 0
    assert house.gateway.wait_event("gateway.stopped")["cut_connections"] == 0
    for client in clients.values():
        client.close()
