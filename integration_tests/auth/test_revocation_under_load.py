"""Revocations under load (docs/revocation.md): whom they mean is refused at once, and nobody else is disturbed."""

import time

import pytest

from harness.client import request
from harness.issuer import ask
from harness.keys import REVOKED
from harness.load import Load, failed
from harness.processes import wait_until
from harness.revocations import PASSES, lives, of, open_chat
from harness.tokens import bearer, claims, token


@pytest.mark.once
def test_of_two_users_under_load_only_the_revoked_one_is_refused_and_that_at_once(start_guarded, redis):
    first, second = start_guarded(redis), start_guarded(redis)
    bad, good = request("GET", "/", bearer(of("mallory"))), request("GET", "/", bearer(of("alice")))
    with Load(first.address, bad, 4, pause=0.002) as revoked, Load(second.address, bad, 2, pause=0.002) as elsewhere, \
            Load(first.address, good, 4, pause=0.002) as valid, Load(second.address, good, 2, pause=0.002) as other:
        time.sleep(1.5)
        first.command("revoke", "--sub", "mallory")
        done = time.monotonic()
        time.sleep(3.5)
        here, there, kept = revoked.stop(), elsewhere.stop(), valid.stop() + other.stop()
    assert failed(kept) == []
    before = [sample for sample in here + there if sample.ended < done - 1]
    assert before and failed(before) == []
    assert {sample.code for sample in here if sample.began > done} == {"AUTH_003"}
    late = [sample for sample in there if sample.began > done and sample.code != "AUTH_003"]
    assert all(sample.began < done + 0.2 for sample in late)
    assert {sample.status for sample in here + there} == {200, 401}


@pytest.mark.once
def test_a_flood_of_logouts_disturbs_nobody(start_guarded, redis, service):
    gateway = start_guarded(redis)
    value = of("alice")
    spared = [open_chat(gateway, value) for _ in range(300)]
    with Load(gateway.address, request("GET", "/", bearer(value)), 4, pause=0.002) as load:
        redis.shell("seq 1 2000 | sed 's/.*/SET revoked:jti:out-& 1 EX 300/' | redis-cli > /dev/null")
        wait_until("all are known", lambda: gateway.metrics()["gateway_revocations"] == 2_000, 10)
        samples = load.stop()
    assert failed(samples) == []
    assert sorted(sample.ended - sample.began for sample in samples)[len(samples) * 99 // 100] < 0.2
    assert ask(gateway, token(claims("x", jti="out-2000"))) == REVOKED
    assert ask(gateway, token(claims("x", jti="out-2001"))) == PASSES
    assert all(map(lives, spared[:3]))
