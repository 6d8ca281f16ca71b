"""The master dies, or is made a replica: the gateway follows, and nobody gets another guess for it."""

import threading

import pytest

from harness.load import Load
from harness.logins import WRONG, block_by_burst, fail, is_blocked, wrong_is_401
from harness.processes import wait_until
from harness.redis_users import health, reason
from harness.sentinels import Sentinels


@pytest.fixture
def start_sentinels(directory, start_redis):
    started: list[Sentinels] = []

    def start(**ways) -> Sentinels:
        started.append(Sentinels(directory, start_redis, **ways))
        return started[-1]

    yield start
    for sentinels in started:
        sentinels.stop()


def in_step(gateway) -> None:
    wait_until("health is good", lambda: health(gateway) == "healthy", 20)


@pytest.mark.once
def test_the_master_is_killed_in_a_burst_of_failed_logins(start_gateway, start_backend, start_sentinels, address):
    sent = 0
    lock = threading.Lock()

    def count(exchange):
        nonlocal sent
        with lock:
            sent += 1
        return wrong_is_401(exchange)

    sentinels = start_sentinels()
    gateway = start_gateway(start_backend(count), sentinels.settings(), login={"limit": 100_000, "window": "1h"})
    in_step(gateway)
    blocked = "127.97.0.1"
    sentinels.master.block(blocked)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, blocked), 1)
    open_block = []
    with Load(gateway.address, WRONG, 6, source=address, pause=0.03) as load:
        wait_until("the burst is under way", lambda: sent > 100)
        sentinels.master.kill()
        wait_until("the replica is the master", lambda: open_block.append(is_blocked(gateway, blocked)) or
                   sentinels.named() == sentinels.replicas[0].port, 30)
        in_step(gateway)
        before = sent
        wait_until("the burst goes on", lambda: sent > before + 100)
        samples = load.stop()
    assert all(open_block)
    received = sum(sample.status == 401 for sample in samples)
    assert not [sample for sample in samples if sample.status >= 500]
    replica = sentinels.replicas[0]
    wait_until("all are counted", lambda: received <= replica.failures(address), 10)
    assert replica.failures(address) <= sent
    assert is_blocked(gateway, blocked)


@pytest.mark.once
def test_blocks_stay_in_force_over_a_failover_and_back(start_gateway, login_backend, start_sentinels, address, other_address):
    sentinels = start_sentinels()
    gateway = start_gateway(login_backend, sentinels.settings())
    in_step(gateway)
    # The replica does not hear of the block any more, as if the master had died a moment too soon.
    replica = sentinels.replicas[0]
    block_by_burst(gateway, address)
    wait_until("the replica has it", lambda: replica.blocked(address))
    sentinels.master.kill()
    wait_until("the replica is the master", lambda: sentinels.named() == replica.port, 30)
    in_step(gateway)
    assert is_blocked(gateway, address)
    assert fail(gateway, other_address, 2) == [401, 401]
    assert replica.failures(other_address) == 2
    # The old one comes back and is made a replica; nobody writes to it.
    sentinels.master.start()
    wait_until("it is a replica", lambda: "role:slave" in sentinels.master.cli("INFO", "replication"), 30)
    assert fail(gateway, other_address, 1) == [401]
    assert replica.failures(other_address) == 3
    # An orderly change, with everybody alive.
    wait_until("it is in step", lambda: "master_link_status:up" in sentinels.master.cli("INFO", "replication"), 30)
    sentinels.fail_over()
    wait_until("the first one is the master again", lambda: sentinels.named() == sentinels.master.port, 30)
    wait_until("the gateway has followed", lambda: health(gateway) == "healthy" and
               "role:master" in sentinels.master.cli("INFO", "replication") and
               fail(gateway, "127.97.0.2", 1) == [401] and sentinels.master.failures("127.97.0.2") > 0, 20)
    assert is_blocked(gateway, address)


@pytest.mark.once
def test_what_the_old_master_took_with_it_is_told_to_the_new_one(
        start_gateway, login_backend, start_sentinels, address, other_address):
    sentinels = start_sentinels()
    gateway = start_gateway(login_backend, sentinels.settings())
    in_step(gateway)
    replica = sentinels.replicas[0]
    block_by_burst(gateway, address)
    assert fail(gateway, other_address, 3) == [401] * 3
    # Words of an operator: something set, something taken away, a revocation taken back.
    gateway.command("allow", "192.0.2.2", "--for", "30m")
    gateway.command("revoke", "--sub", "alice")
    gateway.command("allow", "192.0.2.1", "--for", "30m")
    wait_until("the replica has the words", lambda: replica.cli("EXISTS", "ip_allow:192.0.2.1", "revoked:sub:alice") == "2")
    lost = {key: replica.cli("GET", key) for key in ("ip_allow:192.0.2.2", "revoked:sub:alice")}
    gateway.command("disallow", "192.0.2.2")
    gateway.command("unrevoke", "--sub", "alice")
    wait_until("the replica has all of it", lambda: replica.failures(other_address) == 3 and
               replica.cli("EXISTS", *lost) == "0")
    sentinels.master.kill()
    # As if the last words had not reached it.
    replica.cli("DEL", "ip_allow:192.0.2.1", *(f"gateway:said:{{{key}}}" for key in (*lost, "ip_allow:192.0.2.1")))
    for key, value in lost.items():
        replica.cli("SET", key, value, "EX", "1800")
    for one in (address, other_address):
        replica.cli("DEL", f"ip_block:{one}", f"login_fail:{one}", f"login_seen:{{login_fail:{one}}}")
    assert not replica.blocked(address)
    wait_until("the replica is the master", lambda: sentinels.named() == replica.port, 30)
    in_step(gateway)
    wait_until("the block is there", lambda: replica.blocked(address), 10)
    wait_until("the failures are there", lambda: replica.failures(other_address) == 3, 10)
    assert replica.failures(address) == 5
    assert is_blocked(gateway, address)
    wait_until("the words are there", lambda: replica.cli("EXISTS", "ip_allow:192.0.2.1") == "1" and
               replica.cli("EXISTS", *lost) == "0", 10)
    assert [one["network"] for one in gateway.command_json("allowed")["allowances"]] == ["192.0.2.1"]
    assert gateway.command_json("revocations")["count"] == 0
    assert not gateway.events("ledger.word_overtaken")


def test_a_password_for_the_sentinels_and_one_of_them_gone(start_gateway, login_backend, start_sentinels, directory, address):
    sentinels = start_sentinels(password="sentinel secret".replace(" ", "-"))
    path = directory / "sentinel-password"
    path.write_text("wrong")
    path.chmod(0o600)
    gateway = start_gateway(login_backend, sentinels.settings(sentinel_password="wrong"))
    assert "redis.sentinel_password_file" in gateway.wait_event("ledger.degraded")["reason"]
    gateway.stop()
    sentinels.processes[0].kill()
    path.write_text(sentinels.password)
    gateway.settings["redis"] = sentinels.settings(sentinel_password_file=str(path))
    gateway.start()
    in_step(gateway)
    block_by_burst(gateway, address)
    assert sentinels.master.blocked(address)


def test_a_name_that_no_sentinel_watches(start_gateway, login_backend, start_sentinels):
    sentinels = start_sentinels()
    gateway = start_gateway(login_backend, sentinels.settings(sentinel_master="another"))
    assert "watches no master \"another\"" in gateway.wait_event("ledger.degraded")["reason"]
    assert "redis.sentinel_master" in reason(gateway)
