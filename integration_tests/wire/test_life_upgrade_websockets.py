"""WebSockets that are open while another process takes over (docs/websocket.md): told at once with a Close 1001, and
cut at the drain deadline if they have not ended by then. Messages are whole or not at all."""

import threading
import time
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from harness.bodies import noise
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.processes import wait_until
from harness.websocket import Echo, closing, frame, handshake, open_websocket

GOING_AWAY = (1001, "going away")
# A masked Close with two bytes of code.
CLOSE = 2 + 4 + 2 + len("going away")
# A message that is more than the gateway reads at once.
SIZE = 1 << 20
WAYS = {"argnames": "secure", "argvalues": [False, True], "ids": ["plain", "tls"]}


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


def answers_the_close(client) -> None:
    """As RFC 6455 §5.5.1 asks: with a Close of its own, and then the connection ends."""
    client.send(frame(b"\x03\xe9", opcode=8, masked=True))
    client.close()


@pytest.mark.parametrize(**WAYS)
def test_both_ends_are_told_when_the_drain_begins_and_not_at_its_deadline(start_house, secure):
    house = start_house(drain="20s")
    client = house.a_websocket(secure)
    assert house.talks(client)
    house.upgrade()
    assert closing(client.read_exactly(CLOSE - 4)) == GOING_AWAY
    assert closing(house.service.chat.read(CLOSE)) == GOING_AWAY
    assert client.ended() and house.service.chat.socket().recv(1) == b"", "FIN follows the Close"
    answers_the_close(client)
    house.service.chat.socket().close()
    assert house.gateway.child.wait(8) == 0, "it does not wait for the deadline when both have ended"
    line = house.gateway.wait_event("http.request", path="/chat")
    assert (line["status"], line["ended_by"]) == (101, "draining")


def test_the_new_process_takes_new_ones_meanwhile_and_they_outlive_the_former(start_gateway, echo):
    gateway = start_gateway(echo.address, timeouts={"drain": "20s"})
    heirs = Heirs()
    former = [open_websocket(gateway) for _ in range(4)]
    for client in former:
        client.send("before")
        assert client.recv(timeout=10) == "before"
    gateway.command("upgrade")
    heirs.of(gateway)
    with open_websocket(gateway) as new:
        new.send("first")
        assert new.recv(timeout=10) == "first"
        assert gateway.metrics()["gateway_tunnels"] == 1, "of the new process; it has none of the former's"
        for client in former:
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
            assert (client.close_code, client.close_reason) == GOING_AWAY
        wait_until("the servers' ends", lambda: echo.ended == [1001] * 4)
        assert gateway.child.wait(8) == 0
        new.send("second")
        assert new.recv(timeout=10) == "second"


@pytest.mark.parametrize(**WAYS)
def test_messages_under_way_are_finished_in_both_directions_before_the_close(start_house, secure):
    """A Close can only stand between two frames. What is sent behind it is thrown away."""
    house = start_house(drain="20s")
    chat = house.service.chat
    client = house.a_websocket(secure)
    up, down = frame(b"u" * 100_000, masked=True), frame(b"d" * 100_000)
    client.send(up[:50_000])
    assert chat.read(50_000) == up[:50_000]
    chat.socket().sendall(down[:50_000])
    assert client.read_exactly(50_000) == down[:50_000]
    house.upgrade()
    assert client.silent(0.3), "no Close inside of a frame"
    client.send(up[50_000:] + frame(b"too late", masked=True))
    assert chat.read(len(up) - 50_000) == up[50_000:]
    assert closing(chat.read(CLOSE)) == GOING_AWAY
    assert chat.socket().recv(1) == b""
    chat.socket().sendall(down[50_000:] + frame(b"too late"))
    assert client.read_exactly(len(down) - 50_000) == down[50_000:]
    assert closing(client.read_to_end()) == GOING_AWAY
    client.close()
    chat.socket().close()
    assert house.gateway.child.wait(8) == 0


def test_a_message_that_is_sent_during_the_drain_does_not_arrive_and_its_sender_knows(start_house):
    house = start_house(drain="20s")
    client = house.a_websocket()
    house.upgrade()
    client.send(frame(b"during the drain", masked=True))
    assert closing(client.read_to_end()) == GOING_AWAY
    assert closing(house.service.chat.read(CLOSE)) == GOING_AWAY
    assert house.service.chat.socket().recv(1) == b"", "nothing behind the Close"
    client.close()
    house.service.chat.socket().close()
    assert house.gateway.child.wait(8) == 0


def test_one_whose_server_agrees_during_the_drain_is_told_at_once(start_house):
    house = start_house(drain="20s")
    agrees = threading.Event()

    def later(exchange):
        agrees.wait(10)
        return house.service.chat(exchange)

    house.backend.handler = later
    client = house.connect().send(handshake("/chat"))
    house.backend.wait_for(1)
    house.upgrade()
    agrees.set()
    assert client.read_head().status == 101
    assert closing(client.read_to_end()) == GOING_AWAY
    assert closing(house.service.chat.read(CLOSE)) == GOING_AWAY
    client.close()
    house.service.chat.socket().close()
    assert house.gateway.child.wait(8) == 0


@pytest.mark.parametrize("stage", ["between frames", "inside a frame"])
def test_one_that_does_not_end_is_cut_at_the_drain_deadline(start_house, stage):
    """Whoever is inside of a frame gets no Close even then: it would be taken for a part of the message."""
    house = start_house(drain="1s")
    client, chat = house.a_websocket(), house.service.chat
    if stage == "inside a frame":
        chat.socket().sendall(frame(b"never to be finished")[:9])
        assert client.read_exactly(9) == frame(b"never to be finished")[:9]
    before = time.monotonic()
    house.upgrade()
    assert closing(chat.read(CLOSE)) == GOING_AWAY, "it stands between frames in the other direction"
    if stage == "between frames":
        assert closing(client.read_exactly(CLOSE - 4)) == GOING_AWAY
    assert house.gateway.child.wait(6) == 0
    assert time.monotonic() - before >= 1
    assert is_cut(client)


def test_a_slow_reader_gets_whole_messages_and_the_close_behind_them(start_house):
    """When the drain begins, messages wait for it in the system, in the gateway and at the backend."""
    house = start_house(drain="30s")
    chat, client = house.service.chat, house.a_websocket(receive_buffer=16_384)
    messages = b"".join(frame(noise(SIZE, number)) for number in range(24))
    sender = threading.Thread(target=send_until_refused, args=(chat.socket(), messages), daemon=True)
    sender.start()
    sender.join(0.5)
    assert sender.is_alive(), "the backend is made to wait"
    house.upgrade()
    rest = client.read_to_end()
    whole = len(rest) - (CLOSE - 4)
    assert closing(rest[whole:]) == GOING_AWAY
    assert rest[:whole] == messages[:whole]
    assert whole > 0 and whole % len(frame(bytes(SIZE))) == 0, "the Close stands between two messages"
    client.close()
    sender.join(10)
    assert not sender.is_alive(), "the backend is not left waiting"
    chat.socket().close()
    assert house.gateway.child.wait(8) == 0


def send_until_refused(connection, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)
