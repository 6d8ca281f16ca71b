"""A user's login through the stack: what the API is told about the caller."""

import json

JSON = {"Content-Type": "application/json"}


def test_login_then_me_with_identity_headers(stack):
    session, = stack.ask("client-b", (
        "POST", "/auth/login", JSON, json.dumps({"username": "alice", "password": "correct horse"})))
    assert session.status == 200
    bearer = {"Authorization": f"Bearer {session.json()['access_token']}", "X-User-Id": "root"}
    anonymous, me, admin = stack.ask(
        "client-b", ("GET", "/me", {}, None), ("GET", "/me", bearer, None), ("GET", "/admin/users", bearer, None))
    assert (anonymous.status, anonymous.code) == (401, "AUTH_001")
    assert (admin.status, admin.code) == (403, "PERM_002")
    told = dict(me.json()["gateway_fields"])
    assert told["x-user-id"] == "alice"
    assert told["x-forwarded-for"] == stack.address("client-b")
