"""The circuit breaker: an upstream of which only failures come is spared, and its clients are told at once."""

import socket
import threading
import time
from collections import Counter

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import free_port, wait_until


def circuit(failures=5, open_time="60s", probes=3, **settings):
    return {"api": {"circuit_breaker": {"failures": failures, "open_time": open_time, "probes": probes}, **settings}}


def reset(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.close()


def open_circuit(gateway, requests=5):
    for _ in range(requests):
        assert gateway.get("/").status in (502, 503, 504)
    gateway.wait_event("upstream.circuit_opened")
    wait_until("all workers know", lambda: all(gateway.get("/").code == "SVC_003" for _ in range(12)))


def state(gateway) -> str:
    return gateway.command_json("status")["upstreams"][0]["circuit"]


def test_an_open_circuit_is_told_at_once_and_reaches_nobody(start_gateway, start_backend):
    backend = start_backend(reset)
    gateway = start_gateway(backend, workers=4, upstreams=circuit(retries=0))
    open_circuit(gateway)
    connections = backend.connections
    began = time.monotonic()
    for _ in range(40):
        response = gateway.get("/")
        assert (response.status, response.code) == (503, "SVC_003")
        assert 55 <= int(response.field("Retry-After")) <= 60
        assert response.field("Proxy-Status") == "gateway; error=destination_unavailable"
    assert time.monotonic() - began < 2
    assert backend.connections == connections
    opened = gateway.wait_event("upstream.circuit_opened")
    assert (opened["upstream"], opened["reason"], opened["level"]) == ("api", "connection_lost", "ERROR")
    metrics = gateway.metrics()
    assert metrics['gateway_upstream_circuit_state{upstream="api",state="open"}'] == 1
    assert metrics['gateway_upstream_circuit_openings_total{upstream="api"}'] == 1
    assert metrics['gateway_requests_refused_total{stage="lease",code="SVC_003"}'] >= 40
    assert state(gateway) == "open"
    assert "circuit open, tried in" in gateway.command("status").stdout


def test_it_closes_by_itself_when_requests_succeed_again(start_gateway, start_backend):
    backend = start_backend(reset)
    gateway = start_gateway(backend, workers=4, upstreams=circuit(open_time="300ms", retries=0))
    open_circuit(gateway)
    backend.answers(answer(body="well again"))
    wait_until("requests are served", lambda: gateway.get("/").status == 200)
    wait_until("the circuit is closed", lambda: [gateway.get("/").status for _ in range(20)] == [200] * 20)
    assert gateway.events("upstream.circuit_closed")
    assert state(gateway) == "closed"


def test_it_opens_again_when_the_first_request_fails(start_gateway, start_backend):
    backend = start_backend(reset)
    gateway = start_gateway(backend, workers=4, upstreams=circuit(open_time="300ms", retries=0))
    open_circuit(gateway)
    seen = len(backend.requests)
    wait_until("it was tried", lambda: gateway.get("/").status == 502)
    wait_until("it is open again", lambda: len(gateway.events("upstream.circuit_opened")) == 2)
    assert len(backend.requests) - seen <= 3, "no more than the probes"


def test_a_half_open_circuit_lets_only_the_probes_through(start_gateway, start_backend):
    backend = start_backend(reset)
    gateway = start_gateway(
        backend, workers=4, upstreams=circuit(open_time="300ms", probes=2, retries=0), timeouts={"response": "20s"})
    open_circuit(gateway)
    seen = len(backend.requests)
    backend.handler = lambda exchange: time.sleep(1.5) or answer()
    gateway.wait_event("upstream.circuit_half_open")
    clients = [gateway.connect() for _ in range(12)]
    for client in clients:
        client.send(request("GET", "/"))
    statuses = Counter(client.read_final().status for client in clients)
    assert statuses == {200: 2, 503: 10}
    assert len(backend.requests) - seen == 2
    for client in clients:
        client.close()
    gateway.wait_event("upstream.circuit_closed")


def test_a_probe_whose_client_goes_away_is_made_by_another(start_gateway, start_backend):
    backend = start_backend(reset)
    gateway = start_gateway(backend, workers=1, upstreams=circuit(open_time="300ms", probes=1, retries=0))
    open_circuit(gateway)
    seen = len(backend.requests)
    backend.handler = lambda exchange: time.sleep(0.5) or answer()
    gateway.wait_event("upstream.circuit_half_open")
    client = gateway.connect().send(request("GET", "/"))
    backend.wait_for(seen + 1)
    client.reset()
    wait_until("another is let through", lambda: gateway.get("/").status == 200)
    gateway.wait_event("upstream.circuit_closed")


def test_a_probe_that_takes_long_keeps_nobody_out(start_gateway, start_backend):
    """Whoever comes first finds out for the others, and may have asked for what takes minutes."""
    backend = start_backend(reset)
    gateway = start_gateway(backend, workers=1, upstreams=circuit(open_time="300ms", probes=1, retries=0))
    open_circuit(gateway)
    seen = len(backend.requests)
    done = threading.Event()

    def handler(exchange: Exchange) -> bytes:
        if exchange.request.target == "/slow":
            done.wait(30)
        return answer()

    backend.handler = handler
    gateway.wait_event("upstream.circuit_half_open")
    with gateway.connect(timeout=30) as client:
        client.send(request("GET", "/slow"))
        backend.wait_for(seen + 1)
        assert gateway.get("/").code == "SVC_003"
        wait_until("others are let through", lambda: gateway.get("/").status == 200)
        gateway.wait_event("upstream.circuit_closed")
        done.set()
        assert client.read_final().status == 200


def test_a_backend_that_accepts_again_is_served_within_seconds(start_gateway, start_backend):
    """The circuit would be open for a minute, but that nobody accepts is found out without requests."""
    port = free_port()
    gateway = start_gateway(f"127.0.0.1:{port}", workers=4, upstreams=circuit())
    open_circuit(gateway)
    assert gateway.events("upstream.circuit_opened")[-1]["reason"] == "connection_refused"
    start_backend(port=port)
    wait_until("the circuit is closed", lambda: [gateway.get("/").status for _ in range(20)] == [200] * 20, timeout=5)


def test_a_good_health_check_closes_it_sooner(start_gateway, start_backend):
    backend = start_backend(reset)
    gateway = start_gateway(backend, upstreams=circuit(
        retries=0, health_check={"path": "/health", "interval": "200ms", "unhealthy_after": 100}))
    open_circuit(gateway)
    backend.answers(answer())
    wait_until("the circuit is closed", lambda: [gateway.get("/").status for _ in range(20)] == [200] * 20, timeout=5)


def test_malformed_answers_and_timeouts_open_it(start_gateway, start_backend):
    for name, handler in {
        "malformed_answer": lambda exchange: b"nonsense\r\n\r\n",
        "response_timeout": lambda exchange: time.sleep(1) or answer(),
    }.items():
        gateway = start_gateway(
            start_backend(handler), upstreams=circuit(retries=0), timeouts={"response": "200ms"})
        open_circuit(gateway)
        assert gateway.events("upstream.circuit_opened")[-1]["reason"] == name


def test_answers_of_any_status_do_not_open_it(start_gateway, start_backend):
    backend = start_backend()
    gateway = start_gateway(backend, upstreams=circuit())
    for status in (401, 404, 500, 502, 503, 504):
        backend.answers(answer(status))
        for _ in range(8):
            assert gateway.get("/").status == status
    assert gateway.events("upstream.circuit_opened") == []


def test_statuses_that_are_named_do(start_gateway, start_backend):
    backend = start_backend()
    backend.answers(answer(503, "overloaded"))
    gateway = start_gateway(backend, upstreams=circuit(failure_statuses=[503]))
    open_circuit(gateway)
    assert gateway.events("upstream.circuit_opened")[-1]["reason"] == "failure_status"


def test_a_low_rate_of_errors_never_opens_it(start_gateway, start_backend):
    count = iter(range(10_000))

    def handler(exchange: Exchange) -> bytes | None:
        if next(count) % 10 == 0:
            return reset(exchange)
        return answer()

    gateway = start_gateway(start_backend(handler), workers=1, upstreams=circuit(retries=0))
    statuses = Counter(gateway.get("/").status for _ in range(300))
    assert statuses[502] >= 25 and statuses[200] >= 265
    assert gateway.events("upstream.circuit_opened") == []


def test_clients_that_go_away_do_not_open_it(start_gateway, start_backend):
    backend = start_backend(lambda exchange: time.sleep(0.3) or answer())
    gateway = start_gateway(backend, upstreams=circuit(failures=2))
    for number in range(8):
        client = gateway.connect().send(request("GET", "/"))
        backend.wait_for(number + 1)
        client.reset()
    # A body that stops in the middle is the client's doing, too.
    for _ in range(4):
        client = gateway.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b""
        client.close()
    assert gateway.get("/").status == 200
    assert gateway.events("upstream.circuit_opened") == []


@pytest.mark.parametrize("failures", [0, 5])
def test_a_reload_keeps_it_open_unless_it_is_switched_off(start_gateway, start_backend, failures):
    backend = start_backend(reset)
    gateway = start_gateway(backend, upstreams=circuit(retries=0))
    open_circuit(gateway)
    gateway.settings["upstreams"]["api"]["circuit_breaker"]["failures"] = failures
    gateway.settings["upstreams"]["api"]["keep_alive"] = 7
    gateway.write_config()
    gateway.command("reload")
    assert gateway.get("/").status == (503 if failures else 502)
    assert state(gateway) == ("open" if failures else "closed")
