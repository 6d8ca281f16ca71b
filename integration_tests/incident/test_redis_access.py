"""Redis with users, databases, prefixes and Unix sockets; what is not allowed is named, with the remedy."""

import re
from pathlib import Path

import pytest

from harness.logins import block_by_burst, is_blocked
from harness.processes import wait_until
from harness.redis_users import SECRET, health, make_user, reason, works

ENCODED = "p%40ss%2Fwo%3Ard%25"


@pytest.fixture
def secret_file(directory) -> Path:
    path = directory / "redis-password"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


def test_user_password_and_database_from_a_url(start_gateway, login_backend, start_redis, address, other_address):
    redis = start_redis(cli_options=["-n", "3"])
    make_user(redis)
    gateway = start_gateway(login_backend, {"url": f"redis://gateway:{ENCODED}@127.0.0.1:{redis.port}/3"})
    works(gateway, redis, address, other_address)


def test_a_url_from_a_file_to_a_unix_socket(
        start_gateway, login_backend, start_redis, directory, address, other_address):
    socket = directory / "redis.sock"
    redis = start_redis(options=["--unixsocket", str(socket)], cli_options=["-n", "2"])
    path = directory / "redis-url"
    path.write_text(f"unix://{socket}?db=2")
    path.chmod(0o600)
    gateway = start_gateway(login_backend, {"url_file": str(path)})
    works(gateway, redis, address, other_address)


def test_a_wrong_password_is_named_and_the_right_one_taken_from_its_file(
        start_gateway, login_backend, redis, secret_file, address, other_address):
    make_user(redis)
    secret_file.write_text("another one")
    gateway = start_gateway(login_backend, {
        "address": f"127.0.0.1:{redis.port}", "username": "gateway", "password_file": str(secret_file),
        "startup_wait": "200ms"})
    line = gateway.wait_event("ledger.degraded")
    assert "WRONGPASS" in line["reason"] and "ACL GETUSER gateway" in line["reason"]
    assert health(gateway) == "degraded" and "WRONGPASS" in reason(gateway)
    assert "another one" not in gateway.child.log()
    secret_file.write_text(SECRET)
    works(gateway, redis, address, other_address)


def test_a_password_that_is_missing_is_asked_for(start_gateway, login_backend, start_redis):
    redis = start_redis(options=["--requirepass", SECRET], cli_options=["-a", SECRET, "--no-auth-warning"])
    gateway = start_gateway(login_backend, {"address": f"127.0.0.1:{redis.port}", "startup_wait": "200ms"})
    assert "set redis.password_file" in gateway.wait_event("ledger.degraded")["reason"]
    redis.cli("CONFIG", "SET", "requirepass", "")
    redis.cli_options = []
    wait_until("health is good", lambda: health(gateway) == "healthy")


@pytest.mark.parametrize("change, words", [
    (["-scan"], "ACL SETUSER gateway +scan"),
    (["-script|load"], "ACL SETUSER gateway +script|load"),
    (["-getrange"], "ACL SETUSER gateway +getrange"),
    (["resetkeys", "~ip_block:*", "~login_fail:*", "~login_seen:*", "~login_pending:*", "~keyring:*", "~lockdown:*",
      "~account_lock:*", "~ip_allow:*", "~ip_shared:*", "~gateway:epoch", "~gateway:said:*"], "ACL SETUSER gateway ~revoked:*"),
    (["resetkeys", "%R~ip_block:*", "~login_fail:*", "~login_seen:*", "~login_pending:*", "~revoked:*", "~keyring:*",
      "~lockdown:*", "~account_lock:*", "~ip_allow:*", "~ip_shared:*", "~gateway:epoch", "~gateway:said:*"],
     "ACL SETUSER gateway ~ip_block:*"),
], ids=["a command", "a subcommand", "reading", "one kind of key", "writing of one kind of key"])
def test_a_permission_that_is_missing_is_named_with_its_remedy(
        start_gateway, login_backend, redis, secret_file, address, other_address, change, words):
    make_user(redis, *change)
    gateway = start_gateway(login_backend, {
        "address": f"127.0.0.1:{redis.port}", "username": "gateway", "password_file": str(secret_file),
        "startup_wait": "200ms"})
    assert words in gateway.wait_event("ledger.degraded")["reason"]
    assert health(gateway) == "degraded" and words in reason(gateway)
    # What the line says is what mends it.
    assert redis.cli(*re.search(r"ACL SETUSER \S+ \S+", reason(gateway))[0].split()) == "OK"
    works(gateway, redis, address, other_address)


def test_a_block_stays_in_force_when_its_key_may_not_be_read_any_more(
        start_gateway, login_backend, redis, secret_file, address):
    make_user(redis)
    gateway = start_gateway(login_backend, {
        "address": f"127.0.0.1:{redis.port}", "username": "gateway", "password_file": str(secret_file)})
    redis.block(address)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, address), 1)
    make_user(redis, "-getrange")
    redis.cli("CLIENT", "KILL", "USER", "gateway")
    assert "+getrange" in gateway.wait_event("ledger.degraded")["reason"]
    assert is_blocked(gateway, address)


def test_a_database_that_redis_does_not_have(start_gateway, login_backend, redis):
    gateway = start_gateway(
        login_backend, {"address": f"127.0.0.1:{redis.port}", "database": 99, "startup_wait": "200ms"})
    assert "fewer databases than redis.database" in gateway.wait_event("ledger.degraded")["reason"]


def test_a_prefix_stands_before_every_key(start_gateway, login_backend, redis, address, other_address):
    gateway = start_gateway(login_backend, {"address": f"127.0.0.1:{redis.port}", "key_prefix": "shop:"})
    neighbour = start_gateway(login_backend, redis)
    wait_until("health is good", lambda: health(gateway) == "healthy")
    block_by_burst(gateway, address)
    assert redis.integer("GET", f"shop:login_fail:{address}") == 5
    assert redis.cli("EXISTS", f"shop:ip_block:{address}") == "1"
    # Five failures, and the mark of the block.
    assert redis.cli("ZCARD", f"shop:login_seen:{{shop:login_fail:{address}}}") == "6"
    redis.cli("SET", f"shop:ip_block:{other_address}", "1", "EX", "300")
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, other_address), 1, every=0.005)
    assert not is_blocked(neighbour, other_address) and not is_blocked(neighbour, address)
    redis.cli("DEL", f"shop:ip_block:{other_address}")
    wait_until("it is lifted", lambda: not is_blocked(gateway, other_address), 1, every=0.005)
    # Found by the scan as well, and put back after a loss.
    gateway.stop()
    redis.cli("SET", f"shop:ip_block:{other_address}", "1", "EX", "300")
    gateway.start()
    wait_until("the scan has found it", lambda: is_blocked(gateway, other_address), 5)
    redis.cli("FLUSHALL")
    wait_until("the block is back", lambda: redis.cli("EXISTS", f"shop:ip_block:{address}") == "1", 5)
    gateway.command("unblock", address)
    wait_until("both are gone", lambda: redis.cli(
        "EXISTS", f"shop:ip_block:{address}", f"shop:login_fail:{address}") == "0", 5)
    keys = redis.cli("KEYS", "*").split()
    assert {key for key in keys if not key.startswith("shop:")} <= {"gateway:epoch"}
