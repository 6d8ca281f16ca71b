"""`tls.redirect`: what came without TLS must come again, as it was, and no backend hears of it."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.backend import Backend
from harness.client import Client, Response, request
from harness.gateway import Gateway
from harness.processes import free_port, wait_until

from .edge import Edge

START = Callable[..., Edge]
ACME = "/.well-known/acme-challenge/"


@pytest.fixture
def start(start_edge: START) -> Callable[..., Gateway]:
    """`start(section={…}, **tls)`: a gateway that redirects to the port 443."""

    def start(sections: dict[str, Any] | None = None, **tls: Any) -> Gateway:
        return start_edge({"redirect": True, "redirect_port": 443, **tls}, **(sections or {})).gateway

    return start


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()


def redirected(answer: Response, location: str) -> None:
    assert (answer.status, answer.field("Location")) == (308, location)
    assert answer.field("Content-Length") == "0"


def unseen(backend: Backend) -> bool:
    return backend.requests == [] and backend.connections == 0


# What is asked for again


@pytest.mark.parametrize("target", [
    "/", "/a/b", "/a?b=c&d=e", "/a?", "/?x=https://other.test/", "/a%20b?c%20d", "/a/?x=%0d%0aSet-Cookie:%20a=b",
])
def test_path_and_query_are_kept(gateway: Gateway, backend: Backend, target: str) -> None:
    answer = gateway.get(target)
    redirected(answer, f"https://gateway.test{target}")
    assert answer.all("Set-Cookie") == []
    assert unseen(backend)


@pytest.mark.parametrize(("written", "meant"), [
    ("/a/../b", "/b"), ("/a/./b?c", "/a/b?c"), ("/%61", "/a"), ("/[a]", "/%5Ba%5D"),
    ("//other.test/a", "/other.test/a"),
])
def test_it_is_the_canonical_path_that_is_asked_for_again(
    start: Callable[..., Gateway], written: str, meant: str,
) -> None:
    rules = {"dot_segments": "normalise", "empty_segments": "normalise"}
    gateway = start({"routes": [{"path": "/", "upstream": "api", "auth": "none", "paths": rules}]})
    redirected(gateway.get(written), f"https://gateway.test{meant}")


@pytest.mark.parametrize("target", ["/a/../b", "//other.test/a", "/a%2fb", "/a\\b", "/a;b", "/%0d%0aX:%20y"])
def test_an_ambiguous_path_is_refused_and_not_passed_on(gateway: Gateway, backend: Backend, target: str) -> None:
    answer = gateway.get(target)
    assert (answer.status, answer.code, answer.field("Location")) == (400, "REQ_001", None)
    assert unseen(backend)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_every_method_is_redirected_and_308_lets_it_be_the_same_again(
    gateway: Gateway, backend: Backend, method: str,
) -> None:
    redirected(gateway.fetch(request(method, "/a?b")), "https://gateway.test/a?b")
    assert unseen(backend)


def test_a_target_with_a_host_goes_before_the_host_field(gateway: Gateway) -> None:
    redirected(gateway.fetch(request("GET", "http://shop.test/a?b")), "https://shop.test/a?b")
    redirected(gateway.fetch(request("GET", "http://shop.test")), "https://shop.test/")


def test_what_no_route_serves_is_redirected_all_the_same(start: Callable[..., Gateway]) -> None:
    """Whether there is a route, and for whom, is told over TLS only."""
    gateway = start({"routes": [{"path": "/only", "upstream": "api", "auth": "required"}], "tokens": {
        "keys": [{"id": "main", "secret": "0123456789abcdef0123456789abcdef"}]}})
    redirected(gateway.get("/other"), "https://gateway.test/other")
    redirected(gateway.get("/only"), "https://gateway.test/only")


def test_the_address_that_is_named_serves_the_request(
    start_edge: START, backend: Backend,
) -> None:
    port = free_port()
    edge = start_edge({"listen": [f"127.0.0.1:{port}"], "redirect": True})
    answer = edge.gateway.fetch(request("POST", "/a?b=c", body=b"hello"))
    location = f"https://gateway.test:{port}/a?b=c"
    redirected(answer, location)
    assert unseen(backend)
    with edge.connect() as client:
        assert client.ask(request("POST", location, body=b"hello")).status == 200
    seen = backend.only()
    assert (seen.method, seen.target, seen.body) == ("POST", "/a?b=c", b"hello")


# The port


@pytest.mark.parametrize(("port", "written"), [(443, ""), (8443, ":8443"), (80, ":80"), (65_535, ":65535")])
@pytest.mark.parametrize("host", ["gateway.test", "gateway.test:8080", "gateway.test:443", "gateway.test:"])
def test_the_port_is_ours_whatever_the_client_wrote(
    start: Callable[..., Gateway], host: str, port: int, written: str,
) -> None:
    gateway = start(redirect_port=port)
    redirected(gateway.fetch(request("GET", "/a", host=host)), f"https://gateway.test{written}/a")


def test_without_a_redirect_port_it_is_the_first_one_that_is_listened_on(start_edge: START) -> None:
    first, second = free_port(), free_port()
    edge = start_edge({"listen": [f"127.0.0.1:{first}", f"127.0.0.1:{second}"], "redirect": True})
    redirected(edge.gateway.get("/a"), f"https://gateway.test:{first}/a")


# The host


@pytest.mark.parametrize(("host", "named"), [
    ("[::1]", "[::1]"), ("[::1]:8080", "[::1]"), ("[2001:db8::7]", "[2001:db8::7]"), ("192.0.2.1:80", "192.0.2.1"),
    ("SHOP.test", "SHOP.test"), ("shop.test.", "shop.test"),
])
def test_the_host_is_named_as_it_was_written(start: Callable[..., Gateway], host: str, named: str) -> None:
    gateway = start(redirect_port=8443)
    redirected(gateway.fetch(request("GET", "/a", host=host)), f"https://{named}:8443/a")


@pytest.mark.parametrize("host", ["a b", "user@gateway.test", "gateway.test/x", "gateway.test:0x50", "[::1", "a,b", ""])
def test_a_host_that_is_none_is_refused_and_never_named(gateway: Gateway, backend: Backend, host: str) -> None:
    answer = gateway.fetch(request("GET", "/a", host=host))
    assert (answer.status, answer.code, answer.field("Location")) == (400, "REQ_001", None)
    assert unseen(backend)


def test_http_1_0_with_a_host_is_redirected_and_closed(gateway: Gateway) -> None:
    with gateway.connect() as client:
        answer = client.ask(b"GET /a HTTP/1.0\r\nHost: gateway.test\r\n\r\n")
        redirected(answer, "https://gateway.test/a")
        assert client.ended()


def test_http_1_0_without_a_host_cannot_be_redirected(gateway: Gateway, backend: Backend) -> None:
    """No address can be made of it: 421 says that it is the wrong connection."""
    answer = gateway.fetch(b"GET /a HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.code, answer.field("Location")) == (421, "REQ_004", None)
    assert unseen(backend)


# What stands behind the head


def test_a_body_that_is_there_is_left_out_and_the_connection_goes_on(gateway: Gateway, backend: Backend) -> None:
    """What looks like a request in it is none."""
    inner = request("GET", "/smuggled")
    with gateway.connect() as client:
        client.send(request("POST", "/a", body=inner) + request("GET", "/b"))
        redirected(client.read_final("POST"), "https://gateway.test/a")
        redirected(client.read_final("GET"), "https://gateway.test/b")
        assert client.silent(0.2), "there is no third answer"
    assert unseen(backend)


@pytest.mark.parametrize("sent", [b"", request("GET", "/smuggled")])
def test_a_body_that_is_not_there_yet_ends_the_connection(gateway: Gateway, backend: Backend, sent: bytes) -> None:
    with gateway.connect() as client:
        client.send(request("POST", "/a", {"Content-Length": "500"}) + sent)
        answer = client.read_final("POST")
        redirected(answer, "https://gateway.test/a")
        assert answer.field("Connection") == "close"
        client.send(request("GET", "/smuggled"))
        assert client.ended(), "nothing of the body is taken for a request"
    assert unseen(backend)


def test_a_chunked_body_ends_the_connection(gateway: Gateway, backend: Backend) -> None:
    with gateway.connect() as client:
        client.send(request("POST", "/a", {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\n\r\n")
        client.send(request("GET", "/b"))
        answer = client.read_final("POST")
        redirected(answer, "https://gateway.test/a")
        assert answer.field("Connection") == "close"
        assert client.ended()
    assert unseen(backend)


def test_who_waits_for_100_is_redirected_without_sending_the_body(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.send(request("POST", "/a", {"Content-Length": "5", "Expect": "100-continue"}))
        redirected(client.read_response("POST"), "https://gateway.test/a")


def test_the_connection_is_kept(gateway: Gateway, backend: Backend) -> None:
    with gateway.connect() as client:
        for number in range(3):
            answer = client.ask(request("GET", f"/{number}"))
            redirected(answer, f"https://gateway.test/{number}")
            assert answer.field("Connection") is None
        client.send(b"".join(request("GET", f"/{number}") for number in range(20)))
        assert [client.read_final("GET").field("Location") for _ in range(20)] == [
            f"https://gateway.test/{number}" for number in range(20)]
    assert unseen(backend)


def test_who_wants_it_closed_gets_it_closed(gateway: Gateway) -> None:
    with gateway.connect() as client:
        answer = client.ask(request("GET", "/a", {"Connection": "close"}))
        redirected(answer, "https://gateway.test/a")
        assert answer.field("Connection") == "close"
        assert client.ended()


# What is not redirected


def test_over_tls_nothing_is_redirected(start_edge: START, backend: Backend) -> None:
    edge = start_edge({"redirect": True, "redirect_port": 443})
    with edge.connect() as client:
        assert client.ask(request("GET", "/a")).status == 200
    assert backend.only().target == "/a"


def test_without_the_setting_nothing_is_redirected(start_edge: START, backend: Backend) -> None:
    edge = start_edge({"redirect": False})
    assert edge.gateway.get("/a").status == 200
    assert backend.only().target == "/a"


def test_a_reload_switches_it_on_and_off(start_edge: START, backend: Backend) -> None:
    gateway = start_edge({"redirect": False}).gateway
    with gateway.connect() as client:
        for number, redirects in enumerate([True, False], 1):
            gateway.settings["tls"] |= {"redirect": redirects, "redirect_port": 443}
            gateway.write_config()
            gateway.command("reload")
            wait_until("the reload", lambda count=number: len(gateway.events("gateway.reloaded")) == count)
            status = 308 if redirects else 200
            wait_until("new connections meet it", lambda wanted=status: gateway.get("/a").status == wanted)
            wait_until(
                "the open one meets it", lambda wanted=status: client.ask(request("GET", "/a")).status == wanted)


@pytest.mark.parametrize("target", [f"{ACME}token-_9", f"{ACME}token?a", "/.well-known/%61cme-challenge/token"])
def test_what_authorities_ask_for_is_served_without_tls(gateway: Gateway, backend: Backend, target: str) -> None:
    assert gateway.get(target).status == 200
    assert backend.only().target.startswith(ACME)


@pytest.mark.parametrize("target", [
    "/.well-known/acme-challenge", "/.well-known/acme-challengex/token", f"/a{ACME}token",
    "/.Well-known/acme-challenge/token", f"/?{ACME}token", f"/.well-known/acme-challenge%20/{ACME[1:]}",
    f"{ACME}a/b", ACME, f"{ACME}a.b",
])
def test_what_only_resembles_it_is_redirected(gateway: Gateway, backend: Backend, target: str) -> None:
    assert gateway.get(target).status == 308
    assert unseen(backend)


@pytest.mark.parametrize("rule", ["normalise", "keep"])
@pytest.mark.parametrize("way_out", ["../secret", "../../secret", "%2e%2e/secret"])
def test_nothing_else_is_reached_through_the_exemption(
    start: Callable[..., Gateway], backend: Backend, rule: str, way_out: str,
) -> None:
    """A backend that resolves dots would serve another path than that of the authorities."""
    gateway = start({"routes": [{"path": "/", "upstream": "api", "auth": "none", "paths": {"dot_segments": rule}}]})
    assert gateway.get(ACME + way_out).status in (308, 400)
    assert unseen(backend)


def test_an_exempt_path_is_routed_and_checked_as_ever(start: Callable[..., Gateway], backend: Backend) -> None:
    gateway = start({"routes": [{"path": "/", "upstream": "api", "auth": "required"}], "tokens": {
        "keys": [{"id": "main", "secret": "0123456789abcdef0123456789abcdef"}]}})
    assert gateway.get(f"{ACME}token").code == "AUTH_001"
    assert unseen(backend)


def test_the_health_check_is_answered_without_tls(gateway: Gateway) -> None:
    """Probes of load balancers speak plain HTTP and follow nothing."""
    assert gateway.get("/health").status == 200
    redirected(gateway.fetch(request("POST", "/health")), "https://gateway.test/health")


def test_upgrades_are_redirected_too(gateway: Gateway, backend: Backend) -> None:
    answer = gateway.get("/ws", fields={
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    redirected(answer, "https://gateway.test/ws")
    assert unseen(backend)


# Behind a load balancer


def test_who_is_vouched_for_by_a_trusted_proxy_is_not_redirected(
    start: Callable[..., Gateway], backend: Backend, address: str,
) -> None:
    gateway = start({"trusted_proxies": [address]})
    with gateway.connect(address) as client:
        for proto in ["https", "HTTPS"]:
            assert client.ask(request("GET", "/a", {"X-Forwarded-Proto": proto})).status == 200
    assert [seen.field("X-Forwarded-Proto").lower() for seen in backend.requests] == ["https", "https"]


@pytest.mark.parametrize("fields", [
    [], [("X-Forwarded-Proto", "http")], [("X-Forwarded-Proto", "")], [("X-Forwarded-Proto", "httpsx")],
    [("X-Forwarded-Proto", "https, http")], [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
    [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "https")], [("X_Forwarded_Proto", "https")],
    [("Forwarded", "proto=https")], [("X-Forwarded-Ssl", "on")],
])
def test_anything_less_than_one_https_of_the_proxy_is_not_vouching(
    start: Callable[..., Gateway], backend: Backend, address: str, fields: list[tuple[str, str]],
) -> None:
    gateway = start({"trusted_proxies": [address]})
    redirected(gateway.fetch(request("GET", "/a", fields), address), "https://gateway.test/a")
    assert unseen(backend)


def test_nobody_else_vouches_for_himself(
    start: Callable[..., Gateway], backend: Backend, address: str, other_address: str,
) -> None:
    gateway = start({"trusted_proxies": [other_address]})
    for fields in [{"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "https", "X-Forwarded-For": other_address}]:
        redirected(gateway.get("/a", address, fields), "https://gateway.test/a")
    assert unseen(backend)


def test_the_next_request_is_not_vouched_for_by_the_last_one(
    start: Callable[..., Gateway], backend: Backend, address: str,
) -> None:
    """A proxy's connection carries requests of many clients."""
    gateway = start({"trusted_proxies": [address]})
    with gateway.connect(address) as client:
        assert client.ask(request("GET", "/a", {"X-Forwarded-Proto": "https"})).status == 200
        redirected(client.ask(request("GET", "/b")), "https://gateway.test/b")
        assert client.ask(request("GET", "/c", {"X-Forwarded-Proto": "https"})).status == 200
    assert [seen.target for seen in backend.requests] == ["/a", "/c"]


def test_nobody_is_sent_to_the_address_that_was_asked_for(
    start: Callable[..., Gateway], address: str,
) -> None:
    """An https target of a trusted proxy was asked for over TLS (RFC 9110 §7.4): a redirect to itself never ends."""
    gateway = start({"trusted_proxies": [address]})
    answer = gateway.fetch(request("GET", "https://gateway.test/a"), address)
    assert answer.field("Location") != "https://gateway.test/a"
    assert answer.status == 200


# Blocks


def test_a_blocked_address_is_refused_and_not_redirected(gateway: Gateway, backend: Backend, address: str) -> None:
    with gateway.connect(address) as client:
        redirected(client.ask(request("GET", "/a")), "https://gateway.test/a")
        gateway.command("block", address, "--for", "1m", "--reason", "test")
        for target in ["/a", f"{ACME}token", "/health"]:
            answer = client.ask(request("GET", target))
            assert (answer.status, answer.code, answer.field("Location")) == (403, "AUTH_004", None)
        gateway.command("unblock", address)
        redirected(client.ask(request("GET", "/a")), "https://gateway.test/a")
    assert unseen(backend)


def test_a_login_is_not_sent_on_in_plain_text_and_not_counted(
    start: Callable[..., Gateway], backend: Backend, address: str,
) -> None:
    gateway = start({"login": {"limit": 1, "endpoints": ["POST /auth/login"]}})
    for _ in range(3):
        answer = gateway.fetch(request("POST", "/auth/login", body=b'{"password":"x"}'), address)
        redirected(answer, "https://gateway.test/auth/login")
    assert unseen(backend)


# What is recorded


def test_redirects_are_in_the_access_log_and_counted(gateway: Gateway, address: str) -> None:
    gateway.get("/a?b", address)
    line = gateway.wait_event(client_ip=address, status=308)
    assert (line["method"], line["path"]) == ("GET", "/a")
    assert gateway.metrics()['gateway_http_requests_total{route="none",method="GET",code="308"}'] == 1


def test_a_slow_head_is_redirected_only_when_it_is_whole(gateway: Gateway) -> None:
    with Client(gateway.address) as client:
        head = request("GET", "/a")
        client.send(head[:-2])
        assert client.silent(0.2)
        client.send(head[-2:])
        redirected(client.read_final("GET"), "https://gateway.test/a")
