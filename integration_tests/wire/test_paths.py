"""One canonical form of the path is matched, counted and forwarded; what can be read in two ways is refused."""

import signal

import pytest

from harness.backend import answer
from harness.client import request


@pytest.mark.parametrize(("sent", "forwarded"), [
    ("/plain", "/plain"),
    ("/a?b=c&d=%2F..//", "/a?b=c&d=%2F..//"),
    ("/%7Euser/%61", "/~user/a"),
    ("/a/", "/a/"),
    ("/caf%c3%a9", "/caf%C3%A9"),
    ("http://gateway.test/absolute?q", "/absolute?q"),
])
def test_a_spelling_is_forwarded_in_its_canonical_form(gateway, backend, sent, forwarded):
    assert gateway.get(sent).status == 200
    assert backend.only().target == forwarded


@pytest.mark.parametrize("sent", [
    "//a", "/a//b", "/a/./b", "/a/../b", "/a/%2e%2e/b", "/.", "/a;x=1", "/%25%32%65", "/%ff",
    "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/%00", "/a%", "/a%2", "/a%zz", "/../x", "/a/../../x", 
    "/%2e%2e%2fx", "/a#b", "/%252e%252e/x%2f", "no-slash", "*",
])
def test_an_ambiguous_path_is_refused_with_400(gateway, backend, sent):
    assert gateway.get(sent).status == 400
    assert backend.requests == []


@pytest.mark.parametrize("sent", ["gateway.test", "gateway.test:80", "127.0.0.1:80", "[::1]:80", ":80"])
def test_the_authority_form_outside_connect_is_refused_with_400(gateway, backend, sent):
    """RFC 9112 §3.2.3: it is only used for CONNECT, and is no path that lacks its slash either."""
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PROPFIND"):
        assert gateway.fetch(request(method, sent)).status == 400, method
    assert backend.requests == []


@pytest.mark.parametrize(("method", "sent"), [
    *((method, "*") for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND")),
    *(("OPTIONS", sent) for sent in ("**", "*?a", "*/", "*#")),
])
def test_the_asterisk_form_outside_options_is_refused_with_400(gateway, backend, method, sent):
    """RFC 9112 §3.2.4: it is only used for a server-wide OPTIONS, and is the one character."""
    assert gateway.fetch(request(method, sent)).status == 400
    assert backend.requests == []


@pytest.mark.parametrize("spelling", [
    "/auth/login", "/auth/%6cogin", "/auth/%6Cogin", "/%61uth/login", "/auth/login?x=1", "http://gateway.test/auth/login",
])
def test_every_spelling_of_the_login_path_is_counted(start_gateway, backend, address, spelling):
    gateway = start_gateway(backend, login={"limit": 2, "endpoints": ["POST /auth/login"]})
    backend.answers(answer(401, {"detail": "no"}))
    with gateway.connect(address) as client:
        assert [client.ask(request("POST", spelling, body=b"{}")).status for _ in range(3)] == [401, 401, 403]
    assert [arrived.target.split("?")[0] for arrived in backend.requests] == ["/auth/login"] * 2


@pytest.mark.parametrize("spelling", [
    "//auth/login", "/auth//login", "/./auth/login", "/auth/./login", "/x/../auth/login", "/auth/login;x",
    "/auth%2flogin", "/auth/login/.", "/auth/log%C4%B1n", "/AUTH/LOG%c4%b0N",
])
def test_what_other_servers_would_read_as_the_login_path_reaches_no_backend(start_gateway, backend, address, spelling):
    gateway = start_gateway(backend, login={"limit": 2, "endpoints": ["POST /auth/login"]})
    assert gateway.fetch(request("POST", spelling, body=b"{}"), address).status == 400
    assert backend.requests == []


@pytest.mark.parametrize(("spelling", "status"), [
    ("/admin", 401), ("/%61dmin", 401), ("/admin/users", 401), ("/adm%69n/users?x", 401),
    ("//admin", 400), ("/x/../admin", 400), ("/./admin/users", 400), ("/admin//users", 400),
])
def test_no_spelling_walks_past_a_protected_route(start_gateway, backend, spelling, status):
    gateway = start_gateway(backend, routes=[
        {"path": "/", "upstream": "api", "auth": "none"},
        {"path": "/admin", "upstream": "api", "auth": "required"},
    ], tokens={"keys": [{"id": "main", "secret": "s" * 32, "algorithms": ["HS256"]}]})
    assert gateway.get(spelling).status == status
    assert backend.requests == []


STORE = {
    "encoded_slash": "keep", "backslash": "keep", "semicolon": "keep", "empty_segments": "keep", "dot_segments": "keep"}
SITE = dict.fromkeys(STORE, "normalise")


@pytest.mark.parametrize(("sent", "forwarded"), [
    ("/store/a%2fb", "/store/a%2Fb"), ("/store/a//b/", "/store/a//b/"), ("/store/a;v=1", "/store/a;v=1"),
    ("/store/a/./b", "/store/a/./b"), ("/store/a\\b", "/store/a%5Cb"), ("/store/a?b=//", "/store/a?b=//"),
    ("/site//a/./b;x/../c%2fd", "/site/a/c/d"), ("/site/a\\b?c=\\", "/site/a/b?c=\\"), ("//site/a", "/site/a"),
    ("/store/../store/a", "/store/../store/a"),
])
def test_a_route_may_keep_or_normalise_unusual_spellings(start_gateway, backend, sent, forwarded):
    gateway = start_gateway(backend, routes=[
        {"path": "/store", "upstream": "api", "auth": "none", "paths": STORE},
        {"path": "/site", "upstream": "api", "auth": "none", "paths": SITE},
        {"path": "/", "upstream": "api", "auth": "none"}])
    assert gateway.get(sent).status == 200
    assert backend.only().target == forwarded


@pytest.mark.parametrize("sent", [
    "/store/..%2fadmin", "/store/../admin", "/store%2f..%2fadmin", "/store/..;/admin", "/store/%2e%2e%5cadmin", "/store%2Fa",
    "//store/a", "/store/a%2f..%2f..%2fadmin", "/store/a%00", "/store/a%252fb", "/store/%c0%af", "/site/../..", "/x//y",
    "/admin//a", "/store/..%2f..", "/store//../..//admin",
])
def test_no_reading_of_a_kept_path_leads_to_another_route(start_gateway, backend, sent):
    gateway = start_gateway(backend, routes=[
        {"path": "/store", "upstream": "api", "auth": "none", "paths": STORE},
        {"path": "/site", "upstream": "api", "auth": "none", "paths": SITE},
        {"path": "/admin", "upstream": "api", "auth": "required"}, {"path": "/", "upstream": "api", "auth": "none"}],
        tokens={"keys": [{"id": "main", "secret": "0123456789abcdef" * 2}]})
    assert gateway.get(sent).status == 400
    assert backend.requests == []


def test_rules_for_paths_let_no_login_past_the_counter(start_gateway, backend, address):
    gateway = start_gateway(
        backend, routes=[{"path": "/", "upstream": "api", "auth": "none", "paths": STORE}],
        login={"endpoints": ["POST /auth/login"], "limit": 2})
    backend.answers(answer(401, b"no"))
    for sent in ("/auth%2flogin", "/auth//login", "/auth/./login", "/auth/login;x=1", "/x/../auth/login", "/auth\\login"):
        assert gateway.fetch(request("POST", sent, body=b"guess"), address).status == 400, sent
    assert backend.requests == []
    gateway.write_config({**gateway.settings, "routes": [
        {"path": "/", "upstream": "api", "auth": "none", "paths": SITE}]})
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("gateway.reloaded")
    for sent in ("/auth%2flogin", "/x/..//auth/login;x=1"):
        assert gateway.fetch(request("POST", sent, body=b"guess"), address).status == 401, sent
    assert gateway.get("/", address).status == 403
