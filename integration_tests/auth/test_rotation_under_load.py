"""Rotations of keys on three replicas under steady load: what every single request was told, held against the clock."""

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed

from harness.backend import answer
from harness.client import request
from harness.flood import Flood
from harness.keys import BEHIND, NEW, OLD, REVOKED, Traffic, keys, reconfigure, seconds, states, told, typed
from harness.load import Load, failed
from harness.processes import wait_until
from harness.provider import Provider
from harness.tokens import bearer, encode
from harness.websocket import Echo, open_websocket

pytestmark = pytest.mark.once

EVERYWHERE = 0.1
"""Seconds until a revocation is in force on all replicas, docs/revocation.md."""
FETCHED = 1.0
"""Seconds for a fetch on loopback, while three gateways, their load and the provider share the machine."""


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def provider():
    server = Provider("one")
    yield server
    server.close()


@pytest.fixture
def replicas(start_gateway, start_backend, echo, redis):
    """`replicas(keys)`: three gateways on one Redis, in front of a backend that says nothing but `ok`."""
    def start(entries, audit="stdout"):
        backend = start_backend(lambda exchange: answer())
        return [start_gateway(backend, redis, **{
            "upstreams": {"sockets": {"servers": [echo.address]}},
            "routes": [
                {"path": "/", "upstream": "api", "auth": "required"},
                {"path": "/ws", "upstream": "sockets", "auth": "required"}],
            "tokens": {"keys": list(entries), "leeway": "0s"},
            # A line for each request would have the tests measure themselves.
            "logs": {"access": "off", "audit": audit},
        }) for _ in range(3)]
    return start


def users(key, count=8):
    return [key.token(f"user-{number}") for number in range(count)]


def refused(samples):
    return [sample for sample in samples if sample.status != 200]


def test_a_scheduled_rotation_logs_nobody_out(replicas):
    gateways = replicas([OLD.setting])
    old, new = users(OLD), users(NEW)
    with Traffic(gateways, {"old": old}) as traffic:
        traffic.wait_for("the old key in use", lambda sample: sample.key == "old")
        # 1. The new key beside the old one, on every replica.
        reconfigure(gateways, [OLD.setting, NEW.setting])
        prints = [{name: key["fingerprint"] for name, key in keys(gateway).items()} for gateway in gateways]
        assert prints[0] == prints[1] == prints[2] and list(prints[0]) == ["old", "new"]
        # 2. The issuer signs with it.
        traffic.circulate({"old": old, "new": new})
        traffic.wait_for("the new key in use", lambda sample: sample.key == "new")
        assert [states(gateway) for gateway in gateways] == [{"old": "active", "new": "active"}] * 3
        # 3. The old one has two seconds left.
        end = seconds(gateways[0].command_json("keys", "retire", "old", "--in", "2s")["refused_from"])
        traffic.wait_for("the time of the old key", lambda sample: sample.key == "old" and sample.began > end)
        assert [states(gateway)["old"] for gateway in gateways] == ["revoked"] * 3
        # 4. Out of the configuration.
        leaving = time.time()
        reconfigure(gateways, [NEW.setting])
        removed = time.time()
        traffic.wait_for("both once more", lambda sample: sample.began > removed, 40)
        samples = traffic.stop()

    assert traffic.faults == []
    assert refused(sample for sample in samples if sample.key == "new") == []
    of_old = [sample for sample in samples if sample.key == "old"]
    assert refused(sample for sample in of_old if sample.ended < end) == []
    late = [sample for sample in of_old if sample.began > end + BEHIND]
    assert [sample for sample in late if sample.status != 401] == []
    assert {sample.code for sample in late if sample.ended < leaving} == {"AUTH_003"}
    assert {sample.gateway for sample in late} == {0, 1, 2}


def test_an_emergency_leaves_the_old_key_nothing(replicas, echo):
    gateways = replicas([OLD.setting, NEW.setting])
    old, new = users(OLD), users(NEW)
    stolen = [open_websocket(gateway, "/ws", fields=bearer(old[0])) for gateway in gateways for _ in range(4)]
    lasting = [open_websocket(gateway, "/ws", fields=bearer(new[0])) for gateway in gateways for _ in range(2)]
    with Traffic(gateways, {"old": old, "new": new}) as traffic:
        for key in ("old", "new"):
            traffic.wait_for("both keys in use", lambda sample, key=key: sample.key == key)
        asked = time.time()
        typed(gateways[0], "gateway keys revoke old --reason 'it leaked'")
        answered = time.time()
        for client in stolen:
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=2)
            assert (client.close_code, client.close_reason) == (1_008, "token revoked")
        everywhere = answered + EVERYWHERE
        traffic.wait_for("the old key refused", lambda sample: sample.key == "old" and sample.began > everywhere)
        # One that nobody has seen yet, made by whoever has the secret.
        assert [told(gateway, OLD.token("mallory")) for gateway in gateways] == [REVOKED] * 3
        assert [typed(gateway, "gateway keys verify").returncode for gateway in gateways] == [0] * 3
        samples = traffic.stop()

    assert traffic.faults == []
    assert refused(sample for sample in samples if sample.key == "new") == []
    of_old = [sample for sample in samples if sample.key == "old"]
    assert refused(sample for sample in of_old if sample.ended < asked) == []
    # Here with the answer, elsewhere a moment later.
    for sample in of_old:
        if sample.began > answered + (EVERYWHERE if sample.gateway else 0):
            assert (sample.status, sample.code) == REVOKED, (sample, answered)
    for client in lasting:
        client.send("still here")
        assert client.recv(timeout=5) == "still here"
        client.close()


def test_a_provider_rotates_its_keys_by_itself(replicas, provider):
    gateways = replicas([{"id": "idp", "jwks_url": provider.url}])
    for gateway in gateways:
        wait_until("its keys are here", lambda gateway=gateway: "idp/one" in keys(gateway))
    assert provider.fetches() == 3

    def tokens(kid):
        return [provider.token(kid, sub=f"user-{number}") for number in range(8)]

    one = tokens("one")
    with Traffic(gateways, {"one": one}) as traffic:
        traffic.wait_for("the first key in use", lambda sample: sample.key == "one")
        # It publishes the second, and signs with it: the first token of it brings the fetch.
        provider.add("two")
        traffic.circulate({"one": one, "two": tokens("two")})
        traffic.wait_for("the second key in use", lambda sample: sample.key == "two" and sample.status == 200)
        assert provider.fetches() == 6
        # It takes the first away. The next fetch is brought forward by a change of the entry.
        del provider.keys["one"]
        before = time.time()
        reconfigure(gateways, [{"id": "idp", "jwks_url": provider.url, "refresh": "9m"}])
        for gateway in gateways:
            wait_until("the first key is gone", lambda gateway=gateway: list(keys(gateway)) == ["idp/two"])
        gone = time.time()
        traffic.wait_for("the first key refused", lambda sample: sample.key == "one" and sample.began > gone, 100)
        samples = traffic.stop()
    assert traffic.faults == []
    # At the start, for the second kid, for the change, and for the first kid, which is now as unknown as any.
    assert provider.fetches() == 4 * 3

    for index in range(3):
        own = [sample for sample in samples if sample.gateway == index]
        second = [sample for sample in own if sample.key == "two"]
        waiting = refused(second)
        assert waiting and second[0] in waiting, "that token is refused; the next one passes"
        assert {sample.code for sample in waiting} == {"AUTH_001"}
        assert waiting[-1].began - second[0].began < FETCHED, f"refused {len(waiting)} times"
        assert refused(sample for sample in own if sample.key == "one" and sample.ended < before) == []
        assert [sample for sample in own if sample.key == "one" and sample.began > gone and sample.status != 401] == []


def test_a_flood_of_unknown_kids_fetches_once_and_delays_nobody(replicas, provider):
    """Clients make up kids as fast as they can. For each gateway at most one fetch in 30 s comes of it.

    Without the audit log, which has a line for each: 200 MB in these seconds."""
    gateways = replicas([{"id": "idp", "jwks_url": provider.url}], audit="off")
    good = provider.token("one")
    for gateway in gateways:
        wait_until("its keys are here", lambda gateway=gateway: told(gateway, good)[0] == 200)
    assert provider.fetches() == 3

    def forged(number):
        header = encode(json.dumps({"alg": "ES256", "kid": f"made-up-{number}"}).encode()).decode()
        return request("GET", "/", bearer(".".join([header, *good.split(".")[1:]])))

    kids = [forged(number) for number in range(200)]
    load = Load(gateways[0].address, request("GET", "/", bearer(good)), 2, pause=0.005)
    floods = [Flood(gateways[0].address, kids, 3) for _ in range(2)]
    assert [gateway.fetch(kids[0]).status for gateway in gateways[1:]] == [401] * 2
    results = [flood.wait() for flood in floods]
    samples = load.stop()
    rate = sum(result.rate for result in results)
    assert all(list(result.statuses) == ["401"] for result in results), results
    assert rate > 10_000, f"{rate:.0f} requests/s are no flood"
    assert provider.fetches() == 6, f"{rate:.0f} requests/s"
    assert failed(samples) == []
    slowest = max(sample.ended - sample.began for sample in samples)
    assert slowest < 1, f"a good token waited {slowest:.2f} s beside {rate:.0f} requests/s"
