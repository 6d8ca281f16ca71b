"""The exact bytes that reach the backend, each test named after the rule that they follow (RFC 9112, RFC 9110)."""

import re

import pytest

from harness.backend import Backend, answer

HOST = b"Host: a.test\r\n"
_RANDOM = [
    (rb"X-Request-Id: [0-9a-f]{32}\r\n", b"X-Request-Id: ID\r\n"),
    (rb"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-02\r\n", b"traceparent: TRACE\r\n"),
]


def ours(host: bytes, address: str, via: bytes = b"1.1") -> bytes:
    """The fields of the gateway, in their order, behind all of the client's."""
    client = address.encode()
    named = b"X-Forwarded-Host: " + host + b"\r\n" if host else b""
    quoted = b';host="' + host + b'"' if host else b""
    return (
        b"X-Forwarded-For: " + client + b"\r\nX-Forwarded-Proto: http\r\n" + named
        + b"Forwarded: for=" + client + quoted + b";proto=http\r\nVia: " + via + b" gateway\r\n"
        b"X-Request-Id: ID\r\ntraceparent: TRACE\r\n\r\n")


def anonymous(head: bytes) -> bytes:
    """Without what is different each time."""
    for pattern, name in _RANDOM:
        head = re.sub(pattern, name, head)
    return head


def arrived(backend: Backend) -> bytes:
    return anonymous(backend.only().head) + backend.only().raw_body


FORWARDED = {
    # §3.1, §5: fields keep their order, spelling and values.
    "fields_pass_unchanged": (
        b"GET /a?b HTTP/1.1\r\nHost: a.test\r\nB:  2 \r\na: 1\r\nB: 3\r\nEmpty:\r\nHigh: \xe9\r\n\r\n",
        b"GET /a?b HTTP/1.1\r\nHost: a.test\r\nB:  2 \r\na: 1\r\nB: 3\r\nEmpty:\r\nHigh: \xe9\r\n", b"a.test"),
    # §2.2
    "empty_lines_before_the_request_are_ignored": (
        b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", b"GET / HTTP/1.1\r\n" + HOST, b"a.test"),
    # §3.2.2
    "the_host_of_an_absolute_target_replaces_host": (
        b"GET http://b.test:81/x HTTP/1.1\r\nA: 1\r\n" + HOST + b"B: 2\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: b.test:81\r\nA: 1\r\nB: 2\r\n", b"b.test:81"),
    "an_absolute_target_without_a_path_is_the_slash": (
        b"GET http://b.test?q HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /?q HTTP/1.1\r\nHost: b.test\r\n", b"b.test"),
    # §3.2.4
    "options_of_an_authority_is_options_of_the_server": (
        b"OPTIONS http://b.test HTTP/1.1\r\n" + HOST + b"\r\n", b"OPTIONS * HTTP/1.1\r\nHost: b.test\r\n", b"b.test"),
    # RFC 9110 §8.6
    "leading_zeros_of_a_length_are_cut_off": (
        b"POST / HTTP/1.1\r\nContent-Length: 0005\r\n" + HOST + b"\r\nhello",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n", b"a.test"),
    # RFC 9110 §7.6.1
    "fields_of_one_connection_end_here": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, X-One, X-Two\r\nKeep-Alive: timeout=5\r\nX-One: 1\r\n"
        b"Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Three: 3\r\nTrailer: X-Sum\r\nx-two: 2\r\n"
        b"Proxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Three: 3\r\n", b"a.test"),
    "connection_takes_out_nothing_that_matters": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Host, Authorization, Cookie, X-Forwarded-For, Via, Content-Type\r\n"
        b"Authorization: Bearer x\r\nCookie: a=b\r\nContent-Type: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Authorization: Bearer x\r\nCookie: a=b\r\nContent-Type: a/b\r\n", b"a.test"),
    # Limits of our own: RFC 9110 §5.6.1.2.
    "connection_may_have_32_options": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + b"," * 31 + b"a\r\nA: 1\r\nB: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"B: 2\r\n", b"a.test"),
    "connection_may_have_a_kibibyte_in_all_its_fields": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: " + b"x" * 1_023 + b"\r\nConnection: a\r\nA: 1\r\nB: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"B: 2\r\n", b"a.test"),
    # RFC 9110 §7.6.2
    "max_forwards_of_options_is_counted_down": (
        b"OPTIONS / HTTP/1.1\r\nMax-Forwards: 3\r\n" + HOST + b"\r\n",
        b"OPTIONS / HTTP/1.1\r\n" + HOST + b"Max-Forwards: 2\r\n", b"a.test"),
    "max_forwards_of_other_methods_is_left_alone": (
        b"GET / HTTP/1.1\r\nMax-Forwards: 0\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nMax-Forwards: 0\r\n" + HOST, b"a.test"),
    # RFC 9110 §14.2, §13: not ours to act on.
    "ranges_and_conditions_pass_unchanged": (
        b"GET / HTTP/1.1\r\n" + HOST + b'Range: bytes=0-0,5-\r\nIf-Range: "x"\r\nIf-None-Match: W/"y", *\r\n\r\n',
        b"GET / HTTP/1.1\r\n" + HOST + b'Range: bytes=0-0,5-\r\nIf-Range: "x"\r\nIf-None-Match: W/"y", *\r\n', b"a.test"),
    # Names that CGI reads as those that frame and identify.
    "disguised_names_end_here": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Content_Length: 9\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 1.2.3.4\r\n"
        b"X-User-Id: admin\r\nX_User_Id: admin\r\nX_Free: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X_Free: 1\r\n", b"a.test"),
}


@pytest.mark.parametrize("rule", FORWARDED)
def test_request_bytes(gateway, backend, address, rule):
    sent, expected, host = FORWARDED[rule]
    assert gateway.fetch(sent, address).status == 200
    body = b"hello" if sent.endswith(b"hello") else b""
    assert arrived(backend) == expected + ours(host, address) + body


BODIES = {
    # §6.2
    "a_length_frames_the_body": (b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 5\r\n", b"hello"),
    "a_length_of_zero_is_passed_on": (b"Content-Length: 0\r\n\r\n", b"Content-Length: 0\r\n", b""),
    "no_length_is_no_body": (b"\r\n", b"", b""),
    # §7.1
    "chunks_are_made_anew": (
        b"Transfer-Encoding: CHUNKED\r\n\r\n0005\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n",
        b"5\r\nhello\r\n0\r\n\r\n"),
    # §7.1.1
    "extensions_are_dropped": (
        b'Transfer-Encoding: chunked\r\n\r\n5;a="b;c";d\r\nhello\r\n000;e=f\r\n\r\n', b"Transfer-Encoding: chunked\r\n",
        b"5\r\nhello\r\n0\r\n\r\n"),
    # §7.1.2
    "trailers_are_dropped_whatever_their_name": (
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: evil.test\r\n"
        b"Authorization: Bearer evil\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("rule", BODIES)
def test_request_body_bytes(gateway, backend, address, rule, method):
    sent, fields, body = BODIES[rule]
    line = method.encode() + b" / HTTP/1.1\r\n" + HOST
    assert gateway.fetch(line + sent, address).status == 200
    assert arrived(backend) == line + fields + ours(b"a.test", address) + body


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
def test_request_without_a_length_has_no_body_and_411_is_the_backends_to_give(gateway, backend, address, method):
    """§6.3 (7): what follows is the next request. RFC 9110 §15.5.12: who wants a length may ask for it; we do not."""
    backend.answers(answer(411, b"how long?"))
    line = method + b" / HTTP/1.1\r\n" + HOST
    with gateway.connect(address) as client:
        refused = client.send(line + b"\r\n" + b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n").read_final()
        assert (refused.status, refused.body, refused.code) == (411, b"how long?", None)
        assert client.read_final().status == 411
    first, second = backend.wait_for(2)
    assert anonymous(first.head) == line + ours(b"a.test", address), "with neither field"
    assert second.target == "/next"


@pytest.mark.parametrize(("version", "via", "host"), [
    (b"1.0", b"1.0", HOST), (b"1.1", b"1.1", HOST), (b"1.2", b"1.2", HOST), (b"1.9", b"1.9", HOST), (b"1.0", b"1.0", b""),
])
def test_request_version_is_ours_and_via_names_the_received_one(gateway, backend, address, version, via, host):
    """RFC 9110 §2.5, §7.6.3; RFC 9112 §2.3."""
    assert gateway.fetch(b"GET / HTTP/" + version + b"\r\n" + host + b"\r\n", address).status == 200
    assert arrived(backend) == (
        b"GET / HTTP/1.1\r\n" + (host or b"Host: \r\n") + ours(b"a.test" if host else b"", address, via))


@pytest.mark.parametrize("expectation", [b"100-continue", b"200-ok", b""])
def test_request_expectation_of_http_1_0_is_ignored(gateway, backend, address, expectation):
    """RFC 9110 §10.1.1: and not sent on, where it would be an expectation of HTTP/1.1."""
    sent = b"POST / HTTP/1.0\r\n" + HOST + b"Expect: " + expectation + b"\r\nContent-Length: 5\r\n\r\nhello"
    assert gateway.fetch(sent, address).status == 200
    assert arrived(backend) == (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n" + ours(b"a.test", address, b"1.0") + b"hello")
