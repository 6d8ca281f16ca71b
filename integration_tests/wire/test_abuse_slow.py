"""Slow heads, slow bodies, slow readers: they end in time, and everybody else is served meanwhile. What is slow for a good
reason goes on."""

import time

import pytest

from harness.attack import Attack, Honest, all_served, recovers
from harness.backend import Exchange, answer
from harness.client import ConnectionEnded, request
from harness.processes import wait_until

STALLED = 'gateway_client_connections_let_go_total{reason="stalled"}'
LARGE = b"x" * (8 << 20)


def large_or_ok(exchange: Exchange) -> bytes:
    exchange.read_body()
    return answer(body=LARGE) if exchange.request.target == "/large" else answer()


def test_slow_heads(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"head": "1s"})
    with Attack(gateway.address, 800, first=b"GET / HTTP/1.1\r\nHost: x\r\nX: ", drip=b"a", pause=0.2) as attack:
        all_served(Honest(gateway.address, address), 3, at_least=60)
        wait_until("all heads have ended once", lambda: attack.ended >= 800, 20)
    assert gateway.metrics()['gateway_requests_refused_total{stage="read",code="SVC_002"}'] >= 800
    recovers(gateway)


def test_connections_that_never_ask_are_closed_when_a_first_head_would_be_due(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"head": "1s", "idle": "60s"})
    with gateway.connect(address) as known:
        assert known.ask(request("GET", "/")).status == 200
        with gateway.connect(address) as silent:
            began = time.monotonic()
            assert silent.ended(4), "closed without a word"
            assert 0.8 <= time.monotonic() - began <= 3
        # Whoever has asked before has the time of idle connections.
        assert known.ask(request("GET", "/")).status == 200


def test_slow_bodies(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"progress": "1s"})
    slow = request("POST", "/", {"Content-Length": "100000"})
    with Attack(gateway.address, 300, first=slow, drip=b"a", pause=0.2) as attack:
        all_served(Honest(gateway.address, address), 3, at_least=40)
        wait_until("all bodies have ended once", lambda: attack.ended >= 300, 20)
    assert gateway.metrics()['gateway_requests_refused_total{stage="forward",code="SVC_002"}'] >= 300
    assert gateway.metrics()[STALLED] >= 300
    recovers(gateway)


def test_slow_chunked_bodies_get_408(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"progress": "1s"})
    with gateway.connect(address) as client:
        client.send(request("POST", "/", {"Transfer-Encoding": "chunked"}))
        for _ in range(20):
            client.send(b"1\r\na\r\n")
            time.sleep(0.1)
        response = client.read_final()
        assert (response.status, response.code) == (408, "SVC_002")


def test_a_body_faster_than_the_rate_goes_through(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"progress": "1s"})
    with gateway.connect(address) as client:
        client.send(request("POST", "/", {"Content-Length": "4000"}))
        client.send_slowly(b"x" * 4_000, 0.1, size=100)
        assert client.read_final().status == 200
    assert gateway.metrics()[STALLED] == 0


def test_slow_readers(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"progress": "2s"})
    backend.handler = large_or_ok
    with Attack(gateway.address, 60, first=request("GET", "/large"), receive_buffer=4_096, reads=False) as attack:
        all_served(Honest(gateway.address, address), 3, at_least=20)
        wait_until("all readers have ended once", lambda: attack.ended >= 60, 30)
    assert gateway.metrics()[STALLED] >= 60
    recovers(gateway)


def test_a_slow_reader_is_seen_to_read_what_the_system_holds_for_it(start_gateway, backend, address):
    """The send buffer empties for longer than `timeouts.body` before it takes anything more from the gateway."""
    gateway = start_gateway(backend, timeouts={"body": "1s"})
    backend.handler = large_or_ok
    with gateway.connect(address, receive_buffer=4_096) as client:
        client.send(request("GET", "/large"))
        for _ in range(40):
            client.read_exactly(20_000)
            time.sleep(0.1)
        assert not client.ended(0.1)


def test_who_takes_nothing_of_an_answer_is_cut_off(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"body": "1s"})
    backend.handler = large_or_ok
    with gateway.connect(address, receive_buffer=4_096) as client:
        client.send(request("GET", "/large"))
        backend.wait_for(1)
        wait_until("the gateway has let go", lambda: gateway.metrics()["gateway_client_connections"] == 0, 8)
        with pytest.raises((ConnectionEnded, OSError)):
            client.read_final()


def test_event_streams_and_long_polls_may_be_as_slow_as_they_are(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"progress": "1s"})

    def events(exchange: Exchange) -> None:
        exchange.close()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(4):
            time.sleep(1.2)
            exchange.send(b"data: %d\n\n" % number)

    def poll(exchange: Exchange) -> bytes:
        time.sleep(3)
        return answer()

    backend.handler = events
    with gateway.connect(address) as client:
        response = client.ask(request("GET", "/"))
        assert response.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"
    backend.handler = poll
    assert gateway.get("/", address).status == 200
    assert gateway.metrics()[STALLED] == 0


def test_an_upload_that_the_backend_takes_slowly_is_not_the_clients_fault(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"progress": "1s"})

    def slow(exchange: Exchange) -> bytes:
        time.sleep(4)
        exchange.read_body()
        return answer()

    backend.handler = slow
    response = gateway.fetch(request("POST", "/", body=LARGE), address, timeout=20)
    assert response.status == 200


def test_without_a_rate_only_standing_still_ends_a_body(start_gateway, backend, address):
    gateway = start_gateway(backend, limits={"min_rate": 0}, timeouts={"progress": "1s"})
    with gateway.connect(address) as client:
        client.send(request("POST", "/", {"Content-Length": "30"}))
        client.send_slowly(b"x" * 30, 0.1)
        assert client.read_final().status == 200


def test_the_rate_comes_and_goes_with_a_reload(start_gateway, backend, address):
    gateway = start_gateway(backend, limits={"min_rate": 0}, timeouts={"progress": "1s"})
    with gateway.connect(address) as client:
        client.send(request("POST", "/", {"Content-Length": "100"}))
        client.send_slowly(b"x" * 15, 0.1)
        gateway.settings["limits"] = {"min_rate": 240}
        gateway.write_config()
        gateway.command("reload")
        client.send_slowly(b"x" * 15, 0.1)
        assert client.read_final().status == 408


def test_slow_clients_give_way_when_there_are_no_places_left(start_gateway, backend, address):
    gateway = start_gateway(backend, limits={"connections": 100}, timeouts={"head": "60s"})
    slow = request("POST", "/", {"Content-Length": "100000"})
    with Attack(gateway.address, 50, first=slow, drip=b"a", pause=0.3, network=80), \
            Attack(gateway.address, 50, first=b"GET / HTTP/1.1\r\nX: ", drip=b"a", pause=0.3, network=81):
        all_served(Honest(gateway.address, address), 3, at_least=40, lost=0.05)
    assert gateway.metrics()['gateway_client_connections_let_go_total{reason="slow"}'] > 0
    recovers(gateway)
