"""What is sent again, to whom, and how often."""

import signal
import time

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import free_port, wait_until


def reset(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.close()


def house(start_gateway, backends, **settings):
    addresses = [backend if isinstance(backend, str) else backend.address for backend in backends]
    return start_gateway("unused", workers=1, upstreams={"api": {
        "servers": addresses, "ejection": {"failures": 0}, "circuit_breaker": {"failures": 0}, **settings}})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_request_without_harm_goes_to_another_server(start_gateway, start_backend, method):
    """Its method is idempotent (RFC 9110 §9.2.2), and it has no body."""
    bad, good = start_backend(reset), start_backend()
    gateway = house(start_gateway, [bad, good])
    for _ in range(10):
        assert gateway.fetch(request(method, "/")).status == 200
    assert {each.method for each in bad.requests + good.requests} == {method}
    assert (len(bad.requests), len(good.requests)) == (5, 10)
    assert gateway.metrics()['gateway_upstream_retries_total{upstream="api"}'] == 5


@pytest.mark.once
@pytest.mark.parametrize(("method", "body"), [
    ("POST", b"order"), ("POST", None), ("PATCH", b"order"), ("PATCH", None), ("PUT", b"order"), ("DELETE", b"order")])
def test_a_request_that_was_sent_and_may_do_harm_is_never_sent_again(start_gateway, start_backend, method, body):
    """POST and PATCH are not idempotent, with a body or without. One that is has its body only once."""
    bad, good = start_backend(reset), start_backend()
    gateway = house(start_gateway, [bad, good], retries=3)
    statuses = sorted(gateway.fetch(request(method, "/", body=body)).status for _ in range(8))
    assert statuses == [200] * 4 + [502] * 4
    assert (len(bad.requests), len(good.requests)) == (4, 4)
    assert gateway.metrics()['gateway_upstream_retries_total{upstream="api"}'] == 0


def test_a_post_that_was_not_sent_may_be(start_gateway, start_backend):
    good = start_backend()
    gateway = house(start_gateway, [f"127.0.0.1:{free_port()}", good])
    for number in range(8):
        assert gateway.fetch(request("POST", "/", body=b"order %d" % number)).status == 200
    assert [each.body for each in good.requests] == [b"order %d" % number for number in range(8)]


def test_no_retries_are_none(start_gateway, start_backend):
    bad, good = start_backend(reset), start_backend()
    gateway = house(start_gateway, [bad, good], retries=0)
    assert sorted(gateway.get("/").status for _ in range(8)) == [200] * 4 + [502] * 4


def test_more_than_one_goes_on_until_a_server_answers(start_gateway, start_backend):
    backends = [start_backend(reset) for _ in range(2)] + [start_backend()]
    gateway = house(start_gateway, backends, retries=5)
    for _ in range(9):
        assert gateway.get("/").status == 200


def test_the_budget_ends_retries_before_they_double_the_load(start_gateway, start_backend):
    """Everything fails: fifty retries and a fifth of the requests, in the ten seconds that are looked back."""
    backend = start_backend(reset)
    gateway = house(start_gateway, [backend])
    for _ in range(100):
        assert gateway.get("/").status == 502
    metrics = gateway.metrics()
    retries = metrics['gateway_upstream_retries_total{upstream="api"}']
    denied = metrics['gateway_upstream_retries_denied_total{upstream="api"}']
    assert retries + denied == 100
    assert 50 <= retries <= 71
    assert len(backend.requests) == 100 + retries


def test_a_post_does_not_meet_a_connection_that_was_closed_a_moment_ago(start_gateway, start_backend):
    """The request arrives, then the server closes the kept connection, and only then the gateway gets to look."""
    closers = []

    def handler(exchange: Exchange) -> bytes:
        exchange.read_body()
        closers.append(exchange.socket)
        return answer()

    backend = start_backend(handler)
    gateway = house(start_gateway, [backend], retries=0)
    with gateway.connect() as client:
        assert client.ask(request("GET", "/")).status == 200
        wait_until("the connection is old enough to be looked at", _older_than(1.2))
        gateway.signal(signal.SIGSTOP)
        try:
            client.send(request("POST", "/", body=b"order"))
            closers[0].shutdown(2)
        finally:
            gateway.signal(signal.SIGCONT)
        assert client.read_final("POST").status == 200
    assert [each.body for each in backend.requests] == [b"", b"order"]


def _older_than(seconds: float):
    began = time.monotonic()
    return lambda: time.monotonic() - began > seconds
