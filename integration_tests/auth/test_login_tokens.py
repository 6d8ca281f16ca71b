"""A login that brings a token: it is decided in several steps, and what happens in them happens once."""

import pytest

from harness.client import json_request
from harness.issuer import Issuer
from harness.processes import wait_until
from harness.tokens import bearer, token

OPAQUE = "2YotnFZFEjr1zCsicMWpAA~+/=="


@pytest.fixture
def issuer():
    made = Issuer()
    yield made
    made.close()


def login(value: str) -> bytes:
    return json_request("POST", "/auth/login", {"username": "alice", "password": "correct horse"}, bearer(value))


def send_in_two(gateway, source: str, data: bytes) -> int:
    """The body comes behind its head, so that the head is decided before the login is whole."""
    with gateway.connect(source) as client:
        head, body = data.split(b"\r\n\r\n", 1)
        client.send(head + b"\r\n\r\n")
        assert client.silent(0.05)
        return client.send(body).read_response("POST").status


def test_an_issuer_is_asked_once_for_a_login(start_guarded, issuer, address):
    issuer.grant(OPAQUE)
    gateway = start_guarded(tokens={"introspection": issuer.settings(cache="0s")})
    assert send_in_two(gateway, address, login(OPAQUE)) == 200
    assert issuer.asked == {OPAQUE: 1}
    assert send_in_two(gateway, address, login(OPAQUE)) == 200
    assert issuer.asked == {OPAQUE: 2}, "each login is a request of its own"


def test_a_token_whose_first_request_is_a_login_is_told_of_once(start_guarded, address):
    gateway = start_guarded(workers=1)
    value = token()
    for _ in range(2):
        assert send_in_two(gateway, address, login(value)) == 200
    wait_until("both logins are told of", lambda: len(gateway.events(action="auth_succeeded")) == 2)
    assert len(gateway.events(action="token_accepted")) == 1
