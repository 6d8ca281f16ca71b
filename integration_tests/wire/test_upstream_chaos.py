"""Backends that are killed, hang, reset and answer wrongly while clients ask: each client gets its own answer, a refusal,
or a connection that visibly breaks off. Never another client's answer."""

import itertools
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness import chaos_backend
from harness.client import ConnectionEnded, request
from harness.gateway import Gateway
from harness.processes import Process, answers, free_port, wait_until

CLIENTS = 6
REQUESTS = 50
BROKEN = ("half", "half-chunked")
REFUSED = ("half-head", "garbage", "reset", "close")
SOUND = ("sound", "chunked", "longer", "tail")


# What is tested is what becomes of requests that reach a backend: none is spared, none is passed over.
NEITHER = {"circuit_breaker": {"failures": 0}, "ejection": {"failures": 0}}


class House:
    def __init__(self, start_gateway: Callable[..., Gateway], directory: Path, upstream: dict[str, Any] = NEITHER) -> None:
        self.directory = directory
        self.ports = [free_port(), free_port()]
        self.backends = [self.start(number) for number in range(2)]
        self.gateway = start_gateway(
            "unused", upstreams={"api": {"servers": [f"127.0.0.1:{port}" for port in self.ports], **upstream}},
            timeouts={"connect": "200ms", "response": "500ms", "body": "500ms"})
        self._identities = itertools.count()

    def start(self, number: int) -> Process:
        process = Process(
            f"chaos-{number}", [sys.executable, chaos_backend.__file__, str(self.ports[number])], self.directory)
        wait_until("the backend listens", lambda: answers(self.ports[number]))
        return process

    def load(self, ways: tuple[str, ...], meanwhile: Callable[[], None] | None = None) -> Counter[tuple[str, str]]:
        """What became of the requests, by the way that was asked for."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._client, seed, ways) for seed in range(CLIENTS)]
            if meanwhile:
                meanwhile()
            return sum((client.result(120) for client in clients), Counter())

    def _client(self, seed: int, ways: tuple[str, ...]) -> Counter[tuple[str, str]]:
        choice, seen, client = random.Random(seed), Counter(), None
        for _ in range(REQUESTS):
            way, identity = choice.choice(ways), f"id-{next(self._identities)}"
            client = client or self.gateway.connect()
            try:
                response = client.ask(request("GET", f"/{way}/{identity}"))
            except (ConnectionEnded, ConnectionResetError):
                client.close()
                client = None
                seen[way, "cut"] += 1
                continue
            if response.status == 200:
                whole = chaos_backend.sound(identity.encode()).split(b"\r\n\r\n", 1)[1]
                assert (response.field("X-Identity"), response.body) == (identity, whole)
                seen[way, "sound"] += 1
            else:
                expected = {502: ("SVC_001",), 503: ("SVC_001", "SVC_003"), 504: ("SVC_002",)}
                assert response.code in expected[response.status]
                seen[way, str(response.status)] += 1
            if response.field("Connection") == "close":
                client.close()
                client = None
        if client:
            client.close()
        return seen

    def recovers(self, within: float = 20) -> None:
        """Requests are served again by whoever is left, and not one request of a whole load fails."""
        wait_until("requests are served", lambda: all(
            self.gateway.get(f"/sound/probe-{number}").status == 200 for number in range(10)), timeout=within)
        assert set(self.load(SOUND[:2])) == {("sound", "sound"), ("chunked", "sound")}


@pytest.fixture
def house(start_gateway, directory):
    house = House(start_gateway, directory)
    yield house
    for backend in house.backends:
        backend.stop()


def test_wrong_answers_reach_nobody_else(house):
    seen = house.load(SOUND + BROKEN + REFUSED)
    for (way, outcome), count in seen.items():
        if way in SOUND:
            assert outcome == "sound", (way, outcome, count)
        elif way in BROKEN:
            assert outcome in ("cut", "502"), (way, outcome, count)
        else:
            assert outcome == "502", (way, outcome, count)
    assert {way for way, _ in seen} == {*SOUND, *BROKEN, *REFUSED}
    assert seen.total() == CLIENTS * REQUESTS
    house.recovers()


def test_killed_backends_cost_no_more_than_what_was_under_way(house):
    def kill() -> None:
        for backend in house.backends:
            backend.kill()

    seen = house.load(SOUND, kill)
    assert {outcome for _, outcome in seen} <= {"sound", "cut", "502", "503"}
    assert {outcome for _, outcome in house.load(SOUND)} == {"503"}
    house.backends = [house.start(number) for number in range(2)]
    house.recovers()


def test_a_backend_that_hangs_is_waited_for_no_longer_than_allowed(house):
    house.backends[0].signal(signal.SIGSTOP)
    seen = house.load(("sound",))
    assert {outcome for _, outcome in seen} <= {"sound", "502", "503", "504"}
    assert seen["sound", "sound"] > 0, "the other backend serves"
    house.backends[0].signal(signal.SIGCONT)
    house.recovers()


INTERVAL = 1.0


@pytest.fixture
def guarded(start_gateway, directory):
    """The same with everything on that spares backends, as it is by default, and health checks."""
    house = House(start_gateway, directory, {
        "health_check": {"path": "/sound/health", "interval": f"{INTERVAL:g}s", "timeout": "300ms", "unhealthy_after": 2}})
    yield house
    for backend in house.backends:
        backend.stop()


def test_killed_backends_serve_again_within_one_interval(guarded):
    def kill() -> None:
        for backend in guarded.backends:
            backend.kill()

    seen = guarded.load(SOUND, kill)
    assert {outcome for _, outcome in seen} <= {"sound", "cut", "502", "503"}
    assert {outcome for _, outcome in guarded.load(SOUND)} == {"503"}
    # Both are known to be down, and clients are told at once that there is nobody.
    wait_until("both are down", lambda: len(guarded.gateway.events("upstream.server_down")) == 2, timeout=10)
    response = guarded.gateway.get("/sound/nobody")
    assert (response.status, response.code) == (503, "SVC_001")
    guarded.backends = [guarded.start(number) for number in range(2)]
    guarded.recovers(within=INTERVAL * 1.1 + 1)
    assert guarded.gateway.events("upstream.circuit_closed") or not guarded.gateway.events("upstream.circuit_opened")


def test_a_backend_that_hangs_is_passed_over_until_it_answers_again(guarded):
    guarded.backends[0].signal(signal.SIGSTOP)
    seen = guarded.load(("sound",))
    assert {outcome for _, outcome in seen} <= {"sound", "502", "503", "504"}
    guarded.gateway.wait_event("upstream.server_down", server=f"127.0.0.1:{guarded.ports[0]}")
    # The circuit, which the hang may have opened, closes by trials.
    guarded.recovers(within=70)
    assert set(guarded.load(("sound",))) == {("sound", "sound")}
    guarded.backends[0].signal(signal.SIGCONT)
    guarded.gateway.wait_event("upstream.server_up", INTERVAL * 1.1 + 1, server=f"127.0.0.1:{guarded.ports[0]}")
    guarded.recovers()


def test_half_answers_and_resets_reach_nobody_else_while_backends_are_spared(guarded):
    seen = guarded.load(SOUND + BROKEN + REFUSED)
    for (way, outcome), count in seen.items():
        allowed = ("sound", "503") if way in SOUND else ("cut", "502", "503")
        assert outcome in allowed, (way, outcome, count)
    assert seen.total() == CLIENTS * REQUESTS
    guarded.recovers(within=70)
