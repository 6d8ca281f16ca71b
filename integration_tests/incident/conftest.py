"""The backend of the incident tests, and the Redis Cluster or the webhook of those that need one."""

import itertools

import pytest

from harness.clusters import Cluster
from harness.logins import wrong_is_401
from harness.threats import SECRET, THRESHOLDS, Receiver

_networks = itertools.count(1)


@pytest.fixture
def login_backend(start_backend):
    return start_backend(wrong_is_401)


@pytest.fixture
def start_cluster(directory, start_redis):
    return lambda **ways: Cluster(directory, start_redis, **ways)


@pytest.fixture
def cluster(start_cluster) -> Cluster:
    return start_cluster()


@pytest.fixture
def network() -> str:
    """The first three numbers of client addresses that no other test uses."""
    return f"127.98.{next(_networks)}"


@pytest.fixture
def start_watching(start_gateway, login_backend):
    """`start_watching(accounts, redis, webhook={…}, …)`: a gateway that sees threats in few logins."""
    def start(accounts: bool = True, redis=None, **threats):
        sections = {"accounts": {"member": "username", "limit": 900, "secret": SECRET}} if accounts else {}
        return start_gateway(
            login_backend, redis, login={"limit": 1000}, threats={**THRESHOLDS, **threats}, **sections)
    return start


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.close()
