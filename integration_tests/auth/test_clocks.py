"""Clocks of issuers that are ahead of this machine's: seen of the tokens, for each source of keys."""

import time

import pytest

from harness.processes import wait_until
from harness.provider import Provider
from harness.tokens import SECRET, bearer, claims, token

OTHER = "a second secret of an integration test, which is as long as it has to be for any of them"


@pytest.fixture
def provider():
    one = Provider("one")
    yield one
    one.close()


@pytest.fixture
def gateway(start_guarded, provider):
    return start_guarded(tokens={"keys": [
        {"id": "main", "secret": SECRET, "algorithms": ["HS256"]}, {"id": "other", "secret": OTHER},
        {"id": "idp", "jwks_url": provider.url}], "leeway": "30s"})


def leads(gateway):
    return {name: gateway.metrics()[f'gateway_token_clock_ahead_seconds{{source="{name}"}}'] for name in ("main", "other", "idp")}


def ahead(seconds, **changes):
    return {"iat": time.time() + seconds, **changes}


def test_a_clock_that_is_ahead_is_shown_for_its_source_and_warned_of_once(gateway, provider):
    assert leads(gateway) == {"main": 0, "other": 0, "idp": 0}
    assert gateway.get("/", fields=bearer(token(claims(**ahead(-5))))).status == 200
    wait_until("the provider's keys", lambda: gateway.get("/", fields=bearer(provider.token("one"))).status == 200)
    for number in range(3):
        # Different tokens: one that is remembered is not looked at again.
        assert gateway.get("/", fields=bearer(token(claims(f"user-{number}", **ahead(20))))).status == 200
        assert gateway.get("/", fields=bearer(provider.token("one", **ahead(20, sub=f"user-{number}")))).status == 200
    wait_until("the estimates", lambda: min(leads(gateway)["main"], leads(gateway)["idp"]) > 0)
    assert 15 < leads(gateway)["main"] < 21 and 15 < leads(gateway)["idp"] < 21
    assert leads(gateway)["other"] == 0
    assert {one["key"] for one in gateway.events("tokens.clock_ahead")} == {"main", "idp"}
    [source] = gateway.command_json("status")["keys"]
    assert 15_000 < source["clock_ahead_ms"] < 21_000
    assert "s ahead" in gateway.command("status").stdout
    # Refused, since it is beyond the leeway, but a clock all the same.
    assert gateway.get("/", fields=bearer(token(claims(**ahead(100)), key=OTHER, kid="other"))).code == "AUTH_001"
    wait_until("the third", lambda: leads(gateway)["other"] > 90)
    assert [one["key"] for one in gateway.events("tokens.clock_ahead")].count("main") == 1
    warning = gateway.wait_event("tokens.clock_ahead", key="other")
    assert warning["level"] == "WARNING" and warning["ahead_ms"] > 90_000 and warning["leeway_ms"] == 30_000


def test_what_nobody_signed_says_nothing_of_a_clock(gateway, provider):
    # Before, a token that fits no other key might be the provider's.
    wait_until("the provider's keys", lambda: gateway.get("/", fields=bearer(provider.token("one"))).status == 200)
    forged = token(claims(**ahead(20)), key="another secret that is long enough as well, for what it is worth")
    assert gateway.get("/", fields=bearer(forged)).status == 401
    later = token(claims(nbf=time.time() + 900, iat=time.time() - 1))
    assert gateway.get("/", fields=bearer(later)).status == 401
    # Behind it: what was found out of those before is with the control thread by now.
    assert gateway.get("/", fields=bearer(token(claims(**ahead(10)), key=OTHER, kid="other"))).status == 200
    wait_until("the estimate", lambda: leads(gateway)["other"] > 0)
    assert leads(gateway) == {"main": 0, "other": pytest.approx(9, abs=3), "idp": 0}
    assert gateway.events("tokens.clock_ahead") == []


def test_a_reload_forgets_what_is_gone(gateway):
    assert gateway.get("/", fields=bearer(token(claims(**ahead(20)), key=OTHER, kid="other"))).status == 200
    wait_until("the estimate", lambda: leads(gateway)["other"] > 0)
    keys = gateway.settings["tokens"]["keys"]
    gateway.write_config({**gateway.settings, "tokens": {**gateway.settings["tokens"], "keys": keys[:1] + keys[2:]}})
    gateway.command("reload")
    assert not any("clock_ahead" in name and "other" in name for name in gateway.metrics())
