"""SEC-010, failed-login burst: the runbook step by step, with its own redis-cli commands, against the demo API."""

import time

import pytest

from harness.client import json_request, request
from harness.logins import RIGHT, WRONG, fail, is_blocked
from harness.processes import wait_until


@pytest.fixture
def start(start_gateway, demo_api, redis):
    return lambda **sections: start_gateway(demo_api, redis, **sections)


def test_the_whole_runbook_with_a_short_block(start, redis, address):
    gateway = start(login={"block": "3s"})

    # 5.1 before anything: nothing is blocked and nothing counted.
    assert redis.shell('redis-cli --no-raw KEYS "ip_block:*"') == "(empty array)"
    assert redis.shell('redis-cli --no-raw KEYS "login_fail:*"') == "(empty array)"

    # The burst: five times the backend's own 401, then 403 on the very connection that carried them.
    with gateway.connect(address) as client:
        for _ in range(5):
            answer = client.ask(WRONG)
            assert (answer.status, answer.json()) == (401, {"detail": "Wrong user name or password"})
        sixth = client.ask(WRONG)
        assert (sixth.status, sixth.code) == (403, "AUTH_004")

    # 2.1 the address is blocked; the failure count expires with the block.
    assert redis.shell(f"redis-cli EXISTS ip_block:{address}") == "1"
    assert redis.shell(f"redis-cli GET login_fail:{address}") == "5"
    block, count = redis.integer("PTTL", f"ip_block:{address}"), redis.integer("PTTL", f"login_fail:{address}")
    assert 1000 < block <= 3000
    assert abs(block - count) < 250, "read one after the other, so not quite equal"

    # 2.3 from that address everything is 403; from another nothing is.
    login = json_request("POST", "/api/v1/auth/login", {"username": "alice", "password": "correct horse"})
    for ask in (login, request("GET", "/health"), request("GET", "/nowhere")):
        refused = gateway.fetch(ask, address)
        assert (refused.status, refused.code) == (403, "AUTH_004")
    assert gateway.fetch(RIGHT, "127.0.0.1").status == 200

    # Wait for the expiry: login works again, and the count begins anew.
    wait_until("the block expires", lambda: not redis.blocked(address), 5)
    wait_until("login works again", lambda: gateway.fetch(RIGHT, address).status == 200, 0.5)
    assert redis.failures(address) == 0
    assert fail(gateway, address, 1) == [401]
    assert redis.failures(address) == 1


def test_the_default_numbers(start, redis, address):
    gateway = start()
    assert fail(gateway, address, 1) == [401]
    assert 86_390 <= redis.integer("TTL", f"login_fail:{address}") <= 86_400
    assert fail(gateway, address, 5) == [401] * 4 + [403]
    assert 295 <= redis.integer("TTL", f"ip_block:{address}") <= 300
    assert 295 <= redis.integer("TTL", f"login_fail:{address}") <= 300


def test_the_window_begins_with_the_first_failure(start, redis, address):
    gateway = start(login={"window": "2s"})
    fail(gateway, address, 2)
    time.sleep(1.2)
    fail(gateway, address, 2)
    assert redis.integer("PTTL", f"login_fail:{address}") <= 1000
    wait_until("the window ends", lambda: redis.failures(address) == 0, 3)
    assert fail(gateway, address, 4) == [401] * 4


@pytest.mark.parametrize("seconds", [300, 86_400])
def test_a_block_by_hand(start, redis, address, seconds):
    gateway = start()
    assert not is_blocked(gateway, address)
    assert redis.shell(f"redis-cli SET ip_block:{address} 1 EX {seconds}") == "OK"
    wait_until("the block is in force", lambda: is_blocked(gateway, address), 0.1, every=0.002)
    assert redis.shell(f"redis-cli DEL ip_block:{address} login_fail:{address}") == "1"
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 0.1, every=0.002)


@pytest.mark.parametrize("command", [
    "SET ip_block:{0} 1", "SET ip_block:{0} ''", "HSET ip_block:{0} reason x", "RPUSH ip_block:{0} a",
    "SET ip_block:::ffff:{0} 1 EX 300", "SET ip_block:{0}/32 1 EX 300",
])
def test_any_type_and_value_of_the_key_is_a_block(start, redis, address, command):
    gateway = start()
    redis.shell("redis-cli " + command.format(address))
    wait_until("the block is in force", lambda: is_blocked(gateway, address), 0.5, every=0.005)


def test_a_block_of_a_network(start, redis, address, other_address):
    gateway = start()
    network = address.rsplit(".", 1)[0] + ".0/24"
    redis.cli("SET", f"ip_block:{network}", "1", "EX", "300")
    wait_until("the block is in force", lambda: is_blocked(gateway, address), 0.5, every=0.005)
    assert is_blocked(gateway, address.rsplit(".", 1)[0] + ".254")
    assert not is_blocked(gateway, "127.99.0.1")


def test_a_key_that_is_no_address_is_reported(start, redis):
    gateway = start()
    redis.cli("SET", "ip_block:not-an-address", "1", "EX", "300")
    wait_until("a line about it", lambda: "not-an-address" in gateway.child.log(), 2)
    assert not is_blocked(gateway, "127.0.0.1")


def test_after_a_bare_del_the_next_401_blocks_again(start, redis, address):
    gateway = start()
    fail(gateway, address, 6)
    assert redis.shell(f"redis-cli DEL ip_block:{address}") == "1"
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 0.2, every=0.005)
    assert fail(gateway, address, 2) == [401, 403]
    assert redis.blocked(address)


def test_after_del_of_both_keys_five_guesses_are_free_again(start, redis, address):
    gateway = start()
    fail(gateway, address, 6)
    redis.shell(f"redis-cli DEL ip_block:{address} login_fail:{address}")
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 0.2, every=0.005)
    assert fail(gateway, address, 6) == [401] * 5 + [403]


def test_clearing_both_families_of_keys(start, redis, address, other_address):
    gateway = start()
    fail(gateway, address, 6)
    fail(gateway, other_address, 3)
    redis.shell('redis-cli --scan --pattern "ip_block:*" | xargs -I {} redis-cli DEL {}')
    redis.shell('redis-cli --scan --pattern "login_fail:*" | xargs -I {} redis-cli DEL {}')
    assert redis.shell('redis-cli --no-raw KEYS "ip_block:*"') == "(empty array)"
    assert redis.shell('redis-cli --no-raw KEYS "login_fail:*"') == "(empty array)"
    wait_until("the user tests can run", lambda: gateway.fetch(RIGHT, address).status == 200, 0.5, every=0.005)


def test_the_gateway_never_uses_keys(start, redis, address):
    gateway = start()
    fail(gateway, address, 6)
    redis.cli("SET", "ip_block:127.9.9.9", "1", "EX", "300")
    gateway.command("blocks")
    assert "cmdstat_keys:" not in redis.cli("INFO", "commandstats")
