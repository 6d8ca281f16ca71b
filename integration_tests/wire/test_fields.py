"""Which fields a backend and a client get to see: hop-by-hop ones end here, ours are added (RFC 9110 §7.6)."""

import re

import pytest

from harness.backend import answer
from harness.client import request


def test_the_backend_gets_the_request_as_sent_and_our_fields(gateway, backend, address):
    gateway.fetch(request("GET", "/x?y=1", [("X-One", "1"), ("X-Two", "2"), ("X-One", "3")]), address)
    arrived = backend.only()
    assert (arrived.method, arrived.target, arrived.version) == ("GET", "/x?y=1", "HTTP/1.1")
    assert arrived.all("X-One") == ["1", "3"]
    assert arrived.field("Host") == "gateway.test"
    assert arrived.field("Via") == "1.1 gateway"
    assert arrived.field("X-Forwarded-For") == address
    assert arrived.field("X-Forwarded-Proto") == "http"
    assert arrived.field("X-Forwarded-Host") == "gateway.test"
    assert arrived.field("Forwarded") == f'for={address};host="gateway.test";proto=http'


@pytest.mark.parametrize("name", [
    "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "Proxy-Authenticate", "Proxy-Authorization",
])
def test_hop_by_hop_fields_of_a_request_end_here(gateway, backend, name):
    gateway.get("/", fields={name: "x-something"})
    values = backend.only().all(name)
    assert all("x-something" not in value for value in values)


def test_fields_that_connection_names_end_here(gateway, backend):
    gateway.get("/", fields={"Connection": "X-Private, keep-alive", "X-Private": "1", "X-Public": "2"})
    arrived = backend.only()
    assert "x-private" not in arrived.names()
    assert arrived.field("X-Public") == "2"


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-For", "Content-Length", "Authorization", "Via"])
def test_connection_cannot_strip_what_matters(gateway, backend, name):
    """`Connection: X-Forwarded-For` removed the proxy's own field in others (CVE-2024-45410)."""
    gateway.fetch(request("POST", "/", {"Connection": name, "Authorization": "Bearer x"}, b"body"))
    arrived = backend.only()
    assert arrived.field("Host") == "gateway.test"
    assert arrived.all("X-Forwarded-For") != [] and arrived.all("Via") != []
    assert arrived.body == b"body"


def test_hop_by_hop_fields_of_an_answer_end_here_and_via_is_added(gateway, backend):
    backend.answers(answer(fields={"Connection": "X-Private", "X-Private": "1", "Keep-Alive": "timeout=5", "X-Public": "2"}))
    response = gateway.get("/")
    assert response.all("X-Private") == [] and response.all("Keep-Alive") == []
    assert response.field("X-Public") == "2"
    assert response.field("Via") == "1.1 gateway"


def test_repeated_fields_of_an_answer_stay_apart_and_in_order(gateway, backend):
    backend.answers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n")
    assert gateway.get("/").all("Set-Cookie") == ["a=1", "b=2"]


def test_via_is_appended_to(gateway, backend):
    gateway.get("/", fields={"Via": "1.0 fred"})
    assert ", ".join(backend.only().all("Via")) == "1.0 fred, 1.1 gateway"


def test_forged_forwarding_fields_of_a_stranger_are_replaced(gateway, backend, address):
    gateway.fetch(request("GET", "/", {
        "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test",
        "X_Forwarded_For": "203.0.113.9", "Forwarded": "for=203.0.113.9",
    }), address)
    arrived = backend.only()
    assert arrived.field("X-Forwarded-For") == address
    assert b"203.0.113.9" not in arrived.head and b"evil.test" not in arrived.head


def test_the_forwarding_fields_of_a_trusted_proxy_are_continued(start_gateway, backend, address):
    gateway = start_gateway(backend, trusted_proxies=[f"{address}/32"])
    gateway.fetch(request("GET", "/", {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}), address)
    arrived = backend.only()
    assert ", ".join(arrived.all("X-Forwarded-For")) == f"203.0.113.9, {address}"
    assert arrived.field("X-Forwarded-Proto") == "https"


def test_a_request_id_is_made_and_told_to_both_sides(gateway, backend):
    response = gateway.get("/")
    told = backend.only().field("X-Request-Id")
    assert told and response.field("X-Request-Id") == told


def test_every_request_has_another_request_id(gateway, backend):
    with gateway.connect() as client:
        for _ in range(20):
            client.ask(request("GET", "/"))
    assert len({arrived.field("X-Request-Id") for arrived in backend.requests}) == 20


def test_a_valid_traceparent_is_continued(gateway, backend):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    gateway.get("/", fields={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "a=b"})
    arrived = backend.only()
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", arrived.field("traceparent"))
    assert arrived.field("tracestate") == "a=b"


@pytest.mark.parametrize("value", [
    None, "nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
])
def test_without_a_valid_traceparent_a_trace_begins_here(gateway, backend, value):
    gateway.get("/", fields={"traceparent": value} if value else None)
    begun = backend.only().field("traceparent")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", begun)
    assert value is None or begun != value


def test_a_refusal_carries_the_request_id_too(start_gateway, backend):
    gateway = start_gateway(backend, routes=[{"path": "/api", "upstream": "api", "auth": "none"}])
    assert gateway.get("/nowhere").field("X-Request-Id")


def test_the_query_is_not_in_the_audit_log_and_no_credential_is_in_any_log(gateway):
    gateway.get("/x?password=sesame", fields={"Authorization": "Bearer secret-token-value", "Cookie": "session=biscuit"})
    gateway.stop()
    for secret in ("secret-token-value", "biscuit", "sesame"):
        assert secret not in gateway.child.log()
