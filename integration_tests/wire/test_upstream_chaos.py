"""Backends that are killed, hang, reset and answer wrongly while clients ask: each client gets its own answer, a
refusal, or a connection that visibly breaks off. Never another client's answer, and never nothing at all."""

import signal

import pytest

from harness.chaos import BROKEN, CLIENTS, GUARDED, NEITHER, PLAIN_AND_TLS, REFUSED, REQUESTS, SOUND


@pytest.fixture
def house(start_chaos, over):
    return start_chaos(NEITHER, over)


@pytest.mark.once
@PLAIN_AND_TLS
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


@PLAIN_AND_TLS
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
    seen = house.load(("sound",), requests=10)
    assert {outcome for _, outcome in seen} <= {"sound", "502", "503", "504"}
    assert seen["sound", "sound"] > 0, "the other backend serves"
    house.backends[0].signal(signal.SIGCONT)
    house.recovers()


@pytest.mark.once
def test_half_answers_and_resets_reach_nobody_else_while_backends_are_spared(start_chaos):
    # A malformed answer may be the last in a row of failures, and the circuit that it opens waits for its time.
    house = start_chaos({**GUARDED, "circuit_breaker": {"open_time": "1s"}})
    seen = house.load(SOUND + BROKEN + REFUSED)
    for (way, outcome), count in seen.items():
        allowed = ("sound", "503") if way in SOUND else ("cut", "502", "503")
        assert outcome in allowed, (way, outcome, count)
    assert seen.total() == CLIENTS * REQUESTS
    house.recovers(within=3)
