"""No more guesses reach a backend than may fail, however many come at once, through however many replicas."""

import os
import signal
import threading
import time

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.heirs import Heirs
from harness.load import together
from harness.logins import RIGHT, WRONG, Gate, fail, is_blocked, wrong_is_401
from harness.processes import wait_until

# Five guesses are five: one more is one too many.
pytestmark = pytest.mark.once


def patient(redis):
    """Longer than any machine is busy: what Redis says late is decided by each replica, where the limit is each one's."""
    return redis and {"address": f"127.0.0.1:{redis.port}", "deadline": "10s"}


def slow(seconds: float):
    """A login backend that takes that long over each."""
    def handler(exchange: Exchange) -> bytes:
        said = wrong_is_401(exchange)
        time.sleep(seconds)
        return said
    return handler


def keys(redis, pattern: str) -> list[str]:
    return redis.shell(f'redis-cli --scan --pattern "{pattern}"').split()


def no_counter_lives_for_ever(redis) -> bool:
    return all(redis.integer("TTL", key) > 0 for key in keys(redis, "login_*"))


@pytest.mark.parametrize("home, replicas", [("embedded", 1), ("redis", 1), ("redis", 3)])
@pytest.mark.parametrize("way", ["new connections", "kept connections"])
def test_of_1000_parallel_wrong_guesses_exactly_5_reach_the_backend(
        start_gateway, start_backend, request, address, home, replicas, way):
    redis = request.getfixturevalue("redis") if home == "redis" else None
    backend = start_backend(slow(0.02))
    gateways = [start_gateway(backend, patient(redis)) for _ in range(replicas)]

    def guesses(index: int) -> list[int]:
        gateway = gateways[index % replicas]
        if way == "new connections":
            return [gateway.fetch(WRONG, address, timeout=60).status for _ in range(5)]
        with gateway.connect(address, timeout=60) as client:
            return [client.ask(WRONG).status for _ in range(5)]

    statuses = [status for some in together(200, guesses) for status in some]
    assert len(statuses) == 1_000
    assert set(statuses) <= {401, 403, 429}
    assert (len(backend.requests), statuses.count(401)) == (5, 5)
    for gateway in gateways:
        wait_until("the block is in force", lambda one=gateway: is_blocked(one, address), 2)
    if redis:
        assert redis.failures(address) == 5
        assert redis.blocked(address)
        assert no_counter_lives_for_ever(redis)
        wait_until("no place is taken", lambda: keys(redis, "login_pending:*") == [], 2)


@pytest.mark.parametrize("home", ["embedded", "redis"])
def test_100_parallel_right_logins_of_one_address_all_succeed(start_gateway, start_backend, request, address, home):
    redis = request.getfixturevalue("redis") if home == "redis" else None
    under_way, most, lock = 0, 0, threading.Lock()

    def handler(exchange: Exchange) -> bytes:
        nonlocal under_way, most
        said = wrong_is_401(exchange)
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return said

    gateway = start_gateway(start_backend(handler), redis)
    statuses = together(100, lambda _: gateway.fetch(RIGHT, address, timeout=30).status)
    assert statuses == [200] * 100
    assert most <= 5
    if redis:
        wait_until("no place is taken", lambda: keys(redis, "login_pending:*") == [], 2)


def test_who_waits_too_long_is_told_when_to_come_again(start_gateway, start_backend, redis, address, other_address):
    gate = Gate()
    backend = start_backend(gate)
    gateway = start_gateway(backend, patient(redis), login={"limit": 1, "wait": "300ms"})
    with gateway.connect(address) as first, gateway.connect(address) as second:
        first.send(RIGHT)
        backend.wait_for(1)
        refused = second.ask(RIGHT)
        assert (refused.status, refused.code, refused.field("Retry-After")) == (429, "RATE_001", "1")
        assert second.ask(request("GET", "/health")).status == 200, "the connection goes on"
        gate.opened.set()
        assert first.read_response("POST").status == 200
        assert second.ask(RIGHT).status == 200
    assert redis.failures(address) == 0


def test_a_slow_body_keeps_nobody_waiting(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, patient(redis), timeouts={"body": "30s"})
    attackers = [gateway.connect(address) for _ in range(20)]
    for attacker in attackers:
        attacker.send(WRONG[:-1])
    assert [gateway.fetch(RIGHT, address).status for _ in range(10)] == [200] * 10
    assert len(login_backend.requests) == 10, "a half of a login goes nowhere"
    assert keys(redis, "login_pending:*") == []
    # When it is whole it is a guess as any other.
    assert attackers[0].send(WRONG[-1:]).read_response("POST").status == 401
    for attacker in attackers:
        attacker.close()


def test_a_login_comes_in_pieces_of_any_kind(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    body = RIGHT.split(b"\r\n\r\n", 1)[1]
    head = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with gateway.connect(address) as client:
        client.send_slowly(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, 0.0005, 3)
        assert client.read_response("POST").status == 200
        client.send_slowly(RIGHT, 0.0005, 7)
        assert client.read_response("POST").status == 200
        client.send(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.read_head().status == 100
        assert client.send(body).read_final("POST").status == 200
        # Requests sent ahead are answered in their order.
        client.send(RIGHT + WRONG + request("GET", "/x") + RIGHT)
        assert [client.read_response("POST").status for _ in range(4)] == [200, 401, 200, 200]
    assert all(b"horse" in one.body or b"wrong" in one.body for one in login_backend.requests if one.body)


def test_a_login_that_is_too_large_is_refused(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    large = b"x" * (65 * 1024)
    refused = gateway.fetch(request("POST", "/auth/login", body=large), address)
    assert (refused.status, refused.code) == (413, "REQ_002")
    chunked = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with gateway.connect(address) as client:
        client.offer(chunked + b"%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n")
        assert client.read_final("POST").status == 413
    assert login_backend.requests == []
    assert gateway.fetch(request("POST", "/auth/login", body=large[:64 * 1024]), address).status == 200


def test_the_rest_of_a_login_that_does_not_come(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend, timeouts={"body": "300ms"})
    with gateway.connect(address) as client:
        refused = client.send(WRONG[:-1]).read_final("POST")
        assert (refused.status, refused.code) == (408, "SVC_002")
    assert gateway.wait_event(status=408)["path"] == "/auth/login"
    assert login_backend.requests == []


def test_what_is_told_of_a_login_that_does_not_come_is_its_own(start_gateway, login_backend, address, other_address):
    """Meanwhile the worker reads other heads, with fields where this one has none, and routes that a reload takes away."""
    routes = [{"path": path, "upstream": "api", "auth": "none"} for path in ("/", "/a", "/auth")]
    gateway = start_gateway(login_backend, workers=1, timeouts={"body": "300ms"}, routes=routes)
    trace = {"X-Pad": "x" * 20_000, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    with gateway.connect(address) as client, gateway.connect(other_address) as other:
        client.send(WRONG[:-1])
        while client.silent(0.01):
            assert other.ask(request("GET", "/%61", trace)).status == 200
        assert client.read_final("POST").status == 408
    assert gateway.wait_event("http.request", status=408)["path"] == "/auth/login"
    with gateway.connect(address) as client:
        client.send(WRONG[:-1])
        gateway.settings["routes"] = routes[:1]
        gateway.write_config()
        gateway.command("reload")
        assert client.read_final("POST").status == 408
    assert gateway.get("/", address).status == 200


def test_a_replica_that_is_killed_gives_its_places_back(start_gateway, start_backend, redis, address):
    gate = Gate()
    backend = start_backend(gate)
    timeouts = {"response": "1s", "connect": "200ms"}
    dying, living = (start_gateway(backend, patient(redis), timeouts=timeouts) for _ in range(2))
    clients = [dying.connect(address).send(WRONG) for _ in range(5)]
    backend.wait_for(5)
    os.kill(dying.child.pid, signal.SIGKILL)
    dying.child.wait()
    gate.opened.set()
    began = time.monotonic()
    assert living.fetch(RIGHT, address, timeout=30).status == 200
    assert time.monotonic() - began > 1, "the places were kept as long as an answer could have come"
    # The stated bound: what was in flight when the replica died was seen by the backend, and counted by nobody.
    assert fail(living, address, 6) == [401] * 5 + [403]
    assert no_counter_lives_for_ever(redis)
    for client in clients:
        client.close()


def test_a_verdict_counts_although_its_client_has_gone(start_gateway, start_backend, redis, address):
    gate = Gate()
    backend = start_backend(gate)
    gateway = start_gateway(backend, patient(redis))
    for number in range(1, 6):
        client = gateway.connect(address).send(WRONG)
        backend.wait_for(number)
        client.reset()
    gate.opened.set()
    wait_until("all five are counted", lambda: redis.failures(address) == 5, 5)
    wait_until("the block is in force", lambda: is_blocked(gateway, address), 2)
    wait_until("no place is taken", lambda: keys(redis, "login_pending:*") == [], 2)


def test_a_place_is_free_at_once_when_nothing_could_be_sent(start_gateway, redis, address):
    gateway = start_gateway("127.0.0.1:1", patient(redis))
    assert [gateway.fetch(WRONG, address).status for _ in range(20)] == [503] * 20
    wait_until("no place is taken", lambda: keys(redis, "login_pending:*") == [], 2)
    assert redis.failures(address) == 0


def test_a_lifted_block_lets_one_guess_at_a_time_through(start_gateway, start_backend, redis, address):
    gate = Gate()
    gate.opened.set()
    backend = start_backend(gate)
    gateway = start_gateway(backend, patient(redis))
    assert fail(gateway, address, 6) == [401] * 5 + [403]
    gate.opened.clear()
    redis.cli("DEL", f"ip_block:{address}")
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 2)
    opener = threading.Timer(0.3, gate.opened.set)
    opener.start()
    statuses = together(20, lambda _: gateway.fetch(WRONG, address, timeout=30).status)
    assert (statuses.count(401), statuses.count(403)) == (1, 19)
    assert len(backend.requests) == 6
    assert redis.failures(address) == 6


def test_a_block_that_was_lost_is_set_by_the_next_guess(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, patient(redis))
    redis.cli("SET", f"login_fail:{address}", "5", "EX", "80000")
    refused = gateway.fetch(WRONG, address)
    assert (refused.status, refused.code) == (403, "AUTH_004")
    assert redis.blocked(address)
    assert login_backend.requests == []


@pytest.mark.parametrize("replicas", [1, 2])
def test_redis_hangs_during_a_burst(start_gateway, start_backend, redis, address, replicas):
    """What clients saw ≤ what is counted ≤ what the backend said, and nobody is blocked too early."""
    said, lock = [0], threading.Lock()

    def handler(exchange: Exchange) -> bytes:
        exchange.read_body()
        time.sleep(0.01)
        with lock:
            said[0] += 1
        return answer(401)

    backend = start_backend(handler)
    gateways = [start_gateway(backend, redis, login={"limit": 40}) for _ in range(replicas)]
    pid = int(redis.cli("INFO", "server").split("process_id:")[1].split()[0])
    halt = threading.Timer(0.1, os.kill, (pid, signal.SIGSTOP))
    go_on = threading.Timer(1.0, os.kill, (pid, signal.SIGCONT))
    halt.start()
    go_on.start()
    statuses = together(200, lambda index: gateways[index % replicas].fetch(WRONG, address, timeout=60).status)
    go_on.join()
    seen = statuses.count(401)
    assert set(statuses) <= {401, 403, 429}
    assert 40 <= seen <= said[0] == len(backend.requests) <= 40 * (replicas + 1)
    wait_until("all is carried over", lambda: seen <= redis.failures(address) <= said[0], 15)
    assert no_counter_lives_for_ever(redis)


def test_logins_can_be_refused_while_redis_is_away(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis, login={"when_ledger_away": "refuse"})
    assert gateway.fetch(RIGHT, address).status == 200
    redis.kill()
    refused = wait_until("logins are refused", lambda: (
        lambda found: found if found.status == 503 else None)(gateway.fetch(RIGHT, address)), 10)
    assert refused.code == "SVC_001"
    assert gateway.get("/anything", address).status == 200, "nothing else is"
    redis.start()
    wait_until("logins work again", lambda: gateway.fetch(RIGHT, address).status == 200, 15)


def test_who_is_never_blocked_waits_for_nobody(start_gateway, start_backend, redis, address):
    gate = Gate()
    backend = start_backend(gate)
    gateway = start_gateway(backend, patient(redis), never_block=[address])
    clients = [gateway.connect(address).send(WRONG) for _ in range(12)]
    backend.wait_for(12)
    gate.opened.set()
    assert [client.read_response("POST").status for client in clients] == [401] * 12
    for client in clients:
        client.close()


@pytest.mark.parametrize("home", ["embedded", "redis"])
def test_two_processes_of_an_upgrade_share_the_places(start_gateway, start_backend, request, address, home):
    redis = request.getfixturevalue("redis") if home == "redis" else None
    gate = Gate()
    backend = start_backend(gate)
    gateway = start_gateway(backend, patient(redis), timeouts={"drain": "20s"})
    former = [gateway.connect(address, timeout=30).send(WRONG) for _ in range(3)]
    backend.wait_for(3)
    gateway.command("upgrade")
    Heirs().of(gateway)
    opener = threading.Thread(target=lambda: (backend.wait_for(5), gate.opened.set()))
    opener.start()
    statuses = together(20, lambda _: gateway.fetch(WRONG, address, timeout=30).status)
    opener.join()
    assert [client.read_response("POST").status for client in former] == [401] * 3
    assert (statuses.count(401), statuses.count(403)) == (2, 18)
    assert len(backend.requests) == 5
    for client in former:
        client.close()
