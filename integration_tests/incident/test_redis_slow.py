"""A Redis that answers just behind the deadline."""

import time

import pytest

from harness.cable import Cable
from harness.logins import fail

pytestmark = pytest.mark.once


def test_a_redis_just_behind_the_deadline_is_away_once_and_not_with_every_login(
        start_gateway, login_backend, redis, address):
    cable = Cable(redis.port)
    try:
        gateway = start_gateway(login_backend, {**cable.setting, "deadline": "150ms"}, login={"limit": 100})
        assert fail(gateway, address, 2) == [401] * 2
        assert redis.failures(address) == 2
        cable.delay = 0.2
        for _ in range(8):
            assert fail(gateway, address, 1) == [401]
            # Longer than it takes Redis to answer anything.
            time.sleep(0.3)
        assert len(gateway.events("ledger.degraded")) == 1
        assert not gateway.events("ledger.recovered")
        cable.delay = 0
        gateway.wait_event("ledger.recovered", 10)
        assert fail(gateway, address, 1) == [401]
        assert redis.failures(address) == 11
    finally:
        cable.close()
