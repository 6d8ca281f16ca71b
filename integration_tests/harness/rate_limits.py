"""Clients of a gateway with a rate limit, and what it has told other replicas of."""

from .processes import wait_until

# A day: what is used up stays so for as long as a test runs.
SLOW = {"rate": "1/d"}
DAY = 86_400


def passes(gateway, **how) -> bool:
    answer = gateway.get(how.pop("target", "/"), **how)
    assert (answer.status, answer.code) in ((200, None), (429, "RATE_001"))
    return answer.status == 200


def told(gateway) -> float:
    return gateway.metrics()["gateway_rate_limit_told_total"]


def told_all(gateway, requests) -> None:
    wait_until("others can know of it", lambda: told(gateway) == requests)
