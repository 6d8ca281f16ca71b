"""Revocations outlive restarts, outages of Redis and the loss of what it held (docs/revocation.md)."""

import pytest

from harness.client import request
from harness.issuer import ask
from harness.keys import REVOKED
from harness.load import Asked, Load
from harness.processes import wait_until
from harness.revocations import PASSES, of, refused_soon, soon
from harness.tokens import bearer


def test_it_outlives_a_restart(start_guarded):
    gateway = start_guarded()
    value = of("mallory")
    gateway.command("revoke", "--sub", "mallory")
    gateway.child.kill()
    gateway.start()
    assert ask(gateway, value) == REVOKED
    assert ask(gateway, of("alice")) == PASSES


def test_it_outlives_a_restart_while_redis_is_away_and_reaches_the_others_when_it_is_back(start_guarded, start_redis):
    redis = start_redis(durable=True)
    first, second = start_guarded(redis), start_guarded(redis)
    known, late, back = of("mallory"), of("eve"), of("trudy")
    for user in ("mallory", "trudy"):
        first.command("revoke", "--sub", user)
    refused_soon([first, second], back)
    redis.kill()
    wait_until("Redis is missed", lambda: first.get("/health").json()["status"] == "degraded")
    assert "other replicas follow when it is back" in first.command("revoke", "--sub", "eve").stdout
    assert "other replicas follow when it is back" in first.command("unrevoke", "--sub", "trudy").stdout
    for _ in range(2):
        assert [ask(first, value) for value in (known, late, back)] == [REVOKED, REVOKED, PASSES]
        first.stop()
        first.start()
    assert [ask(second, value) for value in (known, late, back)] == [REVOKED, PASSES, REVOKED]
    redis.start()
    wait_until("the other hears of it", lambda: [ask(second, value) for value in (known, late, back)]
               == [REVOKED, REVOKED, PASSES], 10)
    assert [ask(first, value) for value in (known, late, back)] == [REVOKED, REVOKED, PASSES]


@pytest.mark.once
def test_flushall_gives_no_stolen_token_back(start_guarded, redis):
    gateways = [start_guarded(redis), start_guarded(redis)]
    bad, worse = of("mallory"), of("eve")
    gateways[0].command("revoke", "--sub", "mallory")
    redis.cli("SET", "revoked:sub:eve", "1")
    refused_soon(gateways, bad)
    refused_soon(gateways, worse)
    asked = [Asked(request("GET", "/", bearer(value))) for value in (bad, worse)]
    with Load(gateways[0].address, asked, 2, pause=0.001) as load:
        redis.cli("FLUSHALL")
        gateways[1].wait_event("ledger.flush_detected")
        wait_until("they are back", lambda: redis.cli("EXISTS", "revoked:sub:mallory", "revoked:sub:eve") == "2")
        assert {sample.code for sample in load.stop()} == {"AUTH_003"}
    refused_soon(gateways, worse)
    gateways[0].command("unrevoke", "--sub", "eve")
    soon("taken back", lambda: all(ask(gateway, worse) == PASSES for gateway in gateways))


@pytest.mark.once
def test_a_replica_that_restarts_after_the_loss_gives_nothing_back(start_guarded, start_redis):
    """Another one came first to the empty store, and knew nothing."""
    redis = start_redis()
    first = start_guarded(redis)
    value = of("mallory")
    first.command("revoke", "--sub", "mallory")
    first.stop()
    redis.kill()
    redis.start()
    second = start_guarded(redis)
    assert ask(second, value) == PASSES
    first.start()
    assert ask(first, value) == REVOKED
    wait_until("the other one hears of it", lambda: ask(second, value) == REVOKED, 5)
    assert redis.shell("redis-cli EXISTS revoked:sub:mallory") == "1"


@pytest.mark.once
def test_a_restart_of_redis_from_an_older_snapshot_gives_nothing_back(start_guarded, start_redis):
    redis = start_redis()
    gateways = [start_guarded(redis), start_guarded(redis)]
    bad, back = of("mallory"), of("eve")
    gateways[0].command("revoke", "--sub", "eve")
    refused_soon(gateways, back)
    # What `save 3600 1` does by itself.
    assert redis.cli("SAVE") == "OK"
    gateways[0].command("revoke", "--sub", "mallory")
    gateways[0].command("unrevoke", "--sub", "eve")
    refused_soon(gateways, bad)
    soon("taken back", lambda: all(ask(gateway, back) == PASSES for gateway in gateways))
    redis.kill()
    redis.start()
    for gateway in gateways:
        wait_until("it is in step", lambda one=gateway: one.get("/health").json()["status"] == "healthy", 20)
    wait_until("all is as it was", lambda: redis.cli("EXISTS", "revoked:sub:mallory") == "1" and
               redis.cli("EXISTS", "revoked:sub:eve") == "0", 10)
    wait_until("both know", lambda: [ask(gateway, value) for gateway in gateways for value in (bad, back)]
               == [REVOKED, PASSES] * 2, 5)
    assert redis.cli("GET", "gateway:epoch").endswith(" older")


@pytest.mark.once
def test_what_redis_refuses_to_take_back_is_brought_again(start_guarded, redis):
    gateway = start_guarded(redis)
    gateway.command("revoke", "--sub", "mallory")
    redis.shell("redis-cli CONFIG SET maxmemory 1")
    redis.shell("redis-cli FLUSHALL")
    wait_until("it is refused", lambda: gateway.get("/health").json()["status"] == "degraded")
    redis.shell("redis-cli CONFIG SET maxmemory 0")
    wait_until("it is there again", lambda: redis.shell("redis-cli EXISTS revoked:sub:mallory") == "1", 10)
    assert ask(gateway, of("mallory")) == REVOKED
