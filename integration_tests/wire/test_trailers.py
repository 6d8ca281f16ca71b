"""Trailer fields, of requests and of answers: sound ones are dropped, whatever their name (RFC 9110 §6.5.1: an
intermediary may, RFC 9112 §7.1.2: so may whoever takes the coding off); a malformed one breaks the body it ends."""

import threading
from collections.abc import Callable

import pytest

from harness.backend import Backend, Exchange, answer
from harness.client import Client, ConnectionEnded, request
from harness.gateway import Gateway
from harness.processes import wait_until

SOUND = {
    "one": b"X-Sum: 1\r\n",
    "several, and one of them twice": b"X-Sum: 1\r\nServer-Timing: db;dur=53\r\nx-sum: 2\r\n",
    "an empty one": b"X-Sum:\r\n",
    "white space around the value": b"X-Sum: \t 1 \t\r\n",
    "bytes above 127": b"X-Sum: \xe9\r\n",
    "as long as the section may be": b"X-Sum: " + b"1" * (8_192 - 7 - 4) + b"\r\n",
    # RFC 9110 §6.5.1: these must not stand there. Nobody behind us can merge into a head what does not get there.
    "names that frame": b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n",
    "names that end connections": b"Connection: close\r\nUpgrade: websocket\r\nKeep-Alive: timeout=1\r\n",
    "names that route and authorise": b"Host: evil.test\r\nAuthorization: Bearer evil\r\nSet-Cookie: evil=1\r\n",
    "names of the content": b"Content-Type: a/b\r\nContent-Encoding: gzip\r\nContent-Range: bytes 0-1/2\r\n",
}
MALFORMED = {
    # RFC 9112 §5.1, §5.2, §2.2, §5
    "white space before the colon": b"X-Sum : 1\r\n",
    "a folded field": b"X-Sum: 1\r\n 2\r\n",
    "white space before the first field": b" X-Sum: 1\r\n",
    "no colon": b"X-Sum\r\n",
    "a bare CR in the value": b"X-Sum: 1\rX-Other: 2\r\n",
    "a bare LF behind a field": b"X-Sum: 1\n",
    # RFC 9110 §5.1, §5.6.2, §5.5
    "no name": b": 1\r\n",
    "a name that is no token": b"X(Sum): 1\r\n",
    "a NUL in the value": b"X-Sum: \0\r\n",
    "a DEL in the value": b"X-Sum: \x7f\r\n",
    # A sender must not keep anybody reading for ever.
    "longer than the section may be": b"X-Sum: " + b"1" * (8_192 - 7 - 4 + 1) + b"\r\n",
}
CHUNKED = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = b"5\r\nhello\r\n"
ASKED = {
    "HTTP/1.1": request("GET", "/", {"Connection": "TE", "TE": "trailers"}),
    "HTTP/1.0": b"GET / HTTP/1.0\r\nHost: gateway.test\r\n\r\n",
}


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], backend: Backend) -> Gateway:
    """One worker, so that every request finds the connection that is kept."""
    return start_gateway(backend, workers=1)


def one_by_one(data: bytes) -> Callable[[Exchange], None]:
    def handler(exchange: Exchange) -> None:
        exchange.read_body()
        for byte in data:
            exchange.send(bytes([byte]))
    return handler


@pytest.mark.parametrize("kind", SOUND)
def test_trailers_of_an_answer_are_dropped_and_both_connections_go_on(
    gateway: Gateway, backend: Backend, kind: str,
) -> None:
    """Also for a client that says it would take them; and nothing of them gets into the head."""
    backend.answers(CHUNKED + HELLO + b"0\r\n" + SOUND[kind] + b"\r\n")
    with gateway.connect() as client:
        for _ in range(3):
            head = client.send(ASKED["HTTP/1.1"]).read_head()
            assert client.read_exactly(len(HELLO) + 5) == HELLO + b"0\r\n\r\n"
            assert [name for name, _ in head.fields] == ["Via", "Date", "X-Request-Id", "Transfer-Encoding"]
        backend.answers(answer(body="next"))
        assert client.ask(request("GET", "/")).body == b"next"
    assert backend.connections == 1


def test_trailers_of_an_answer_are_dropped_wherever_they_are_cut(gateway: Gateway, backend: Backend) -> None:
    backend.handler = one_by_one(CHUNKED + HELLO + b"0\r\nX-Sum: 1\r\nHost: evil.test\r\n\r\n")
    with gateway.connect() as client:
        for _ in range(3):
            response = client.ask(request("GET", "/"))
            assert (response.status, response.body, response.trailers) == (200, b"hello", [])
    assert backend.connections == 1


@pytest.mark.parametrize("kind", SOUND)
def test_trailers_of_an_answer_to_http_1_0_are_dropped_and_its_end_is_that_of_the_connection(
    gateway: Gateway, backend: Backend, kind: str,
) -> None:
    """It gets the bare content (RFC 9112 §7.1: it knows no chunks). The backend's connection goes on."""
    backend.answers(CHUNKED + HELLO + b"0\r\n" + SOUND[kind] + b"\r\n")
    for _ in range(3):
        with gateway.connect() as client:
            head = client.send(ASKED["HTTP/1.0"]).read_head()
            assert client.read_to_end() == b"hello", "and no reset, which would say that it is not whole"
            assert [name for name, _ in head.fields] == ["Via", "Date", "X-Request-Id", "Connection"]
    backend.answers(answer(body="next"))
    assert gateway.get("/").body == b"next"
    assert backend.connections == 1


def visibly_cut(client: Client, version: str) -> None:
    """A client of HTTP/1.1 misses the last chunk. To one of HTTP/1.0 the end of the connection says that all has come,
    so only a reset can say otherwise."""
    try:
        rest = client.read_to_end()
    except ConnectionResetError:
        return
    assert version == "HTTP/1.1", f"passed off as whole, with {rest!r}"
    assert rest == b"", "no last chunk"


@pytest.mark.parametrize("version", ASKED)
@pytest.mark.parametrize("rule", MALFORMED)
def test_a_malformed_trailer_of_an_answer_cuts_it_off_for_the_client_to_see(
    gateway: Gateway, backend: Backend, rule: str, version: str,
) -> None:
    """RFC 9112 §8: what was told with 200 can only be taken back by breaking off. Neither connection is used again."""
    proceed = threading.Event()

    def breaks(exchange: Exchange) -> bytes:
        exchange.send(CHUNKED + HELLO)
        assert proceed.wait(10)
        return b"0\r\n" + MALFORMED[rule] + b"\r\n"

    backend.handler = breaks
    with gateway.connect() as client:
        assert client.send(ASKED[version]).read_head().status == 200
        beginning = HELLO if version == "HTTP/1.1" else b"hello"
        assert client.read_exactly(len(beginning)) == beginning
        proceed.set()
        visibly_cut(client, version)
    backend.answers(answer(body="mine"))
    assert gateway.get("/next").body == b"mine"
    assert backend.connections == 2


@pytest.mark.parametrize("rule", MALFORMED)
def test_a_malformed_trailer_of_an_answer_that_comes_at_once_is_no_whole_answer_either(
    gateway: Gateway, backend: Backend, rule: str,
) -> None:
    backend.answers(CHUNKED + HELLO + b"0\r\n" + MALFORMED[rule] + b"\r\n")
    with gateway.connect() as client, pytest.raises((ConnectionEnded, ConnectionResetError)):
        response = client.ask(request("GET", "/"))
        assert response.status != 200, "whole"
    backend.answers(answer(body="mine"))
    assert gateway.get("/next").body == b"mine"
    assert backend.connections == 2


POST = request("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"})


@pytest.mark.parametrize("kind", SOUND)
def test_trailers_of_a_request_are_dropped_and_both_connections_go_on(
    gateway: Gateway, backend: Backend, kind: str,
) -> None:
    with gateway.connect() as client:
        for _ in range(3):
            assert client.ask(POST + HELLO + b"0\r\n" + SOUND[kind] + b"\r\n").status == 200
        assert client.ask(request("GET", "/")).status == 200
    assert [seen.raw_body for seen in backend.requests] == [HELLO + b"0\r\n\r\n"] * 3 + [b""]
    for seen in backend.requests[:3]:
        assert seen.names()[:2] == ["host", "transfer-encoding"] and seen.field("Host") == "gateway.test"
        assert not {"trailer", "x-sum", "content-length", "authorization", "set-cookie"} & set(seen.names())
    assert backend.connections == 1


@pytest.mark.parametrize("rule", MALFORMED)
def test_a_malformed_trailer_of_a_request_is_400_and_the_backend_never_sees_its_end(
    gateway: Gateway, backend: Backend, rule: str,
) -> None:
    """The backend has the beginning by then, and must see that no more comes: its connection ends with the client's."""
    with gateway.connect() as client:
        client.send(POST + HELLO)
        backend.wait_for(1)
        refused = client.send(b"0\r\n" + MALFORMED[rule] + b"\r\n").read_final("POST")
        assert (refused.status, refused.code, refused.field("Connection")) == (400, "REQ_001", "close")
        assert client.ended()
    wait_until("the backend's connection ends", lambda: backend.open_connections == 0)
    assert not backend.requests[0].complete.is_set()
    assert gateway.get("/next").status == 200
    assert backend.connections == 2
