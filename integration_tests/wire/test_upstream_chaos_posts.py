"""A POST may have been carried out as soon as a byte of it has left: whatever backends do, none of them sees it a
second time (RFC 9110 §9.2.2), and its client learns what became of it as far as anybody can know."""

import signal
from collections import Counter

import pytest

from harness.chaos import BROKEN, NEITHER, PLAIN_AND_TLS, REFUSED, SOUND, House
from harness.processes import wait_until

# More attempts than anybody needs: what is not sent again is not for another reason than that they are used up.
EAGER = {**NEITHER, "retries": 5}
FAULTS = (*BROKEN, *REFUSED, "unread")


pytestmark = pytest.mark.once


@pytest.fixture
def house(start_chaos, over):
    return start_chaos(EAGER, over)


def posts(*ways: str) -> tuple[str, ...]:
    return tuple(f"POST {way}" for way in ways)


def agrees_with_what_arrived(house: House) -> Counter[str]:
    """What clients of POSTs were told beside what the backends saw of them; how often they were told what.

    A backend that is killed in the moment between reading and writing down has seen more than is known. That can hide a
    second arrival and make up none, and there are as many as there are POSTs in which it does not happen."""
    arrived, told = house.arrived(), Counter()
    for identity, (method, outcome) in house.told.items():
        if method != "POST":
            continue
        began, whole = (arrived["POST", identity, what] for what in ("began", "whole"))
        assert began <= 1, f"{identity} arrived {began} times, its client was told {outcome}"
        assert arrived["POST", identity, "spoiled"] == 0
        if outcome in ("sound", "cut"):
            assert (began, whole) == (1, 1), f"{identity} was answered ({outcome}) by whom?"
        if outcome == "503":
            assert began == 0, f"{identity} was carried out, its client was told that nobody could be reached"
        told[outcome] += 1
    return told


@PLAIN_AND_TLS
def test_a_post_that_a_backend_spoils_is_never_sent_again(house):
    seen = house.load(posts(*SOUND, *FAULTS) + FAULTS)
    for (way, outcome), count in seen.items():
        method, _, way = way.rpartition(" ")
        if way in SOUND:
            assert outcome == "sound", (way, outcome, count)
        else:
            assert outcome == "502" or way in BROKEN and outcome == "cut", (method, way, outcome, count)
    told = agrees_with_what_arrived(house)
    assert min(told["sound"], told["502"], told["cut"]) > 0
    # A GET may be, and was: that is seen here as it would be of a POST.
    twice = [identity for (method, identity, _), count in house.arrived().items() if method == "GET" and count > 1]
    assert twice


@PLAIN_AND_TLS
def test_a_post_is_never_sent_again_while_backends_are_killed_and_come_back(house):
    def kill_by_turns() -> None:
        for turn in range(8):
            house.restart(turn % 2)

    seen = house.load(("sound", *posts("sound", "chunked")), kill_by_turns)
    assert {outcome for _, outcome in seen} <= {"sound", "cut", "502", "503"}
    told = agrees_with_what_arrived(house)
    assert told["sound"] > 0
    assert told["502"] > 0, "some were under way"
    house.recovers()


def test_a_post_that_nobody_could_take_was_not_taken(house):
    """503 is told of a request of which nothing has left: its client may ask again without fear."""
    for backend in house.backends:
        backend.kill()
    seen = house.load(posts("sound"), requests=5)
    assert {outcome for _, outcome in seen} == {"503"}
    house.backends = [house.start(number) for number in range(2)]
    house.load(posts("sound"), requests=5)
    assert set(agrees_with_what_arrived(house)) == {"503", "sound"}


def test_a_post_that_a_backend_sat_on_is_not_sent_to_another(house):
    hung = house.backends[0]
    hung.signal(signal.SIGSTOP)

    def until_some_gave_up() -> None:
        wait_until("clients are told", lambda: ("POST", "504") in house.told.copy().values())
        hung.signal(signal.SIGCONT)

    seen = house.load(posts("sound"), until_some_gave_up, requests=10)
    assert {outcome for _, outcome in seen} <= {"sound", "502", "504"}
    # It reads what has waited for it, now that its clients have gone.
    late = [identity for identity, told in house.told.items() if told == ("POST", "504")]
    wait_until("it has read them", lambda: all(house.arrived()["POST", identity, "began"] for identity in late))
    house.recovers()
    assert agrees_with_what_arrived(house)["504"] == len(late) > 0
