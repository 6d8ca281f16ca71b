"""A block reaches connections that are open and busy within 100 ms, and its end as well.

What the machine takes away from everybody meanwhile comes on top: a clock of our own tells how much that is.
"""

import threading
import time

import pytest

from harness.client import request
from harness.load import Load, Sample
from harness.logins import is_blocked
from harness.processes import wait_until

GRACE = 0.1
HEALTH = request("GET", "/anything")


class Clock:
    """Wakes up every few milliseconds, and remembers the longest time that it was late."""

    PERIOD = 0.005

    def __init__(self) -> None:
        self._latest = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            before = time.monotonic()
            time.sleep(self.PERIOD)
            self._latest = max(self._latest, time.monotonic() - before - self.PERIOD)

    def grace(self) -> float:
        """Seconds. Redis, the control thread and the worker may each have to wait for their turn."""
        self._stopping.set()
        self._thread.join(10)
        return GRACE + min(3 * self._latest, 0.4)


def between(samples: list[Sample], begin: float, end: float) -> set[int]:
    """Statuses of the requests that began in the interval; there must have been some."""
    found = {sample.status for sample in samples if begin <= sample.began < end}
    assert found, "no request began in the interval"
    return found


def test_a_block_by_hand_reaches_64_busy_connections_within_100_ms(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis)
    clock = Clock()
    with Load(gateway.address, HEALTH, 64, source=address) as load:
        time.sleep(0.7)
        redis.block(address)
        blocked = time.monotonic()
        time.sleep(1)
        redis.cli("DEL", f"ip_block:{address}")
        lifted = time.monotonic()
        time.sleep(0.7)
        samples = load.stop()
    grace = clock.grace()
    assert between(samples, blocked + grace, lifted - 0.05) == {403}
    assert between(samples, lifted + grace, lifted + 0.6) == {200}


@pytest.mark.once
def test_no_connection_is_cut_for_a_block_and_no_request_fails_otherwise(start_gateway, login_backend, redis, address):
    """Whenever it begins and ends: each request gets an answer, and it is one of the two."""
    gateway = start_gateway(login_backend, redis)
    with Load(gateway.address, HEALTH, 64, source=address) as load:
        for _ in range(5):
            redis.block(address)
            wait_until("it is blocked", lambda: is_blocked(gateway, address))
            redis.cli("DEL", f"ip_block:{address}")
            wait_until("it is free", lambda: not is_blocked(gateway, address))
        samples = load.stop()
    assert {(sample.status, sample.code) for sample in samples} == {(200, None), (403, "AUTH_004")}


def test_a_block_expires_to_the_moment(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis)
    clock = Clock()
    with Load(gateway.address, HEALTH, 8, source=address, pause=0.002) as load:
        redis.cli("SET", f"ip_block:{address}", "1", "PX", "1500")
        blocked = time.monotonic()
        time.sleep(2.2)
        samples = load.stop()
    grace = clock.grace()
    assert between(samples, blocked + grace, blocked + 1.35) == {403}
    assert between(samples, blocked + 1.5 + grace, blocked + 2.15) == {200}


def test_a_changed_expiry_is_noticed(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis)
    redis.block(address, 1)
    wait_until("the block is in force", lambda: is_blocked(gateway, address), 0.2, every=0.005)
    redis.cli("EXPIRE", f"ip_block:{address}", "300")
    time.sleep(1.3)
    assert is_blocked(gateway, address)
    redis.cli("PEXPIRE", f"ip_block:{address}", "100")
    wait_until("the block ends", lambda: not is_blocked(gateway, address), 0.5)


def test_many_blocks_at_once(start_gateway, login_backend, redis):
    gateway = start_gateway(login_backend, redis)
    addresses = [f"127.88.{number // 250}.{number % 250 + 1}" for number in range(2000)]
    redis.shell("redis-cli MSET " + " ".join(f"ip_block:{one} 1" for one in addresses))
    for one in addresses[::97]:
        wait_until(f"{one} is blocked", lambda one=one: is_blocked(gateway, one), 1, every=0.01)
    redis.shell("redis-cli DEL " + " ".join(f"ip_block:{one}" for one in addresses))
    for one in addresses[::97]:
        wait_until(f"{one} is free", lambda one=one: not is_blocked(gateway, one), 1, every=0.01)
