"""Answers about opaque tokens that are none (docs/introspection.md): whoever writes them lets nobody in."""

import threading

import pytest

from harness.backend import answer
from harness.issuer import OPAQUE, SILENT, ask, said

BAD = (401, "AUTH_001")


def test_an_answer_that_trickles_is_none(start_asking, issuer):
    stop = threading.Event()

    def trickle(exchange):
        try:
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n")
            while not stop.wait(0.02):
                exchange.send(b" ")
        except OSError:
            pass
        exchange.close()

    issuer.script = trickle
    gateway = start_asking(issuer, timeout="400ms")
    assert ask(gateway, OPAQUE) == SILENT
    stop.set()


JSON = {"Content-Type": "application/json"}
YES = b'{"active":true,"sub":"mallory"}'
FAULTS = {
    "a text for yes": said(active="true", sub="mallory"),
    "a number for yes": said(active=1, sub="mallory"),
    "nothing": said(sub="mallory"),
    "yes twice": answer(200, b'{"active":false,"active":true}', JSON),
    "two users": answer(200, b'{"active":true,"sub":"alice","sub":"mallory"}', JSON),
    "a list": answer(200, b"[" + YES + b"]", JSON),
    "more than an object": answer(200, YES + YES, JSON),
    "huge": answer(200, b'{"active":true,"pad":"' + b"x" * 100_000 + b'"}', JSON),
    "huge in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b" " * 0x4000 + b"\r\n4000\r\n"
    + b" " * 0x4000 + b"\r\n",
    "a redirect": answer(302, YES, {"Location": "http://127.0.0.1:1/"}),
    "a redirect that keeps the method": answer(307, YES, {"Location": "http://127.0.0.1:1/"}),
    "a page": answer(200, YES, {"Content-Type": "text/html"}),
    "a signed answer": answer(200, b"eyJh.eyJh.c2ln", {"Content-Type": "application/token-introspection+jwt"}),
    "a signed answer's type": answer(200, YES, {"Content-Type": "application/token-introspection+jwt"}),
    "compressed": answer(200, YES, {**JSON, "Content-Encoding": "gzip"}),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 31\r\n\r\n" + YES,
    "an error with a yes": answer(403, YES, JSON),
    "created": answer(201, YES, JSON),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_answer_lets_nobody_in_and_blames_nobody(start_asking, issuer, backend, name):
    issuer.script = FAULTS[name]
    gateway = start_asking(issuer)
    assert ask(gateway, OPAQUE) == SILENT
    assert ask(gateway, OPAQUE, "/maybe") == SILENT
    assert backend.requests == []
    gateway.wait_event("introspection.failed")


def test_a_second_answer_on_the_connection_is_nobodys(start_asking, issuer):
    """Each question has a connection of its own: what else comes on it cannot be taken for another token's."""
    issuer.script = said(active=False) + said(active=True, sub="mallory")
    gateway = start_asking(issuer)
    assert ask(gateway, OPAQUE) == BAD
    assert ask(gateway, "another") == BAD
