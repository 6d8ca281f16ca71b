"""Blocks of networks, and failed logins of IPv6 clients, which have more addresses than one (docs/runbook-sec-010.md)."""

import pytest

from harness.client import json_request, request
from harness.processes import wait_until

PROXY = "127.66.0.1"
HOME = "2001:db8:1:2"


@pytest.fixture
def start(start_gateway, login_backend):
    def start(redis=None, **sections):
        return start_gateway(login_backend, redis, **{"trusted_proxies": ["127.66.0.0/16"], **sections})
    return start


def wrong(gateway, client: str) -> int:
    """A wrong login of a client behind the proxy."""
    message = json_request("POST", "/auth/login", {"password": "wrong"}, {"X-Forwarded-For": client})
    return gateway.fetch(message, PROXY).status


def harmless(client: str) -> bytes:
    return request("GET", "/health", {"X-Forwarded-For": client})


def status(gateway, client: str) -> int:
    return gateway.fetch(harmless(client), PROXY).status


def restart(gateway) -> None:
    gateway.stop()
    gateway.start()


def soon(what: str, probe) -> None:
    wait_until(what, probe, 0.5, every=0.005)


@pytest.mark.parametrize(("network", "inside", "outside"), [
    ("203.0.113.0/24", "203.0.113.200", "203.0.112.255"),
    ("2001:db8:7::/48", "2001:db8:7:ffff::1", "2001:db8:8::1"),
    ("2001:DB8:7:0::/48", "2001:db8:7::9", "2001:db8:6:ffff::1"),
    ("::/1", "2001:db8::1", "203.0.113.7"),
])
def test_a_key_of_a_network_blocks_it_on_open_connections_of_all_replicas(start, redis, network, inside, outside):
    gateways = [start(redis), start(redis)]
    with gateways[0].connect(PROXY) as first, gateways[1].connect(PROXY) as second:
        assert [one.ask(harmless(inside)).status for one in (first, second)] == [200, 200]
        redis.block(network)
        soon("blocked", lambda: [one.ask(harmless(inside)).status for one in (first, second)] == [403, 403])
        assert [one.ask(harmless(outside)).status for one in (first, second)] == [200, 200]
        redis.cli("DEL", f"ip_block:{network}")
        soon("free", lambda: [one.ask(harmless(inside)).status for one in (first, second)] == [200, 200])


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_a_network_is_blocked_by_command_and_stays_so_over_a_restart(start, redis, where):
    gateway = start(redis if where == "redis" else None)
    gateway.command("block", f"{HOME}::/64", "--for", "1h", "--reason", "INC-123")
    gateway.command("block", "203.0.113.0/24", "--for", "1h")
    assert [status(gateway, one) for one in (f"{HOME}::9", "203.0.113.9", "203.0.114.9")] == [403, 403, 200]
    if where == "redis":
        assert redis.blocked(f"{HOME}::/64") and redis.blocked("203.0.113.0/24")
        redis.kill()
    restart(gateway)
    assert [status(gateway, one) for one in (f"{HOME}::9", "203.0.113.9", "203.0.114.9")] == [403, 403, 200]
    gateway.command("unblock", "203.0.113.0/24")
    assert [status(gateway, one) for one in (f"{HOME}::9", "203.0.113.9")] == [403, 200]


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_guesses_of_an_ipv6_client_that_walks_through_its_64_are_one_count(start, redis, where):
    gateway = start(redis if where == "redis" else None)
    assert [wrong(gateway, f"{HOME}::{number:x}") for number in range(1, 7)] == [401] * 5 + [403]
    assert status(gateway, f"{HOME}:ffff:ffff:ffff:ffff") == 403
    assert status(gateway, "2001:db8:1:3::1") == 200, "the neighbour's network is another"
    if where == "redis":
        assert redis.failures(f"{HOME}::/64") == 5
        assert redis.blocked(f"{HOME}::/64")
        assert redis.shell('redis-cli --scan --pattern "ip_block:*"') == f"ip_block:{HOME}::/64"
        assert redis.shell('redis-cli --scan --pattern "login_fail:*"') == f"login_fail:{HOME}::/64"
    failed = gateway.wait_event("security.auth_failure", client_ip=f"{HOME}::5")
    assert failed["context"]["counted_for"] == f"{HOME}::/64"
    assert failed["context"]["failed_attempts"] == 5
    gateway.wait_event("security.block_set", action="ip_blocked", client_ip=f"{HOME}::/64")
    assert [one["network"] for one in gateway.command_json("blocks")["blocks"]] == [f"{HOME}::/64"]

    assert gateway.command("unblock", f"{HOME}::5").stdout == (
        f"{HOME}::5 has no block of its own, but it is within {HOME}::/64, which is blocked; its failed logins are "
        f"counted for {HOME}::/64: unblock that to forget them\n")
    gateway.command("unblock", f"{HOME}::/64")
    assert [wrong(gateway, f"{HOME}::{number:x}") for number in range(1, 7)] == [401] * 5 + [403], "all is forgotten"


def test_bare_deletion_of_the_block_of_a_prefix_lets_one_guess_through(start, redis):
    gateway = start(redis)
    for number in range(1, 6):
        wrong(gateway, f"{HOME}::{number:x}")
    redis.cli("DEL", f"ip_block:{HOME}::/64")
    soon("free", lambda: status(gateway, f"{HOME}::77") == 200)
    assert [wrong(gateway, f"{HOME}::77"), wrong(gateway, f"{HOME}::78")] == [401, 403]
    redis.cli("DEL", f"ip_block:{HOME}::/64", f"login_fail:{HOME}::/64")
    soon("free", lambda: status(gateway, f"{HOME}::77") == 200)
    assert [wrong(gateway, f"{HOME}::77"), wrong(gateway, f"{HOME}::78")] == [401, 401]


def test_counters_of_prefixes_survive_a_restart_and_an_outage(start, redis):
    gateway = start()
    assert [wrong(gateway, f"{HOME}::{number:x}") for number in range(1, 4)] == [401] * 3
    restart(gateway)
    assert [wrong(gateway, f"{HOME}:8::{number:x}") for number in range(1, 4)] == [401, 401, 403]

    shared = start(redis)
    assert [wrong(shared, f"{HOME}::{number:x}") for number in range(1, 4)] == [401] * 3
    redis.kill()
    assert [wrong(shared, f"{HOME}:8::{number:x}") for number in range(1, 4)] == [401, 401, 403]
    redis.start()
    wait_until("what was counted in between is carried over", lambda: redis.blocked(f"{HOME}::/64"), 10)


def test_each_ipv6_address_by_itself_where_that_is_set(start, redis):
    gateway = start(redis, login={"ipv6_prefix": 128})
    assert [wrong(gateway, f"{HOME}::{number:x}") for number in range(1, 8)] == [401] * 7
    assert [wrong(gateway, f"{HOME}::1") for _ in range(5)] == [401] * 4 + [403]
    assert redis.blocked(f"{HOME}::1")
    assert status(gateway, f"{HOME}::2") == 200


def test_a_neighbour_that_is_never_blocked_does_not_use_up_the_guesses_of_its_prefix(start, redis):
    gateway = start(redis, never_block=[f"{HOME}::1"])
    assert [wrong(gateway, f"{HOME}::1") for _ in range(8)] == [401] * 8
    assert redis.failures(f"{HOME}::1") == 8
    assert [wrong(gateway, f"{HOME}::2") for _ in range(6)] == [401] * 5 + [403]
    assert status(gateway, f"{HOME}::1") == 200, "it wins over the block of its prefix"


def test_the_evidence_of_a_prefix_has_each_of_its_addresses(start, redis):
    gateway = start(redis)
    message = json_request("POST", "/auth/login", {"password": "correct horse"}, {"X-Forwarded-For": f"{HOME}::1"})
    assert gateway.fetch(message, PROXY).status == 200
    assert [wrong(gateway, f"{HOME}:{number}::9") for number in range(1, 7)] == [401] * 5 + [403]

    def evidence() -> dict[str, set[str]]:
        """As `.client_ip==$ip or .context.counted_for==$ip` of the runbook selects it."""
        found: dict[str, set[str]] = {}
        for line in gateway.lines():
            if f"{HOME}::/64" in (line.get("client_ip"), line.get("context", {}).get("counted_for")):
                found.setdefault(line["action"], set()).add(line["client_ip"])
        return found

    wait_until("all is there", lambda: evidence() == {
        "auth_succeeded": {f"{HOME}::1"}, "auth_failed": {f"{HOME}:{number}::9" for number in range(1, 6)},
        "brute_force_detected": {f"{HOME}:5::9"}, "ip_blocked": {f"{HOME}::/64"}, "blocked_request": {f"{HOME}:6::9"},
    })


def test_the_record_of_a_refused_request_names_the_network_that_is_blocked(start, redis):
    gateway = start(redis)
    redis.block("203.0.113.0/24")
    soon("blocked", lambda: status(gateway, "203.0.113.7") == 403)
    redis.block("198.51.100.7")
    soon("blocked", lambda: status(gateway, "198.51.100.7") == 403)
    held = gateway.wait_event(action="blocked_request", client_ip="203.0.113.7")
    assert held["context"]["counted_for"] == "203.0.113.0/24"
    assert "counted_for" not in gateway.wait_event(action="blocked_request", client_ip="198.51.100.7")["context"]
