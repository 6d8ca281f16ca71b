"""What only backends with TLS can do wrong under load. All else that backends do is tried over TLS beside plain text,
in wire/test_upstream_chaos*.py and wire/test_upstream_recovery.py."""

import pytest

from harness.chaos import GUARDED, NEITHER, ONE_INTERVAL
from harness.processes import wait_until


def test_handshakes_that_break_off_are_refusals_and_send_nothing(start_chaos, authority):
    house = start_chaos(NEITHER, authority)
    with house.fault("no-handshake"):
        seen = house.load(("sound", "POST sound"), requests=10)
    assert {outcome for _, outcome in seen} == {"502"}
    assert not house.arrived()
    house.recovers()


@pytest.mark.parametrize("lasts", ["a moment", "until all are down"])
def test_handshakes_that_break_off_are_over_within_one_interval(start_chaos, authority, lasts):
    """As those of backends do that are started anew. Checks go over TLS with a whole handshake each time, so a good one
    shows that the next handshake of a request will be good, too."""
    house = start_chaos(GUARDED, authority)
    house.recovers()
    with house.fault("no-handshake"):
        seen = house.load(("sound",), requests=5)
        assert {outcome for _, outcome in seen} <= {"502", "503"}
        assert house.gateway.wait_event("upstream.circuit_opened")["reason"] == "tls_failed"
        if lasts != "a moment":
            wait_until("both are down", lambda: len(house.gateway.events("upstream.server_down")) == 2)
    house.recovers(within=ONE_INTERVAL)
