"""What a backend may say, and what the client is told: malformed answers, framing, and what a connection may be used for
after them (RFC 9112 §6.3, §9; RFC 9110 §15)."""

import select
import signal
import threading

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import wait_until

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"

MALFORMED = {
    # §4
    "no_status_line": b"hello\r\n\r\n",
    "a_bare_body": b"<html></html>",
    "http_0_9": b"ok",
    "an_empty_line_first": b"\r\n" + OK + LENGTH + b"\r\nok",
    "a_space_first": b" " + OK + LENGTH + b"\r\nok",
    "another_protocol": b"ICY 200 OK\r\n" + LENGTH + b"\r\nok",
    "a_version_in_lower_case": b"http/1.1 200 OK\r\n" + LENGTH + b"\r\nok",
    "another_major_version": b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\nok",
    "two_spaces_before_the_status": b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nok",
    "no_status": b"HTTP/1.1 OK\r\n" + LENGTH + b"\r\nok",
    "a_status_of_two_digits": b"HTTP/1.1 99 OK\r\n" + LENGTH + b"\r\nok",
    "a_status_of_four_digits": b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\nok",
    "a_status_below_100": b"HTTP/1.1 099 OK\r\n" + LENGTH + b"\r\nok",
    "a_status_above_599": b"HTTP/1.1 600 OK\r\n" + LENGTH + b"\r\nok",
    "a_signed_status": b"HTTP/1.1 +20 OK\r\n" + LENGTH + b"\r\nok",
    "a_NUL_in_the_reason": b"HTTP/1.1 200 O\0K\r\n" + LENGTH + b"\r\nok",
    "a_request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    # §2.2, §5
    "a_bare_LF_behind_the_status_line": b"HTTP/1.1 200 OK\n" + LENGTH + b"\r\nok",
    "a_bare_LF_behind_a_field": OK + b"A: b\n" + LENGTH + b"\r\nok",
    "a_bare_LF_at_the_end": OK + LENGTH + b"\nok",
    "a_bare_CR_in_a_value": OK + b"A: b\rSet-Cookie: c=d\r\n" + LENGTH + b"\r\nok",
    "a_NUL_in_a_value": OK + b"A: b\0\r\n" + LENGTH + b"\r\nok",
    "a_control_byte_in_a_value": OK + b"A: b\x01\r\n" + LENGTH + b"\r\nok",
    "a_folded_field": OK + b"A: b\r\n c\r\n" + LENGTH + b"\r\nok",
    "a_space_before_the_first_field": OK + b" A: b\r\n" + LENGTH + b"\r\nok",
    "a_space_in_a_name": OK + b"A b: c\r\n" + LENGTH + b"\r\nok",
    "a_field_without_a_colon": OK + b"A\r\n" + LENGTH + b"\r\nok",
    "a_field_without_a_name": OK + b": b\r\n" + LENGTH + b"\r\nok",
    "a_name_that_is_no_token": OK + b"A(b): c\r\n" + LENGTH + b"\r\nok",
    # §6.3
    "two_lengths": OK + LENGTH + b"Content-Length: 3\r\n\r\nok!",
    "two_equal_lengths": OK + LENGTH + LENGTH + b"\r\nok",
    "a_list_of_lengths": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "a_length_with_a_sign": OK + b"Content-Length: +2\r\n\r\nok",
    "a_negative_length": OK + b"Content-Length: -2\r\n\r\nok",
    "a_hexadecimal_length": OK + b"Content-Length: 0x2\r\n\r\nok",
    "an_empty_length": OK + b"Content-Length:\r\n\r\nok",
    "a_length_that_overflows": OK + b"Content-Length: 18446744073709551618\r\n\r\nok",
    "length_and_coding": OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a_coding_that_was_not_asked_for": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked_twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a_coding_like_chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked_in_http_1_0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # §6.3 (1): an interim answer ends with its empty line, so what stands there is no answer.
    "a_body_behind_an_interim_answer": b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nok" + OK + LENGTH + b"\r\nok",
    "chunks_behind_an_interim_answer":
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + OK + LENGTH + b"\r\nok",
    # RFC 9110 §5.6.1.2, §7.6.1
    "33_options_of_Connection": OK + LENGTH + b"Connection: " + b"a," * 32 + b"a\r\n\r\nok",
    "33_empty_options_of_Connection": OK + LENGTH + b"Connection: " + b"," * 32 + b"\r\n\r\nok",
    "Connection_above_1_KiB": OK + LENGTH + b"Connection: " + b"a" * 1_025 + b"\r\n\r\nok",
    # RFC 9110 §15.2.2
    "a_switch_that_nobody_asked_for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    # Limits
    "a_head_without_end": OK + b"A: b\r\n" * 20_000,
    "a_flood_of_interim_answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 100,
}


@pytest.mark.once
@pytest.mark.parametrize("fault", MALFORMED)
def test_response_that_is_malformed_is_502_and_its_connection_is_given_up(gateway, backend, fault):
    """The client keeps its own connection, and the next answer on it is its own."""
    backend.answers(MALFORMED[fault])
    with gateway.connect() as client:
        refused = client.ask(request("POST", "/", body=b"x"))
        assert (refused.status, refused.code) == (502, "SVC_001")
        backend.answers(answer(body="mine"))
        assert client.ask(request("GET", "/next")).body == b"mine"
    assert backend.connections == 2
    assert len(backend.requests) == 2, "a POST is never sent twice"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_response_white_space_before_a_colon_is_taken_out(gateway, backend, method):
    """RFC 9112 §5.1: a proxy must remove it. The fields mean what they mean without it, interim ones too."""
    said = (
        b"HTTP/1.1 103 Early Hints\r\nLink : </a>\r\nConnection\t: X-A\r\nX-A : 1\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nX-B \t : c : d\r\nSet-Cookie : e=f\r\nKeep-Alive : timeout=5\r\nContent-Length : 2\r\n\r\n")
    backend.answers(said + (b"ok" if method == "GET" else b""))
    with gateway.connect() as client:
        for _ in range(2):
            hints = client.send(request(method, "/")).read_head()
            assert hints.head == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            response = client.read_response(method)
            assert response.head.startswith(
                b"HTTP/1.1 200 OK\r\nX-B: c : d\r\nSet-Cookie: e=f\r\nContent-Length: 2\r\nVia: 1.1 gateway\r\n")
            assert response.body == (b"ok" if method == "GET" else b"")
    assert backend.connections == 1 or method == "HEAD"


def test_response_head_that_comes_in_single_bytes_is_read(gateway, backend):
    def drip(exchange: Exchange) -> bytes:
        for byte in b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX: " + b"a" * 3_000 + b"\r\n" + LENGTH:
            exchange.send(bytes([byte]))
        return b"\r\nok"

    backend.handler = drip
    with gateway.connect() as client:
        assert client.send(request("GET", "/")).read_response().status == 103
        response = client.read_response()
        assert (response.status, response.field("X"), response.body) == (200, "a" * 3_000, b"ok")


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN_BODIES = {
    "a_size_that_is_no_number": CHUNKED + b"2\r\nok\r\nx\r\n\r\n",
    "a_size_with_a_sign": CHUNKED + b"2\r\nok\r\n+2\r\nok\r\n",
    "a_size_that_overflows": CHUNKED + b"2\r\nok\r\nfffffffffffffffff\r\n",
    "a_bare_LF_behind_a_size": CHUNKED + b"2\r\nok\r\n2\nok\r\n",
    "a_chunk_longer_than_its_size": CHUNKED + b"2\r\nok!!\r\n0\r\n\r\n",
    "no_CRLF_behind_a_chunk": CHUNKED + b"2\r\nok0\r\n\r\n",
    "a_malformed_trailer": CHUNKED + b"2\r\nok\r\n0\r\nA : b\r\n\r\n",
    "a_trailer_without_end": CHUNKED + b"2\r\nok\r\n0\r\n" + b"A: b\r\n" * 5_000,
}


@pytest.mark.parametrize("fault", BROKEN_BODIES)
def test_response_body_that_breaks_is_not_passed_off_as_whole(gateway, backend, fault):
    """§8: the client must see that it is incomplete, so there is no last chunk; its connection cannot go on."""
    backend.answers(BROKEN_BODIES[fault])
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        try:
            received = client.read_to_end()
        except ConnectionResetError:
            received = b""
        assert b"0\r\n\r\n" not in received
        assert received == b"" or received.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 502 "))
    backend.answers(answer(body="mine"))
    assert gateway.get("/next").body == b"mine"
    assert backend.connections == 2


@pytest.mark.parametrize("said", [
    OK + b"Content-Length: 10\r\n\r\nhalf", CHUNKED + b"5\r\nha", CHUNKED + b"2\r\nok\r\n", CHUNKED + b"2\r\nok\r\n0\r\n",
])
def test_response_that_is_cut_short_is_cut_short_for_the_client(gateway, backend, said):
    def leave(exchange: Exchange) -> bytes:
        exchange.close()
        return said

    backend.handler = leave
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        with pytest.raises((AssertionError, ConnectionResetError)):
            client.read_final()


BODILESS = {
    "HEAD": ("HEAD", OK + LENGTH + b"\r\n", 200, "2"),
    "HEAD_in_chunks": ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", 200, None),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
    "204_with_a_length": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 204, None),
    "204_in_chunks": ("GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, None),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\n", 304, "2"),
}


@pytest.mark.parametrize("kind", BODILESS)
@pytest.mark.parametrize("behind", [b"", b"ok", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"])
def test_response_without_a_body_ends_with_its_head(gateway, backend, kind, behind):
    """§6.3 (1): what a backend sends behind it is nobody's, and the connection is not used again. A 204 has neither
    length nor coding (RFC 9110 §8.6, RFC 9112 §6.1); one that came with them is the last of its connection in any case."""
    method, said, status, length = BODILESS[kind]
    backend.answers(said + behind)
    with gateway.connect() as client:
        response = client.ask(request(method, "/"))
        assert (response.status, response.field("Content-Length")) == (status, length)
        assert response.field("Transfer-Encoding") is None
        backend.answers(answer(body="mine"))
        assert client.ask(request("GET", "/next")).body == b"mine"
    # Where the head speaks of a body, the next request does not take that connection for a moment.
    assert backend.connections in ({2} if behind or kind.startswith("204_") else {1} if kind == "204" else {1, 2})


@pytest.mark.once
@pytest.mark.parametrize("kind", ["HEAD", "HEAD_in_chunks", "304", "204_with_a_length", "204_in_chunks"])
def test_response_body_that_must_not_come_and_comes_later_is_nobodys(start_gateway, start_backend, kind):
    """A second write, when the next request is there already: had it the same connection, it would get this."""
    method, said, status, _ = BODILESS[kind]
    answered = threading.Event()

    def handler(exchange: Exchange) -> bytes:
        if exchange.request.target != "/first":
            return answer(body=exchange.request.target)
        exchange.send(said)
        wait_until("the next request", lambda: answered.is_set() or select.select([exchange.socket], [], [], 0)[0])
        return answer(body="wrong")

    backend = start_backend(handler)
    gateway = start_gateway(backend, workers=1)
    with gateway.connect() as client:
        # In one piece, so that there is no time between them.
        client.send(request(method, "/first") + request("GET", "/second"))
        assert client.read_final("HEAD").status == status
        assert client.read_final().body == b"/second"
        answered.set()
        for number in range(3):
            assert client.ask(request("GET", f"/{number}")).body == b"/%d" % number
    wait_until("the first connection is closed", lambda: backend.open_connections == 1)


@pytest.mark.once
@pytest.mark.parametrize("behind", [b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"\0" * 70_000])
@pytest.mark.parametrize("said", [OK + LENGTH + b"\r\nok", CHUNKED + b"2\r\nok\r\n0\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"])
def test_response_with_bytes_behind_it_is_the_last_of_its_connection(gateway, backend, said, behind):
    backend.answers(said + behind)
    with gateway.connect() as client:
        assert client.ask(request("GET", "/")).status == 200
        backend.answers(answer(body="mine"))
        for _ in range(3):
            assert client.ask(request("GET", "/next")).body == b"mine"
    assert backend.connections == 2


@pytest.mark.once
def test_response_that_nobody_asked_for_ends_an_idle_connection(gateway, backend):
    received = threading.Event()

    def twice(exchange: Exchange) -> bytes:
        exchange.send(answer(body="first"))
        received.wait(10)
        return answer(body="wrong")

    backend.handler = twice
    assert gateway.get("/").body == b"first"
    received.set()
    wait_until("the idle connection is closed", lambda: backend.open_connections == 0)
    backend.answers(answer(body="mine"))
    assert gateway.get("/next").body == b"mine"
    assert backend.connections == 2


@pytest.mark.once
@pytest.mark.parametrize("request_is_first", [True, False])
def test_response_that_nobody_asked_for_is_seen_before_a_request_that_comes_with_it(
        start_gateway, start_backend, request_is_first):
    """Both are there when the gateway looks: RFC 9112 §9.2, such bytes must not become the answer to that request."""
    sockets = []

    def handler(exchange: Exchange) -> bytes:
        sockets.append(exchange.socket)
        return answer(body=exchange.request.target)

    backend = start_backend(handler)
    gateway = start_gateway(backend, workers=1)
    with gateway.connect() as first, gateway.connect() as second:
        for client in (first, second, first):
            assert client.ask(request("GET", "/before")).body == b"/before"
        assert backend.connections == 1
        gateway.freeze()
        try:
            steps = [lambda: second.send(request("GET", "/second")), lambda: sockets[-1].sendall(answer(body="wrong"))]
            for step in steps if request_is_first else reversed(steps):
                step()
        finally:
            gateway.signal(signal.SIGCONT)
        assert second.read_final().body == b"/second"
        assert first.ask(request("GET", "/first")).body == b"/first"
    assert backend.connections == 2


@pytest.mark.parametrize(("fields", "kept"), [
    (b"", True), (b"Connection: close\r\n", False), (b"Connection: Close, x\r\n", False), (b"Connection: keep-alive\r\n", True),
])
def test_response_says_whether_its_connection_may_be_used_again(gateway, backend, fields, kept):
    backend.answers(OK + LENGTH + fields + b"\r\nok")
    with gateway.connect() as client:
        for _ in range(2):
            response = client.ask(request("GET", "/"))
            assert (response.body, response.field("Connection")) == (b"ok", None)
    assert backend.connections == (1 if kept else 2)


@pytest.mark.parametrize(("fields", "kept"), [(b"", False), (b"Connection: keep-alive\r\n", True)])
def test_response_of_http_1_0_is_the_last_of_its_connection_unless_it_says_otherwise(gateway, backend, fields, kept):
    backend.answers(b"HTTP/1.0 200 OK\r\n" + LENGTH + fields + b"\r\nok")
    with gateway.connect() as client:
        for _ in range(2):
            response = client.ask(request("GET", "/"))
            assert (response.version, response.body, response.field("Via")) == ("HTTP/1.1", b"ok", "1.0 gateway")
    assert backend.connections == (1 if kept else 2)


def test_response_before_the_request_is_complete_is_relayed_and_both_connections_end(gateway, backend):
    """§9.3: what is left of the body cannot be told from the next request."""
    def early(exchange: Exchange) -> bytes:
        exchange.close()
        return answer(413, b"too much")

    backend.handler = early
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbeginning")
        response = client.read_final()
        assert (response.status, response.body, response.field("Connection")) == (413, b"too much", "close")
        assert client.ended()
    backend.answers(answer(body="mine"))
    assert gateway.get("/next").body == b"mine"
    assert backend.connections == 2


def test_interim_responses_come_before_the_final_one_and_in_order(gateway, backend):
    backend.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + answer(body="ok"))
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        first, second, last = (client.read_response() for _ in range(3))
        assert [first.status, second.status, last.status] == [103, 102, 200]
        assert first.field("Link") == "</a>; rel=preload"
    assert gateway.fetch(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").head.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("framing", [LENGTH, b"Transfer-Encoding: chunked\r\n"])
def test_interim_response_says_nothing_of_a_body(gateway, backend, framing):
    """RFC 9110 §8.6, RFC 9112 §6.1: neither field may come with a 1xx, and a client could wait for what it announces."""
    backend.answers(b"HTTP/1.1 103 Early Hints\r\n" + framing + b"Link: </a>\r\n\r\n" + answer(body="ok"))
    with gateway.connect() as client:
        for _ in range(2):
            assert client.send(request("GET", "/")).read_head().head == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            assert client.read_response().body == b"ok"
    assert backend.connections == 1


@pytest.mark.parametrize("drips", [False, True])
def test_interim_responses_are_sixteen_for_one_request_at_most(gateway, backend, drips):
    """RFC 9110 §15.2 has no bound; docs/decisions/abuse.md has. Each request of a connection has its own sixteen."""
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"

    def handler(exchange: Exchange) -> bytes:
        exchange.read_body()
        count = int(exchange.request.target[1:])
        if not drips:
            return interim * count + answer(body="ok")
        for _ in range(count):
            exchange.send(interim)
        return answer(body="ok")

    backend.handler = handler
    with gateway.connect() as client:
        for _ in range(2):
            client.send(request("GET", "/16"))
            assert [client.read_response().status for _ in range(17)] == [103] * 16 + [200]
        assert backend.connections == 1
        refused = client.ask(request("GET", "/17"))
        assert (refused.status, refused.code) == (502, "SVC_001")
        assert refused.field("Proxy-Status") == "gateway; error=http_protocol_error"
        assert client.ask(request("GET", "/0")).body == b"ok"
    assert backend.connections == 2


@pytest.mark.once
def test_responses_are_never_another_clients(start_gateway, backend):
    """Half of the backend's answers are broken in some way; each client only ever gets what was said to it."""
    gateway = start_gateway(backend, upstreams={"api": {"circuit_breaker": {"failures": 0}}})
    kinds = list(MALFORMED.values())[:8] + list(BROKEN_BODIES.values())[:4] + [OK + LENGTH + b"\r\nokgarbage"]

    def handler(exchange: Exchange) -> bytes | None:
        exchange.read_body()
        number = int(exchange.request.target[1:])
        if number % 2:
            exchange.close()
            return kinds[number % len(kinds)]
        return answer(body=f"for {number}")

    backend.handler = handler
    wrong: list[str] = []

    def ask(first: int) -> None:
        for number in range(first, first + 40):
            try:
                response = gateway.get(f"/{number}")
            except (AssertionError, ConnectionError):
                if number % 2 == 0:
                    wrong.append(f"{number}: cut off")
                continue
            if number % 2 == 0 and response.body != f"for {number}".encode():
                wrong.append(f"{number}: {response.status} {response.body!r}")
            if number % 2 and response.body not in (b"ok",) and response.status != 502:
                wrong.append(f"{number}: {response.status} {response.body!r}")

    clients = [threading.Thread(target=ask, args=(number * 40,)) for number in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert wrong == []
