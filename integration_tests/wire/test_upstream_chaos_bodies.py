"""Large bodies, which go through the kernel's pipes in their middle (docs/decisions/data-path.md), while backends break
off, reset and are killed: what is whole is one's own to the last byte, and what is not whole is seen not to be."""

import contextlib
import random
import signal
import socket

import pytest

from harness.backend import Exchange
from harness.chaos import NEITHER, PLAIN_AND_TLS, House, message
from harness.chaos_backend import LARGE
from harness.processes import wait_until

WHOLE = ("large-sound", "large-chunked", "large-slow", "POST upload-sound", "POST upload-chunked")
BROKEN = ("large-half", "large-half-reset", "large-half-chunked")
REFUSED = ("POST upload-close", "POST upload-reset")


@pytest.fixture
def house(start_chaos, over):
    return start_chaos(NEITHER, over)


def uploads_are_whole_or_nothing(house: House) -> None:
    """What a backend took for a whole upload was one, and whoever was told so had sent it."""
    arrived = house.arrived()
    assert not [seen for seen in arrived if seen[2] == "spoiled"]
    for identity, told in house.told.items():
        if told == ("POST", "sound"):
            assert arrived["POST", identity, "whole"] == 1
        if told[0] == "POST":
            assert arrived["POST", identity, "began"] <= 1


@PLAIN_AND_TLS
def test_large_bodies_that_break_off_are_seen_to_and_reach_nobody_else(house):
    seen = house.load(WHOLE + BROKEN + REFUSED, requests=30)
    for (way, outcome), count in seen.items():
        if way in WHOLE:
            assert outcome == "sound", (way, outcome, count)
        elif way in BROKEN:
            # A GET of which nothing has been passed on yet may be sent again, to be broken again.
            assert outcome in ("cut", "502"), (way, outcome, count)
        else:
            assert outcome == "502", (way, outcome, count)
    assert {way for way, _ in seen} == {*WHOLE, *BROKEN, *REFUSED}
    uploads_are_whole_or_nothing(house)
    house.recovers()


@PLAIN_AND_TLS
def test_large_bodies_of_killed_backends_are_whole_or_visibly_cut(house):
    def kill_by_turns() -> None:
        for turn in range(8):
            before = len(house.told)
            wait_until("requests are under way", lambda least=before + 6: len(house.told) >= least)
            house.restart(turn % 2)

    seen = house.load(WHOLE, kill_by_turns)
    assert {outcome for _, outcome in seen} <= {"sound", "cut", "502", "503"}
    assert seen["large-slow", "cut"] > 0, "a kill has met some in their middle"
    uploads_are_whole_or_nothing(house)
    house.recovers()


def test_an_upload_that_its_client_gives_up_is_never_whole_for_a_backend(house):
    chance, given_up = random.Random(1), []

    def give_up() -> None:
        for number in range(40):
            way, identity = chance.choice(("upload-sound", "upload-chunked")), house.identity()
            whole = message("POST", way, identity)
            # Anywhere, but sometimes just before the end: what is left out then is the last chunk's last line.
            sent = chance.choice((chance.randrange(1_000, LARGE), len(whole) - 1, len(whole) - 2, len(whole) - 5))
            client = house.gateway.connect()
            client.send(whole[:sent])
            client.reset() if number % 2 else client.close()
            given_up.append(identity)

    seen = house.load(("POST upload-sound", "POST upload-chunked"), give_up, requests=20)
    assert {outcome for _, outcome in seen} == {"sound"}
    wait_until("they have gone", lambda: house.gateway.metrics()["gateway_client_connections"] <= 1)
    begun = [identity for identity in given_up if house.arrived()["POST", identity, "began"]]
    assert begun, "some had got through to a backend"
    wait_until("backends know what became of them", lambda: all(
        house.arrived()["POST", identity, "broken"] + house.arrived()["POST", identity, "whole"] for identity in begun))
    arrived = house.arrived()
    assert not [identity for identity in given_up if arrived["POST", identity, "whole"]]
    uploads_are_whole_or_nothing(house)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_who_uploads_to_a_backend_that_hangs_is_told_that_it_is_the_backend(house, chunked):
    """408 would say that the client was slow, and that it may send the request once more (RFC 9110 §15.5.9). It was
    the service that took nothing more."""
    for backend in house.backends:
        backend.signal(signal.SIGSTOP)
    # More than all buffers on the way hold.
    body = b"x" * 60_000_000
    head = b"POST /upload-sound/hung HTTP/1.1\r\nHost: gateway.test\r\n"
    if chunked:
        message = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        message = head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with house.gateway.connect() as client:
        client.offer(message)
        response = client.read_final("POST")
    assert (response.status, response.code) == (504, "SVC_002")


@pytest.mark.parametrize("closes", [False, True], ids=["reset", "closed"])
def test_what_a_reset_cuts_off_is_not_whole_whoever_notices_it(gateway, backend, closes):
    """An answer without a length ends with its connection, and a reset is no end (RFC 9112 §8). The system tells of one to
    the first who asks: to the gateway's sending of the request, or to its reading of the answer."""
    def early(exchange: Exchange) -> None:
        exchange.close()
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\nbeginning")
        exchange.socket.recv(1)
        if closes:
            exchange.socket.shutdown(socket.SHUT_WR)
        # With bytes that nobody has read: the system resets.
        exchange.socket.close()

    backend.handler = early
    seen = 0
    for _ in range(40):
        with gateway.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(2_000):
                    client.socket.send(b"400\r\n" + b"x" * 0x400 + b"\r\n")
            except OSError:
                pass
            with contextlib.suppress(OSError):
                received = client.read_to_end()
                assert received.endswith(b"0\r\n\r\n") == closes, received
                seen += 1
    assert seen > 0 or not closes, "some read the end of their answer"
