"""What is malformed, ambiguous or too large is refused with the right status, and nothing of it reaches the backend."""

import pytest

from harness.client import Response, request

HOST = b"Host: a\r\n"


def refused(gateway, backend, data: bytes, status: int, source: str | None = None) -> Response:
    with gateway.connect(source) as client:
        response = client.send(data).read_response()
        assert response.status == status
        assert response.field("Content-Type") == "application/problem+json"
        assert response.json()["status"] == status
        assert response.field("Connection") == "close"
        assert client.ended(), "after a broken request nothing that follows can be trusted"
    assert backend.requests == []
    return response


# Behind each refused head stands a second, well-formed request: if framing were guessed, it would be served.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("head", [
    pytest.param(b"GET / HTTP/1.1\r\n", id="no Host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", id="two Hosts"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n", id="a space in Host"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X : 1\r\n", id="space before the colon"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n folded\r\n", id="obs-fold"),
    pytest.param(b"GET / HTTP/1.1\r\n Host: a\r\n", id="white space before the first field"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n", id="bare CR in a value"),
    pytest.param(b"GET / HTTP/1.1\n" + HOST, id="bare LF behind the request line"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\n", id="bare LF behind a field"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"\n", id="bare LF at the end of the head"),
    pytest.param(b"GET / HTTP/1.1\n" + b"Host: a\n\n", id="bare LF everywhere"),
    pytest.param(b"GET / HTTP/1.1\r" + HOST, id="bare CR behind the request line"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\rY: 2\r\n", id="bare CR behind a field"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"\r", id="bare CR at the end of the head"),
    pytest.param(b"GET / HTTP/1.1\r" + b"Host: a\r\r", id="bare CR everywhere"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n", id="NUL in a value"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n", id="no colon"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b": nameless\r\n", id="no name"),
    pytest.param(b"GET  / HTTP/1.1\r\n" + HOST, id="two spaces"),
    pytest.param(b"GET / HTTP/1.1 \r\n" + HOST, id="space behind the version"),
    pytest.param(b"GET /a b HTTP/1.1\r\n" + HOST, id="space in the target"),
    pytest.param(b"GET / http/1.1\r\n" + HOST, id="lower-case version"),
    pytest.param(b"G@T / HTTP/1.1\r\n" + HOST, id="no token as method"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", id="CL+TE"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n", id="two lengths"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 4\r\n", id="a list of lengths"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n" * 2, id="two equal lengths"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n", id="a list of equal lengths"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n", id="signed length"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n", id="hexadecimal length"),
    pytest.param(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n", id="overflowing length"),
    pytest.param(b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n", id="chunked in HTTP/1.0"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + b"a," * 32 + b"a\r\n", id="33 options of Connection"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + b"," * 32 + b"\r\n", id="33 empty options"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: a\r\n" * 33, id="33 fields of Connection"),
    pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + b"a" * 1_025 + b"\r\n", id="Connection above 1 KiB"),
    pytest.param(
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + b"a" * 512 + b"\r\nConnection: " + b"b" * 513 + b"\r\n",
        id="two Connections above 1 KiB"),
])
def test_a_malformed_head_is_refused_with_400(gateway, backend, head):
    """RFC 9112 §2.2 (line ends), §3 (request line), §3.2 (Host), §5 (fields), §6.3 (length and coding); RFC 9110 §8.6
    (equal lengths must be refused or replaced), §5.6.1.2 and §7.6.1 (options of Connection, empty ones too)."""
    refused(gateway, backend, head + b"\r\n" + SMUGGLED, 400)


@pytest.mark.parametrize("chunks", [
    pytest.param(b"g\r\n", id="no size"),
    pytest.param(b"-1\r\n", id="negative"),
    pytest.param(b"FFFFFFFFFFFFFFFFF\r\n", id="overflow"),
    pytest.param(b"3\r\nabcd\r\n0\r\n\r\n", id="longer than announced"),
    pytest.param(b"3\nabc\r\n0\r\n\r\n", id="bare LF behind the size"),
    pytest.param(b"3 \r\nabc\r\n0\r\n\r\n", id="space behind the size"),
])
def test_a_malformed_chunk_ends_the_connection_and_is_never_a_whole_request(gateway, backend, chunks):
    with gateway.connect() as client:
        client.send(request("POST", "/", {"Transfer-Encoding": "chunked"}) + chunks + SMUGGLED)
        answer = client.read_response()
        assert answer.status == 400
        assert client.ended()
    assert all(not arrived.complete.is_set() for arrived in backend.requests)
    assert all(arrived.target == "/" for arrived in backend.requests)


def test_a_coding_before_chunked_is_refused_with_501(gateway, backend):
    fields = [("Transfer-Encoding", "gzip, chunked")]
    refused(gateway, backend, request("POST", "/", fields) + b"0\r\n\r\n" + SMUGGLED, 501)


@pytest.mark.parametrize("codings", [
    ["gzip"], ["xchunked"], ["chunked, identity"], ["chunked, chunked"], ["chunked", "chunked"], ["identity", "chunked"],
])
def test_a_body_whose_end_no_coding_tells_is_refused_with_400(gateway, backend, codings):
    fields = [("Transfer-Encoding", coding) for coding in codings]
    refused(gateway, backend, request("POST", "/", fields) + b"0\r\n\r\n" + SMUGGLED, 400)


def test_connect_is_refused_with_501(gateway, backend):
    refused(gateway, backend, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501)


@pytest.mark.once
@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
@pytest.mark.parametrize("hops", [{}, {"Max-Forwards": "0"}, {"Max-Forwards": "1"}], ids=["far", "here", "one hop"])
def test_trace_is_refused_with_501_and_shows_nobody_what_it_sent(gateway, backend, method, hops):
    """RFC 9110 §9.3.8, §7.6.2: nor does the last hop that Max-Forwards allows answer it with what it got."""
    response = refused(gateway, backend, request(method, "/", {"Cookie": "a=secret", **hops}) + SMUGGLED, 501)
    assert b"secret" not in response.head + response.body


@pytest.mark.parametrize("method", ["get", "Get", "gET", "post", "head", "options", "connect", "trace", "PRI", "A" * 70])
def test_a_method_in_lower_case_or_not_offered_is_refused_with_501(gateway, backend, method):
    """RFC 9110 §9.1: methods are case-sensitive, so none of these is the one that it looks like. RFC 9112 §3: 501."""
    refused(gateway, backend, request(method, "/") + SMUGGLED, 501)


@pytest.mark.parametrize("rest", [
    b"/ HTTP/2.0\r\n" + HOST + b"\r\n", b"/ b HTTP/1.1\r\n" + HOST + b"\r\n", b"/" + b"x" * 8192 + b" HTTP/1.1\r\n",
    b"/ HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", b"/ HTTP/1.1\r\n" + HOST + b"A: \0\r\n\r\n",
    b"/ HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", b"/ HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 33_000,
])
def test_a_refused_head_gets_no_content(gateway, backend, rest):
    """RFC 9110 §9.3.2, also where the fault is found before the method is known."""
    with gateway.connect() as client:
        response = client.send(b"HEAD " + rest).read_final("HEAD")
        assert response.status in (400, 414, 431, 505)
        assert int(response.field("Content-Length")) > 0
        assert client.ended()
    assert backend.requests == []


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/3.7", b"HTTP/0.9"])
def test_another_version_is_refused_with_505(gateway, backend, version):
    refused(gateway, backend, b"GET / " + version + b"\r\n" + HOST + b"\r\n", 505)


@pytest.mark.once
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_above_the_limit_is_refused_with_413(start_gateway, backend, framing):
    """RFC 9110 §15.5.14 lets the connection end. Here it does, and what stands behind the body is no request."""
    gateway = start_gateway(backend, limits={"body": 1000})
    with gateway.connect() as client:
        if framing == "length":
            client.send(request("POST", "/", body=b"x" * 1001) + SMUGGLED)
        else:
            chunks = b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"
            client.send(request("POST", "/", {"Transfer-Encoding": "chunked"}) + chunks + SMUGGLED)
        response = client.read_response()
        assert (response.status, response.code, response.field("Connection")) == (413, "REQ_002", "close")
        assert client.ended()
    assert all(not arrived.complete.is_set() for arrived in backend.requests)
    assert all(arrived.target == "/" for arrived in backend.requests), "nothing behind the body is read"
    assert gateway.fetch(request("POST", "/", body=b"x" * 1000)).status == 200


def test_a_long_target_is_refused_with_414(gateway, backend):
    refused(gateway, backend, request("GET", "/" + "x" * 8192), 414)


def test_a_long_target_below_the_limit_passes(gateway, backend):
    assert gateway.get("/" + "x" * 8191).status == 200
    assert backend.only().target == "/" + "x" * 8191


def test_a_large_head_is_refused_with_431(gateway, backend):
    refused(gateway, backend, request("GET", "/", {"X-Large": "x" * 33_000}), 431)


def test_an_endless_head_is_refused_with_431(gateway, backend):
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000)
        assert client.read_response().status == 431
    assert backend.requests == []


def test_too_many_fields_are_refused_with_431(gateway, backend):
    refused(gateway, backend, request("GET", "/", [(f"X-{number}", "1") for number in range(100)]), 431)


def test_a_token_of_16_kib_passes_the_limit_of_the_head(gateway, backend):
    assert gateway.get("/", fields={"Authorization": "Bearer " + "x" * 16_384}).status == 200


def test_no_route_is_404_and_the_connection_lives(start_gateway, backend):
    gateway = start_gateway(backend, routes=[{"path": "/api", "upstream": "api", "auth": "none"}])
    with gateway.connect() as client:
        for target in ("/", "/apix", "/ap"):
            response = client.ask(request("GET", target))
            assert (response.status, response.code) == (404, "REQ_003")
        assert client.ask(request("GET", "/api")).status == 200
        assert client.ask(request("GET", "/api/x")).status == 200


def test_a_method_that_the_route_does_not_have_is_405_with_allow(start_gateway, backend):
    gateway = start_gateway(
        backend, routes=[{"path": "/", "upstream": "api", "auth": "none", "methods": ["GET", "POST"]}])
    response = gateway.fetch(request("DELETE", "/"))
    assert response.status == 405
    assert {method.strip() for method in response.field("Allow").split(",")} >= {"GET", "POST"}


@pytest.mark.parametrize("target", ["/nowhere", "/health"])
def test_an_answer_that_comes_before_the_body_says_that_the_connection_ends(start_gateway, backend, target):
    gateway = start_gateway(backend, routes=[{"path": "/api", "upstream": "api", "auth": "none"}])
    head = request("POST", target, {"Content-Length": "4"})
    with gateway.connect() as client:
        assert client.send(head).read_response().field("Connection") == "close"
        assert client.send(b"body").ended()
    with gateway.connect() as client:
        assert client.send(head + b"body").read_response().field("Connection") is None
        assert client.ask(request("GET", "/health")).status == 200
    assert backend.requests == []
