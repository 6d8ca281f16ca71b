"""Buffers have a ceiling for the whole process, whatever fills them."""

import time

from harness.attack import Attack, Honest, all_served, recovers
from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import wait_until

LET_GO = 'gateway_client_connections_let_go_total{reason="memory"}'
MEBIBYTE = 1 << 20
#: What the process may grow by beside its buffers: objects of connections, the allocator's waste, pages of the logs.
BESIDE = 40 * MEBIBYTE
NEARLY_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%03d: %s\r\n" % (i, b"v" * 400) for i in range(74))


def large_or_ok(exchange: Exchange) -> bytes:
    exchange.read_body()
    return answer(body=b"x" * (6 * MEBIBYTE)) if exchange.request.target == "/large" else answer()


def highest_buffered(gateway, seconds: float) -> float:
    highest = 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        highest = max(highest, gateway.metrics()["gateway_buffered_bytes"])
    return highest


def test_partial_heads(start_gateway, backend, address):
    assert 30_000 < len(NEARLY_A_HEAD) < 32_768
    gateway = start_gateway(backend, limits={"memory": "16MiB"}, timeouts={"head": "60s"})
    assert gateway.get("/", address).status == 200
    before = gateway.child.resident()
    gateway.child.reset_resident_peak()
    # 2,000 x 31 KiB are 60 MiB.
    with Attack(gateway.address, 2_000, first=NEARLY_A_HEAD, rate=300):
        all_served(Honest(gateway.address, address), 3, at_least=40)
        assert highest_buffered(gateway, 0.5) <= 17 * MEBIBYTE
    assert gateway.metrics()[LET_GO] > 1_000
    grown = gateway.child.resident_peak() - before
    assert grown < 16 * MEBIBYTE + BESIDE, grown / MEBIBYTE
    recovers(gateway)


def test_readers_that_do_not_read(start_gateway, backend, address):
    gateway = start_gateway(backend, limits={"memory": "16MiB"})
    backend.handler = large_or_ok
    assert gateway.get("/", address).status == 200
    before = gateway.child.resident()
    gateway.child.reset_resident_peak()
    # 200 x 256 KiB are 50 MiB.
    with Attack(gateway.address, 200, first=request("GET", "/large"), receive_buffer=4_096, reads=False, rate=40):
        all_served(Honest(gateway.address, address), 3, at_least=10)
        wait_until("readers are let go", lambda: gateway.metrics()[LET_GO] > 50, 20)
        assert highest_buffered(gateway, 0.5) <= 17 * MEBIBYTE
    grown = gateway.child.resident_peak() - before
    assert grown < 16 * MEBIBYTE + BESIDE, grown / MEBIBYTE
    recovers(gateway)


def test_requests_with_a_body_are_refused_while_memory_is_short(start_gateway, backend, address):
    gateway = start_gateway(backend, limits={"memory": "16MiB"}, timeouts={"head": "60s"})
    with Attack(gateway.address, 800, first=NEARLY_A_HEAD, rate=300):
        def refused() -> bool:
            response = gateway.fetch(request("POST", "/", body=b"x"), address)
            assert response.status in (200, 503)
            return response.status == 503 and "memory" in response.json()["title"]
        wait_until("a request with a body is refused", refused, 10)
        assert gateway.get("/", address).status == 200, "one without is not"
        gateway.wait_event("pressure.began", what="memory")
    recovers(gateway)
    assert gateway.fetch(request("POST", "/", body=b"x"), address).status == 200
    gateway.wait_event("pressure.ended", what="memory")


def test_the_ceiling_comes_and_goes_with_a_reload(start_gateway, backend, address):
    gateway = start_gateway(backend, timeouts={"head": "60s"})
    assert gateway.metrics()["gateway_buffered_bytes_limit"] >= 64 * MEBIBYTE
    with Attack(gateway.address, 1_000, first=NEARLY_A_HEAD, rate=300):
        wait_until("they are held", lambda: gateway.metrics()["gateway_buffered_bytes"] > 28 * MEBIBYTE)
        gateway.settings["limits"] = {"memory": "16MiB"}
        gateway.write_config()
        gateway.command("reload")
        wait_until("they are not", lambda: gateway.metrics()["gateway_buffered_bytes"] <= 16 * MEBIBYTE)
        assert gateway.get("/", address).status == 200
