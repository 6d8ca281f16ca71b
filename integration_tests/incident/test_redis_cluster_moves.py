"""Slots of a Redis Cluster that move to another master while logins come: they are followed, and nothing is lost or counted twice."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.clusters import calls, in_step, known_nodes, refusals
from harness.logins import fail, is_blocked, wrong_is_401
from harness.processes import wait_until
from harness.redis_users import health


@pytest.mark.once
def test_a_slot_moves_while_logins_come(start_gateway, start_backend, cluster, network):
    backend = start_backend(wrong_is_401)
    gateways = [start_gateway(backend, cluster.settings(deadline="2s")) for _ in range(2)]
    for gateway in gateways:
        in_step(gateway)
    source, target = cluster.masters[0], cluster.masters[2]
    address = next(cluster.addresses(source, network))
    slot = cluster.slot(f"login_fail:{address}")
    assert fail(gateways[0], address, 2) == [401, 401]
    # A single key of it: an address that is blocked, in a slot that moves.
    blocked = next(one for one in cluster.addresses(source, network, "ip_block") if one != address)
    block_slot = cluster.slot(f"ip_block:{blocked}")
    source.block(blocked)
    for moving in (slot, block_slot):
        cluster.begin_move(moving, source, target)
    assert cluster.move_keys(slot, source, target) >= 2 and cluster.move_keys(block_slot, source, target) == 1
    asked = calls(target, "asking")
    # All its keys are there already, and the slot is still the other one's: ASK. One that is nowhere yet is asked for there, too.
    cluster.masters[1].cli("EXPIRE", f"ip_block:{blocked}", "4000")
    wait_until("the longer end is known", lambda: [block for block in gateways[1].command_json("blocks")["blocks"]
                                                  if block["network"] == blocked and block["ttl_seconds"] > 3_000], 5)
    assert calls(target, "asking") > asked
    assert is_blocked(gateways[0], blocked) and is_blocked(gateways[1], blocked)
    moved = refusals(source, "MOVED")
    for moving in (slot, block_slot):
        cluster.end_move(moving, target)
    # No places are held, and the counter has come along: three more, from both.
    statuses = fail(gateways[0], address, 2) + fail(gateways[1], address, 2)
    assert statuses == [401, 401, 401, 403]
    assert refusals(source, "MOVED") > moved
    assert cluster.any().failures(address) == 5 and len(backend.requests) == 5
    assert cluster.owner(f"login_fail:{address}") is target
    for gateway in gateways:
        in_step(gateway)
        wait_until("blocked on both", lambda one=gateway: is_blocked(one, address), 2)
        assert not gateway.events("ledger.degraded") and not gateway.events("ledger.flush_detected")


@pytest.mark.once
def test_guesses_in_a_slot_that_is_half_moved(start_gateway, start_backend, cluster, network):
    """Scripts cannot run where some of their keys are here and some there: each gateway decides for that time."""
    backend = start_backend(wrong_is_401)
    gateway = start_gateway(backend, cluster.settings(deadline="2s"))
    in_step(gateway)
    source, target = cluster.masters[0], cluster.masters[1]
    address = next(cluster.addresses(source, network))
    other = next(cluster.addresses(target, network))
    slot = cluster.slot(f"login_fail:{address}")
    assert fail(gateway, address, 1) == [401]
    cluster.begin_move(slot, source, target)
    assert source.cli("MIGRATE", "127.0.0.1", str(target.port), f"login_fail:{address}", "0", "5000") == "OK"
    assert fail(gateway, address, 2) == [401, 401]
    assert refusals(source, "TRYAGAIN") + refusals(target, "TRYAGAIN") > 0
    # Nobody else notices.
    assert fail(gateway, other, 2) == [401, 401] and cluster.any().failures(other) == 2
    assert health(gateway) == "healthy"
    # A word of an operator waits, too, and is in force here meanwhile.
    word = next(one for one in cluster.addresses(source, network, "ip_block") if one != address)
    word_slot = cluster.slot(f"ip_block:{word}")
    cluster.begin_move(word_slot, source, target)
    gateway.command("block", word, "--for", "5m")
    assert is_blocked(gateway, word) and not cluster.any().blocked(word)
    for moving in (slot, word_slot):
        cluster.move_keys(moving, source, target)
        cluster.end_move(moving, target)
    wait_until("what was decided here is told", lambda: cluster.any().failures(address) == 3, 10)
    wait_until("what was said, too", lambda: cluster.any().blocked(word), 10)
    assert fail(gateway, address, 3) == [401, 401, 403]
    assert len(backend.requests) == 7


@pytest.mark.once
def test_slots_are_moved_by_the_hundred_in_a_burst_of_failed_logins(start_gateway, start_backend, cluster, network):
    gateways = [start_gateway(start_backend(wrong_is_401), cluster.settings(deadline="2s"),
                              login={"limit": 100_000, "window": "1h"}) for _ in range(2)]
    for gateway in gateways:
        in_step(gateway)
    source, target = cluster.masters[0], cluster.masters[2]
    moving = [one for one in cluster.addresses(source, network) if cluster.slot(f"login_fail:{one}") < 1_000][:6]
    received: Counter[str] = Counter()
    stopping = threading.Event()

    def guess(index: int) -> None:
        address = moving[index % len(moving)]
        while not stopping.is_set():
            assert fail(gateways[index // len(moving)], address, 3) == [401] * 3
            with lock:
                received[address] += 3

    lock = threading.Lock()
    with ThreadPoolExecutor(2 * len(moving)) as pool:
        clients = [pool.submit(guess, index) for index in range(2 * len(moving))]
        try:
            wait_until("the burst is under way", lambda: len(received) == len(moving))
            source.cli("--cluster", "reshard", f"127.0.0.1:{source.port}", "--cluster-from", cluster.id(source),
                       "--cluster-to", cluster.id(target), "--cluster-slots", "1000", "--cluster-yes")
        finally:
            stopping.set()
        for client in clients:
            client.result(60)
    for address in moving:
        assert cluster.owner(f"login_fail:{address}") is target
        wait_until("each is counted once", lambda of=address: cluster.any().failures(of) == received[of], 15)
    for gateway in gateways:
        in_step(gateway)
        assert not gateway.events("ledger.degraded") and not gateway.events("ledger.flush_detected")


def test_a_new_master_is_given_slots(start_gateway, login_backend, cluster, network):
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    source = cluster.masters[0]
    address = next(cluster.addresses(source, network))
    blocked = next(one for one in cluster.addresses(source, network, "ip_block") if one != address)
    slots = {cluster.slot(f"login_fail:{address}"), cluster.slot(f"ip_block:{blocked}")}
    assert fail(gateway, address, 2) == [401, 401]
    source.block(blocked)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, blocked), 1)
    target = cluster.add_master()
    for slot in slots:
        cluster.begin_move(slot, source, target)
        cluster.move_keys(slot, source, target)
    # Sent on to a master that CLUSTER SLOTS does not name yet.
    assert fail(gateway, address, 1) == [401]
    in_step(gateway)
    for slot in slots:
        cluster.end_move(slot, target)
    wait_until("it is one of four", lambda: len(known_nodes(gateway)) == 4, 10)
    in_step(gateway)
    wait_until("all are counted", lambda: cluster.any().failures(address) == 3, 10)
    assert is_blocked(gateway, blocked)
    source.cli("DEL", f"ip_block:{blocked}")
    wait_until("the new one tells of changes", lambda: not is_blocked(gateway, blocked), 2)
    assert fail(gateway, address, 3) == [401, 401, 403]
    assert not gateway.events("ledger.flush_detected")


@pytest.mark.once
def test_a_slot_that_is_left_half_moved_to_a_master_that_died(start_gateway, login_backend, start_cluster, network):
    cluster = start_cluster()
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    source = cluster.masters[0]
    blocked = next(cluster.addresses(source, network, "ip_block"))
    other = next(cluster.addresses(cluster.masters[1], network, "ip_block"))
    slot = cluster.slot(f"ip_block:{blocked}")
    source.block(blocked)
    wait_until("the block is in force", lambda: is_blocked(gateway, blocked), 1)
    target = cluster.add_master()
    cluster.begin_move(slot, source, target)
    target.kill()
    assert source.cli("DEL", f"ip_block:{blocked}") == "1"
    # It is looked for once. Of this one key nobody can tell whether it is there: what was known stays.
    gateway.wait_event("ledger.degraded")
    in_step(gateway)
    before = refusals(source, "ASK")
    wait_until("it is asked for again and again", lambda: refusals(source, "ASK") > before + 4, 20)
    assert is_blocked(gateway, blocked)
    # All others are heard of, and counted.
    cluster.masters[1].block(other)
    wait_until("another block is in force", lambda: is_blocked(gateway, other), 1)
    cluster.masters[1].cli("DEL", f"ip_block:{other}")
    wait_until("it is lifted", lambda: not is_blocked(gateway, other), 1)
    assert health(gateway) == "healthy" and len(gateway.events("ledger.degraded")) == 1
    assert source.cli("CLUSTER", "SETSLOT", str(slot), "STABLE") == "OK"
    wait_until("the slot is whole, and the block is lifted", lambda: not is_blocked(gateway, blocked), 5)


@pytest.mark.once
def test_slots_of_a_dead_master_that_are_given_away_empty_lift_no_revocation(start_gateway, login_backend, start_cluster):
    cluster = start_cluster(options=["--cluster-require-full-coverage", "no"])
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    first, lost, last = cluster.masters
    subjects = [f"user-{number}" for number in range(24)]
    for subject in subjects:
        gateway.command("revoke", "--sub", subject)
    wait_until("all are in Redis", lambda: sum(node.integer("DBSIZE") for node in cluster.masters) >= len(subjects) + 3, 5)
    gone = cluster.id(lost)
    slots = {subject: cluster.slot(f"revoked:sub:{subject}") for subject in subjects}
    assert any(8_192 <= slot < 10_922 for slot in slots.values()) and any(5_461 <= slot < 8_192 for slot in slots.values())
    lost.kill()
    wait_until("it is noticed", lambda: health(gateway) == "degraded", 5)
    # As redis-cli --cluster fix --cluster-fix-with-unreachable-masters does. The lowest of the slots goes to one, others to another.
    for node in (first, last):
        wait_until("it is forgotten", lambda one=node: one.cli("CLUSTER", "FORGET", gone) == "OK", 5)
    assert first.cli("CLUSTER", "ADDSLOTSRANGE", "8192", "10921") == "OK"
    assert last.cli("CLUSTER", "ADDSLOTSRANGE", "5461", "8191") == "OK"
    wait_until("both serve all slots", lambda: all(
        "cluster_slots_assigned:16384" in node.cli("CLUSTER", "INFO") for node in (first, last)), 20)
    in_step(gateway, 30)
    assert gateway.command_json("revocations")["count"] == len(subjects)
    for subject in subjects:
        wait_until("it is in Redis again", lambda of=subject: first.cli("EXISTS", f"revoked:sub:{of}") == "1", 10)
    assert gateway.command_json("revocations")["count"] == len(subjects)
    # From now on what is deleted is deleted.
    first.cli("DEL", f"revoked:sub:{subjects[0]}")
    wait_until("it is lifted", lambda: gateway.command_json("revocations")["count"] == len(subjects) - 1, 5)
