"""Rate limits that replicas share through a Redis Cluster: each bucket is one key, on whichever master, and may move."""

import itertools

import pytest

from harness.clusters import calls, refusals
from harness.processes import wait_until
from harness.rate_limits import DAY, SLOW, passes, told_all

LIMITS = {"per_address": {**SLOW, "burst": 2}, "shared": True}


def bucket(address: str) -> str:
    return f"rate:per_address@{address}"


def addresses(cluster, node, network):
    """Client addresses whose buckets are on the node."""
    return (one for number in range(1, 255) if cluster.owner(bucket(one := f"{network}.{number}")) is node)


@pytest.fixture
def replicas(start_gateway, login_backend, cluster):
    gateways = [start_gateway(login_backend, cluster.settings(), rate_limits=LIMITS) for _ in range(2)]
    for gateway in gateways:
        # Not by /health, which is counted as well.
        wait_until("it is in step", lambda one=gateway: one.command_json("status")["ledger"]["state"] == "connected", 20)
    return gateways


def waits_for(gateway, address) -> int:
    """Days, rounded, until there is a token again."""
    refused = gateway.get("/", address)
    assert refused.status == 429
    return round(int(refused.field("Retry-After")) / DAY)


@pytest.mark.once
def test_a_bucket_is_shared_whichever_master_has_it(replicas, cluster, network):
    one, other = replicas
    clients = [next(addresses(cluster, node, network)) for node in cluster.masters]
    for count, client in enumerate(clients, 1):
        assert [passes(one, source=client) for _ in range(3)] == [True, True, False]
        told_all(one, 2 * count)
        assert passes(other, source=client), "it has not heard of anything"
        told_all(other, count)
        assert waits_for(other, client) == 2, "three are taken of two"
    for node, client in zip(cluster.masters, clients, strict=True):
        assert cluster.owner(bucket(client)) is node and cluster.any().integer("PTTL", bucket(client)) > 2 * DAY * 1_000
    assert not any(gateway.events("limits.sharing_failed") for gateway in replicas)


@pytest.mark.once
def test_a_bucket_whose_slot_moves_is_followed(replicas, cluster, network):
    one, other = replicas
    source, target = cluster.masters[0], cluster.masters[2]
    known, new = itertools.islice(addresses(cluster, source, network), 2)
    assert passes(one, source=known)
    told_all(one, 1)
    slots = [cluster.slot(bucket(client)) for client in (known, new)]
    for slot in slots:
        cluster.begin_move(slot, source, target)
    assert cluster.move_keys(slots[0], source, target) == 1
    # One has moved, the other is nowhere yet: both are asked for where the slots are going, which has never seen the script.
    asked = calls(target, "asking")
    for client in (known, new):
        assert passes(one, source=client)
    told_all(one, 3)
    assert calls(target, "asking") >= asked + 2
    for client in (known, new):
        assert target.cli("GET", bucket(client)), "the slot is on its way, and its keys are there"
    for slot in slots:
        cluster.end_move(slot, target)
    moved = refusals(source, "MOVED")
    for client in (known, new):
        assert passes(other, source=client)
    told_all(other, 2)
    assert refusals(source, "MOVED") > moved
    assert (waits_for(other, known), passes(other, source=new)) == (2, False)
    for gateway in replicas:
        assert not gateway.events("limits.sharing_failed") and not gateway.events("ledger.degraded")
