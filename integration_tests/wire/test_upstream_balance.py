"""Which server of an upstream a request goes to."""

import threading
from collections import Counter

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.load import together


def named(name: str):
    def handler(exchange: Exchange) -> bytes:
        exchange.read_body()
        return answer(body=name)
    return handler


@pytest.fixture
def three(start_backend):
    return [start_backend(named(name)) for name in "abc"]


def upstream(backends, **settings):
    return {"api": {"servers": [backend.address for backend in backends], **settings}}


def test_servers_take_turns(start_gateway, three):
    gateway = start_gateway("unused", workers=1, upstreams=upstream(three))
    served = Counter(gateway.get("/").body for _ in range(30))
    assert served == {b"a": 10, b"b": 10, b"c": 10}


def test_the_freest_server_is_preferred_by_all_workers(start_gateway, start_backend):
    """One server is held by a slow request; of forty others, over all workers, hardly one is sent there."""
    release, held = threading.Event(), threading.Semaphore(0)

    def slow(exchange: Exchange) -> bytes:
        if exchange.request.target == "/slow":
            held.release()
            assert release.wait(30)
        return answer(body="ok")

    backends = [start_backend(slow), start_backend(slow)]
    gateway = start_gateway("unused", workers=4, upstreams=upstream(backends, balance="least_connections"))
    waiting = threading.Thread(target=gateway.get, args=("/slow",))
    waiting.start()
    assert held.acquire(timeout=10)
    busy, free = sorted(backends, key=lambda backend: -len(backend.requests))
    try:
        for _ in range(40):
            assert gateway.get("/").status == 200
        # An answer may be at its client a moment before it is off the count, and then both servers have one request.
        assert len(free.requests) >= 35, "by turns it would be twenty"
        assert len(busy.requests) + len(free.requests) == 41
    finally:
        release.set()
        waiting.join(10)


def test_a_client_keeps_its_server(start_gateway, three, address):
    gateway = start_gateway("unused", workers=4, upstreams=upstream(three, balance="consistent_hash"))
    own = [address.rsplit(".", 1)[0] + f".{number}" for number in range(1, 31)]
    first = {source: gateway.get("/", source).body for source in own}
    assert set(first.values()) == {b"a", b"b", b"c"}
    for _ in range(4):
        assert {source: gateway.get("/", source).body for source in own} == first


def test_a_server_that_goes_takes_only_its_own_clients_along(start_gateway, three, address):
    gateway = start_gateway("unused", workers=2, upstreams=upstream(three, balance="consistent_hash"))
    own = [address.rsplit(".", 1)[0] + f".{number}" for number in range(1, 41)]
    first = {source: gateway.get("/", source).body for source in own}
    gateway.write_config(gateway.settings | {"upstreams": upstream(three[:2], balance="consistent_hash")})
    gateway.command("reload")
    second = {source: gateway.get("/", source).body for source in own}
    for source in own:
        assert second[source] == first[source] or first[source] == b"c", source
    assert b"c" not in second.values()


@pytest.mark.parametrize(("settings", "field"), [
    ({"hash_on": "header", "hash_name": "X-Tenant"}, "X-Tenant: {}"),
    ({"hash_on": "cookie", "hash_name": "sid"}, "Cookie: a=b; sid={}; c=d"),
])
def test_a_header_or_cookie_chooses_the_server(start_gateway, three, settings, field):
    gateway = start_gateway("unused", workers=2, upstreams=upstream(three, balance="consistent_hash", **settings))

    def ask(value: str) -> bytes:
        name, text = field.format(value).split(": ")
        return gateway.get("/", fields={name: text}).body

    first = {f"t{number}": ask(f"t{number}") for number in range(30)}
    assert set(first.values()) == {b"a", b"b", b"c"}
    assert {value: ask(value) for value in first} == first
    assert len({gateway.get("/").body for _ in range(5)}) == 1, "without it the address does"


@pytest.mark.once
def test_the_choice_holds_under_load(start_gateway, three, address):
    """Many clients at once, each on a connection of its own: nobody's answer comes from another's server."""
    gateway = start_gateway("unused", workers=2, upstreams=upstream(three, balance="consistent_hash"))
    own = [address.rsplit(".", 1)[0] + f".{number}" for number in range(1, 21)]

    def ask(index: int) -> set[bytes]:
        with gateway.connect(own[index]) as client:
            return {client.ask(request("GET", "/")).body for _ in range(30)}

    assert all(len(bodies) == 1 for bodies in together(len(own), ask))
