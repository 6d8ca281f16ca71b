"""The backend of the incident tests, and the Redis Cluster of those that need one."""

import itertools

import pytest

from harness.clusters import Cluster
from harness.logins import wrong_is_401

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
