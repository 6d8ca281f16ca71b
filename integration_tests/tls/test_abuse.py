"""Floods of connections with TLS: handshakes that never begin, and ones that never end."""

from harness.attack import Attack
from harness.client import request
from harness.processes import wait_until

CLIENT_HELLO_BEGINS = bytes.fromhex("1603010200010001fc0303") + b"x" * 20


def served(edge, source, count):
    context = edge.context()
    for _ in range(count):
        with edge.connect(context, source=source) as client:
            assert client.ask(request("GET", "/")).status == 200


def test_handshakes_that_never_begin_lock_nobody_out(start_edge, address):
    edge = start_edge(limits={"connections": 200})
    with Attack(edge.gateway.secure_address, 600, rate=1_000) as attack:
        served(edge, address, 100)
        wait_until("there were more than places", lambda: attack.ended > 400)
    metrics = edge.gateway.metrics()
    assert metrics['gateway_client_connections_let_go_total{reason="slow"}'] > 0


def test_handshakes_that_never_end_are_over_in_time(start_edge, address):
    edge = start_edge(timeouts={"handshake": "1s"})
    with Attack(edge.gateway.secure_address, 300, first=CLIENT_HELLO_BEGINS, drip=b"x", pause=0.2) as attack:
        served(edge, address, 60)
        wait_until("all of them have ended once", lambda: attack.ended >= 300)
    assert edge.gateway.metrics()['gateway_tls_handshakes_total{result="timeout"}'] >= 300


def test_one_too_many_of_an_address_is_closed_without_an_answer(start_edge, address):
    edge = start_edge(limits={"connections_per_address": 1})
    with edge.connect(source=address) as client:
        assert client.ask(request("GET", "/")).status == 200
        try:
            edge.connect(source=address)
        except OSError:
            pass
        else:
            raise AssertionError("a second connection was served")
    metrics = edge.gateway.metrics()
    assert metrics['gateway_requests_refused_total{stage="admit",code="RATE_001"}'] == 1
