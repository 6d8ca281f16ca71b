"""Gateways, Redis and clients on hosts of their own: a link that is cut, clients with addresses of both families, and
many of them behind one address. Needs root, for network namespaces (harness/hosts.py)."""

from dataclasses import dataclass

import pytest

from harness.client import request
from harness.gateway import Gateway
from harness.hosts import Host, Hosts, Link, Switch, start_redis
from harness.load import together
from harness.logins import RIGHT, WRONG, wrong_is_401
from harness.processes import wait_until
from harness.programs import needed
from harness.redis import Redis

pytestmark = pytest.mark.once

HARMLESS = request("GET", "/health")
STORE = "198.18.1.2"


@dataclass
class Site:
    """A gateway on a host with a link to the clients and one to Redis; its backend is on the same host."""

    number: int
    gateway: Gateway
    to_redis: Link

    @property
    def v4(self) -> tuple[str, int]:
        return f"198.18.0.{10 + self.number}", 8080

    @property
    def v6(self) -> tuple[str, int]:
        return f"2001:db8::{10 + self.number}", 8080

    @property
    def state(self) -> str:
        return self.gateway.command_json("status")["ledger"]["state"]


@dataclass
class World:
    hosts: Hosts
    street: Switch
    redis: Redis
    sites: list[Site]

    def client(self, *addresses: str) -> Host:
        """A host at the street with all of these addresses."""
        host = self.hosts.host()
        self.street.plug(host, *(f"{one}/48" if ":" in one else f"{one}/24" for one in addresses))
        return host


@pytest.fixture
def hosts():
    hosts = Hosts()
    yield hosts
    hosts.close()


@pytest.fixture
def world(hosts, start_gateway, start_backend, directory):
    street, cellar, store = hosts.switch(), hosts.switch(), hosts.host()
    cellar.plug(store, f"{STORE}/24")
    redis = start_redis(store, STORE, directory)
    sites = []
    for number in range(3):
        host = hosts.host()
        street.plug(host, f"198.18.0.{10 + number}/24", f"2001:db8::{10 + number}/48")
        to_redis = cellar.plug(host, f"198.18.1.{10 + number}/24")
        with host.inside():
            backend = start_backend(wrong_is_401)
        listen = [f"198.18.0.{10 + number}:8080", f"[2001:db8::{10 + number}]:8080"]
        gateway = start_gateway(backend, {"address": f"{STORE}:6379"}, prefix=host.prefix, listen=listen)
        sites.append(Site(number, gateway, to_redis))
    wait_until("all are in step", lambda: {site.state for site in sites} == {"connected"})
    yield World(hosts, street, redis, sites)
    redis.stop()


def statuses(client: Host, address: tuple[str, int], data: bytes, count: int, source: str | None = None) -> list[int]:
    return [client.fetch(address, data, source).status for _ in range(count)]


def is_blocked(client: Host, address: tuple[str, int], source: str | None = None) -> bool:
    return client.fetch(address, HARMLESS, source).status == 403


def test_one_replica_s_link_to_redis_is_cut_while_the_others_go_on(world):
    first, second, lonely = world.sites
    names = known, guesser, wanderer, later = [f"198.18.0.{number}" for number in (50, 51, 52, 53)]
    client = world.client(*names)
    world.redis.block(known)
    wait_until("all know the block", lambda: all(is_blocked(client, site.v4, known) for site in world.sites), 2)
    assert statuses(client, first.v4, WRONG, 2, wanderer) == [401] * 2
    assert statuses(client, lonely.v4, WRONG, 1, wanderer) == [401]

    lonely.to_redis.cut()
    wait_until("it is noticed", lambda: lonely.state == "degraded", 5)
    assert client.fetch(lonely.v4, HARMLESS, wanderer).json()["status"] == "degraded"
    # The others count together, and their block is in force on both at once.
    assert statuses(client, first.v4, WRONG, 3, guesser) + statuses(client, second.v4, WRONG, 3, guesser) == \
        [401] * 5 + [403]
    wait_until("both refuse", lambda: is_blocked(client, first.v4, guesser), 1)
    world.redis.block(later)
    wait_until("both know a new block", lambda: all(is_blocked(client, one.v4, later) for one in (first, second)), 1)
    # The lonely one knows what it knew, and counts by itself, from the last count on.
    assert is_blocked(client, lonely.v4, known)
    assert statuses(client, lonely.v4, WRONG, 3, wanderer) == [401, 401, 403]
    assert statuses(client, lonely.v4, RIGHT, 1, later) == [200]
    assert not is_blocked(client, lonely.v4, later)
    assert {first.state, second.state} == {"connected"}

    lonely.to_redis.mend()
    wait_until("it is in step again", lambda: lonely.state == "connected", 10)
    wait_until("all know everything", lambda: all(
        is_blocked(client, site.v4, one) for site in world.sites for one in names), 5)
    assert world.redis.failures(wanderer) == 5
    assert world.redis.failures(guesser) == 5
    assert all(world.redis.integer("TTL", f"login_fail:{one}") > 0 for one in (wanderer, guesser))


def test_clients_of_both_families_are_counted_for_what_they_are(world):
    home = [f"2001:db8:0:5::{number}" for number in range(1, 5)]
    client = world.client("198.18.0.60", "198.18.0.61", *home, "2001:db8:0:6::1")
    # One house has a /64: whichever of its addresses guesses, at whichever gateway.
    tries = [(site, source) for site, source in zip(world.sites * 2, home[:3] * 2, strict=True)]
    assert [client.fetch(site.v6, WRONG, source).status for site, source in tries] == [401] * 5 + [403]
    assert world.redis.failures("2001:db8:0:5::/64") == 5
    assert world.redis.blocked("2001:db8:0:5::/64")
    wait_until("the house is blocked everywhere", lambda: all(
        is_blocked(client, site.v6, source) for site in world.sites for source in home), 1)
    # Its neighbour is not, nor is the same machine by IPv4: that is another address.
    for site in world.sites:
        assert not is_blocked(client, site.v6, "2001:db8:0:6::1")
        assert not is_blocked(client, site.v4, "198.18.0.60")
    assert statuses(client, world.sites[0].v4, WRONG, 6, "198.18.0.60") == [401] * 5 + [403]
    assert not is_blocked(client, world.sites[0].v4, "198.18.0.61")


def test_many_behind_one_address_log_in_until_one_of_them_has_used_up_the_guesses(world):
    iptables = needed("/usr/sbin/iptables")
    inner = world.hosts.switch()
    router, guesser, *others = (world.hosts.host() for _ in range(6))
    world.street.plug(router, "198.18.0.70/24")
    inner.plug(router, "198.18.2.1/24")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    router.run(iptables, "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE")
    for number, host in enumerate((guesser, *others)):
        inner.plug(host, f"198.18.2.{10 + number}/24")
        host.run("ip", "route", "add", "default", "via", "198.18.2.1")

    def log_in(index: int) -> list[int]:
        host, site = others[index % len(others)], world.sites[index % 3]
        return statuses(host, site.v4, RIGHT, 5)

    def guess(index: int) -> list[int]:
        return statuses(guesser, world.sites[index].v4, WRONG, 2 if index == 0 else 1)

    # Twelve at once, of one address, where five may be under way: they wait for each other. Nobody is refused.
    told = together(15, lambda index: guess(index) if index < 3 else log_in(index))
    assert sum(told[:3], []) == [401] * 4
    assert sum(told[3:], []) == [200] * 60
    assert world.redis.failures("198.18.0.70") == 4
    assert statuses(guesser, world.sites[0].v4, WRONG, 1) == [401]
    wait_until("the address is blocked everywhere", lambda: all(
        is_blocked(others[0], site.v4) for site in world.sites), 1)
    assert statuses(others[0], world.sites[1].v4, RIGHT, 1) == [403], "the price of counting by address"
    world.sites[2].gateway.command("unblock", "198.18.0.70")
    wait_until("all are let in again", lambda: not any(is_blocked(others[0], site.v4) for site in world.sites), 1)
    assert statuses(others[1], world.sites[0].v4, RIGHT, 1) == [200]
