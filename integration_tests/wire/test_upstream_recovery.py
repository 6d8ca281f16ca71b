"""How long a fault of backends outlives its end, by kind: no longer than until the next health check, unless a check
cannot know (docs/upstreams.md, "Sooner"). Each bound is counted from the moment the fault ends. Its spare second is as
long as the interval where there are many tests; where the rule itself is shown (`unhurried`) the interval is long, and
two of them would be too many."""

import signal
from collections.abc import Callable
from datetime import datetime

import pytest

from harness.certificates import Authority
from harness.chaos import GUARDED, INTERVAL, ONE_INTERVAL, ONE_LONG_INTERVAL, PLAIN_AND_TLS, SOUND, UNHURRIED, House
from harness.processes import wait_until

LOST = {"connections that end": ("reset", "close"), "half answers": ("half", "half-chunked", "half-head")}


@pytest.fixture
def guarded(start_chaos: Callable[..., House], over: Authority | None) -> House:
    return start_chaos(GUARDED, over)


@pytest.fixture
def unhurried(start_chaos: Callable[..., House]) -> House:
    return start_chaos(UNHURRIED)


def outcomes(seen) -> set[str]:
    return {outcome for _, outcome in seen}


def until_checked(house: House, times: int = 2) -> Callable[[], None]:
    """Load that goes on until each server was checked so often."""
    def wait() -> None:
        before = house.checks()
        wait_until("checks are made", lambda: house.checks() >= before + 2 * times, 30, every=0.05)
    return wait


def reasons(house: House, event: str) -> set[str]:
    return {line["reason"] for line in house.gateway.events(event)}


def moments(house: House, event: str) -> list[float]:
    """Seconds, of one clock."""
    return [datetime.fromisoformat(line["timestamp"]).timestamp() for line in house.gateway.events(event)]


@PLAIN_AND_TLS
def test_killed_backends_serve_again_within_one_interval(guarded):
    def kill() -> None:
        for backend in guarded.backends:
            backend.kill()

    seen = guarded.load(SOUND, kill)
    assert outcomes(seen) <= {"sound", "cut", "502", "503"}
    assert outcomes(guarded.load(SOUND)) == {"503"}
    # Both are known to be down, and clients are told at once that there is nobody.
    wait_until("both are down", lambda: len(guarded.gateway.events("upstream.server_down")) == 2, timeout=10)
    response = guarded.gateway.get("/sound/nobody")
    assert (response.status, response.code) == (503, "SVC_001")
    guarded.backends = [guarded.start(number) for number in range(2)]
    guarded.recovers(within=ONE_INTERVAL)
    assert guarded.gateway.events("upstream.circuit_closed") or not guarded.gateway.events("upstream.circuit_opened")


@PLAIN_AND_TLS
def test_backends_that_are_killed_and_started_at_once_serve_within_one_interval(guarded):
    """Too quick for checks to have seen it: the circuit that opened for it is tried with the next good one."""
    def restart() -> None:
        for backend in guarded.backends:
            backend.kill()
        guarded.gateway.wait_event("upstream.circuit_opened")
        guarded.backends = [guarded.start(number) for number in range(2)]

    seen = guarded.load(SOUND, restart)
    assert outcomes(seen) <= {"sound", "cut", "502", "503"}
    guarded.recovers(within=ONE_INTERVAL)


@pytest.mark.parametrize("ways", LOST.values(), ids=LOST)
def test_faults_that_checks_do_not_see_are_over_within_one_interval(unhurried, ways):
    """Every check is good, before and after: the next one of them lets requests through again."""
    seen = unhurried.load(ways, until_checked(unhurried, times=1))
    assert outcomes(seen) <= {"cut", "502", "503"}
    assert reasons(unhurried, "upstream.circuit_opened") == {"connection_lost"}
    unhurried.recovers(within=ONE_LONG_INTERVAL)
    assert unhurried.gateway.events("upstream.server_down") == []


@PLAIN_AND_TLS
@pytest.mark.parametrize("ways", LOST.values(), ids=LOST)
def test_faults_of_everything_are_over_within_one_interval(guarded, ways):
    with guarded.fault(*ways):
        seen = guarded.load(("sound",), until_checked(guarded))
        assert outcomes(seen) <= {"cut", "502", "503"}
        assert guarded.gateway.events("upstream.circuit_opened") or guarded.gateway.events("upstream.server_down")
    guarded.recovers(within=ONE_INTERVAL)


def test_a_backend_that_hangs_costs_one_interval_from_when_it_is_known_and_is_back_after_another(unhurried):
    hung, gateway = unhurried.addresses[0], unhurried.gateway
    unhurried.backends[0].signal(signal.SIGSTOP)
    seen = unhurried.load(("sound",), lambda: gateway.wait_event("upstream.server_down", 30, server=hung), requests=1)
    assert outcomes(seen) <= {"sound", "502", "503", "504"}
    # The hang may have opened the circuit; the next good check of the other one lets it be tried.
    unhurried.recovers(within=ONE_LONG_INTERVAL)
    unhurried.backends[0].signal(signal.SIGCONT)
    gateway.wait_event("upstream.server_up", ONE_LONG_INTERVAL, server=hung)
    unhurried.recovers(within=0)


@PLAIN_AND_TLS
def test_when_all_backends_hang_clients_are_told_in_time_and_all_is_over_within_one_interval(guarded):
    for backend in guarded.backends:
        backend.signal(signal.SIGSTOP)
    seen = guarded.load(
        ("sound",), lambda: wait_until(
            "both are down", lambda: len(guarded.gateway.events("upstream.server_down")) == 2), requests=1)
    assert outcomes(seen) <= {"503", "504"}
    assert seen["sound", "504"] > 0, "who asked first waited, and not for ever"
    for backend in guarded.backends:
        backend.signal(signal.SIGCONT)
    guarded.recovers(within=ONE_INTERVAL)


def test_malformed_answers_keep_the_circuit_open_for_its_time_however_good_the_checks_are(start_chaos):
    open_time = 3 * INTERVAL
    house = start_chaos({**GUARDED, "circuit_breaker": {"open_time": f"{open_time:g}s"}})
    seen = house.load(("garbage",), requests=10)
    assert outcomes(seen) == {"502", "503"}
    assert house.gateway.wait_event("upstream.circuit_opened")["reason"] == "malformed_answer"
    checks = house.checks()
    house.recovers(within=open_time + 1)
    assert house.checks() - checks >= 2, "checks were made while it was open, and were good"
    assert house.gateway.events("upstream.server_down") == []
    opened, half_open, closed = (
        moments(house, f"upstream.circuit_{state}") for state in ("opened", "half_open", "closed"))
    assert (len(opened), len(half_open), len(closed)) == (1, 1, 1)
    assert half_open[0] - opened[0] >= open_time - 0.01, "not sooner"
