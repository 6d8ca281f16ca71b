"""Floods of connections: a new client gets the place of one that is not at work."""

import itertools
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness.attack import Attack, Honest, all_served, knock, recovers, sources
from harness.backend import Exchange, answer
from harness.client import request
from harness.gateway import binary
from harness.processes import NotReady, surroundings, wait_until

LET_GO = 'gateway_client_connections_let_go_total{reason="%s"}'


def descriptors(gateway, count: int) -> None:
    """Only the soft limit: who may not raise a limit again can raise this one."""
    _, hard = resource.prlimit(gateway.child.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.child.pid, resource.RLIMIT_NOFILE, (count, hard))


def taken(gateway) -> set[int]:
    """The numbers of its descriptors."""
    return {int(each.name) for each in Path(f"/proc/{gateway.child.pid}/fd").iterdir()}


def without_descriptors(gateway) -> None:
    """From now on a descriptor is one that somebody gives up: the system gives the lowest number, and the lowest that
    is free is the limit."""
    numbers = taken(gateway)
    descriptors(gateway, next(number for number in itertools.count() if number not in numbers))


def open_files(gateway) -> int:
    return int(gateway.metrics()["gateway_process_open_fds"])


def waits_for(release: threading.Event):
    """A handler that answers at once, but for `/wait`."""
    def wait(exchange: Exchange) -> bytes:
        if exchange.request.target == "/wait":
            release.wait(20)
        return answer()
    return wait


def test_the_longest_idle_connection_gives_way_to_a_new_client(start_gateway, backend, address):
    gateway = start_gateway(backend, workers=1, limits={"connections": 3})
    clients = [gateway.connect(address) for _ in range(3)]
    for client in reversed(clients):
        assert client.ask(request("GET", "/")).status == 200
    # Asked first, idle for the longest time.
    with gateway.connect(address) as fourth:
        assert fourth.ask(request("GET", "/")).status == 200
        assert clients[2].ended()
        assert [client.ask(request("GET", "/")).status for client in clients[:2]] == [200, 200]
    assert gateway.metrics()[LET_GO % "idle"] == 1


def test_clients_at_work_keep_their_places_and_the_next_one_gets_503(start_gateway, backend, address):
    gateway = start_gateway(backend, workers=1, limits={"connections": 2})
    release = threading.Event()

    def wait(exchange: Exchange) -> bytes:
        release.wait(10)
        return answer()

    backend.handler = wait
    busy = [gateway.connect(address).send(request("GET", "/")) for _ in range(2)]
    backend.wait_for(2)
    response = gateway.get("/", address)
    assert (response.status, response.code, response.field("Retry-After")) == (503, "SVC_001", "1")
    release.set()
    assert [client.read_final().status for client in busy] == [200, 200]


def test_a_request_that_has_just_come_is_not_lost_with_its_idle_connection(start_gateway, backend, address):
    """Both are in the sockets before the gateway looks: it is stopped meanwhile."""
    gateway = start_gateway(backend, workers=1, limits={"connections": 1})
    with gateway.connect(address) as first:
        assert first.ask(request("GET", "/")).status == 200
        gateway.signal(signal.SIGSTOP)
        first.send(request("GET", "/"))
        with gateway.connect(address) as second:
            second.send(request("GET", "/"))
            gateway.signal(signal.SIGCONT)
            assert first.read_final().status == 200
            assert second.read_final().status in (200, 503)


def test_a_flood_of_silent_connections_locks_nobody_out(start_gateway, backend, address):
    gateway = start_gateway(backend, limits={"connections": 300})
    with Attack(gateway.address, 1_200, rate=2_000) as attack:
        all_served(Honest(gateway.address, address), 3, at_least=60)
        assert attack.ended > 800
        assert gateway.metrics()["gateway_client_connections"] <= 300
    recovers(gateway)


def test_connections_of_blocked_addresses_go_first(start_gateway, backend, address, other_address):
    gateway = start_gateway(backend, workers=1, limits={"connections": 3})
    with gateway.connect(address) as idle, gateway.connect(other_address) as blocked, gateway.connect(address) as third:
        for client in (idle, blocked, third):
            assert client.ask(request("GET", "/")).status == 200
        gateway.command("block", other_address)
        assert gateway.get("/", address).status == 200
        assert blocked.ended()
        assert idle.ask(request("GET", "/")).status == 200
    assert gateway.metrics()[LET_GO % "blocked"] == 1


def test_an_address_has_no_more_connections_than_it_may(start_gateway, backend, address, other_address):
    gateway = start_gateway(backend, limits={"connections_per_address": 5})
    clients = [gateway.connect(address) for _ in range(5)]
    assert [client.ask(request("GET", "/")).status for client in clients] == [200] * 5
    for _ in range(3):
        response = gateway.get("/", address)
        assert (response.status, response.code, response.field("Retry-After")) == (429, "RATE_001", "1")
    assert gateway.get("/", other_address).status == 200
    told = gateway.wait_event("security.connection_refused")
    assert (told["client_ip"], told["stage"], told["code"]) == (address, "admit", "RATE_001")
    assert len(gateway.events("security.connection_refused")) == 1, "one line in 10 s"
    assert gateway.metrics()['gateway_requests_refused_total{stage="admit",code="RATE_001"}'] == 3
    clients.pop().close()
    wait_until("the place of the one that left is free", lambda: gateway.get("/", address).status == 200)


def test_the_count_of_an_address_is_exact_over_workers_and_reloads(start_gateway, backend, address):
    gateway = start_gateway(backend, workers=4, limits={"connections_per_address": 50})
    for _ in range(3):
        clients = [gateway.connect(address) for _ in range(120)]
        statuses = [client.send(request("GET", "/")).read_final().status for client in clients]
        assert (statuses.count(200), statuses.count(429)) == (50, 70)
        gateway.command("reload")
        for client in clients:
            client.close()
        wait_until("all have left", lambda: gateway.metrics()["gateway_client_connections"] == 0)


@pytest.mark.parametrize("setting", ["trusted_proxies", "never_block"])
def test_proxies_and_spared_addresses_have_no_limit_of_their_own(start_gateway, backend, address, setting):
    gateway = start_gateway(backend, limits={"connections_per_address": 2}, **{setting: [address]})
    clients = [gateway.connect(address) for _ in range(6)]
    assert [client.ask(request("GET", "/")).status for client in clients] == [200] * 6


def test_a_limit_by_address_comes_and_goes_with_a_reload(start_gateway, backend, address):
    gateway = start_gateway(backend)
    before = [gateway.connect(address) for _ in range(4)]
    assert [client.ask(request("GET", "/")).status for client in before] == [200] * 4
    gateway.settings["limits"] = {"connections_per_address": 2}
    gateway.write_config()
    gateway.command("reload")
    # Who was there before is not counted, and not closed.
    after = [gateway.connect(address) for _ in range(3)]
    statuses = [client.send(request("GET", "/")).read_final().status for client in after]
    assert sorted(statuses) == [200, 200, 429], "in the order in which workers took them"
    assert before[0].ask(request("GET", "/")).status == 200
    gateway.settings["limits"] = {"connections_per_address": 0}
    gateway.write_config()
    gateway.command("reload")
    assert gateway.get("/", address).status == 200


def test_open_files_are_a_limit_that_is_known_before_it_is_met(start_gateway, backend, address):
    gateway = start_gateway(backend, prefix=("prlimit", "--nofile=300:300"))
    lowered = gateway.wait_event("limits.connections_lowered")
    assert (lowered["limit"], lowered["open_files"]) == (10_000, 300)
    room = lowered["room"]
    assert 50 <= room < 150
    assert gateway.metrics()["gateway_client_connections_limit"] == room
    with Attack(gateway.address, 600, rate=1_000):
        all_served(Honest(gateway.address, address), 2, at_least=40)
        assert open_files(gateway) < 300
    assert gateway.metrics()["gateway_accept_pauses_total"] == 0, "there was always a descriptor left"
    recovers(gateway)


def test_check_tells_that_open_files_do_not_reach(directory):
    config = directory / "gateway.conf"
    config.write_text("""
upstreams: {api: {servers: ["127.0.0.1:9000"]}}
routes: [{path: /, upstream: api, auth: none}]
workers: 2
limits: {connections: 1000}
""")

    def check(files: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["prlimit", f"--nofile={files}:{files}", binary(), "check", "--config", config], capture_output=True, text=True,
            timeout=20, env=surroundings())

    assert check(2_300).stderr == ""
    told = check(1_000)
    assert told.returncode == 0, "it can serve, only not so many"
    # Of 1,000 files 114 are the gateway's own and 128 are idle connections to the backend.
    assert "gateway.conf:5:23: warning: there is room for 379 connections only" in told.stderr
    assert "a process may open 1000 files here, and 2242 are needed" in told.stderr


def test_too_few_open_files_are_refused_at_the_start_and_the_fewest_serve(start_gateway, backend, address):
    with pytest.raises(NotReady) as refused:
        start_gateway(backend, prefix=("prlimit", "--nofile=49:49"))
    assert "ended with 71" in str(refused.value)
    assert "a process may open 49 files here, and 50 are needed at least" in str(refused.value)
    gateway = start_gateway(backend, prefix=("prlimit", "--nofile=50:50"))
    for _ in range(3):
        assert gateway.get("/", address).status == 200
    assert gateway.command("status").returncode == 0


def test_a_low_soft_limit_of_open_files_is_raised(start_gateway, backend):
    gateway = start_gateway(backend, limits={"connections": 400}, prefix=("prlimit", "--nofile=256:4096"))
    clients = [knock(gateway.address, next(sources(78))) for _ in range(390)]
    wait_until("all are accepted", lambda: gateway.metrics()["gateway_client_connections"] == 390)
    assert gateway.get("/").status == 200
    for client in clients:
        client.close()


def test_an_idle_connection_gives_its_descriptor_to_a_new_client(start_gateway, backend, address):
    gateway = start_gateway(backend, workers=1)
    idle = [gateway.connect(address) for _ in range(20)]
    assert [client.ask(request("GET", "/")).status for client in idle] == [200] * 20
    # All that it has now and a few more, for the admin connections that look at it.
    descriptors(gateway, open_files(gateway) + 1)
    all_served(Honest(gateway.address, address), 1, at_least=20)


@pytest.mark.parametrize("reason", ["blocked", "slow"])
def test_a_blocked_client_and_a_slow_head_give_their_descriptors_to_a_new_client(
        start_gateway, backend, address, other_address, reason):
    """Who is at work keeps his."""
    gateway = start_gateway(backend, workers=1)
    release = threading.Event()
    backend.handler = waits_for(release)
    busy = gateway.connect(address).send(request("GET", "/wait"))
    backend.wait_for(1)
    victim = gateway.connect(other_address)
    assert victim.ask(request("GET", "/")).status == 200
    # Its connection to the backend is kept, for whoever asks next.
    before = taken(gateway)
    if reason == "blocked":
        gateway.command("block", other_address)
    else:
        victim.send(b"GET / HTTP/1.1\r\nHost: gat")
        # What came before was read before.
        assert gateway.get("/", address).status == 200
    wait_until("nobody else is connected", lambda: taken(gateway) == before)
    without_descriptors(gateway)
    # Its request is there when it is accepted: of a second free descriptor nothing is said here.
    gateway.freeze()
    with gateway.connect(address).send(request("GET", "/")) as newcomer:
        gateway.signal(signal.SIGCONT)
        assert newcomer.read_final().status == 200
        assert victim.ended()
        release.set()
        assert busy.read_final().status == 200
        assert newcomer.ask(request("GET", "/")).status == 200
    descriptors(gateway, 4_096)
    metrics = gateway.metrics()
    assert {each: metrics[LET_GO % each] for each in ("blocked", "idle", "slow")} == {
        "blocked": 0, "idle": 0, "slow": 0, reason: 1}


@pytest.mark.once
def test_a_new_client_that_got_the_last_descriptor_is_not_let_go_for_nobody(
        start_gateway, backend, address, other_address):
    """accept(2) says EMFILE before it looks whether anybody waits."""
    gateway = start_gateway(backend, workers=1)
    victim = gateway.connect(other_address)
    assert victim.ask(request("GET", "/")).status == 200
    before = taken(gateway)
    gateway.command("block", other_address)
    wait_until("nobody else is connected", lambda: taken(gateway) == before)
    without_descriptors(gateway)
    with gateway.connect(address) as newcomer:
        assert victim.ended()
        assert newcomer.silent(0.3), "its request is on its way"
        assert newcomer.ask(request("GET", "/")).status == 200


def test_accepting_pauses_without_a_descriptor_and_goes_on_when_one_is_free(start_gateway, backend, address):
    gateway = start_gateway(backend, workers=1, upstreams={"api": {"keep_alive": 0}})
    release = threading.Event()
    backend.handler = waits_for(release)
    busy = [gateway.connect(address).send(request("GET", "/wait", {"Connection": "close"})) for _ in range(10)]
    backend.wait_for(10)
    descriptors(gateway, open_files(gateway) - 1)
    waiting = [gateway.connect(address).send(request("GET", "/")) for _ in range(3)]
    time.sleep(0.3)
    assert all(client.silent(0.05) for client in waiting), "nobody is refused and nobody is served"
    release.set()
    assert [client.read_final().status for client in busy] == [200] * 10
    assert [client.read_final().status for client in waiting] == [200] * 3
    descriptors(gateway, 4_096)
    assert gateway.metrics()["gateway_accept_pauses_total"] > 0


def test_pressure_is_told_when_it_begins_and_when_it_is_over(start_gateway, backend):
    gateway = start_gateway(backend, limits={"connections": 20})
    clients = [knock(gateway.address, next(sources(79))) for _ in range(19)]
    began = gateway.wait_event("pressure.began")
    assert (began["what"], began["limit"]) == ("connections", 20)
    assert gateway.command_json("status")["pressure"] == ["connections"]
    for client in clients:
        client.close()
    gateway.wait_event("pressure.ended", what="connections")
    assert gateway.command_json("status")["pressure"] == []
