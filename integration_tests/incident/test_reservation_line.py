"""Who stands in the line of an address keeps nobody waiting longer than he must."""

import socket

import pytest

from harness.backend import Exchange, answer
from harness.client import Client
from harness.logins import RIGHT, WRONG, Gate, is_blocked, wrong_is_401
from harness.processes import wait_until

pytestmark = pytest.mark.once


def waiting(gateway) -> float:
    return gateway.metrics()["gateway_logins_waiting"]


def test_a_right_login_whose_answer_is_not_read_keeps_nobody_waiting(start_gateway, start_backend, address):
    large = answer(200, b"x" * (64 << 20))

    def handler(exchange: Exchange) -> bytes:
        said = wrong_is_401(exchange)
        return large if exchange.request.field("X-Large") else said

    backend = start_backend(handler)
    gateway = start_gateway(backend, login={"limit": 1, "wait": "5s"})
    with gateway.connect(address, receive_buffer=4096) as slow:
        slow.send(RIGHT.replace(b"\r\n", b"\r\nX-Large: 1\r\n", 1))
        assert slow.read_head().status == 200
        assert gateway.fetch(RIGHT, address).status == 200


def test_whoever_goes_away_leaves_the_line(start_gateway, start_backend, address):
    gate = Gate()
    backend = start_backend(gate)
    gateway = start_gateway(backend, workers=1, login={"limit": 1, "wait": "60s"})
    with gateway.connect(address) as first, gateway.connect(address, timeout=30) as last:
        first.send(WRONG.replace(b'"wrong"', b'"right"'))
        backend.wait_for(1)
        reset, closed, half = (gateway.connect(address).send(WRONG) for _ in range(3))
        wait_until("three wait", lambda: waiting(gateway) == 3, 5)
        reset.reset()
        wait_until("one has gone", lambda: waiting(gateway) == 2, 5)
        closed.close()
        half.socket.shutdown(socket.SHUT_WR)
        wait_until("all have gone", lambda: waiting(gateway) == 0, 5)
        assert half.ended()
        half.close()
        last.send(RIGHT)
        gate.opened.set()
        assert last.read_response("POST").status == 200
        assert len(backend.requests) == 2, "nothing was guessed for those who have gone"


def test_who_closes_his_sending_side_gets_his_answer_when_there_is_a_place(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    with gateway.connect(address) as client:
        client.send(RIGHT).socket.shutdown(socket.SHUT_WR)
        assert client.read_response("POST").status == 200


def test_a_chunked_login_longer_than_any_body_may_be_takes_no_place(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend, workers=1, limits={"body": 20}, login={"limit": 1, "wait": "100ms"})
    head = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"
    # From here on there is a connection to the backend, which could be used at once.
    assert gateway.fetch(whole, address).status == 200
    for _ in range(3):
        refused = gateway.fetch(head + b"15\r\n" + b"x" * 21 + b"\r\n0\r\n\r\n", address)
        assert (refused.status, refused.code) == (413, "REQ_002")
    assert gateway.fetch(whole, address).status == 200
    assert len(login_backend.requests) == 2


def test_a_login_that_finds_no_place_takes_nothing_from_its_route(start_gateway, start_backend, address, other_address):
    gate = Gate()
    backend = start_backend(gate)
    gateway = start_gateway(
        backend, login={"limit": 1, "wait": "100ms"},
        routes=[{"path": "/", "upstream": "api", "auth": "none",
                 "rate_limit": {"per": "route", "rate": "1/h", "burst": 2}}])
    with gateway.connect(address) as first, gateway.connect(address) as second:
        first.send(RIGHT)
        backend.wait_for(1)
        for _ in range(3):
            refused = second.ask(RIGHT)
            assert (refused.status, refused.code, refused.field("RateLimit")) == (429, "RATE_001", None)
        gate.opened.set()
        assert first.read_response("POST").status == 200
    assert gateway.fetch(RIGHT, other_address).status == 200
    assert gateway.fetch(RIGHT, other_address).field("RateLimit").startswith('"route";r=0'), "now there is none left"


def test_a_verdict_counts_although_nobody_reads_what_comes_before_it(start_gateway, start_backend, address):
    """More interim answers than all buffers on the way hold."""
    def handler(exchange: Exchange) -> bytes:
        said = wrong_is_401(exchange)
        for _ in range(15):
            exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: <" + b"x" * 30_000 + b">\r\n\r\n")
        return said

    gateway = start_gateway(start_backend(handler), login={"limit": 1})
    with Client(gateway.address, address, receive_buffer=4096, segment=1460) as client:
        client.send(WRONG)
        wait_until("the block is in force", lambda: is_blocked(gateway, address), 5)


def test_interim_answers_do_not_make_a_login_last_longer_than_its_place(start_gateway, start_backend, address):
    gate = Gate()

    def handler(exchange: Exchange) -> bytes:
        said = wrong_is_401(exchange)
        while not gate.opened.wait(0.1):
            exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        return said

    gateway = start_gateway(start_backend(handler), timeouts={"response": "500ms"})
    with gateway.connect(address) as client:
        assert client.ask(RIGHT).status == 504
    gate.opened.set()
