"""Who is counted and blocked when there are proxies between: X-Forwarded-For is walked from the right."""

import pytest

from harness.client import json_request
from harness.logins import fail, is_blocked
from harness.processes import wait_until

PROXY = "127.66.0.1"


def wrong_via(*forwarded: str) -> bytes:
    fields = {"X-Forwarded-For": ", ".join(forwarded)} if forwarded else {}
    return json_request("POST", "/auth/login", {"password": "wrong"}, fields)


@pytest.fixture
def start(start_gateway, login_backend, redis):
    def start(**sections):
        return start_gateway(login_backend, redis, **{"trusted_proxies": ["127.66.0.0/16"], **sections})
    return start


def test_behind_a_trusted_proxy_the_client_is_counted(start, redis):
    gateway = start()
    for _ in range(5):
        gateway.fetch(wrong_via("203.0.113.7"), PROXY)
    assert redis.failures("203.0.113.7") == 5
    assert redis.failures(PROXY) == 0
    blocked = gateway.fetch(wrong_via("203.0.113.7"), PROXY)
    assert (blocked.status, blocked.code) == (403, "AUTH_004")
    assert gateway.fetch(wrong_via("203.0.113.8"), PROXY).status == 401, "others behind the proxy go on"


def test_what_stands_left_of_the_last_untrusted_address_is_hearsay(start, redis):
    gateway = start()
    for number in range(5):
        gateway.fetch(wrong_via(f"198.51.100.{number}", "203.0.113.7", "127.66.0.9"), PROXY)
    assert redis.failures("203.0.113.7") == 5
    assert redis.shell('redis-cli --scan --pattern "login_fail:198.*"') == ""


def test_a_stranger_s_x_forwarded_for_is_not_believed(start, redis, address):
    gateway = start()
    for number in range(5):
        gateway.fetch(wrong_via(f"198.51.100.{number}"), address)
    assert redis.failures(address) == 5
    assert gateway.fetch(wrong_via("198.51.100.99"), address).status == 403


def test_a_trusted_proxy_without_the_field_is_its_own_client_but_never_blocked(start, redis):
    gateway = start()
    assert fail(gateway, PROXY, 8) == [401] * 8
    assert not redis.blocked(PROXY)


@pytest.mark.parametrize("nonsense", ["unknown", "203.0.113.7.9", "_hidden", "999.1.1.1", "0.0.0.0"])
def test_an_unreadable_entry_ends_the_walk_and_never_gives_an_empty_address(start, redis, nonsense):
    gateway = start()
    assert gateway.fetch(wrong_via("198.51.100.1", nonsense), PROXY).status == 401
    keys = redis.shell('redis-cli --scan --pattern "login_fail:*"').split()
    assert set(keys) <= {f"login_fail:{PROXY}"}


def test_an_empty_element_is_ignored(start, redis):
    """RFC 9110 §5.6.1.2."""
    gateway = start()
    gateway.fetch(wrong_via("203.0.113.9", ""), PROXY)
    assert redis.failures("203.0.113.9") == 1


@pytest.mark.parametrize(("written", "canonical"), [
    ("::ffff:203.0.113.9", "203.0.113.9"), ("203.0.113.9:4711", "203.0.113.9"),
])
def test_an_address_has_one_spelling(start, redis, written, canonical):
    gateway = start()
    gateway.fetch(wrong_via(written), PROXY)
    assert redis.failures(canonical) == 1


def test_a_hand_set_key_in_another_spelling_means_the_same_address(start, redis):
    gateway = start()
    redis.cli("SET", "ip_block:2001:DB8:0:0::1", "1", "EX", "300")
    wait_until(
        "the block is in force",
        lambda: gateway.fetch(wrong_via("2001:db8::1"), PROXY).status == 403, 0.5, every=0.005)


def test_loopback_is_blocked_unless_a_trusted_proxy_contains_it(start_gateway, login_backend, redis):
    strict = start_gateway(login_backend, redis)
    assert fail(strict, "127.0.0.1", 6) == [401] * 5 + [403]
    redis.cli("DEL", "ip_block:127.0.0.1", "login_fail:127.0.0.1")
    lenient = start_gateway(login_backend, redis, trusted_proxies=["127.0.0.0/8"])
    assert fail(lenient, "127.0.0.1", 8) == [401] * 8


def test_no_rule_blocks_an_address_of_the_never_block_list(start, redis, address):
    gateway = start(never_block=[f"{address}/32"])
    assert fail(gateway, address, 8) == [401] * 8
    assert not redis.blocked(address)


def test_the_never_block_list_wins_over_a_hand_set_key(start, redis, address, other_address):
    gateway = start(never_block=[f"{address}/32"])
    redis.block(address)
    redis.block(other_address)
    wait_until("the other block is in force", lambda: is_blocked(gateway, other_address), 0.5, every=0.005)
    assert not is_blocked(gateway, address)


def test_ipv6_clients(start, redis, login_backend):
    gateway = start(listen=["[::1]:0"])
    assert fail(gateway, "::1", 6) == [401] * 5 + [403]
    assert redis.blocked("::1")
