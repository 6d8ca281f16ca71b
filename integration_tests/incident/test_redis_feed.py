"""Where Redis allows no client tracking: keyspace notifications where they are on, else a look at everything."""

import pytest

from harness.logins import block_by_burst, is_blocked
from harness.processes import wait_until
from harness.redis_users import SECRET, health, make_user

FORBIDDEN = {
    "tracking": ["-client|tracking"],
    "all of CLIENT": ["-client"],
    "its channel": ["resetchannels"],
}


@pytest.fixture
def start(start_gateway, login_backend, directory):
    path = directory / "redis-password"
    path.write_text(SECRET)
    path.chmod(0o600)

    def started(redis, **settings):
        return start_gateway(login_backend, {
            "address": f"127.0.0.1:{redis.port}", "username": "gateway", "password_file": str(path), **settings})

    return started


@pytest.mark.parametrize("change", FORBIDDEN.values(), ids=FORBIDDEN)
@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_without_tracking_and_notifications_everything_is_looked_at_again(
        start, redis, address, other_address, change, prefix):
    make_user(redis, *change, *([f"~{prefix}*"] if prefix else []))
    gateway = start(redis, scan_interval="100ms", **({"key_prefix": prefix} if prefix else {}))
    line = gateway.wait_event("ledger.untracked")
    assert line["scan_ms"] == 100 and "ACL SETUSER gateway" in line["reason"]
    wait_until("health is good", lambda: health(gateway) == "healthy")
    redis.cli("SET", f"{prefix}ip_block:{address}", "1", "EX", "300")
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, address), 1)
    redis.cli("DEL", f"{prefix}ip_block:{address}")
    wait_until("it is lifted", lambda: not is_blocked(gateway, address), 1)
    block_by_burst(gateway, other_address)
    redis.cli("FLUSHALL")
    wait_until("the block is in Redis again", lambda: redis.cli("EXISTS", f"{prefix}ip_block:{other_address}") == "1")
    assert is_blocked(gateway, other_address)
    # A warning once, not with each session.
    redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    redis.cli("SET", f"{prefix}ip_block:{address}", "1", "EX", "300")
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, address), 5)
    assert len(gateway.events("ledger.untracked")) == 1


def test_notifications_are_used_where_they_are_on(start, start_redis, address):
    redis = start_redis(options=["--notify-keyspace-events", "KA"])
    make_user(redis, "-client|tracking", "-config", "&__keyspace@0__:*")
    gateway = start(redis, scan_interval="300s")
    assert gateway.wait_event("ledger.untracked")["scan_ms"] == 0
    wait_until("health is good", lambda: health(gateway) == "healthy")
    for _ in range(3):
        redis.block(address)
        wait_until("a block by hand is in force", lambda: is_blocked(gateway, address), 1, every=0.005)
        redis.cli("DEL", f"ip_block:{address}")
        wait_until("it is lifted", lambda: not is_blocked(gateway, address), 1, every=0.005)


def test_notifications_of_some_kinds_only_are_not_relied_on(start, start_redis, address):
    redis = start_redis(options=["--notify-keyspace-events", "K$"])
    make_user(redis, "-client|tracking", "&__keyspace@0__:*")
    gateway = start(redis, scan_interval="100ms")
    assert gateway.wait_event("ledger.untracked")["scan_ms"] == 100
    redis.block(address)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, address), 1)
    redis.cli("DEL", f"ip_block:{address}")
    wait_until("it is lifted", lambda: not is_blocked(gateway, address), 1)
