"""Rate limits that replicas share through Redis (docs/rate-limits.md, How exact)."""

import itertools
import re
import time
from contextlib import ExitStack

import pytest

from harness.client import request
from harness.processes import wait_until
from harness.rate_limits import DAY, SLOW, passes, told, told_all
from harness.redis_users import SECRET as REDIS_SECRET
from harness.redis_users import make_user
from harness.tokens import SECRET, bearer, claims, token

KEYS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]}


def reload(gateway, **sections) -> None:
    gateway.write_config({**gateway.settings, **sections})
    gateway.command("reload")


@pytest.fixture
def start_replicas(start_gateway, backend):
    def start(redis, limits, count=3, **sections):
        return [start_gateway(backend, redis, rate_limits=limits, **sections) for _ in range(count)]

    return start


def go_round(replicas, address, seconds) -> tuple[list[int], float]:
    """How many requests each replica let pass for a client that asks one after the other, and how long that took."""
    passed = [0] * len(replicas)
    with ExitStack() as stack:
        clients = [stack.enter_context(replica.connect(address)) for replica in replicas]
        began = time.monotonic()
        for index, client in itertools.cycle(enumerate(clients)):
            answer = client.ask(request("GET", "/"))
            assert answer.status in (200, 429)
            passed[index] += answer.status == 200
            if time.monotonic() - began > seconds:
                return passed, time.monotonic() - began


@pytest.mark.once
def test_a_client_that_goes_round_the_replicas_gets_the_rate_and_not_three_times_as_much(start_replicas, redis, address):
    limits = {"per_address": {"rate": "20/s", "burst": 5}, "shared": True}
    replicas = start_replicas(redis, limits)
    passed, took = go_round(replicas, address, 5)
    # The rate, a burst of each, and what each lets pass before it hears of the others, which on a busy machine may take a second.
    # By themselves they would let three times the rate pass. Whoever stands still for a while has less.
    assert 0.5 * 20 * took <= sum(passed) <= 2 * 20 * took
    wait_until("all is told", lambda: sum(map(told, replicas)) == sum(passed))

    for replica in replicas:
        reload(replica, rate_limits={**limits, "shared": False})
    passed, took = go_round(replicas, address, 3)
    assert sum(passed) >= 2 * 20 * took, "each for itself again"
    wait_until("the key has ended", lambda: redis.cli("KEYS", "rate:*") == "")


@pytest.mark.once
def test_what_was_too_much_is_waited_for_and_the_time_is_told(start_replicas, redis, address):
    one, other = start_replicas(
        {"address": f"127.0.0.1:{redis.port}", "key_prefix": "shop:"},
        {"per_address": {**SLOW, "burst": 4}, "shared": True}, count=2)
    assert [passes(one, source=address) for _ in range(5)] == [True] * 4 + [False]
    told_all(one, 4)
    assert passes(other, source=address), "it has not heard of anything"
    told_all(other, 1)
    refused = other.get("/", address)
    assert refused.status == 429
    assert 2 * DAY - 60 <= int(refused.field("Retry-After")) <= 2 * DAY, "five are taken of four"
    name = f"shop:rate:per_address@{address}"
    assert redis.cli("KEYS", "*rate:*") == name
    assert (5 * DAY - 60) * 1_000 < redis.integer("PTTL", name) <= 5 * DAY * 1_000
    assert refused.field("RateLimit").startswith('"per_address";r=0;t=')

    reload(other, rate_limits={"per_address": {**SLOW, "burst": 4}})
    assert int(other.get("/", address).field("Retry-After")) <= DAY, "no more than its own bucket"


@pytest.mark.once
def test_without_redis_each_counts_for_itself_and_nothing_fails(start_replicas, redis, address, other_address):
    limits = {"per_address": {**SLOW, "burst": 4}, "shared": True}
    replicas = start_replicas(redis, limits)
    assert passes(replicas[0], source=address)
    told_all(replicas[0], 1)
    redis.kill()
    for replica in replicas:
        replica.wait_event("ledger.degraded")
    assert [sum(passes(each, source=address) for _ in range(6)) for each in replicas] == [3, 4, 4]
    wait_until("it is known", lambda: all(each.metrics()["gateway_rate_limit_untold_total"] >= 3 for each in replicas))
    assert not any(each.events("limits.sharing_failed") for each in replicas), "the ledger's state says it"

    redis.start()
    for replica in replicas:
        replica.wait_event("ledger.recovered", timeout=20)
    before = told(replicas[1])
    assert passes(replicas[1], source=other_address)
    told_all(replicas[1], before + 1)
    assert passes(replicas[2], source=other_address)
    wait_until("both are in Redis", lambda: (2 * DAY - 60) * 1_000 < redis.integer("PTTL", f"rate:per_address@{other_address}"))


def test_users_and_routes_are_shared_and_no_name_is_in_redis(start_replicas, redis, address, other_address):
    one, other = start_replicas(
        redis, {"per_identity": {**SLOW, "burst": 2}, "shared": True}, count=2, tokens=KEYS, routes=[
            {"path": "/", "upstream": "api"},
            {"path": "/all", "upstream": "api", "auth": "none", "rate_limit": {"per": "route", **SLOW, "burst": 2}},
        ])
    alice = bearer(token(claims("alice")))
    assert [passes(one, source=address, fields=alice) for _ in range(3)] == [True, True, False]
    assert [passes(one, target="/all", source=address) for _ in range(3)] == [True, True, False]
    told_all(one, 4)
    for how in ({"fields": alice}, {"target": "/all"}):
        assert passes(other, source=other_address, **how)
    told_all(other, 2)
    for how in ({"fields": alice}, {"target": "/all"}):
        assert not passes(other, source=other_address, **how)
    names = sorted(redis.cli("KEYS", "rate:*").split())
    assert names[1] == "rate:route:/all@all" and re.fullmatch("rate:per_identity@[0-9a-f]{32}", names[0])


def test_a_right_that_is_missing_is_named_and_costs_nothing_else(start_gateway, backend, redis, directory, address, other_address):
    make_user(redis)
    secret = directory / "redis-password"
    secret.write_text(REDIS_SECRET)
    secret.chmod(0o600)
    gateway = start_gateway(
        backend, {"address": f"127.0.0.1:{redis.port}", "username": "gateway", "password_file": str(secret)},
        rate_limits={"per_address": {**SLOW, "burst": 2}, "shared": True})
    assert [passes(gateway, source=address) for _ in range(3)] == [True, True, False]
    line = gateway.wait_event("limits.sharing_failed", level="WARNING")
    assert line["reason"].endswith("ACL SETUSER gateway ~rate:*")
    wait_until("all else is as it should be", lambda: gateway.command_json("status")["ledger"]["state"] == "connected")
    assert redis.cli("ACL", "SETUSER", "gateway", "~rate:*") == "OK"
    assert passes(gateway, source=other_address)
    wait_until("it is told", lambda: told(gateway) >= 1)


def test_sharing_without_redis_is_refused(start_gateway, backend):
    gateway = start_gateway(backend)
    gateway.write_config({**gateway.settings, "rate_limits": {"per_address": {"rate": "1/s"}, "shared": True}})
    refused = gateway.command("reload", check=False)
    assert refused.returncode != 0 and "there is no Redis to share rate limits through" in refused.stdout + refused.stderr
