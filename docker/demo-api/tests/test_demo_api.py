"""The demo API by itself, without a gateway."""

import importlib
import time

import jwt
import pytest
from fastapi.testclient import TestClient

SECRET = "a demo secret of more than thirty-two bytes"


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("DEMO_DATABASE", str(tmp_path / "users.sqlite3"))
    import demo_api.main

    return TestClient(importlib.reload(demo_api.main).app)


def login(client, name="alice", password="correct horse", prefix=""):
    return client.post(f"{prefix}/auth/login", json={"username": name, "password": password})


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_the_demo_user_can_log_in_and_read_who_it_is(client, prefix):
    session = login(client, prefix=prefix).json()
    answer = client.get(f"{prefix}/me", headers={**bearer(session["access_token"]), "X-User-ID": "alice"})
    assert answer.status_code == 200
    assert answer.json() == {
        "username": "alice", "role": "user", "roles": ["user"], "gateway_fields": [["x-user-id", "alice"]],
    }


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_a_wrong_password_and_an_unknown_name_are_answered_alike(client, name):
    answer = login(client, name, "wrong")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Wrong user name or password"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_access_token_carries_the_promised_claims_and_no_others(client):
    claims = jwt.decode(login(client).json()["access_token"], SECRET, algorithms=["HS256"])
    assert set(claims) == {"sub", "role", "roles", "iat", "exp", "jti"}
    assert claims["exp"] - claims["iat"] == 900


def test_register_then_log_in(client):
    new = {"username": "carol", "password": "eight or more"}
    assert client.post("/auth/register", json=new).json() == {"username": "carol", "role": "user"}
    assert client.post("/auth/register", json=new).status_code == 409
    assert login(client, "carol", "eight or more").status_code == 200


def test_a_refresh_token_works_once(client):
    spent = {"refresh_token": login(client).json()["refresh_token"]}
    assert client.post("/auth/refresh", json=spent).status_code == 200
    assert client.post("/auth/refresh", json=spent).status_code == 401


def test_logout_ends_the_refresh_tokens(client):
    session = login(client).json()
    assert client.post("/auth/logout", headers=bearer(session["access_token"])).status_code == 204
    assert client.post("/auth/refresh", json={"refresh_token": session["refresh_token"]}).status_code == 401


def test_only_an_administrator_lists_the_users(client):
    assert client.get("/admin/users").status_code == 401
    assert client.get("/admin/users", headers=bearer(login(client).json()["access_token"])).status_code == 403
    token = login(client, "root", "battery staple").json()["access_token"]
    assert client.get("/admin/users", headers=bearer(token)).json() == [
        {"username": "alice", "role": "user"}, {"username": "root", "role": "admin"},
    ]


def test_an_expired_token_is_refused(client):
    token = jwt.encode({"sub": "alice", "exp": int(time.time()) - 1}, SECRET, algorithm="HS256")
    assert client.get("/me", headers=bearer(token)).status_code == 401


def test_a_short_secret_is_refused(monkeypatch):
    from demo_api.settings import settings_from_environment

    monkeypatch.setenv("JWT_SECRET", "x" * 31)
    with pytest.raises(SystemExit, match="at least 32 bytes"):
        settings_from_environment()
