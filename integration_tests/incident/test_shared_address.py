"""An address that many people speak through, as behind a bridge that names no clients (docs/accounts.md)."""

import time

import pytest

from harness.client import json_request
from harness.processes import wait_until

pytestmark = pytest.mark.once

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def start(start_gateway, login_backend):
    def start(redis=None, **shared):
        return start_gateway(
            login_backend, redis, workers=1, login={"limit": 5},
            accounts={"member": ["username"], "limit": 3, "secret": SECRET, "shared": {"after": 20, "limit": 30, **shared}})
    return start


def login(name, password="wrong"):
    # Somebody in front names other clients, and nobody believes it.
    return json_request(
        "POST", "/auth/login", {"username": name, "password": password}, {"X-Forwarded-For": "192.0.2.1"})


def statuses(gateway, address, *logins):
    with gateway.connect(address) as client:
        return [client.ask(one).status for one in logins]


def attack(gateway, address):
    """One guesser behind the address: three guesses at each account, until the address has had as many as it may have."""
    guessed = [statuses(gateway, address, *[login(f"victim{number}")] * 4) for number in range(5)]
    assert guessed == [[401] * 3 + [429]] * 5, "each account is guarded by itself"
    assert statuses(gateway, address, *[login(f"user{number}", "right") for number in range(20)]) == [200] * 20
    assert statuses(gateway, address, login("victim0", "right")) == [429]
    # 15 failures so far.
    more = statuses(gateway, address, *[login(f"other{number}") for number in range(16)])
    assert more == [401] * 15 + [403], "it is never without protection"


def test_a_shared_address_has_a_higher_limit_while_each_account_is_counted(start, redis, address, other_address):
    one, two = start(redis), start(redis)
    # One replica has found it, and tells the others.
    redis.cli("SET", f"ip_shared:{address}", "1", "EX", "600")
    for gateway in (one, two):
        gateway.wait_event("block.shared_address", network=address)
    attack(one, address)
    assert statuses(two, address, login("user1", "right")) == [403]
    assert statuses(one, other_address, *[login(f"victim{number}") for number in range(6)]) == [401] * 5 + [403]
    redis.cli("DEL", f"ip_shared:{address}")
    one.wait_event("block.shared_address_ended", network=address)
    one.command("unblock", address)
    assert statuses(one, address, *[login(f"next{number}") for number in range(6)]) == [401] * 5 + [403]
    for useless in ["nobody", "10.0.0.0/8"]:
        redis.cli("SET", f"ip_shared:{useless}", "1")
        one.wait_event("block.unparsable_shared", key=f"ip_shared:{useless}")
    assert one.metrics()["gateway_shared_addresses"] == 0


def test_who_names_no_account_is_counted_as_one_behind_a_shared_address(start, redis, address, other_address):
    gateway = start(redis)
    redis.cli("SET", f"ip_shared:{address}", "1", "EX", "600")
    gateway.wait_event("block.shared_address", network=address)
    assert gateway.metrics()["gateway_shared_addresses"] == 1
    assert gateway.command_json("status")["shared_addresses"] == [address]
    assert f"shared {address} " in gateway.command("status").stdout
    assert gateway.wait_event("operation", action="address_shared")["context"]["actor"] == "redis"
    nameless = json_request("POST", "/auth/login", {"login": "alice", "password": "wrong"})
    assert statuses(gateway, address, *[nameless] * 5) == [401] * 3 + [429] * 2
    assert statuses(gateway, address, login("user1", "right")) == [200]
    assert statuses(gateway, other_address, *[nameless] * 6) == [401] * 5 + [403]


def test_a_shared_address_does_nothing_while_accounts_are_not_counted(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis, workers=1, login={"limit": 5})
    redis.cli("SET", f"ip_shared:{address}", "1", "EX", "600")
    assert gateway.wait_event("block.shared_address_idle", network=address)["setting"] == "accounts.member"
    told = gateway.wait_event("operation", action="address_not_shared")
    assert told["context"]["actor"] == "redis" and told["message"].endswith("it takes accounts.member")

    def is_idle():
        assert gateway.metrics()["gateway_shared_addresses"] == 0
        return gateway.command_json("status")["shared_addresses"] == []
    assert is_idle()
    assert statuses(gateway, address, *[login("alice")] * 6) == [401] * 5 + [403]
    assert not gateway.events("block.shared_address") and not gateway.events("operation", action="address_shared")
    # What it takes comes with a reload, and goes.
    accounts = {"member": ["username"], "secret": SECRET}
    gateway.write_config({**gateway.settings, "accounts": accounts})
    gateway.command("reload")
    gateway.wait_event("block.shared_address", network=address)
    assert gateway.command_json("status")["shared_addresses"] == [address]
    gateway.write_config({**gateway.settings, "accounts": {**accounts, "shared": {"after": 0}}})
    gateway.command("reload")
    gateway.wait_event("block.shared_address_ended", network=address)
    gateway.wait_event("block.shared_address_idle", network=address, setting="accounts.shared.after")
    assert is_idle()


def test_one_that_carries_everything_is_found_by_its_logins_and_not_by_its_traffic(start, address, other_address):
    honest, flooded = start(), start()
    for number in range(20):
        assert statuses(honest, address, login(f"user{number}", "right")) == [200]
        # 19 different ones, however often.
        assert statuses(flooded, other_address, login(f"user{number % 19}", "right")) == [200]

    def flood(gateway, client):
        with gateway.connect(client) as connection:
            for _ in range(300):
                assert connection.ask(login("user1", "right")).status == 200
    ends = time.monotonic() + 130

    def is_found():
        flood(honest, address)
        flood(flooded, other_address)
        return honest.events(event="block.shared_address", network=address)
    wait_until("it is found", is_found, 130, every=5)
    wait_until("the other has looked, too", lambda: flooded.events(event="traffic.one_address"), ends - time.monotonic())
    attack(honest, address)
    assert statuses(flooded, other_address, *[login(f"victim{number}") for number in range(6)]) == [401] * 5 + [403]
    assert not flooded.events(event="block.shared_address")
    # It is known again after a restart.
    honest.command("unblock", address)
    honest.stop()
    honest.start()
    assert statuses(honest, address, *[login(f"later{number}") for number in range(6)]) == [401] * 6
