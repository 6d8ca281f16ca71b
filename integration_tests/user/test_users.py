"""A user's life through the gateway, with the demo API behind it."""

import itertools

import pytest

from harness.client import json_request, request
from harness.tokens import SECRET, bearer

_numbers = itertools.count(1)


@pytest.fixture
def gateway(start_gateway, demo_api):
    return start_gateway(
        demo_api,
        routes=[
            {"path": "/", "upstream": "api", "auth": "required"},
            {"path": "/auth", "upstream": "api", "auth": "none"},
            {"path": "/api/v1/auth", "upstream": "api", "auth": "none"},
            {"path": "/auth/logout", "upstream": "api", "auth": "required"},
            {"path": "/admin", "upstream": "api", "auth": "required", "roles": ["admin"]},
        ],
        tokens={"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]})


@pytest.fixture
def log_in(gateway, address):
    def log_in(name="alice", password="correct horse", prefix=""):
        answer = gateway.fetch(
            json_request("POST", f"{prefix}/auth/login", {"username": name, "password": password}), address)
        assert answer.status == 200, answer.body
        return answer.json()
    return log_in


def told(answer) -> dict[str, list[str]]:
    """What the gateway told the API, by field name."""
    fields: dict[str, list[str]] = {}
    for name, value in answer.json()["gateway_fields"]:
        fields.setdefault(name, []).append(value)
    return fields


def test_register_log_in_and_read_who_one_is(gateway, log_in, address):
    name = f"user{next(_numbers)}"
    new = {"username": name, "password": "eight or more"}
    assert gateway.fetch(json_request("POST", "/auth/register", new), address).status == 201
    assert gateway.fetch(json_request("POST", "/auth/register", new), address).status == 409
    answer = gateway.get("/me", address, bearer(log_in(name, "eight or more")["access_token"]))
    assert answer.status == 200
    assert answer.json()["username"] == name


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_the_api_gets_identity_and_address_from_the_gateway(gateway, log_in, address, prefix):
    answer = gateway.get(f"{prefix}/me", address, bearer(log_in(prefix=prefix)["access_token"]))
    fields = told(answer)
    assert fields["x-user-id"] == ["alice"]
    assert fields["x-user-role"] == ["user"]
    assert fields["x-authenticated"] == ["true"]
    assert fields["x-forwarded-for"] == [address]
    assert fields["x-request-id"] == [answer.field("X-Request-Id")]


def test_a_forged_identity_is_replaced(gateway, log_in, address):
    forged = {"X-User-Id": "root", "X_User_Role": "admin", **bearer(log_in()["access_token"])}
    fields = told(gateway.get("/me", address, forged))
    assert fields["x-user-id"] == ["alice"]
    assert fields["x-user-role"] == ["user"]
    assert "x_user_role" not in fields


def test_without_a_token_the_api_is_not_asked(gateway, address):
    answer = gateway.get("/me", address)
    assert (answer.status, answer.code) == (401, "AUTH_001")


def test_a_refresh_token_works_once(gateway, log_in, address):
    spent = {"refresh_token": log_in()["refresh_token"]}
    renewed = gateway.fetch(json_request("POST", "/auth/refresh", spent), address)
    assert gateway.get("/me", address, bearer(renewed.json()["access_token"])).status == 200
    again = gateway.fetch(json_request("POST", "/auth/refresh", spent), address)
    assert (again.status, again.json()) == (401, {"detail": "The refresh token is invalid or spent"})


def test_logout_ends_the_renewal(gateway, log_in, address):
    session = log_in()
    assert gateway.fetch(request("POST", "/auth/logout", bearer(session["access_token"])), address).status == 204
    answer = gateway.fetch(
        json_request("POST", "/auth/refresh", {"refresh_token": session["refresh_token"]}), address)
    assert answer.status == 401


def test_only_an_administrator_lists_the_users(gateway, log_in, address):
    refused = gateway.get("/admin/users", address, bearer(log_in()["access_token"]))
    assert (refused.status, refused.code) == (403, "PERM_002")
    listed = gateway.get("/admin/users", address, bearer(log_in("root", "battery staple")["access_token"]))
    assert listed.status == 200
    assert {"username": "root", "role": "admin"} in listed.json()


def test_the_answer_to_a_wrong_login_is_the_backend_s_own(gateway, address):
    answer = gateway.fetch(
        json_request("POST", "/auth/login", {"username": "alice", "password": "wrong"}), address)
    assert answer.status == 401
    assert answer.body == b'{"detail":"Wrong user name or password"}'


def test_a_success_among_failures_does_not_reset_the_counter(start_gateway, demo_api, redis, address):
    gateway = start_gateway(demo_api, redis)
    for password in ("wrong", "wrong", "correct horse", "wrong"):
        gateway.fetch(json_request("POST", "/auth/login", {"username": "alice", "password": password}), address)
    assert redis.failures(address) == 3
