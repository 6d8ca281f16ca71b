"""A backend that never comes to an end with its answer costs its own clients their answers, and nobody else anything."""

import threading
import time

import pytest

from harness.attack import Honest
from harness.backend import Exchange, answer
from harness.client import ConnectionEnded, request
from harness.load import together

MEBIBYTE = 1 << 20


def endless(first: bytes, piece: bytes, pause: float = 0.0):
    """A handler for `/bad` that sends `piece` again and again, for ten seconds at most."""
    def handler(exchange: Exchange) -> bytes | None:
        exchange.read_body()
        if exchange.request.target != "/bad":
            return answer()
        exchange.close()
        exchange.send(first)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            exchange.send(piece)
            if pause:
                time.sleep(pause)
        return None
    return handler


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("first", "piece"), [
    pytest.param(b"", b"HTTP/1.1 102 Processing\r\n\r\n", id="interim responses"),
    pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: ", b"x" * 1_000, id="an interim head"),
    pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1_000 + b"\r\n", id="a head of many fields"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1_000, id="a head of one field"),
    pytest.param(b"HTTP/1.1 200 ", b"O" * 1_000, id="a reason"),
    pytest.param(CHUNKED + b"1\r\na\r\n0\r\n", b"T: " + b"y" * 1_000 + b"\r\n", id="trailers"),
    pytest.param(CHUNKED + b"1", b";e=" + b"y" * 1_000, id="chunk extensions"),
    pytest.param(CHUNKED, b"1;e=" + b"y" * 1_000 + b"\r\na\r\n", id="chunks with extensions"),
    pytest.param(CHUNKED + b"0", b"0" * 1_000, id="a chunk size"),
])
def test_an_answer_without_end(start_gateway, backend, address, other_address, first, piece):
    # The circuit stays closed, or most would not get as far as such an answer.
    gateway = start_gateway(backend, upstreams={"api": {"circuit_breaker": {"failures": 0}, "ejection": {"failures": 0}}})
    backend.handler = endless(first, piece)
    honest = Honest(gateway.address, other_address)
    assert honest.ask(0.1) != []
    before = gateway.child.resident()
    asking = threading.Thread(target=lambda: honest.ask(2))
    asking.start()

    def ask(_: int) -> int:
        try:
            with gateway.connect(address, timeout=5) as client:
                return client.ask(request("GET", "/bad")).status
        except (ConnectionEnded, ConnectionResetError):
            return 0

    # Cut in the middle where the head of the answer was good.
    assert set(together(40, ask)) == {0 if first.startswith(CHUNKED) else 502}
    asking.join()
    assert set(honest.statuses) == {200}
    assert gateway.child.resident() - before < 32 * MEBIBYTE


def test_a_head_that_drips_from_a_backend_is_504_when_its_time_is_over(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"response": "1s"})
    backend.handler = endless(b"HTTP/1.1 200 OK\r\nX: ", b"y", pause=0.1)
    began = time.monotonic()
    assert gateway.get("/bad", address).status == 504
    assert 0.8 <= time.monotonic() - began <= 4


def test_interim_responses_that_drip_come_to_an_end(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"response": "1s"})
    backend.handler = endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n", pause=0.1)
    assert gateway.get("/bad", address).status == 502
