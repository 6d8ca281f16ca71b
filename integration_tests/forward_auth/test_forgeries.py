"""What a client writes changes neither the verdict nor what the backend is told of the client, whichever proxy asks."""

import re

import pytest

from harness.client import request
from harness.tokens import bearer, token

FORGED = "forged-value"
SPELLINGS = [
    "X-User-ID", "x-user-id", "X-USER-ID", "X_User_Id", "X-User_ID", "x_user_id", "X-User-Role", "X_User_Role",
    "X-Authenticated", "X_Authenticated", "X-authenticated", "X.User.Id", "X~User!Role", "x.authenticated",
]
SIGNS = set("_.~!")


@pytest.mark.parametrize("target", ["/open", "/maybe"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_forged_identity_of_nobody_never_arrives(world, name, target, address):
    """A name with another sign is dropped by the proxy, or refused by the gateway."""
    response, arrived = world.ask(request("GET", target, {name: FORGED}), address)
    if arrived is None:
        assert SIGNS & set(name) and response.status == 400
    else:
        assert FORGED.encode() not in arrived.head
        assert {"x-user-id", "x-user-role", "x-authenticated"}.isdisjoint(
            re.sub("[^a-z0-9]", "-", other) for other in arrived.names())


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_forged_identity_never_arrives_beside_a_verified_one(world, name, address):
    response, arrived = world.ask(request("GET", "/private", {name: FORGED, **bearer(token())}), address)
    if arrived is None:
        assert SIGNS & set(name) and response.status == 400
    else:
        assert FORGED.encode() not in arrived.head
        assert (arrived.field("X-User-ID"), arrived.field("X-User-Role")) == ("alice", "user")
        assert arrived.field("X-Authenticated") == "true"


def test_two_forged_identities_are_none_the_better(world, address):
    _, arrived = world.ask(request("GET", "/open", [("X-User-ID", FORGED), ("X-User-ID", FORGED)]), address)
    assert arrived is None or FORGED.encode() not in arrived.head


@pytest.mark.parametrize("named", [
    "X-User-ID", "x-user-id, X-User-Role, X-Authenticated", "upgrade, X-User-ID", "X-User-ID, close",
    "Authorization", "X-Forwarded-Uri", "X-Forwarded-For",
    "X-Forwarded-Method, X-Forwarded-Uri, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-For", "Cookie, Host",
])
def test_connection_takes_nothing_away(world, named, address):
    """traefik#8319, CVE-2024-45410. Refused is well, too: only half an identity is not."""
    response, arrived = world.ask(request("GET", "/private", {"Connection": named, **bearer(token())}), address)
    if arrived is None:
        assert response.status in (400, 401, 403)
    else:
        assert (arrived.field("X-User-ID"), arrived.field("X-User-Role")) == ("alice", "user")
        assert arrived.field("X-Authenticated") == "true"


DESCRIPTIONS = {
    "X-Forwarded-Uri": "/open", "X-Forwarded-Method": "OPTIONS", "X-Forwarded-Host": "only.example.org",
    "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Prefix": "/open",
    "X-Original-URI": "/open", "X-Original-URL": "/open", "X-Original-Method": "OPTIONS", "X-Rewrite-URL": "/open",
    "X-Envoy-Original-Path": "/open", "Forwarded": "for=192.0.2.1;host=only.example.org", "X-Real-IP": "192.0.2.1",
    "X-HTTP-Method-Override": "OPTIONS", "X-Auth-Status": "200", "X-Envoy-Auth-Headers-To-Remove": "x-a",
}


def described(spell) -> dict[str, str]:
    return {spell(name): value for name, value in DESCRIPTIONS.items()}


FORGERIES = {
    **{name: {name: value} for name, value in DESCRIPTIONS.items()},
    "all": DESCRIPTIONS,
    "all in small letters": described(str.lower),
    "all with underscores": described(lambda name: name.replace("-", "_")),
    "all for a preflight": {
        **DESCRIPTIONS, "Origin": "https://app.example.org", "Access-Control-Request-Method": "GET"},
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_description_does_not_change_a_refusal(world, name, address):
    response, arrived = world.ask(request("GET", "/private", FORGERIES[name]), address)
    assert arrived is None
    assert response.status == 401 or ("underscores" in name and response.status == 400)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_description_that_is_forged_twice_does_not_either(world, name, address):
    value = DESCRIPTIONS[name]
    response, arrived = world.ask(request("GET", "/private", [(name, value), (name, value)]), address)
    assert (response.status, arrived) == (401, None)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_description_does_not_take_a_request_elsewhere(world, name, address):
    """To the host that has the route, for instance."""
    response, arrived = world.ask(request("GET", "/of-host", FORGERIES[name]), address)
    assert arrived is None
    assert response.status == 404 or ("underscores" in name and response.status == 400)


@pytest.mark.parametrize("field", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "X_Forwarded_For"])
def test_nobody_walks_out_of_a_block_or_puts_it_on_another(world, field, address, other_address):
    world.gateway.command("block", address)

    def forged(value: str) -> dict[str, str]:
        return {field: f"for={value}" if field == "Forwarded" else value}

    response, arrived = world.ask(request("GET", "/open", forged(other_address)), address)
    assert (response.status, response.code, arrived) == (403, "AUTH_004", None)
    response, arrived = world.ask(request("GET", "/open", forged(address)), other_address)
    assert response.status == 200 or ("_" in field and response.status == 400)
    world.gateway.command("unblock", address)


SMUGGLED = [
    b"GET /private HTTP/1.1\r\nHost: gateway.test\r\nX-A: b\r\n X-Forwarded-Uri: /open\r\n\r\n",
    b"GET /private\tHTTP/1.1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"GET http://gateway.test/private HTTP/1.1\r\nHost: only.example.org\r\n\r\n",
    b"GET /private#/open HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"GET /private?/../open HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"GET /private HTTP/1.1\r\nHost: gateway.test\r\nHost: only.example.org\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"GET /private HTTP/1.0\r\n\r\n",
    b"GET /verify HTTP/1.1\r\nHost: gateway.test\r\nX-Forwarded-Uri: /open\r\n\r\n",
    b"GET /nginx HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"GET /envoy/open HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"GET /gateway-check HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    b"POST /private HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"29\r\nGET /open HTTP/1.1\r\nHost: gateway.test\r\n\r\n\r\n0\r\n\r\n",
    b"POST /private HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 41\r\n\r\n"
    b"GET /open HTTP/1.1\r\nHost: gateway.test\r\n\r\n ",
]


@pytest.mark.parametrize("data", SMUGGLED)
def test_odd_requests_do_not_reach_the_backend(world, data, address):
    response, arrived = world.ask(data, address)
    assert arrived is None
    # Traefik and Caddy answer OPTIONS * by themselves.
    assert response is None or response.status >= 400 or data.startswith(b"OPTIONS * ")
