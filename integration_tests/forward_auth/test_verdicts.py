"""Each verdict is the same whether the gateway forwards by itself or nginx, Traefik, Caddy or Envoy ask it: the status, the
problem, the fields that belong to it, and what the backend is told of the client."""

from dataclasses import dataclass, field

import pytest

from harness.client import request
from harness.tokens import bearer, claims, token
from harness.websocket import HANDSHAKE, KEY

ORIGIN = "https://app.example.org"
IDENTITY = ("X-User-ID", "X-User-Role", "X-Authenticated")
# What belongs to a refusal and must come through.
TOLD = ("WWW-Authenticate", "Retry-After", "Allow", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials")


@dataclass
class Case:
    target: str
    fields: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    status: int = 200
    code: str | None = None
    body: bytes | None = None
    host: str = "gateway.test"


def anonymous(target: str, **more: object) -> Case:
    return Case(target, **more)


def known(target: str, text: str, fields: dict[str, str] | None = None, **more: object) -> Case:
    return Case(target, {**bearer(text), **(fields or {})}, **more)


def _long() -> str:
    return token(claims(padding="a" * 2500))


CASES = {
    "open": lambda: anonymous("/open/a?b=c%20d&e"),
    "health of the backend": lambda: anonymous("/health/of/backend"),
    "no token": lambda: anonymous("/private", status=401, code="AUTH_001"),
    "no token, HEAD": lambda: anonymous("/private", method="HEAD", status=401),
    "no token, POST": lambda: anonymous("/private", method="POST", body=b"x" * 20_000, status=401, code="AUTH_001"),
    "good token": lambda: known("/private/a%20b?c", token()),
    "good token, HEAD": lambda: known("/private", token(), method="HEAD"),
    "good token, PUT": lambda: known("/private", token(), method="PUT", body=b"a body"),
    "good token, large body": lambda: known("/private", token(), method="POST", body=b"x" * 300_000),
    "optional, without": lambda: anonymous("/maybe"),
    "optional, with": lambda: known("/maybe", token()),
    "optional, with a bad one": lambda: known("/maybe", "a.b.c", status=401, code="AUTH_001"),
    "open, with": lambda: known("/open", token()),
    "token without a role": lambda: known("/private", token(claims(role=None))),
    "bad signature": lambda: known("/private", token(key="another secret, " * 4, kid="main"), status=401, code="AUTH_001"),
    "expired": lambda: known("/private", token(claims(exp=1_000_000_000)), status=401, code="AUTH_002"),
    "no token at all": lambda: Case("/private", {"Authorization": "Bearer"}, status=401, code="AUTH_001"),
    "huge token": lambda: known("/private", _long(), status=401, code="AUTH_001"),
    "wrong role": lambda: known("/admin", token(), status=403, code="PERM_002"),
    "right role": lambda: known("/admin", token(claims(role="admin", roles=["admin"]))),
    "wrong claim": lambda: known("/gold", token(), status=403, code="PERM_001"),
    "wrong scope": lambda: known("/orders", token(claims(scope="orders.write")), status=403, code="PERM_001"),
    "weak login": lambda: known("/vault", token(), status=401, code="AUTH_005"),
    "no route": lambda: anonymous("/nowhere", status=404, code="REQ_003"),
    "route of another host": lambda: anonymous("/of-host", status=404, code="REQ_003"),
    "route of the host": lambda: anonymous("/of-host", host="only.example.org"),
    "route of the host, with a port": lambda: anonymous("/of-host", host="only.example.org:8443"),
    "method not allowed": lambda: known("/posted", token(), status=405, code="REQ_003"),
    "method allowed": lambda: known("/posted", token(), method="POST", body=b"a"),
    "keys are away": lambda: known(
        "/private", token(claims(iss="https://away.test"), key=_rsa(), alg="RS256"), status=503, code="SVC_001"),
    "cookie": lambda: Case("/browser", {"Cookie": f"a=b; access_token={token()}"}),
    "bad cookie": lambda: Case("/browser", {"Cookie": "access_token=a.b.c"}, status=401, code="AUTH_001"),
    "preflight": lambda: Case(
        "/cors", {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}, method="OPTIONS"),
    "no preflight": lambda: Case("/cors", method="OPTIONS", status=401, code="AUTH_001"),
    "refusal for a page": lambda: Case("/cors", {"Origin": ORIGIN}, status=401, code="AUTH_001"),
    "encoded characters": lambda: known("/%70rivate", token()),
    "encoded characters, no token": lambda: anonymous("/%70rivate", status=401, code="AUTH_001"),
    "WebSocket, no token": lambda: Case("/private", HANDSHAKE, status=401, code="AUTH_001"),
    "WebSocket": lambda: known("/private", token(), HANDSHAKE, status=101),
    "WebSocket of another page": lambda: Case(
        "/browser", {**HANDSHAKE, "Cookie": f"access_token={token()}", "Origin": "https://evil.test"}, status=403,
        code="PERM_001"),
    "WebSocket of its own page": lambda: Case(
        "/browser", {**HANDSHAKE, "Cookie": f"access_token={token()}", "Origin": "http://gateway.test"}, status=101),
}


def _rsa() -> object:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65_537, 2_048)


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_is_the_same_on_both_ways(world, name, address):
    case = CASES[name]()
    data = request(case.method, case.target, case.fields, case.body, case.host)
    direct, behind = world.ask(data, address, inline=True)
    assert direct.status == case.status
    response, arrived = world.ask(data, address)
    assert response.status == case.status
    if case.code is not None and not (world.front.name == "envoy" and case.status >= 500):
        # Envoy takes 5xx for a failure of the gateway, and answers by itself.
        ours, theirs = response.json(), direct.json()
        assert direct.code == case.code
        assert ours.pop("request_id") != theirs.pop("request_id")
        assert ours == theirs
        assert response.field("Content-Type") == "application/problem+json"
        assert response.field("X-Request-Id") == response.json()["request_id"]
    for field_name in TOLD if case.status < 500 else ():
        assert response.field(field_name) == direct.field(field_name), field_name
    assert (arrived is None) == (behind is None) == (case.status not in (101, 200))
    if arrived is not None:
        assert arrived.complete.wait(10) and behind.complete.wait(10)
        assert arrived.method == case.method
        # Forwarded as it was judged: as it came, or as the proxy itself writes it.
        assert arrived.target in (case.target, behind.target)
        assert arrived.body == behind.body == (case.body or b"")
        for header in IDENTITY:
            assert arrived.field(header) == behind.field(header), header


AMBIGUOUS = [
    "//admin", "/open/../admin", "/open/%2e%2e/admin", "/open/..%2fadmin", "/open%2f..%2fadmin", "/open/..;/admin",
    "/open/..\\admin", "/open/%5c..%5cadmin", "/open/%252e%252e/admin", "/open/.././admin", "/open//../admin",
]


@pytest.mark.parametrize("target", AMBIGUOUS)
def test_a_path_that_is_read_in_two_ways_leads_nowhere(world, target, address):
    """Some proxies refuse it by themselves, or bring it into a form of their own and ask about that."""
    data = request("GET", target)
    direct, behind = world.ask(data, address, inline=True)
    assert (direct.status, behind) == (400, None)
    response, arrived = world.ask(data, address)
    assert arrived is None
    assert response is None or response.status in (307, 308, 400, 401, 404)


@pytest.mark.parametrize("target", ["/normal//a", "/normal/b/../a", "/normal/./a"])
def test_a_path_that_the_gateway_would_mend_is_refused_unless_the_proxy_has_mended_it(world, target, address):
    data = request("GET", target)
    _, behind = world.ask(data, address, inline=True)
    assert behind.target == "/normal/a"
    response, arrived = world.ask(data, address)
    if arrived is None:
        assert response.status == 400
    else:
        assert (response.status, arrived.target) == (200, "/normal/a")


def test_an_upgrade_that_the_route_does_not_allow_is_refused(world, address):
    """The gateway leaves the Upgrade out; the proxy would not."""
    data = request("GET", "/still", HANDSHAKE)
    direct, behind = world.ask(data, address, inline=True)
    assert (direct.status, behind.field("Upgrade")) == (200, None)
    response, arrived = world.ask(data, address)
    assert (response.status, response.code, arrived) == (403, "PERM_001", None)


def test_a_websocket_of_another_version_is_refused(world, address):
    data = request("GET", "/open", {**HANDSHAKE, "Sec-WebSocket-Version": "8"})
    direct, _ = world.ask(data, address, inline=True)
    response, arrived = world.ask(data, address)
    assert (direct.status, response.status, arrived) == (426, 426, None)
    assert response.field("Sec-WebSocket-Version") == "13"


def test_a_tunnel_carries_bytes_both_ways(world, address):
    def echo(exchange):
        exchange.send(_switched())
        exchange.send(b"hello")
        exchange.send(exchange.socket.recv(5)[::-1])
        exchange.close()

    handler, world.backend.handler = world.backend.handler, echo
    try:
        with world.front.connect(address) as client:
            client.send(request("GET", "/open", HANDSHAKE))
            assert client.read_head().status == 101
            assert client.read_exactly(5) == b"hello"
            assert client.send(b"12345").read_exactly(5) == b"54321"
    finally:
        world.backend.handler = handler


def _switched() -> bytes:
    from harness.websocket import switched

    return switched(key=KEY)


def test_a_blocked_address_meets_the_block_on_both_ways(world, address, other_address):
    world.gateway.command("block", address)
    for target in ("/open", "/private", "/health", "/nowhere"):
        direct, _ = world.ask(request("GET", target, bearer(token())), address, inline=True)
        response, arrived = world.ask(request("GET", target, bearer(token())), address)
        assert (direct.status, response.status, arrived) == (403, 403, None)
        assert direct.code == response.code == "AUTH_004"
    response, _ = world.ask(request("GET", "/open"), other_address)
    assert response.status == 200
    world.gateway.command("unblock", address)
    response, _ = world.ask(request("GET", "/open"), address)
    assert response.status == 200


def test_a_block_reaches_a_connection_that_is_open(world, address):
    with world.front.connect(address) as client:
        assert client.ask(request("GET", "/open")).status == 200
        world.gateway.command("block", address)
        assert client.ask(request("GET", "/open")).status == 403
    world.gateway.command("unblock", address)


def test_logins_are_not_counted(world, address):
    """The gateway does not see the backend's answer: three failures would block the address if it forwarded them."""
    for _ in range(5):
        response, arrived = world.ask(request("POST", "/open/login", body=b"{}"), address)
        assert (response.status, response.body, arrived is None) == (401, b"from the backend", False)
    assert world.ask(request("GET", "/open"), address)[0].status == 200
