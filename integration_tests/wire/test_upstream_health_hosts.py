"""Health checks on a host that lacks something: an address to come from, for good, or ports, for a while. The system
calls both "Cannot assign requested address". Needs root, for network namespaces (harness/hosts.py)."""

import socket
import time
from collections.abc import Iterator

import pytest

from harness.backend import Backend
from harness.hosts import Host, Hosts
from harness.processes import wait_until

CHECK = {"path": "/healthz", "interval": "100ms", "unhealthy_after": 2}


@pytest.fixture
def host() -> Iterator[Host]:
    hosts = Hosts()
    yield hosts.host()
    hosts.close()


@pytest.fixture
def sound(host, start_backend) -> Backend:
    with host.inside():
        return start_backend()


def start_on(host: Host, start_gateway, *servers: str):
    return start_gateway("unused", prefix=host.prefix, upstreams={"api": {
        "servers": list(servers), "health_check": CHECK, "slow_start": "0s"}})


def test_a_server_that_a_host_without_its_family_cannot_reach_is_down(host, sound, start_gateway):
    host.run("ip", "address", "del", "::1/128", "dev", "lo")
    gateway = start_on(host, start_gateway, sound.address, "[::1]:9000")
    line = wait_until("it is down", lambda: gateway.events("upstream.server_down"))[-1]
    assert (line["server"], line["reason"]) == ("[::1]:9000", "cannot connect: Network is unreachable")


def test_a_server_towards_which_all_ports_are_taken_is_not_down(host, sound, start_gateway):
    gateway = start_on(host, start_gateway, sound.address)
    sound.wait_for(2)
    host.run("sysctl", "-w", "net.ipv4.ip_local_port_range=60000 60000")
    with host.inside():
        only = wait_until("its port", lambda: connected(sound))
    checks = len(sound.requests)
    # Ten would have come, and two that fail would take the server out.
    time.sleep(1)
    assert len(sound.requests) <= checks + 1
    only.close()
    wait_until("checks come again", lambda: len(sound.requests) > checks + 2)
    assert gateway.events("upstream.server_down") == []


def connected(backend: Backend) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", int(backend.address.rsplit(":", 1)[1])))
    except OSError:
        return None
