"""Requests and answers pass through unharmed: framing, order, bodies, connections (RFC 9112)."""

import socket
import threading
import time

import pytest

from harness.backend import Exchange, answer
from harness.client import request


def echo(exchange: Exchange) -> bytes:
    return answer(body=f"{exchange.request.method} {exchange.request.target}|".encode() + exchange.read_body())


def test_one_connection_carries_many_requests_on_both_sides(gateway, backend):
    backend.handler = echo
    with gateway.connect() as client:
        for number in range(50):
            assert client.ask(request("GET", f"/n/{number}")).body == f"GET /n/{number}|".encode()
    assert backend.connections == 1


def test_pipelined_requests_are_answered_in_order(gateway, backend):
    def slow_first(exchange: Exchange) -> bytes:
        if exchange.request.target == "/0":
            time.sleep(0.3)
        return echo(exchange)

    backend.handler = slow_first
    with gateway.connect() as client:
        client.send(b"".join(request("POST", f"/{number}", body=b"b%d" % number) for number in range(20)))
        assert [client.read_final().body for _ in range(20)] == [b"POST /%d|b%d" % (n, n) for n in range(20)]


def test_pipelined_refusals_keep_their_place(start_gateway, backend):
    gateway = start_gateway(backend, routes=[{"path": "/open", "upstream": "api", "auth": "none"}])
    with gateway.connect() as client:
        client.send(request("GET", "/open/1") + request("GET", "/nowhere") + request("GET", "/open/2"))
        assert [client.read_final().status for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize("size", [0, 1, 4_095, 16_384, 65_536, 300_000, 3_000_000])
def test_bodies_with_a_length_arrive_to_the_byte(gateway, backend, size):
    backend.handler = lambda exchange: answer(body=exchange.read_body())
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with gateway.connect() as client:
        sender = threading.Thread(target=client.send, args=(request("POST", "/", body=body),))
        sender.start()
        assert client.read_final().body == body
        sender.join()
    assert backend.only().raw_body == body


def test_a_chunked_request_arrives_with_its_content(gateway, backend):
    chunks = b"4\r\nWiki\r\n6;ext=1\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n"
    gateway.fetch(request("POST", "/", {"Transfer-Encoding": "chunked"}) + chunks)
    arrived = backend.only()
    assert arrived.body == b"Wikipedia in \r\n\r\nchunks."
    assert "content-length" not in arrived.names()


def test_a_chunked_request_in_single_bytes_arrives_with_its_content(gateway, backend):
    with gateway.connect() as client:
        client.send_slowly(request("POST", "/", {"Transfer-Encoding": "chunked"}) + b"3\r\nabc\r\n0\r\n\r\n", 0.001)
        assert client.read_final().status == 200
    assert backend.only().body == b"abc"


def test_a_chunked_answer_arrives_with_its_content_and_the_connection_lives(gateway, backend):
    backend.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    with gateway.connect() as client:
        for _ in range(3):
            assert client.ask(request("GET", "/")).body == b"hello world"


def test_chunks_are_relayed_as_they_come(gateway, backend):
    proceed = threading.Event()

    def in_two_parts(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        proceed.wait(10)
        exchange.send(b"6\r\nsecond\r\n0\r\n\r\n")

    backend.handler = in_two_parts
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        client.read_head()
        assert client.read_exactly(10) == b"5\r\nfirst\r\n"
        proceed.set()
        assert client.read_exactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"


def test_an_answer_that_ends_with_its_connection_reaches_the_client_whole(gateway, backend):
    def until_close(exchange: Exchange) -> bytes:
        exchange.close()
        return b"HTTP/1.1 200 OK\r\n\r\n" + b"all of it" * 10_000

    backend.handler = until_close
    with gateway.connect() as client:
        assert client.ask(request("GET", "/")).body == b"all of it" * 10_000


def test_an_answer_cut_short_is_not_passed_off_as_complete(gateway, backend):
    def cut(exchange: Exchange) -> bytes:
        exchange.close()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"

    backend.handler = cut
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        head = client.read_head()
        assert head.field("Content-Length") == "100"
        assert client.read_exactly(9) == b"only this"
        assert client.ended()


def test_a_chunked_answer_cut_short_has_no_last_chunk(gateway, backend):
    def cut(exchange: Exchange) -> bytes:
        exchange.close()
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

    backend.handler = cut
    with gateway.connect() as client:
        client.send(request("GET", "/")).read_head()
        assert client.read_exactly(10) == b"5\r\nhello\r\n"
        assert client.ended()


@pytest.mark.parametrize(("method", "status", "fields"), [
    ("HEAD", 200, b"Content-Length: 1000\r\n"),
    ("HEAD", 200, b"Transfer-Encoding: chunked\r\n"),
    ("GET", 304, b"Content-Length: 1000\r\n"),
    ("GET", 204, b""),
])
def test_answers_without_a_body_keep_the_connection_in_step(gateway, backend, method, status, fields):
    backend.answers(b"HTTP/1.1 %d Nothing\r\n%sETag: \"e\"\r\n\r\n" % (status, fields))
    with gateway.connect() as client:
        for _ in range(3):
            response = client.ask(request(method, "/"))
            assert (response.status, response.field("ETag")) == (status, '"e"')
            if fields.startswith(b"Content-Length"):
                assert response.field("Content-Length") == "1000"


def test_100_continue_is_relayed_and_the_body_waits_for_it(gateway, backend):
    def patient(exchange: Exchange) -> bytes:
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return answer(body=exchange.read_body())

    backend.handler = patient
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_response().status == 100
        assert client.send(b"hello").read_final().body == b"hello"


def test_after_a_final_answer_instead_of_100_continue_the_connection_closes_or_still_takes_the_body(gateway, backend):
    def refuse(exchange: Exchange) -> bytes:
        exchange.close()
        return answer(417, b"no", {"Connection": "close"})

    backend.handler = refuse
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        refused = client.read_response()
        assert refused.status == 417
        if refused.field("Connection") == "close":
            assert client.ended()
        else:
            backend.answers(answer())
            assert client.send(b"hello" + request("GET", "/next")).read_response().status == 200


def test_other_interim_answers_are_relayed(gateway, backend):
    backend.answers(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + answer(body=b"done"))
    with gateway.connect() as client:
        hint = client.send(request("GET", "/")).read_response()
        assert (hint.status, hint.field("Link")) == (103, "</a.css>")
        assert client.read_response().body == b"done"


def test_an_early_answer_reaches_the_client_while_it_still_uploads(gateway, backend):
    def early(exchange: Exchange) -> bytes:
        exchange.close()
        return answer(413, b"enough", {"Connection": "close"})

    backend.handler = early
    with gateway.connect() as client:
        client.send(request("POST", "/", {"Content-Length": "10000000"}) + b"x" * 1000)
        assert client.read_response().status == 413


def test_half_a_request_and_a_close_never_reach_the_backend_as_a_whole(gateway, backend):
    with gateway.connect() as client:
        client.send(request("POST", "/", {"Content-Length": "10"}) + b"12345")
        client.socket.shutdown(socket.SHUT_WR)
        client.socket.settimeout(5)
        client.read_to_end()
    time.sleep(0.1)
    assert not any(arrived.complete.is_set() for arrived in backend.requests)


def test_a_client_that_goes_away_frees_the_upstream_connection(gateway, backend):
    def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            exchange.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    backend.handler = endless
    client = gateway.connect()
    client.send(request("GET", "/")).read_head()
    client.reset()
    deadline = time.monotonic() + 5
    while backend.open_connections and time.monotonic() < deadline:
        time.sleep(0.02)
    assert backend.open_connections == 0


def test_an_http_1_0_client_is_answered_and_closed(gateway, backend):
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.read_response().body == b"ok"
        assert client.ended()


def test_a_chunked_answer_is_not_sent_to_an_http_1_0_client(gateway, backend):
    backend.answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    with gateway.connect() as client:
        response = client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").read_response()
        assert response.all("Transfer-Encoding") == []
        assert response.body == b"hello"


def test_connection_close_is_honoured(gateway):
    with gateway.connect() as client:
        assert client.ask(request("GET", "/", {"Connection": "close"})).status == 200
        assert client.ended()
