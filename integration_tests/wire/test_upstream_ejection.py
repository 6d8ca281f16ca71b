"""Servers whose requests fail one after another are left alone for a while, and come back."""

import time
from collections import Counter

import pytest

from harness.backend import Exchange, answer
from harness.processes import free_port, wait_until


def reset(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.close()


def named(name: str):
    def handler(exchange: Exchange) -> bytes:
        exchange.read_body()
        return answer(body=name)
    return handler


def house(start_gateway, backends, workers=4, **settings):
    addresses = [backend if isinstance(backend, str) else backend.address for backend in backends]
    return start_gateway("unused", workers=workers, upstreams={"api": {"servers": addresses, "retries": 0, **settings}})


def states(gateway) -> dict[str, str]:
    return {server["address"]: server["state"] for server in gateway.command_json("status")["upstreams"][0]["states"]}


def eject(gateway, address):
    wait_until(f"{address} is ejected", lambda: gateway.get("/") and gateway.events(
        "upstream.server_ejected", server=address))
    wait_until("all workers know", lambda: all(gateway.get("/").status == 200 for _ in range(20)))


def test_a_failing_server_gets_no_requests_until_its_time_is_over(start_gateway, start_backend):
    bad, good = start_backend(reset), start_backend(named("good"))
    gateway = house(start_gateway, [bad, good], ejection={"time": "1s"}, slow_start="0s")
    eject(gateway, bad.address)
    seen = len(bad.requests)
    assert seen <= 5 + 2, "the fifth failure in a row, and what was under way"
    assert states(gateway) == {bad.address: "ejected", good.address: "up"}
    line = gateway.events("upstream.server_ejected")[-1]
    assert (line["upstream"], line["reason"], line["ejected_ms"]) == ("api", "connection_lost", 1000)
    metrics = gateway.metrics()
    assert metrics[f'gateway_upstream_server_state{{upstream="api",server="{bad.address}",state="ejected"}}'] == 1
    assert metrics['gateway_upstream_ejections_total{upstream="api"}'] == 1
    assert "(ejected: connection_lost, back in 1s)" in gateway.command("status").stdout

    bad.handler = named("bad")
    gateway.wait_event("upstream.server_up", server=bad.address)
    wait_until("it serves", lambda: b"bad" in {gateway.get("/").body for _ in range(8)})
    assert states(gateway) == {bad.address: "up", good.address: "up"}


def test_a_server_that_fails_again_soon_is_ejected_for_twice_as_long(start_gateway, start_backend):
    bad, good = start_backend(reset), start_backend(named("good"))
    gateway = house(start_gateway, [bad, good], ejection={"time": "300ms", "failures": 2}, slow_start="0s")
    wait_until("it is ejected three times", lambda: gateway.get("/") and len(
        gateway.events("upstream.server_ejected")) >= 3)
    assert [line["ejected_ms"] for line in gateway.events("upstream.server_ejected")][:3] == [300, 600, 1200]


def test_a_server_that_comes_back_takes_its_share_little_by_little(start_gateway, start_backend):
    bad, good = start_backend(reset), start_backend(named("good"))
    gateway = house(start_gateway, [bad, good], workers=1, ejection={"time": "300ms"}, slow_start="1h")
    eject(gateway, bad.address)
    bad.handler = named("bad")
    gateway.wait_event("upstream.server_up")
    served = Counter(gateway.get("/").body for _ in range(110))
    assert 5 <= served[b"bad"] <= 15, "a tenth of the other's hundred"


def test_the_last_server_is_never_ejected(start_gateway, start_backend):
    """Both fail: one is ejected, the other goes on being asked."""
    backends = [start_backend(reset), start_backend(reset)]
    gateway = house(start_gateway, backends, circuit_breaker={"failures": 0}, ejection={"time": "60s"})
    for _ in range(40):
        assert gateway.get("/").status == 502
    assert sorted(states(gateway).values()) == ["ejected", "up"]
    alone = start_backend(reset)
    gateway = house(start_gateway, [alone], circuit_breaker={"failures": 0})
    for _ in range(20):
        assert gateway.get("/").status == 502
    assert states(gateway) == {alone.address: "up"}


def test_no_more_than_the_share_is_ejected(start_gateway, start_backend):
    backends = [start_backend(reset) for _ in range(3)] + [start_backend(named("good"))]
    gateway = house(start_gateway, backends, circuit_breaker={"failures": 0}, ejection={"time": "60s", "max_share": 50})
    for _ in range(80):
        gateway.get("/")
    assert Counter(states(gateway).values()) == {"ejected": 2, "up": 2}


def test_a_server_that_accepts_again_comes_back_before_its_time(start_gateway, start_backend):
    port, good = free_port(), start_backend(named("good"))
    gateway = house(
        start_gateway, [f"127.0.0.1:{port}", good], ejection={"time": "60s", "failures": 2}, slow_start="0s")
    eject(gateway, f"127.0.0.1:{port}")
    start_backend(named("back"), port)
    wait_until("it serves", lambda: gateway.get("/").body == b"back", timeout=5)


def test_reloads_and_new_names_of_routes_keep_what_is_known(start_gateway, start_backend):
    bad, good, new = start_backend(reset), start_backend(named("good")), start_backend(named("new"))
    gateway = house(start_gateway, [bad, good], ejection={"time": "60s"})
    eject(gateway, bad.address)
    seen = len(bad.requests)
    gateway.settings["upstreams"]["api"]["servers"] = [new.address, bad.address, good.address]
    gateway.write_config()
    gateway.command("reload")
    assert states(gateway) == {new.address: "up", bad.address: "ejected", good.address: "up"}
    assert {gateway.get("/").body for _ in range(24)} == {b"good", b"new"}
    assert len(bad.requests) == seen


def test_a_kept_connection_that_its_server_closes_is_no_failure(start_gateway, start_backend):
    """A server closes every connection behind its answer without saying so: hundreds of ends, and no blame."""
    def handler(exchange: Exchange) -> bytes:
        exchange.close()
        return answer()

    backends = [start_backend(handler), start_backend(handler)]
    gateway = house(start_gateway, backends, ejection={"failures": 1}, retries=2)
    for _ in range(60):
        assert gateway.get("/").status == 200
    assert gateway.events("upstream.server_ejected") == []


@pytest.mark.once
def test_a_dead_server_costs_no_client_an_error(start_gateway, start_backend):
    """With a retry on another server nobody notices, and soon it is not even tried."""
    port, good = free_port(), start_backend(named("good"))
    gateway = house(start_gateway, [f"127.0.0.1:{port}", good], retries=1)
    began = time.monotonic()
    assert {gateway.get("/").status for _ in range(40)} == {200}
    assert time.monotonic() - began < 5
    assert states(gateway) == {f"127.0.0.1:{port}": "ejected", good.address: "up"}
