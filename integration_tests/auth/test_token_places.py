"""Where the token of a request may stand, and that it goes no further than it must: cookie and field that are left out,
the query, and the subprotocols of a WebSocket."""

import pytest
from websockets.exceptions import InvalidStatus

from harness.backend import answer
from harness.client import request
from harness.tokens import SECRET, bearer, claims, token
from harness.websocket import HANDSHAKE, Echo, handshake, open_websocket, switched

ROUTES = [
    {"path": "/", "upstream": "api", "auth": "required", "token_query": "access_token", "token_subprotocol": "bearer"},
    {"path": "/bare", "upstream": "api", "auth": "optional", "cookie": "session", "strip_token": True},
    {"path": "/maybe", "upstream": "api", "auth": "optional", "token_query": "access_token",
     "token_subprotocol": "bearer", "cors": {"origins": ["https://app.example.org"]}},
]
TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]}


@pytest.fixture
def gateway(start_gateway, backend):
    return start_gateway(backend, routes=ROUTES, tokens=TOKENS)


def test_the_backend_does_not_see_a_token_that_is_left_out(gateway, backend):
    good = token()
    assert gateway.get("/bare", fields={**bearer(good), "Cookie": "session=old; theme=dark"}).status == 200
    assert gateway.get("/bare", fields={"Cookie": f"theme=dark; session={good}; lang=en"}).status == 200
    assert gateway.get("/bare", fields={"Cookie": f"session={good}"}).status == 200
    assert gateway.get("/bare", fields={"Authorization": "Basic YTpi"}).status == 200
    by_field, by_cookie, by_one_cookie, other = backend.requests
    assert by_field.field("Authorization") is None and by_field.field("Cookie") == "theme=dark"
    assert by_cookie.field("Cookie") == "theme=dark; lang=en"
    assert by_one_cookie.field("Cookie") is None
    assert [one.field("X-User-ID") for one in backend.requests] == ["alice", "alice", "alice", None]
    assert other.field("Authorization") == "Basic YTpi"


def test_a_token_in_the_query_is_taken_out_of_it(gateway, backend):
    good = token()
    response = gateway.get(f"/a?x=1&access_token={good}&y=%20")
    assert (response.status, response.field("Cache-Control")) == (200, "private")
    assert backend.only().target == "/a?x=1&y=%20"
    assert backend.only().field("X-User-ID") == "alice"
    assert good.encode() not in backend.only().head
    assert gateway.get("/a", fields=bearer(good)).field("Cache-Control") is None


@pytest.mark.once
def test_no_log_and_no_metric_has_a_token_of_the_query(gateway, backend):
    good, bad = token(claims("alice")), token(claims("mallory"), key="another secret that is long enough as well")
    assert gateway.get(f"/a?access_token={good}").status == 200
    assert gateway.get(f"/a?access_token={bad}").status == 401
    for target in (f"/a?access_token={good}&access_token={good}", f"/a?access%5ftoken={good}", f"//?access_token={good}",
                   f"/a?access_token={good}#b", f"/nowhere/../?access_token={good}"):
        assert gateway.get(target).status in (400, 401)
    assert gateway.fetch(f"GET /a?access_token={good} HTTP/1.1\r\nHost: a b\r\n\r\n".encode()).status == 400
    assert gateway.fetch(f"BREW /a?access_token={good} HTTP/9.9\r\n\r\n".encode()).status == 505
    gateway.wait_event("http.request", status=505)
    assert len(backend.requests) == 1
    metrics = "\n".join(gateway.metrics())
    gateway.stop()
    log = gateway.child.log()
    for text in (good, bad):
        # Of a refused token the first six characters are kept.
        for piece in (text[:8], text.split(".")[1][:12], text.rsplit(".", 1)[1][:12]):
            assert piece not in log and piece not in metrics


@pytest.mark.once
@pytest.mark.parametrize("query", [
    "access_token={0}&access_token={0}", "access_token={0}&access_token=", "access_token=", "access_token",
    "access%5ftoken={0}", "Access_Token={0}", "access_token={0};a=1", "a=1;access_token={0}", "access_token[]={0}",
    "+access_token={0}", "access_token={0}%20", "access_token=%22{0}%22", "access_token={0}&access%5Ftoken={0}",
])
def test_what_two_programs_may_read_in_two_ways_is_refused(gateway, backend, query):
    response = gateway.get("/maybe?" + query.format(token()))
    assert (response.status, response.code) == (401, "AUTH_001")
    assert 'error="invalid_request"' in response.field("WWW-Authenticate")
    assert backend.requests == []


def test_only_a_get_or_head_has_its_token_in_the_query(gateway, backend):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert gateway.fetch(request(method, f"/maybe?access_token={token()}", body=b"")).status == 401
    assert backend.requests == []
    assert gateway.fetch(request("HEAD", f"/maybe?access_token={token()}")).status == 200


def test_two_tokens_in_two_places_are_refused(gateway, backend):
    """RFC 6750 §2."""
    assert gateway.get(f"/maybe?access_token={token()}", fields=bearer(token())).status == 401
    fields = {"Sec-WebSocket-Protocol": f"bearer, {token()}"}
    assert gateway.fetch(handshake(f"/maybe?access_token={token()}", fields)).status == 401
    assert gateway.fetch(handshake("/maybe", {**fields, **bearer(token())})).status == 401
    assert backend.requests == []


def test_a_preflight_of_a_request_with_a_token_goes_on_without_it(gateway, backend):
    asks = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "GET"}
    assert gateway.fetch(request("OPTIONS", f"/maybe?access_token={token()}&a=1", asks)).status == 200
    assert backend.only().target == "/maybe?a=1"


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


def test_a_browser_opens_a_websocket_with_its_token_as_a_subprotocol(start_gateway, echo):
    """The client checks that it is told one of the protocols that it has offered, as browsers do."""
    gateway = start_gateway(echo.address, routes=ROUTES, tokens=TOKENS)
    good = token()
    with open_websocket(gateway, subprotocols=["bearer", good]) as client:
        assert client.subprotocol == "bearer"
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
        seen = echo.open[0].request.headers
        assert "Sec-WebSocket-Protocol" not in seen
        assert seen["X-User-ID"] == "alice"
    with open_websocket(gateway, f"/?access_token={good}") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
        assert echo.open[0].request.path == "/"
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(gateway, subprotocols=["bearer", token(key="another secret that is long enough as well")])
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(("chosen", "told"), [("v2.chat", "v2.chat"), (None, "bearer")])
def test_the_server_chooses_among_the_others(gateway, backend, chosen, told):
    field = f"Sec-WebSocket-Protocol: {chosen}\r\n" if chosen else ""
    backend.handler = lambda exchange: switched(fields=field)
    with gateway.connect() as client:
        response = client.send(handshake("/", {
            "Sec-WebSocket-Protocol": f"v1.chat,bearer,{token()}, v2.chat"})).read_response("GET")
        assert (response.status, response.field("Sec-WebSocket-Protocol")) == (101, told)
    assert backend.only().field("Sec-WebSocket-Protocol") == "v1.chat, v2.chat"


@pytest.mark.parametrize("choice", ["bearer", "T", "v3.chat", "v1.chat, v2.chat"])
def test_a_server_that_chooses_what_it_was_not_offered_is_not_believed(gateway, backend, choice):
    good = token()
    backend.handler = lambda exchange: switched(fields=f"Sec-WebSocket-Protocol: {choice.replace('T', good)}\r\n")
    response = gateway.fetch(handshake("/", {"Sec-WebSocket-Protocol": f"v1.chat, bearer, {good}, v2.chat"}))
    assert (response.status, response.code) == (502, "SVC_001")
    assert good.encode() not in response.head + response.body


@pytest.mark.once
@pytest.mark.parametrize("lists", [
    ["bearer"], ["bearer, "], ["bearer,,T"], ["bearer, T, bearer, T"], ["bearer, T, T"], ["Bearer, T"],
    ["bearer, T, BEARER"], ["bearer", "T"], ["bearer, T", "chat"], ["chat", "bearer, T"], ["bearer; T, x"], ["T, bearer"],
    ["bearer, chat, T"], ["bearer, T x"],
])
def test_lists_that_can_be_read_in_two_ways_never_reach_the_backend(gateway, backend, lists):
    good = token()
    fields = [*HANDSHAKE.items(), *(("Sec-WebSocket-Protocol", value.replace("T", good)) for value in lists)]
    assert gateway.fetch(request("GET", "/", fields)).status == 401
    assert backend.requests == []


@pytest.mark.once
@pytest.mark.parametrize("trick", [
    [("Connection", "Sec-WebSocket-Protocol")], [("Sec_WebSocket_Protocol", "bearer, T")],
    [("Connection", "upgrade, sec-websocket-protocol, keep-alive")],
])
def test_no_trick_brings_the_token_to_the_backend(gateway, backend, trick):
    good = token()
    fields = [*HANDSHAKE.items(), ("Sec-WebSocket-Protocol", f"bearer, {good}, chat"),
              *((name, value.replace("T", good)) for name, value in trick)]
    backend.handler = lambda exchange: answer(403)
    assert gateway.fetch(request("GET", "/", fields)).status == 403
    assert good.encode() not in backend.only().head
    assert backend.only().all("Sec-WebSocket-Protocol") == ["chat"]


def test_a_list_with_a_token_without_a_handshake_is_refused(gateway, backend):
    fields = {"Sec-WebSocket-Protocol": f"bearer, {token()}"}
    assert gateway.get("/maybe", fields=fields).status == 401
    assert gateway.fetch(request("GET", "/maybe", {**HANDSHAKE, **fields, "Upgrade": "websocket, mqtt"})).status == 401
    assert backend.requests == []
    assert gateway.fetch(handshake("/maybe", {"Sec-WebSocket-Protocol": "chat"})).status == 200
    assert backend.only().field("Sec-WebSocket-Protocol") == "chat"


def test_a_reload_opens_and_shuts_a_place(start_gateway, backend):
    def routes(**more):
        return [{"path": "/", "upstream": "api", "auth": "required", **more}]

    gateway = start_gateway(backend, routes=routes(), tokens=TOKENS)
    good = f"/?access_token={token()}"
    assert gateway.get(good).status == 401
    for more, status in (({"token_query": "access_token"}, 200), ({"token_query": "jwt"}, 401)):
        gateway.write_config({**gateway.settings, "routes": routes(**more)})
        gateway.command("reload")
        assert gateway.get(good).status == status
    assert backend.only().target == "/"
