"""One replica is cut off from Redis, and its operator and another one's contradict each other: the later word counts
(docs/redis.md, Two operators, one of them cut off)."""

import pytest

from harness.cable import Cable
from harness.gateway import Gateway
from harness.processes import wait_until

CLOSED = (503, "SVC_001")
BLOCKED = (403, "AUTH_004")
PASSES = (200, None)
ROUTES = [{"path": path, "upstream": "api", "auth": "none"} for path in ("/", "/admin", "/orders", "/users")]


@pytest.fixture
def cable(redis):
    cable = Cable(redis.port)
    yield cable
    cable.close()


@pytest.fixture
def replicas(start_gateway, backend, redis, cable):
    """The one that can be cut off, and the other."""
    return tuple(start_gateway(backend, redis=where, routes=ROUTES) for where in (cable.setting, redis))


def ask(gateway: Gateway, target: str = "/", source: str | None = None) -> tuple[int, str | None]:
    response = gateway.get(target, source)
    return response.status, response.code


def state(gateway: Gateway) -> str:
    return gateway.get("/health").json()["status"]


def cut(cable: Cable, gateway: Gateway) -> None:
    cable.cut()
    wait_until("the outage is noticed", lambda: state(gateway) == "degraded", 10)


def mend(cable: Cable, gateway: Gateway) -> None:
    cable.mend()
    wait_until("it is over", lambda: state(gateway) == "healthy", 10)


def all_are(replicas, wanted, target: str = "/", source: str | None = None) -> None:
    wait_until(f"all say {wanted} to {source} at {target}",
               lambda: all(ask(gateway, target, source) == wanted for gateway in replicas), 5)


def test_an_unblock_and_a_block_that_are_older_are_dropped(replicas, cable, redis, address, other_address):
    here, there = replicas
    here.command("block", address, "--for", "10m")
    all_are(replicas, BLOCKED, source=address)
    cut(cable, here)
    here.command("unblock", address)
    here.command("block", other_address, "--for", "10m")
    assert (ask(here, source=address), ask(here, source=other_address)) == (PASSES, BLOCKED)
    there.command("block", address, "--for", "20m", "--reason", "again")
    there.command("unblock", other_address)
    mend(cable, here)
    all_are(replicas, BLOCKED, source=address)
    all_are(replicas, PASSES, source=other_address)
    told = {here.wait_event("ledger.word_overtaken", key=f"ip_block:{one}")["level"] for one in (address, other_address)}
    assert told == {"WARNING"}
    assert 1_100 < redis.integer("TTL", f"ip_block:{address}") <= 1_200
    assert not redis.blocked(other_address)


def test_a_lockdown_and_its_end_that_are_older_are_dropped_and_later_ones_stand(replicas, cable, redis):
    here, there = replicas
    for route in ("/admin", "/users"):
        here.command("lockdown", route, "--for", "30m")
        all_are(replicas, CLOSED, route)
    cut(cable, here)
    there.command("lockdown", "/users", "--for", "1h")
    here.command("unlock-route", "/admin")
    here.command("lockdown", "/orders", "--for", "30m")
    here.command("unlock-route", "/users")
    assert [ask(here, route) for route in ("/admin", "/orders", "/users")] == [PASSES, CLOSED, PASSES]
    there.command("lockdown", "/admin", "--for", "1h", "--reason", "it goes on")
    there.command("unlock-route", "/orders")
    # Over a restart, too.
    here.stop()
    here.start()
    assert [ask(here, route) for route in ("/admin", "/orders", "/users")] == [PASSES, CLOSED, PASSES]
    mend(cable, here)
    all_are(replicas, CLOSED, "/admin")
    all_are(replicas, PASSES, "/orders")
    all_are(replicas, PASSES, "/users")
    assert redis.integer("TTL", "lockdown:/admin") > 3_000
    assert {line["key"] for line in here.events("ledger.word_overtaken")} == {"lockdown:/admin", "lockdown:/orders"}


def test_what_was_set_by_hand_meanwhile_stays_and_what_was_known_goes(replicas, cable, redis, address, other_address):
    here, _ = replicas
    redis.block(address)
    all_are(replicas, BLOCKED, source=address)
    cut(cable, here)
    here.command("unblock", address)
    here.command("unblock", other_address)
    redis.block(other_address)
    mend(cable, here)
    all_are(replicas, PASSES, source=address)
    all_are(replicas, BLOCKED, source=other_address)
    assert [line["key"] for line in here.events("ledger.word_overtaken")] == [f"ip_block:{other_address}"]
