"""Health checks: servers are asked beside the requests of clients, and what they say is believed."""

import resource
import threading
import time
from collections import Counter

import pytest

from harness.backend import Exchange, answer
from harness.processes import free_port, wait_until

CHECK = {"path": "/healthz?deep=1", "interval": "100ms", "timeout": "300ms", "unhealthy_after": 2}


def checked(kind, other=lambda exchange: answer(body="ok")):
    """A handler that answers checks by `kind` and everything else well."""
    def handler(exchange: Exchange) -> bytes | None:
        exchange.read_body()
        return kind(exchange) if exchange.request.target.startswith("/healthz") else other(exchange)
    return handler


def well(exchange: Exchange) -> bytes:
    return answer()


def house(start_gateway, backends, check=CHECK, workers=4, **settings):
    addresses = [backend if isinstance(backend, str) else backend.address for backend in backends]
    return start_gateway("unused", workers=workers, upstreams={"api": {
        "servers": addresses, "health_check": check, "slow_start": "0s", **settings}})


def slow(exchange: Exchange) -> bytes:
    time.sleep(0.6)
    return answer()


def dripping(exchange: Exchange) -> None:
    """A head that never ends, a byte at a time."""
    exchange.close()
    for _ in range(40):
        exchange.send(b"H" if _ == 0 else b"T")
        time.sleep(0.02)


def huge(exchange: Exchange) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n"


def reset(exchange: Exchange) -> None:
    exchange.close()


BAD = {
    "a status": lambda exchange: answer(503), "a redirection": lambda exchange: answer(302),
    "an answer that comes late": slow, "an answer without end": dripping, "a huge head": huge,
    "no HTTP": lambda exchange: b"\0\1\2 nonsense\r\n\r\n", "a closed connection": reset,
    "nothing but interim answers": lambda exchange: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_server_that_answers_checks_badly_gets_no_requests(start_gateway, start_backend, kind):
    sick, sound = start_backend(checked(BAD[kind])), start_backend(checked(well))
    gateway = house(start_gateway, [sick, sound])
    line = gateway.wait_event("upstream.server_down", server=sick.address)
    assert line["upstream"] == "api" and line["reason"]
    wait_until("all workers know", lambda: served_by(gateway, sick) == 0)
    sick.handler = checked(well)
    gateway.wait_event("upstream.server_up", server=sick.address)
    wait_until("it serves again", lambda: served_by(gateway, sick) > 0)


def served_by(gateway, backend) -> int:
    def requests() -> int:
        return sum(not request.target.startswith("/healthz") for request in backend.requests)
    before = requests()
    for _ in range(12):
        assert gateway.get("/").status == 200
    return requests() - before


def test_a_server_that_checks_bring_back_takes_its_share_little_by_little(start_gateway, start_backend):
    """As one that was ejected does: `slow_start` is of whoever comes back, whatever kept it away."""
    sick = start_backend(checked(lambda exchange: answer(503), lambda exchange: answer(body="sick")))
    sound = start_backend(checked(well, lambda exchange: answer(body="sound")))
    gateway = house(start_gateway, [sick, sound], workers=1, slow_start="1h")
    gateway.wait_event("upstream.server_down", server=sick.address)
    wait_until("the worker knows", lambda: served_by(gateway, sick) == 0)
    sick.handler = checked(well, lambda exchange: answer(body="back"))
    gateway.wait_event("upstream.server_up", server=sick.address)
    served = Counter(gateway.get("/").body for _ in range(110))
    assert served.keys() == {b"back", b"sound"}
    assert 5 <= served[b"back"] <= 15, "a tenth of the other's hundred"


def test_a_huge_body_behind_a_good_head_does_not_matter(start_gateway, start_backend):
    backend = start_backend(checked(lambda exchange: answer(body=b"x" * 5_000_000)))
    gateway = house(start_gateway, [backend])
    wait_until("it is checked", lambda: gateway.metrics().get(
        'gateway_upstream_health_checks_total{upstream="api",result="ok"}', 0) >= 5)
    assert gateway.events("upstream.server_down") == []


def test_statuses_that_are_named_are_the_good_ones(start_gateway, start_backend):
    backends = [start_backend(checked(lambda exchange: answer(401))), start_backend(checked(well))]
    gateway = house(start_gateway, backends, CHECK | {"statuses": [401]})
    gateway.wait_event("upstream.server_down", server=backends[1].address, reason="status 200")
    assert gateway.events("upstream.server_down", server=backends[0].address) == []


def test_a_check_is_a_plain_request_on_a_connection_of_its_own(start_gateway, start_backend):
    backend = start_backend(checked(well))
    house(start_gateway, [backend], CHECK | {"host": "api.internal"})
    first, second = backend.wait_for(2)[:2]
    assert first.head == (
        b"GET /healthz?deep=1 HTTP/1.1\r\nHost: api.internal\r\nUser-Agent: gateway-health-check\r\n"
        b"Accept: */*\r\nConnection: close\r\n\r\n")
    assert first.connection != second.connection


def test_one_check_of_a_server_is_under_way_at_a_time(start_gateway, start_backend):
    now, most, lock = 0, 0, threading.Lock()

    def count(exchange: Exchange) -> bytes:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.15)
        with lock:
            now -= 1
        return answer()

    backend = start_backend(checked(count))
    house(start_gateway, [backend], CHECK)
    backend.wait_for(6)
    assert most == 1


def test_when_all_servers_are_down_clients_are_told_at_once(start_gateway, start_backend):
    backends = [start_backend(checked(lambda exchange: answer(500))) for _ in range(2)]
    gateway = house(start_gateway, backends)
    wait_until("both are down", lambda: len(gateway.events("upstream.server_down")) == 2)
    wait_until("all workers know", lambda: all(gateway.get("/").status == 503 for _ in range(12)))
    began = time.monotonic()
    for _ in range(20):
        response = gateway.get("/")
        assert (response.status, response.code, response.field("Retry-After")) == (503, "SVC_001", "1")
    assert time.monotonic() - began < 2
    assert "(down: status 500)" in gateway.command("status").stdout
    for backend in backends:
        backend.handler = checked(well)
    wait_until("they serve", lambda: all(gateway.get("/").status == 200 for _ in range(12)), timeout=2)


def test_a_server_that_is_not_there_is_down(start_gateway, start_backend):
    port, sound = free_port(), start_backend(checked(well))
    gateway = house(start_gateway, [f"127.0.0.1:{port}", sound])
    line = gateway.wait_event("upstream.server_down", server=f"127.0.0.1:{port}")
    assert line["reason"] == "cannot connect: Connection refused"
    start_backend(checked(well), port)
    gateway.wait_event("upstream.server_up", server=f"127.0.0.1:{port}")


@pytest.mark.once
def test_a_gateway_without_descriptors_says_nothing_of_its_servers(start_gateway, start_backend):
    """Each check needs a new one. With fewer than are open there is none, for whoever asks for the metrics, either."""
    backend = start_backend(checked(well))
    gateway = house(start_gateway, [backend], CHECK | {"unhealthy_after": 1})
    pid = gateway.child.pid
    backend.wait_for(3)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))

    def checks_now() -> int:
        return len(backend.requests)

    try:
        wait_until("no check comes any more", lambda: stands_still(checks_now, 1.0))
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    before = checks_now()
    wait_until("checks come again", lambda: checks_now() >= before + 2)
    assert gateway.events("upstream.server_down") == []
    assert gateway.metrics()['gateway_upstream_health_checks_total{upstream="api",result="failed"}'] == 0


def stands_still(number, seconds: float) -> bool:
    before = number()
    time.sleep(seconds)
    return number() == before


def test_a_reload_keeps_states_and_takes_over_new_checks(start_gateway, start_backend):
    sick, sound = start_backend(checked(lambda exchange: answer(503))), start_backend(checked(well))
    gateway = house(start_gateway, [sick, sound])
    gateway.wait_event("upstream.server_down", server=sick.address)
    api = gateway.settings["upstreams"]["api"]
    api["keep_alive"] = 3
    gateway.write_config()
    gateway.command("reload")
    state = {server["address"]: server for server in gateway.command_json("status")["upstreams"][0]["states"]}
    assert (state[sick.address]["state"], state[sick.address]["reason"]) == ("down", "status 503")
    assert served_by(gateway, sick) == 0
    # A question that it answers better.
    sick.handler = lambda exchange: answer(200 if exchange.request.target == "/ready" else 503)
    api["health_check"] = CHECK | {"path": "/ready"}
    gateway.write_config()
    gateway.command("reload")
    gateway.wait_event("upstream.server_up", server=sick.address)
    # No question at all.
    sick.handler = checked(lambda exchange: answer(503))
    api["health_check"] = CHECK
    gateway.write_config()
    gateway.command("reload")
    wait_until("it is down", lambda: len(gateway.events("upstream.server_down", server=sick.address)) == 2)
    del api["health_check"]
    gateway.write_config()
    gateway.command("reload")
    assert {server["state"] for server in gateway.command_json("status")["upstreams"][0]["states"]} == {"up"}
    checks = len(sick.requests)
    assert served_by(gateway, sick) > 0
    assert all(request.target == "/" for request in sick.requests[checks + 1:]), "one check may have been under way"
