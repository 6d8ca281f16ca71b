"""Rules beside the plain one, dry runs, sliding windows and blocks that get longer."""

import pytest

from harness.backend import answer
from harness.client import json_request
from harness.logins import WRONG, fail, is_blocked, wrong_is_401
from harness.processes import wait_until

# A guess that went uncounted is one too many.
pytestmark = pytest.mark.once

def audited(gateway, action, count):
    """Records with this action, as soon as there are so many; no more of them."""
    found = lambda: gateway.events(service="audit", action=action)
    wait_until(f"{count} records", lambda: len(found()) >= count, 5)
    records = found()
    assert len(records) == count, records
    return records


def keys(redis, pattern):
    return redis.cli("--scan", "--pattern", pattern).split()


CODE = json_request("POST", "/auth/mfa", {"code": "123456"})


@pytest.fixture
def mfa_backend(start_backend):
    """Wrong codes are told in a field; wrong passwords by 401."""
    def reply(exchange):
        if exchange.request.target == "/auth/mfa":
            exchange.read_body()
            return answer(200, "no", {"X-Verdict": "denied"})
        return wrong_is_401(exchange)
    return start_backend(reply)


MFA = {"name": "mfa", "class": "mfa", "endpoints": ["POST /auth/mfa"], "limit": 3,
       "failure": {"statuses": [], "field": "X-Verdict", "value": "denied"}}


@pytest.mark.parametrize("home", ["redis", "embedded"])
def test_a_rule_of_its_own_counts_for_itself_and_blocks_the_address(
        start_gateway, mfa_backend, redis, address, other_address, home):
    gateway = start_gateway(mfa_backend, redis if home == "redis" else None, login={"rules": [MFA]})
    assert fail(gateway, address, 4) == [401] * 4
    assert [gateway.fetch(CODE, address).status for _ in range(4)] == [200, 200, 200, 403]
    assert is_blocked(gateway, address) and not is_blocked(gateway, other_address)
    [blocked] = audited(gateway, "ip_blocked", 1)
    assert blocked["context"]["trigger"] == "failed_logins:mfa" and blocked["context"]["ttl_seconds"] == 1_800
    samples = gateway.metrics()
    assert samples['gateway_login_rule_failures_total{rule="login"}'] == 4
    assert samples['gateway_login_rule_failures_total{rule="mfa"}'] == 3
    assert samples['gateway_login_rule_blocks_total{rule="mfa",action="block"}'] == 1
    if home == "redis":
        assert (redis.failures(address), redis.integer("GET", f"login_fail:mfa@{address}")) == (4, 3)
    gateway.command("unblock", address)
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 0.5, every=0.005)
    assert [gateway.fetch(CODE, address).status for _ in range(4)] == [200, 200, 200, 403]


def test_what_a_rule_only_observes_is_said_once_and_refused_never(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis, login={"limit": 3, "action": "observe"})
    assert fail(gateway, address, 8) == [401] * 8
    assert not is_blocked(gateway, address)
    [would] = audited(gateway, "would_block", 1)
    assert would["context"]["ip_address"] == address
    assert not redis.blocked(address)
    # The count ends when the block would have ended.
    assert 290 <= redis.integer("TTL", f"login_fail:{address}") <= 300


@pytest.mark.parametrize("home", ["redis", "embedded"])
def test_blocks_get_longer_until_an_operator_forgives(start_gateway, login_backend, redis, address, home):
    gateway = start_gateway(
        login_backend, redis if home == "redis" else None,
        login={"limit": 2, "block": "1s", "escalation": {"factor": 3, "max": "1h"}})
    for _ in range(2):
        assert fail(gateway, address, 3) == [401, 401, 403]
        wait_until("it is over", lambda: not is_blocked(gateway, address), 6)
    if home == "embedded":
        gateway.stop()
        gateway.start()
    assert fail(gateway, address, 3) == [401, 401, 403]
    lengths = [record["context"]["ttl_seconds"] for record in audited(gateway, "ip_blocked", 3)]
    assert lengths == [1, 3, 9]
    gateway.command("unblock", address)
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 0.5, every=0.005)
    assert fail(gateway, address, 3) == [401, 401, 403]
    assert audited(gateway, "ip_blocked", 4)[3]["context"]["ttl_seconds"] == 1


def test_clearing_both_families_in_redis_forgets_all_of_it(start_gateway, login_backend, redis, address):
    gateway = start_gateway(
        login_backend, redis, login={"limit": 2, "escalation": {"factor": 3, "max": "1h"}, "rules": [
            {"name": "twice", "endpoints": ["POST /auth/login"], "limit": 3}]})
    assert fail(gateway, address, 3) == [401, 401, 403]
    assert len(keys(redis, "login_fail:*")) == 3
    for key in keys(redis, "ip_block:*") + keys(redis, "login_fail:*"):
        redis.cli("DEL", key)
    wait_until("the block is gone", lambda: not is_blocked(gateway, address), 0.5, every=0.005)
    assert fail(gateway, address, 3) == [401, 401, 403]
    assert audited(gateway, "ip_blocked", 2)[1]["context"]["ttl_seconds"] == 300


def test_in_a_sliding_window_failures_go_one_by_one(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis, login={"limit": 3, "window": "2s", "count": "sliding"})
    assert fail(gateway, address, 2) == [401] * 2
    wait_until("they count no more", lambda: redis.cli("EXISTS", f"login_fail:{address}").strip() == "0", 5)
    assert fail(gateway, address, 2) == [401] * 2
    assert redis.failures(address) == 2
    assert gateway.fetch(WRONG, address).status == 401
    assert is_blocked(gateway, address)
