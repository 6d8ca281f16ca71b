"""Expired tokens: how they are told apart, and the grace in which a route still takes them for what changes nothing."""

import time

import pytest
from websockets.exceptions import InvalidStatus

from harness.client import request
from harness.event_streams import Events, is_cut, read_event
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token
from harness.websocket import Echo, open_websocket

GRACE = 60
ROUTES = [
    {"path": "/", "upstream": "api", "auth": "required"},
    {"path": "/lenient", "upstream": "api", "auth": "required", "expired_grace": f"{GRACE}s"},
    {"path": "/open", "upstream": "api", "auth": "none"},
]
TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}], "leeway": "0s"}


@pytest.fixture
def gateway(start_gateway, backend):
    return start_gateway(backend, routes=ROUTES, tokens=TOKENS)


def expired(seconds: float, lifetime: int = 300, **changes) -> str:
    """A token that has expired so long ago."""
    end = time.time() - seconds
    return token(claims(exp=end, iat=end - lifetime, **changes))


def count(gateway, result: str, age: str) -> float:
    return gateway.metrics()[f'gateway_expired_tokens_total{{result="{result}",age="{age}"}}']


def test_a_route_with_a_grace_takes_an_expired_token_and_says_so(gateway, backend):
    text = expired(5)
    assert gateway.get("/lenient", fields=bearer(text)).status == 200
    assert gateway.fetch(request("HEAD", "/lenient", bearer(text))).status == 200
    assert gateway.fetch(request("OPTIONS", "/lenient", bearer(text))).status == 200
    assert gateway.get("/lenient", fields=bearer(token())).status == 200
    assert [one.field("X-Token-Expired") for one in backend.requests] == ["true", "true", "true", None]
    assert {one.field("X-User-ID") for one in backend.requests} == {"alice"}
    assert count(gateway, "in_grace", "under_minute") == 3
    assert gateway.metrics()['gateway_auth_success_total{kind="token"}'] == 4
    records = wait_until("three records", lambda: (
        lambda found: found if len(found) == 3 else None)(gateway.events(action="token_accepted_in_grace")))
    assert {(one["event"], one["level"], one["context"]["user_id"], one["context"]["expired_age"]) for one in records} == {
        ("security.auth_success", "WARNING", "alice", "under_minute")}
    assert all(4 <= one["context"]["expired_for_seconds"] < GRACE for one in records)


@pytest.mark.once
def test_nothing_that_changes_something_passes_in_the_grace(gateway, backend):
    text = expired(5)
    assert gateway.get("/lenient", fields=bearer(text)).status == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = gateway.fetch(request(method, "/lenient", bearer(text), b""))
        assert (response.status, response.code) == (401, "AUTH_002")
    assert gateway.get("/", fields=bearer(text)).code == "AUTH_002"
    assert gateway.get("/lenient", fields=bearer(expired(GRACE + 1))).code == "AUTH_002"
    assert gateway.get("/lenient", fields=bearer(expired(5, nbf=time.time() + 900))).code == "AUTH_001"
    assert len(backend.requests) == 1


def test_the_grace_ends(gateway):
    text = expired(GRACE - 1.5)
    assert gateway.get("/lenient", fields=bearer(text)).status == 200
    wait_until("its end", lambda: gateway.get("/lenient", fields=bearer(text)).code == "AUTH_002")


@pytest.mark.once
def test_no_client_can_say_that_its_token_has_expired(gateway, backend):
    for name in ("X-Token-Expired", "x-token-expired", "X_Token_Expired", "X-TOKEN_EXPIRED"):
        for path in ("/lenient", "/open"):
            assert gateway.get(path, fields={name: "true", **bearer(token())}).status == 200
    assert all("token" not in name for one in backend.requests for name in one.names())
    tricks = {"Connection": "X-Token-Expired", "X-Token-Expired": "false", **bearer(expired(5))}
    assert gateway.get("/lenient", fields=tricks).status == 200
    assert backend.requests[-1].field("X-Token-Expired") == "true"


def test_no_websocket_opens_in_the_grace(start_gateway):
    echo = Echo()
    gateway = start_gateway(echo.address, routes=ROUTES, tokens=TOKENS)
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(gateway, "/lenient", fields=bearer(expired(5)))
    assert refused.value.response.status_code == 401
    with open_websocket(gateway, "/lenient", fields=bearer(token())) as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
    echo.close()


@pytest.mark.parametrize("opened", ["in time", "in the grace"])
def test_an_event_stream_ends_when_its_token_is_good_for_nothing_any_more(gateway, backend, opened):
    """With the token if the token was good, since the backend was not told otherwise; else with the grace."""
    events = backend.handler = Events()
    left = 2
    text = expired(-left) if opened == "in time" else expired(GRACE - left)
    began = time.time()
    with gateway.connect() as client:
        assert client.send(request("GET", "/lenient", bearer(text))).read_head().status == 200
        events.send("data: 1\n\n")
        assert read_event(client) == b"data: 1\n\n"
        assert is_cut(client)
        assert left - 0.1 < time.time() - began < left + 5
    assert gateway.wait_event("http.request", ended_by="token_expired")["path"] == "/lenient"
    events.release()


@pytest.mark.parametrize(("seconds", "lifetime", "age"), [
    (3, 300, "under_minute"), (90, 300, "under_lifetime"), (400, 300, "longer"), (90, 60, "longer"),
])
def test_a_refusal_says_how_long_ago_the_token_has_expired(gateway, seconds, lifetime, age):
    assert gateway.get("/", fields=bearer(expired(seconds, lifetime))).code == "AUTH_002"
    for event in ("security.auth_failure", "security.token_expired"):
        context = gateway.wait_event(event)["context"]
        assert context["expired_age"] == age
        assert seconds - 1 <= context["expired_for_seconds"] < seconds + 30
    assert count(gateway, "refused", age) == 1
    assert count(gateway, "in_grace", age) == 0


def test_a_token_that_nobody_signed_has_no_age(gateway):
    forged = token(claims(exp=int(time.time()) - 90), key="another secret that is long enough as well")
    assert gateway.get("/", fields=bearer(forged)).code == "AUTH_001"
    assert "expired_age" not in gateway.wait_event("security.auth_failure")["context"]
    assert sum(value for name, value in gateway.metrics().items() if "expired_tokens" in name) == 0
