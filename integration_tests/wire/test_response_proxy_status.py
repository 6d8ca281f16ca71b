"""Proxy-Status on the gateway's own answers (RFC 9209), one test for each way to fail that a client can tell apart."""

import threading

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import free_port


def test_response_that_is_malformed_is_a_protocol_error(gateway, backend):
    """The next answer on the same connection is the backend's own, and has none."""
    backend.answers(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with gateway.connect() as client:
        refused = client.ask(request("GET", "/"))
        assert (refused.status, refused.code) == (502, "SVC_001")
        assert refused.field("Proxy-Status") == "gateway; error=http_protocol_error"
        backend.answers(answer(body="mine"))
        served = client.ask(request("GET", "/next"))
    assert (served.body, served.field("Proxy-Status")) == (b"mine", None)
    assert backend.connections == 2


def test_response_that_never_begins_is_a_terminated_connection(gateway, backend):
    def leave(exchange: Exchange) -> bytes:
        exchange.close()
        return b"HTTP/1.1 200 OK\r\nContent-Le"

    backend.handler = leave
    refused = gateway.get("/")
    assert refused.status == 502
    assert refused.field("Proxy-Status") == "gateway; error=connection_terminated"


def test_response_that_is_late_is_a_response_timeout(start_gateway, backend):
    over = threading.Event()

    def late(exchange: Exchange) -> bytes:
        over.wait(10)
        return answer()

    backend.handler = late
    refused = start_gateway(backend, timeouts={"response": "200ms"}).get("/")
    over.set()
    assert refused.status == 504
    assert refused.field("Proxy-Status") == "gateway; error=http_response_timeout"


def test_response_of_nobody_is_an_unavailable_destination(start_gateway):
    refused = start_gateway(f"127.0.0.1:{free_port()}").get("/")
    assert refused.status == 503
    assert refused.field("Proxy-Status") == "gateway; error=destination_unavailable"


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"])
def test_response_to_a_malformed_request_is_a_request_error(gateway, backend, head):
    with gateway.connect() as client:
        refused = client.ask(head)
    assert refused.status == 400
    assert refused.field("Proxy-Status") == "gateway; error=http_request_error"
    assert not backend.requests


@pytest.mark.parametrize(("head", "status"), [
    pytest.param(request("TRACE", "/"), 501, id="a method that is not offered"),
    pytest.param(request("POST", "/", {"Transfer-Encoding": "gzip, chunked"}), 501, id="a coding that is not known"),
    pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, id="another version"),
])
def test_response_to_what_the_gateway_does_not_support_is_an_internal_one(gateway, backend, head, status):
    """RFC 9209 §2.3.29: the proxy's own answer, for no fault of a server's, and of the client's neither."""
    with gateway.connect() as client:
        refused = client.ask(head)
    assert (refused.status, refused.field("Proxy-Status")) == (status, "gateway; error=proxy_internal_response")
    assert not backend.requests


def test_response_of_a_gateway_that_is_full_is_an_internal_one(start_gateway, backend):
    """RFC 9209 §2.3.29."""
    gateway = start_gateway(backend, workers=1, limits={"connections": 1})
    release = threading.Event()

    def wait(exchange: Exchange) -> bytes:
        release.wait(10)
        return answer()

    backend.handler = wait
    with gateway.connect() as busy:
        busy.send(request("GET", "/"))
        backend.wait_for(1)
        refused = gateway.get("/")
        assert (refused.status, refused.field("Proxy-Status")) == (503, "gateway; error=proxy_internal_response")
        release.set()
        assert busy.read_final().status == 200


def test_response_of_the_backend_keeps_its_own_proxy_status(gateway, backend):
    """It is another intermediary's word (§2), and ours comes only with answers of ours."""
    backend.answers(answer(status=502, fields={"Proxy-Status": "inner; error=connection_refused"}))
    passed = gateway.get("/")
    assert (passed.status, passed.code) == (502, None)
    assert passed.field("Proxy-Status") == "inner; error=connection_refused"


def test_response_carries_the_name_of_via_as_a_string_where_it_is_no_token(start_gateway):
    gateway = start_gateway(f"127.0.0.1:{free_port()}", forwarding={"via": "9edge"})
    assert gateway.get("/").field("Proxy-Status") == '"9edge"; error=destination_unavailable'


def test_response_has_no_proxy_status_where_the_operator_wants_none(start_gateway):
    gateway = start_gateway(f"127.0.0.1:{free_port()}", forwarding={"proxy_status": False})
    refused = gateway.get("/")
    assert (refused.status, refused.field("Proxy-Status")) == (503, None)
