"""Strict-Transport-Security and its companions: on every answer that lacks them, once, and never against a backend."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.backend import Backend, answer
from harness.client import Client, Response, json_request, request
from harness.tokens import SECRET, bearer, token
from harness.websocket import handshake, switched

from .edge import Edge

START = Callable[..., Edge]
HSTS = ("Strict-Transport-Security", "max-age=86400")
POLICY = "default-src 'self'; img-src *"
PAGE = [
    ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"), ("Content-Security-Policy", POLICY),
]
ALL = [HSTS, *PAGE]
ON = {"enabled": True, "content_security_policy": POLICY}


@pytest.fixture
def start(start_edge: START) -> Callable[..., Edge]:
    """`start(section={…}, tls={…})`: an edge that adds every field there is."""

    def start(tls: dict[str, Any] | None = None, **sections: Any) -> Edge:
        return start_edge({"hsts_max_age": "1d", **(tls or {})}, **{"security_headers": ON, **sections})

    return start


@pytest.fixture
def edge(start: Callable[..., Edge]) -> Edge:
    return start()


def ask(edge: Edge, data: bytes, secure: bool = True, source: str | None = None) -> Response:
    with edge.connect(source=source) if secure else Client(edge.gateway.address, source) as client:
        return client.ask(data)


def hardened(response: Response, secure: bool) -> None:
    """Every field exactly once, and HSTS exactly over TLS (RFC 6797 §7.2)."""
    assert {name: response.all(name) for name, _ in PAGE} == {name: [value] for name, value in PAGE}
    assert response.all(HSTS[0]) == ([HSTS[1]] if secure else [])


def bare(response: Response) -> None:
    assert [name for name, _ in ALL if response.all(name)] == []


BOTH = pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])


# Which fields, when


@BOTH
def test_answers_of_backends_get_what_they_lack(edge: Edge, secure: bool) -> None:
    response = ask(edge, request("GET", "/a"), secure)
    assert (response.status, response.body) == (200, b"ok")
    hardened(response, secure)


@BOTH
@pytest.mark.parametrize("status", [204, 301, 404, 500])
def test_whatever_their_status_is(edge: Edge, backend: Backend, status: int, secure: bool) -> None:
    head = f"HTTP/1.1 {status} Scripted\r\n".encode()
    backend.answers(head + (b"\r\n" if status == 204 else b"Content-Length: 0\r\n\r\n"))
    response = ask(edge, request("GET", "/a"), secure)
    assert response.status == status
    hardened(response, secure)


@BOTH
def test_an_answer_to_head_has_the_fields_of_that_to_get(edge: Edge, backend: Backend, secure: bool) -> None:
    backend.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    hardened(ask(edge, request("HEAD", "/a"), secure), secure)


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"\r\nhello"])
def test_the_body_stays_whole_behind_them(edge: Edge, backend: Backend, framing: bytes) -> None:
    def handler(exchange: Any) -> bytes:
        exchange.read_body()
        exchange.close()
        return b"HTTP/1.1 200 OK\r\n" + framing
    backend.handler = handler
    response = ask(edge, request("GET", "/a"))
    hardened(response, secure=True)
    assert response.body == b"hello"


def test_they_are_on_each_answer_of_a_kept_connection(edge: Edge) -> None:
    with edge.connect() as client:
        client.send(b"".join(request("GET", f"/{number}") for number in range(10)))
        for _ in range(10):
            hardened(client.read_final("GET"), secure=True)


@BOTH
def test_nothing_is_added_by_default(start_edge: START, secure: bool) -> None:
    edge = start_edge()
    for target in ["/a", "/health"]:
        bare(ask(edge, request("GET", target), secure))


@BOTH
def test_each_is_a_setting_of_its_own(start_edge: START, secure: bool) -> None:
    """HSTS alone, the three alone, the policy alone."""
    for tls, section, names in [
        ({"hsts_max_age": "1d"}, {}, {HSTS[0]} if secure else set()),
        ({}, {"enabled": True}, {name for name, _ in PAGE[:3]}),
        ({}, {"content_security_policy": POLICY}, {"Content-Security-Policy"}),
    ]:
        response = ask(start_edge(tls, security_headers=section), request("GET", "/a"), secure)
        assert {name for name, _ in ALL if response.all(name)} == names


def test_an_age_of_zero_says_nothing(start: Callable[..., Edge]) -> None:
    response = ask(start({"hsts_max_age": "0s"}), request("GET", "/a"))
    assert response.all(HSTS[0]) == []
    assert response.all("X-Frame-Options") == ["DENY"]


def test_names_below_are_included_when_it_is_said(start: Callable[..., Edge]) -> None:
    response = ask(start({"hsts_max_age": "1d", "hsts_include_subdomains": True}), request("GET", "/a"))
    assert response.field(HSTS[0]) == "max-age=86400; includeSubDomains"


def test_the_age_is_told_in_seconds(start: Callable[..., Edge]) -> None:
    response = ask(start({"hsts_max_age": "365d"}), request("GET", "/a"))
    assert response.field(HSTS[0]) == "max-age=31536000"


def test_a_reload_changes_them_on_open_connections(edge: Edge) -> None:
    with edge.connect() as client:
        hardened(client.ask(request("GET", "/a")), secure=True)
        edge.gateway.settings["tls"]["hsts_max_age"] = "0s"
        edge.gateway.settings["security_headers"] = {"content_security_policy": "default-src 'none'"}
        edge.gateway.write_config()
        edge.gateway.command("reload")
        edge.gateway.wait_event("gateway.reloaded")
        for _ in range(500):
            response = client.ask(request("GET", "/a"))
            if not response.all("X-Frame-Options"):
                break
        assert [(name, response.all(name)) for name, _ in ALL if response.all(name)] == [
            ("Content-Security-Policy", ["default-src 'none'"])]


# What backends say stands


@BOTH
@pytest.mark.parametrize("spell", [str, str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize(("name", "own"), [
    ("Strict-Transport-Security", "max-age=5"), ("X-Content-Type-Options", "none"), ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "no-referrer"), ("Content-Security-Policy", "frame-ancestors 'self'"),
])
def test_the_field_of_a_backend_is_kept_and_not_doubled(
    edge: Edge, backend: Backend, name: str, own: str, spell: Callable[[str], str], secure: bool,
) -> None:
    backend.answers(answer(fields={spell(name): own}))
    response = ask(edge, request("GET", "/a"), secure)
    assert [pair for pair in response.fields if pair[0].lower() == name.lower()] == [(spell(name), own)]
    others = [pair for pair in ALL if pair[0] != name and (secure or pair != HSTS)]
    assert [(other, response.all(other)) for other, _ in others] == [(other, [value]) for other, value in others]


def test_two_policies_of_a_backend_stay_two(edge: Edge, backend: Backend) -> None:
    """Both hold for a browser (CSP3 §4.2); a third of ours would narrow them."""
    backend.answers(
        b"HTTP/1.1 200 OK\r\nContent-Security-Policy: a\r\nContent-Length: 0\r\nContent-Security-Policy: b\r\n\r\n")
    assert ask(edge, request("GET", "/a")).all("Content-Security-Policy") == ["a", "b"]


def test_an_empty_field_of_a_backend_is_its_word_too(edge: Edge, backend: Backend) -> None:
    backend.answers(answer(fields={"X-Frame-Options": ""}))
    assert ask(edge, request("GET", "/a")).all("X-Frame-Options") == [""]


def test_a_name_that_only_resembles_ours_is_another_one(edge: Edge, backend: Backend) -> None:
    backend.answers(answer(fields={
        "Content-Security-Policy-Report-Only": "default-src 'none'", "X-Frame-Option": "SAMEORIGIN",
        "X_Frame_Options": "SAMEORIGIN"}))
    hardened(ask(edge, request("GET", "/a")), secure=True)


def test_a_field_that_connection_takes_out_is_lacking(edge: Edge, backend: Backend) -> None:
    """It was for the connection to us only, so the client has none."""
    backend.answers(answer(fields={"X-Frame-Options": "SAMEORIGIN", "Connection": "X-Frame-Options"}))
    hardened(ask(edge, request("GET", "/a")), secure=True)


def test_304_does_not_change_the_page_that_a_browser_has(edge: Edge, backend: Backend) -> None:
    """Its fields replace those of the stored answer (RFC 9111 §3.2), and a backend need not repeat its own in it."""
    backend.answers(b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")
    response = ask(edge, request("GET", "/a", {"If-None-Match": '"a"'}))
    assert response.status == 304
    assert [name for name, _ in PAGE if response.all(name)] == []


def test_interim_answers_get_none(edge: Edge, backend: Backend) -> None:
    backend.answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + answer())
    with edge.connect() as client:
        client.send(request("GET", "/a"))
        interim = client.read_response("GET")
        assert interim.status == 103
        bare(interim)
        hardened(client.read_final("GET"), secure=True)


def test_a_websocket_opens_without_them(start: Callable[..., Edge], backend: Backend) -> None:
    edge = start(routes=[{"path": "/", "upstream": "api", "auth": "none", "upgrades": ["websocket"]}])
    backend.answers(switched())
    with edge.connect() as client:
        client.send(handshake("/ws"))
        response = client.read_head()
    assert response.status == 101
    bare(response)


# The gateway's own answers


@BOTH
def test_refusals_have_them(start: Callable[..., Edge], backend: Backend, address: str, secure: bool) -> None:
    edge = start(
        routes=[
            {"path": "/closed", "upstream": "api", "auth": "required"},
            {"path": "/admin", "upstream": "api", "auth": "required", "roles": ["admin"]},
            {"path": "/get", "upstream": "api", "auth": "none", "methods": ["GET"]},
        ],
        tokens={"keys": [{"id": "main", "secret": SECRET}]}, limits={"body": 10})
    for status, code, data in [
        (400, "REQ_001", request("GET", "/a%00")),
        (401, "AUTH_001", request("GET", "/closed")),
        (401, "AUTH_001", request("GET", "/closed", bearer("x.y.z"))),
        (403, "PERM_002", request("GET", "/admin", bearer(token()))),
        (404, "REQ_003", request("GET", "/nowhere")),
        (405, "REQ_003", request("POST", "/get")),
        (413, "REQ_002", request("POST", "/get", body=b"x" * 11)),
        (501, "REQ_004", request("TRACE", "/get")),
    ]:
        response = ask(edge, data, secure)
        assert (response.status, response.code) == (status, code)
        hardened(response, secure)
    edge.gateway.command("block", address, "--for", "1m", "--reason", "test")
    for target in ["/get", "/health"]:
        response = ask(edge, request("GET", target), secure, address)
        assert (response.status, response.code) == (403, "AUTH_004")
        hardened(response, secure)
    assert backend.requests == []


@BOTH
@pytest.mark.parametrize(("said", "status", "code"), [
    (b"", 502, "SVC_001"), (b"nonsense\r\n\r\n", 502, "SVC_001"),
    (b"HTTP/1.1 200 OK\r\nX-Frame-Options: SAMEORIGIN\r\nContent-Length: x\r\n\r\n", 502, "SVC_001"),
])
def test_refusals_in_place_of_a_bad_answer_have_them(
    edge: Edge, backend: Backend, said: bytes, status: int, code: str, secure: bool,
) -> None:
    def handler(exchange: Any) -> bytes:
        exchange.read_body()
        exchange.close()
        return said
    backend.handler = handler
    response = ask(edge, request("POST", "/a", body=b"x"), secure)
    assert (response.status, response.code) == (status, code)
    hardened(response, secure)


@BOTH
def test_refusals_without_a_backend_have_them(edge: Edge, backend: Backend, secure: bool) -> None:
    backend.close()
    response = ask(edge, request("GET", "/a"), secure)
    assert (response.status, response.code) == (503, "SVC_001")
    hardened(response, secure)


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_health_check_has_them(edge: Edge, method: str, secure: bool) -> None:
    response = ask(edge, request(method, "/health"), secure)
    assert response.status == 200
    if method == "GET":
        assert response.json()["status"] == "healthy"
    hardened(response, secure)


@BOTH
@pytest.mark.parametrize("target", ["/a", "*"])
def test_options_that_ends_at_the_gateway_has_them(edge: Edge, backend: Backend, target: str, secure: bool) -> None:
    response = ask(edge, request("OPTIONS", target, {"Max-Forwards": "0"}), secure)
    assert (response.status, response.body) == (200, b"")
    assert backend.requests == []
    hardened(response, secure)


@BOTH
def test_a_preflight_that_goes_to_the_backend_has_them(edge: Edge, backend: Backend, secure: bool) -> None:
    response = ask(edge, request("OPTIONS", "/a", {
        "Origin": "https://page.test", "Access-Control-Request-Method": "POST"}), secure)
    assert response.status == 200
    hardened(response, secure)


def test_a_redirect_to_https_has_all_but_hsts(start: Callable[..., Edge]) -> None:
    """Over plain HTTP anybody could have written it (RFC 6797 §7.2)."""
    edge = start({"redirect": True, "redirect_port": 443})
    response = ask(edge, request("GET", "/a"), secure=False)
    assert (response.status, response.field("Location")) == (308, "https://gateway.test/a")
    hardened(response, secure=False)


def test_local_answers_have_none_when_none_are_set(start_edge: START) -> None:
    edge = start_edge({"redirect": True, "redirect_port": 443})
    assert ask(edge, request("GET", "/a"), secure=False).status == 308
    for data in [request("GET", "/a"), request("GET", "/health")]:
        bare(ask(edge, data, secure=False))
    bare(ask(edge, request("OPTIONS", "/a", {"Max-Forwards": "0"})))


def test_answers_one_after_another_keep_their_frames(edge: Edge) -> None:
    """The fields stand in the head of each, and nothing of them in the next one."""
    with edge.connect() as client:
        client.send(
            request("GET", "/health") + request("OPTIONS", "/a", {"Max-Forwards": "0"}) + request("GET", "/a")
            + request("HEAD", "/health") + request("GET", "/health"))
        for method in ["GET", "OPTIONS", "GET", "HEAD", "GET"]:
            response = client.read_final(method)
            assert response.status == 200
            hardened(response, secure=True)


def test_the_admin_listener_is_not_concerned(edge: Edge) -> None:
    """It has no pages and no TLS, and says `nosniff` by itself."""
    response = edge.gateway.ask_admin("/health")
    assert [name for name, _ in ALL if response.all(name)] == ["X-Content-Type-Options"]
    assert response.field("X-Content-Type-Options") == "nosniff"


# Behind a load balancer that ends TLS


def test_hsts_is_said_to_whom_a_trusted_proxy_vouches_for(
    start: Callable[..., Edge], backend: Backend, address: str,
) -> None:
    edge = start(trusted_proxies=[address])
    vouched = {"X-Forwarded-Proto": "https"}
    hardened(ask(edge, request("GET", "/a", vouched), False, address), secure=True)
    hardened(ask(edge, request("GET", "/a"), False, address), secure=False)
    hardened(ask(edge, request("GET", "/a", {"X-Forwarded-Proto": "http"}), False, address), secure=False)
    backend.close()
    refusal = ask(edge, request("GET", "/a", vouched), False, address)
    assert refusal.status == 503
    hardened(refusal, secure=True)


def test_refusals_behind_a_trusted_proxy_say_it_once_the_head_is_understood(
    start: Callable[..., Edge], address: str,
) -> None:
    """A head that is malformed vouches for nothing."""
    edge = start(trusted_proxies=[address], routes=[{"path": "/only", "upstream": "api", "auth": "none"}])
    for status, target in [(404, "/other"), (400, "/a%00")]:
        response = ask(edge, request("GET", target, {"X-Forwarded-Proto": "https"}), False, address)
        assert response.status == status
        hardened(response, secure=status == 404)


def test_hsts_is_not_said_to_whoever_claims_to_be_a_proxy(start: Callable[..., Edge], address: str) -> None:
    edge = start(trusted_proxies=[address])
    response = ask(edge, request("GET", "/a", {"X-Forwarded-Proto": "https"}), secure=False)
    hardened(response, secure=False)


# Logins: the answers that are held until they are counted


@BOTH
def test_a_failed_login_and_the_block_behind_it_have_them(
    start: Callable[..., Edge], backend: Backend, address: str, secure: bool,
) -> None:
    edge = start(login={"limit": 1, "endpoints": ["POST /auth/login"]})
    backend.answers(answer(401, {"detail": "no"}, {"x-frame-options": "SAMEORIGIN"}))
    attempt = json_request("POST", "/auth/login", {"username": "alice"})
    with edge.connect(source=address) if secure else Client(edge.gateway.address, address) as client:
        failed = client.ask(attempt)
        assert (failed.status, failed.all("X-Frame-Options")) == (401, ["SAMEORIGIN"])
        assert failed.all("X-Content-Type-Options") == ["nosniff"]
        blocked = client.ask(attempt)
        assert (blocked.status, blocked.code) == (403, "AUTH_004")
        hardened(blocked, secure)
