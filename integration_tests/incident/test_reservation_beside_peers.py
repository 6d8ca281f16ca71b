"""The same thousand guesses at once through the gateway, HAProxy and nginx: how many reach the backend."""

import time

import pytest

from harness import guards
from harness.backend import Exchange, answer
from harness.client import Client
from harness.load import together
from harness.logins import RIGHT, WRONG

pytestmark = pytest.mark.once


def verdict(exchange: Exchange) -> bytes:
    """A wrong one takes as long as a fast hash."""
    if b'"wrong"' not in exchange.read_body():
        return answer(200)
    time.sleep(0.02)
    return answer(401)


def guess_a_thousand_times(addresses: list[tuple[str, int]], source: str, is_kept: bool) -> list[int]:
    """200 clients of one address, five guesses each, at all instances in turn."""
    def guesses(index: int) -> list[int]:
        where = addresses[index % len(addresses)]
        if is_kept:
            with Client(where, source, timeout=60) as client:
                return [client.ask(WRONG).status for _ in range(5)]
        told = []
        for _ in range(5):
            with Client(where, source, timeout=60) as client:
                told.append(client.ask(WRONG).status)
        return told

    return sum(together(200, guesses), [])


def log_in_twenty_times(addresses: list[tuple[str, int]], source: str) -> int:
    """One after the other, nothing wrong; how many succeed."""
    told = 0
    for index in range(20):
        with Client(addresses[index % len(addresses)], source) as client:
            told += client.ask(RIGHT).status == 200
    return told


@pytest.mark.parametrize("replicas", [1, 3])
def test_of_1000_guesses_those_that_reach_the_backend_beside_haproxy_and_nginx(
        start_gateway, start_backend, redis, directory, address, other_address, replicas, record_property, capsys):
    guards.needed()
    rows = []

    def measure(name: str, way: str, backend, addresses: list[tuple[str, int]]) -> None:
        succeeded = log_in_twenty_times(addresses, other_address)
        for is_kept in (False, True):
            before = len(backend.requests)
            # Each kind of connection has an address of its own, with no failures yet.
            source = address if is_kept else "127.98.0.1"
            statuses = guess_a_thousand_times(addresses, source, is_kept)
            assert len(statuses) == 1_000
            reached = len(backend.requests) - before
            kind = "kept" if is_kept else "new"
            record_property(f"{name}, {replicas}, {kind} connections", reached)
            rows.append((name, way, kind, reached, succeeded))

    backend = start_backend(verdict)
    # Longer than this machine is busy: what Redis says late is decided by each replica for itself.
    setting = {"address": f"127.0.0.1:{redis.port}", "deadline": "10s"}
    gateways = [start_gateway(backend, setting) for _ in range(replicas)]
    measure("gateway", "places and 401s, in Redis", backend, [one.address for one in gateways])
    for gateway in gateways:
        gateway.stop()
    for kind in guards.GUARDS:
        backend = start_backend(verdict)
        guard = kind(directory, backend.port, replicas)
        try:
            measure(guard.name, guard.way, backend, guard.addresses)
        finally:
            guard.stop()
    with capsys.disabled():
        print(f"\n1,000 guesses of one address at once, {replicas} at work side by side; of 20 right logins:")
        for name, way, kind, reached, succeeded in rows:
            print(f"  {name:16} {way:44} {kind:4} connections: {reached:5} reach the backend; {succeeded:2} succeed")
    assert [(reached, succeeded) for name, _, _, reached, succeeded in rows if name == "gateway"] == [(5, 20)] * 2
    assert all(reached > 0 for _, _, _, reached, _ in rows), "each was measured"
