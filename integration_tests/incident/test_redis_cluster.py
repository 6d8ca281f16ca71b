"""Redis Cluster: keys in several masters, and masters that die or lose their data; nobody gets another guess for it."""

import itertools
import signal
import threading

import pytest

from harness.certificates import Authority
from harness.clusters import in_step, known_nodes, one_of_each
from harness.load import Load, together
from harness.logins import WRONG, block_by_burst, fail, is_blocked, wrong_is_401
from harness.processes import wait_until
from harness.redis_users import SECRET, documented_rule, health, reason


def test_five_wrong_logins_block_on_whichever_master(start_gateway, login_backend, cluster, network):
    gateways = [start_gateway(login_backend, cluster.settings()) for _ in range(2)]
    for gateway in gateways:
        in_step(gateway)
    any_node = cluster.masters[0]
    for address in one_of_each(cluster, network):
        block_by_burst(gateways[0], address)
        wait_until("it is blocked on the other, too", lambda one=address: is_blocked(gateways[1], one), 1)
        assert any_node.failures(address) == 5 and any_node.blocked(address)
        assert abs(any_node.integer("PTTL", f"ip_block:{address}") - any_node.integer("PTTL", f"login_fail:{address}")) < 1_500
    assert {block["network"] for block in gateways[1].command_json("blocks")["blocks"]} == set(one_of_each(cluster, network))
    # Of all masters together.
    wait_until("it is known what they hold", lambda: gateways[0].metrics().get("gateway_redis_keys", 0) >= 9, 15)
    keys = sum(node.integer("DBSIZE") for node in cluster.masters)
    wait_until("all their keys", lambda: gateways[0].metrics()["gateway_redis_keys"] == keys, 15)
    assert {node["slots"] for node in known_nodes(gateways[0]).values()} == {5461, 5462}
    assert {node["status"] for node in known_nodes(gateways[0]).values()} == {"healthy"}
    up = [value for name, value in gateways[0].metrics().items() if name.startswith("gateway_redis_node_up{")]
    assert up == [1, 1, 1]


@pytest.mark.once
@pytest.mark.parametrize("replicas", [2, 3])
def test_of_1000_parallel_wrong_guesses_exactly_5_reach_the_backend(
        start_gateway, start_backend, cluster, address, replicas):
    backend = start_backend(wrong_is_401)
    gateways = [start_gateway(backend, cluster.settings(deadline="10s")) for _ in range(replicas)]
    for gateway in gateways:
        in_step(gateway)

    def guesses(index: int) -> list[int]:
        with gateways[index % replicas].connect(address, timeout=60) as client:
            return [client.ask(WRONG).status for _ in range(5)]

    statuses = [status for some in together(200, guesses) for status in some]
    assert len(statuses) == 1_000 and set(statuses) <= {401, 403, 429}
    assert (len(backend.requests), statuses.count(401)) == (5, 5)
    for gateway in gateways:
        wait_until("the block is in force", lambda one=gateway: is_blocked(one, address), 2)
    assert cluster.any().failures(address) == 5


def test_what_is_set_and_deleted_by_hand_holds_everywhere(start_gateway, login_backend, cluster, network):
    gateways = [start_gateway(login_backend, cluster.settings()) for _ in range(2)]
    for gateway in gateways:
        in_step(gateway)
    for address in one_of_each(cluster, network, "ip_block"):
        assert cluster.owner(f"ip_block:{address}") in cluster.masters
        cluster.masters[0].block(address)
        for gateway in gateways:
            wait_until("the block is in force", lambda one=gateway, of=address: is_blocked(one, of), 1, every=0.005)
        cluster.masters[1].cli("DEL", f"ip_block:{address}")
        for gateway in gateways:
            wait_until("it is lifted", lambda one=gateway, of=address: not is_blocked(one, of), 1, every=0.005)
    # What was there before the gateway is found by the scan of each master.
    before = one_of_each(cluster, network, "ip_block")
    gateways[0].stop()
    for address in before:
        cluster.masters[0].block(address)
    gateways[0].start()
    for address in before:
        wait_until("the scan has found it", lambda of=address: is_blocked(gateways[0], of), 10)


def test_what_operators_say_is_kept_on_whichever_master(start_gateway, login_backend, cluster, network):
    gateways = [start_gateway(login_backend, cluster.settings()) for _ in range(2)]
    for gateway in gateways:
        in_step(gateway)
    first, second = gateways
    # Braces in a name move its hash tag, and with it the slot of its mark.
    subjects = ["alice", "bob", "{carol}", "da}ve", "{er{in}", "fr{a}nk"]
    for subject in subjects:
        first.command("revoke", "--sub", subject)
    for address in one_of_each(cluster, network, "ip_block"):
        first.command("block", address, "--for", "5m")
        wait_until("it is blocked", lambda of=address: is_blocked(second, of), 1)
        second.command("unblock", address)
        wait_until("it is not", lambda of=address: not is_blocked(first, of), 1)
        assert cluster.any().cli("EXISTS", f"gateway:said:{{ip_block:{address}}}") == "1"
    wait_until("all are revoked", lambda: second.command_json("revocations")["count"] == len(subjects), 2)
    for subject in subjects:
        second.command("unrevoke", "--sub", subject)
    wait_until("none is", lambda: first.command_json("revocations")["count"] == 0, 2)
    first.command("allow", "192.0.2.0/24", "--for", "5m")
    wait_until("it is allowed", lambda: second.command_json("allowed")["allowances"], 2)
    for address in one_of_each(cluster, network):
        assert fail(first, address, 2) == [401, 401]
    first.command("unblock", "--all")
    wait_until("all counts are gone", lambda: all(
        cluster.any().failures(address) == 0 for address in one_of_each(cluster, network)), 5)
    assert not first.events("ledger.degraded") and not second.events("ledger.degraded")


@pytest.mark.once
@pytest.mark.parametrize("way", ["killed", "hung"])
def test_a_master_dies_in_a_burst_of_failed_logins(start_gateway, start_backend, start_cluster, network, way):
    sent = 0
    lock = threading.Lock()

    def count(exchange):
        nonlocal sent
        with lock:
            sent += 1
        return wrong_is_401(exchange)

    cluster = start_cluster(replicas=True)
    gateway = start_gateway(start_backend(count), cluster.settings(), login={"limit": 100_000, "window": "1h"})
    in_step(gateway)
    victim, replica = cluster.masters[1], cluster.replicas[1]
    address = next(cluster.addresses(victim, network))
    blocked = next(one for one in cluster.addresses(victim, network, "ip_block") if one != address)
    victim.block(blocked)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, blocked), 1)
    name = f"127.0.0.1:{victim.port}"
    open_block = []
    with Load(gateway.address, WRONG, 4, source=address, pause=0.03) as load:
        wait_until("the burst is under way", lambda: sent > 50)
        if way == "killed":
            victim.kill()
        else:
            victim.process.signal(signal.SIGSTOP)
        wait_until("it is told which one is away", lambda: name in reason(gateway), 10)
        assert known_nodes(gateway)[name]["status"] == "away" and known_nodes(gateway)[name]["reason"]
        assert gateway.metrics()[f'gateway_redis_node_up{{node="{name}"}}'] == 0
        wait_until("the replica is the master", lambda: open_block.append(is_blocked(gateway, blocked)) or
                   cluster.owner(f"login_fail:{address}") is replica, 30)
        in_step(gateway)
        before = sent
        wait_until("the burst goes on", lambda: sent > before + 50)
        samples = load.stop()
    assert all(open_block)
    received = sum(sample.status == 401 for sample in samples)
    assert not [sample for sample in samples if sample.status >= 500]
    wait_until("all are counted", lambda: received <= replica.failures(address), 10)
    assert replica.failures(address) <= sent
    assert is_blocked(gateway, blocked)
    assert f"127.0.0.1:{replica.port}" in known_nodes(gateway) and name not in known_nodes(gateway)
    if way == "hung":
        victim.process.signal(signal.SIGCONT)
        wait_until("it has become a replica", lambda: "role:slave" in victim.cli("INFO", "replication"), 20)
        in_step(gateway)
        before = replica.failures(address)
        assert fail(gateway, address, 1) == [401]
        assert replica.failures(address) == before + 1


@pytest.mark.once
def test_an_orderly_failover_and_words_that_the_new_master_never_heard(
        start_gateway, login_backend, start_cluster, network):
    cluster = start_cluster(replicas=True)
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    master, replica = cluster.masters[0], cluster.replicas[0]
    address, other = itertools.islice(cluster.addresses(master, network), 2)
    block_by_burst(gateway, address)
    assert fail(gateway, other, 3) == [401] * 3
    wait_until("the replica takes its place", lambda: replica.cli("CLUSTER", "FAILOVER") == "OK")
    wait_until("it has", lambda: cluster.owner(f"login_fail:{address}") is replica, 20)
    # As if the last words had not reached it.
    for key in (f"login_fail:{other}", f"login_seen:{{login_fail:{other}}}"):
        replica.cli("DEL", key)
    assert fail(gateway, other, 1) == [401]
    in_step(gateway)
    wait_until("the failures are there", lambda: replica.failures(other) == 4, 10)
    assert fail(gateway, other, 2) == [401, 403]
    assert is_blocked(gateway, address)
    assert not gateway.events("ledger.flush_detected")


@pytest.mark.once
def test_the_whole_cluster_is_away_and_comes_back(start_gateway, login_backend, start_cluster, network):
    cluster = start_cluster(options=["--appendonly", "yes"])
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    addresses = one_of_each(cluster, network)
    for address in addresses:
        assert fail(gateway, address, 2) == [401, 401]
    for node in cluster.masters:
        node.kill()
    wait_until("it is noticed", lambda: health(gateway) == "degraded", 5)
    for address in addresses:
        assert fail(gateway, address, 4) == [401, 401, 401, 403]
    by_command = f"{network}.254"
    gateway.command("block", by_command, "--for", "5m")
    wait_until("all are told to be away", lambda: {node["status"] for node in known_nodes(gateway).values()} == {"away"}, 10)
    for node in cluster.masters:
        node.start()
    cluster.wait_ok()
    in_step(gateway)
    for address in addresses:
        wait_until("the block is in Redis", lambda of=address: cluster.any().blocked(of), 10)
        wait_until("the failures are, too", lambda of=address: cluster.any().failures(of) == 5, 10)
    wait_until("what the operator said, too", lambda: cluster.any().blocked(by_command), 10)


@pytest.mark.once
@pytest.mark.parametrize("way", ["flushed", "restarted empty"])
def test_one_master_loses_its_data(start_gateway, login_backend, start_cluster, network, way):
    # The others answer for their slots meanwhile.
    cluster = start_cluster(options=["--cluster-require-full-coverage", "no"])
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    lost, kept = cluster.masters[0], cluster.masters[1]
    here = next(cluster.addresses(lost, network, "ip_block"))
    by_hand = next(one for one in cluster.addresses(lost, network, "ip_block") if one != here)
    there, lifted = itertools.islice(cluster.addresses(kept, network, "ip_block"), 2)
    for address in (here, there, lifted):
        block_by_burst(gateway, address)
    lost.block(by_hand)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, by_hand), 1)
    if way == "flushed":
        lost.cli("FLUSHALL")
    else:
        lost.kill()
        wait_until("it is noticed", lambda: health(gateway) == "degraded", 5)
        # Meanwhile somebody lifts a block on another master, which has lost nothing. Nobody hears of it.
        assert kept.cli("DEL", f"ip_block:{lifted}") == "1"
        lost.start()
        cluster.wait_ok()
    wait_until("what the rule has set is back", lambda: cluster.any().blocked(here), 15)
    in_step(gateway)
    assert gateway.wait_event("ledger.flush_detected")["restored"] == 1
    assert is_blocked(gateway, here) and is_blocked(gateway, there)
    assert not is_blocked(gateway, by_hand)
    assert is_blocked(gateway, lifted) == (way == "flushed")
    assert lost.integer("TTL", f"ip_block:{here}") > 250


def test_a_user_with_the_documented_rights_and_a_prefix(start_gateway, login_backend, cluster, network, directory):
    path = directory / "redis-password"
    path.write_text(SECRET)
    path.chmod(0o600)
    rule = [word.replace("~", "~shop:") for word in documented_rule()]

    def make_user(*changes: str) -> None:
        for node in cluster.masters:
            assert node.cli("ACL", "SETUSER", "gateway", "reset", "on", f">{SECRET}", *rule, *changes) == "OK"

    make_user("~shop:gateway:epoch:*", "-cluster|slots")
    gateway = start_gateway(login_backend, cluster.settings(
        username="gateway", password_file=str(path), key_prefix="shop:"))
    words = "ACL SETUSER gateway +cluster|slots"
    assert words in gateway.wait_event("ledger.degraded")["reason"]
    make_user("+cluster|slots")
    words = "ACL SETUSER gateway ~shop:gateway:epoch:*"
    wait_until("the missing key is named", lambda: words in reason(gateway), 10)
    make_user("~shop:gateway:epoch:*", "+cluster|slots")
    in_step(gateway)
    assert SECRET not in gateway.child.log()
    for address in one_of_each(cluster, network):
        block_by_burst(gateway, address)
        assert cluster.any().cli("EXISTS", f"shop:ip_block:{address}") == "1"
    gateway.command("revoke", "--sub", "{carol}")
    assert cluster.any().cli("EXISTS", "shop:revoked:sub:{carol}") == "1"
    by_hand = f"{network}.253"
    cluster.any().cli("SET", f"shop:ip_block:{by_hand}", "1", "EX", "300")
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, by_hand), 1)


def test_a_cluster_over_tls(start_gateway, login_backend, start_cluster, network, directory):
    authority = Authority()
    path = authority.write(directory / "pki")
    certificate, key = authority.issue("127.0.0.1").write(directory / "pki")
    cluster = start_cluster(
        tls=True, options=["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", path,
                           "--tls-cluster", "yes", "--tls-replication", "yes"],
        cli_options=["--tls", "--insecure", "--cert", certificate, "--key", key])
    tls = {"enabled": True, "certificate_file": certificate, "key_file": key}
    gateway = start_gateway(login_backend, cluster.settings(tls={**tls, "ca_file": path}))
    in_step(gateway)
    for address in one_of_each(cluster, network):
        block_by_burst(gateway, address)
        assert cluster.any().blocked(address)
    stranger = Authority("Somebody else").write(directory / "others")
    other = start_gateway(login_backend, cluster.settings(tls={**tls, "ca_file": stranger}))
    assert "the authority of the certificate is not known" in other.wait_event("ledger.degraded")["reason"]


def test_without_client_tracking_keys_are_looked_at(start_gateway, login_backend, cluster, network, directory):
    path = directory / "redis-password"
    path.write_text(SECRET)
    path.chmod(0o600)
    for node in cluster.masters:
        node.cli("ACL", "SETUSER", "gateway", "on", f">{SECRET}", "~*", "&*", "+@all", "-client|tracking")
    gateway = start_gateway(login_backend, cluster.settings(
        username="gateway", password_file=str(path), scan_interval="100ms"))
    in_step(gateway)
    gateway.wait_event("ledger.untracked")
    for address in one_of_each(cluster, network, "ip_block"):
        cluster.any().block(address)
        wait_until("it is found", lambda of=address: is_blocked(gateway, of), 5)
        cluster.any().cli("DEL", f"ip_block:{address}")
        wait_until("its end, too", lambda of=address: not is_blocked(gateway, of), 5)
    for node in cluster.masters:
        node.cli("CONFIG", "SET", "notify-keyspace-events", "KA")
    gateway.stop()
    gateway.start()
    gateway.wait_event("ledger.untracked", scan_ms=0)


def test_what_is_no_cluster_and_what_is_one(start_gateway, login_backend, cluster, start_redis):
    single = start_redis()
    gateway = start_gateway(login_backend, {"cluster": [f"127.0.0.1:{single.port}"], "startup_wait": "200ms"})
    gateway.wait_event("ledger.degraded")
    assert "redis.address, in place of redis.cluster" in reason(gateway)
    gateway.stop()
    other = start_gateway(login_backend, {"address": f"127.0.0.1:{cluster.masters[0].port}", "startup_wait": "200ms"})
    other.wait_event("ledger.degraded")
    assert "redis.cluster, in place of redis.address" in reason(other)


def test_slots_that_nobody_serves_are_named(start_gateway, login_backend, cluster):
    gateway = start_gateway(login_backend, cluster.settings())
    in_step(gateway)
    for node in cluster.masters:
        node.cli("CLUSTER", "DELSLOTS", "77")
    wait_until("it is told", lambda: "slot 77 is served by no node" in reason(gateway), 15)
    cluster.masters[0].cli("CLUSTER", "ADDSLOTS", "77")
    in_step(gateway)
