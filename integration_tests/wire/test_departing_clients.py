"""Clients that go: with half of their connection, or with all of it, before their answer, in its middle or behind it."""

import contextlib
import socket
import threading
import time

import pytest

from harness.backend import Backend, Exchange, answer
from harness.client import Client, Response, request
from harness.event_streams import Events
from harness.processes import wait_until

# Larger than what the system and the gateway hold for a client that does not read.
LARGE = b"0123456789abcdef" * 100_000


def read_slowly(client: Client) -> Response:
    """The system takes little in advance, so that the end of an answer waits in the gateway."""
    response = client.read_head()
    received = bytearray(client.buffered())
    while piece := client.socket.recv(40_000):
        received += piece
        time.sleep(0.001)
    response.body = bytes(received)
    return response


def slow_client(gateway) -> Client:
    return Client(gateway.address, receive_buffer=8_192, segment=1_460)


def ended(backend: Backend) -> None:
    wait_until("the backend's connections end", lambda: backend.open_connections == 0)


@pytest.mark.parametrize("head", [
    b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
])
def test_a_half_closed_slow_reader_gets_all_of_its_answer(gateway, backend, head):
    """RFC 9112 §9.6; for HTTP/1.0 a body that is cut off would pass as whole (§8)."""
    backend.handler = lambda exchange: exchange.send(answer(body=LARGE))
    for _ in range(3):
        with slow_client(gateway) as client:
            client.send(head)
            client.socket.shutdown(socket.SHUT_WR)
            assert read_slowly(client).body == LARGE


def test_a_client_that_stops_sending_when_it_is_refused_early_gets_all_of_its_answer(gateway, backend):
    """RFC 9112 §9.5: it should cease to send the body, and may close its side."""
    def early(exchange: Exchange) -> None:
        exchange.close()
        exchange.send(answer(413, LARGE, {"Connection": "close"}))

    backend.handler = early
    with slow_client(gateway) as client:
        client.send(request("POST", "/", {"Content-Length": "1000000"}) + b"x" * 1_000)
        head = client.read_head()
        assert (head.status, head.field("Connection")) == (413, "close")
        client.socket.shutdown(socket.SHUT_WR)
        received = bytearray(client.buffered())
        while piece := client.socket.recv(40_000):
            received += piece
            time.sleep(0.001)
    assert bytes(received) == LARGE
    line = gateway.wait_event("http.request", status=413)
    assert "ended_by" not in line


def test_a_client_that_stops_sending_before_it_is_answered_is_not_answered(gateway, backend):
    with gateway.connect() as client:
        client.send(request("POST", "/", {"Content-Length": "10"}) + b"12345")
        backend.wait_for(1)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    ended(backend)


def test_a_reset_ends_a_quiet_event_stream(gateway, backend):
    """Its place is wanted, and the backend wants to know."""
    backend.handler = events = Events()
    client = gateway.connect()
    client.send(request("GET", "/")).read_head()
    client.reset()
    assert events.cut_off()
    events.release()
    assert gateway.wait_event("http.request", path="/")["ended_by"] == "client_lost"


def test_a_reset_in_the_middle_of_an_upload_ends_an_event_stream_that_has_begun(gateway, backend):
    """It is no client that has merely stopped sending."""
    backend.handler = events = Events()
    client = gateway.connect()
    client.send(request("POST", "/", {"Content-Length": "10"})).read_head()
    client.reset()
    assert events.cut_off()
    events.release()
    assert gateway.wait_event("http.request", method="POST")["ended_by"] == "client_lost"


def test_a_reset_ends_the_wait_for_an_answer(start_gateway, backend):
    gateway = start_gateway(backend, limits={"connections": 3}, workers=1)

    def never_answers(exchange: Exchange) -> None:
        exchange.close()
        with contextlib.suppress(ConnectionResetError):
            exchange.socket.recv(1)

    backend.handler = never_answers
    polls = [gateway.connect() for _ in range(3)]
    for number, poll in enumerate(polls):
        poll.send(request("GET", f"/{number}"))
    backend.wait_for(3)
    for poll in polls:
        poll.reset()
    ended(backend)
    backend.answers(answer())
    assert gateway.get("/next").status == 200


def test_a_half_closed_client_without_an_answer_makes_room_for_another(start_gateway, backend):
    """It may want its answer, but nearly always it has gone."""
    gateway = start_gateway(backend, limits={"connections": 2}, workers=1)
    over = threading.Event()

    def patient(exchange: Exchange) -> bytes:
        if exchange.request.target == "/slow":
            over.wait(20)
        return answer()

    backend.handler = patient
    slow = [gateway.connect() for _ in range(2)]
    for client in slow:
        client.send(request("GET", "/slow"))
    backend.wait_for(2)
    slow[0].socket.shutdown(socket.SHUT_WR)
    assert gateway.get("/other").status == 200
    over.set()
    assert slow[1].read_final().status == 200


def test_an_answer_that_is_cut_off_says_by_whom(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"body": "300ms"})

    def stalls(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        if exchange.request.target == "/breaks":
            exchange.socket.close()
        exchange.close()
        time.sleep(2)

    backend.handler = stalls
    for target in ("/breaks", "/stalls"):
        with gateway.connect() as client:
            client.send(request("GET", target)).read_head()
            assert client.read_exactly(5) == b"12345"
            assert client.ended()
    assert gateway.wait_event("http.request", path="/breaks")["ended_by"] == "server_lost"
    assert gateway.wait_event("http.request", path="/stalls")["ended_by"] == "idle"


def test_an_empty_line_behind_a_body_is_no_request(start_gateway, backend):
    """RFC 9112 §2.2: old clients send one. An idle connection is closed without a word."""
    gateway = start_gateway(backend, timeouts={"head": "300ms", "idle": "1500ms"})
    with gateway.connect() as client:
        assert client.ask(request("POST", "/first", body=b"hello") + b"\r\n").status == 200
        assert client.silent(0.8)
        assert client.ask(request("GET", "/second")).status == 200
        assert client.send(b"\r\n").ended()
    assert [line["status"] for line in gateway.events("http.request")] == [200, 200]
    assert gateway.wait_event("http.request", path="/second")["duration_ms"] < 700


def test_a_server_that_says_nothing_to_who_asks_to_continue_is_at_fault(start_gateway, backend):
    """RFC 9110 §10.1.1: the client may wait with its body; §15.6.5: the server is late, not the client."""
    gateway = start_gateway(backend, timeouts={"body": "300ms", "response": "1s"})
    backend.handler = lambda exchange: time.sleep(3)
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_final()
        assert (response.status, response.code) == (504, "SVC_002")
        assert client.ended()


def test_an_early_hint_does_not_ask_for_the_body(start_gateway, backend):
    """RFC 9110 §10.1.1: only a 100 does, or a final answer."""
    gateway = start_gateway(backend, timeouts={"body": "300ms", "response": "2s"})

    def hints(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        time.sleep(0.8)
        if exchange.request.target == "/asks":
            exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(3)

    backend.handler = hints
    head = "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    for target, expected in (("/hints", (504, "SVC_002")), ("/asks", (408, "SVC_002"))):
        with gateway.connect() as client:
            client.send(head.format(target).encode())
            response = client.read_final()
            assert (response.status, response.code) == expected, target


def test_a_request_whose_answer_had_begun_is_not_sent_again(gateway, backend):
    """docs/upstreams.md: only one that got no byte of an answer is."""
    def breaks(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 204 No Content\r\nX-Deleted: 1\r\n")
        exchange.socket.close()

    backend.handler = breaks
    response = gateway.fetch(request("DELETE", "/item"))
    assert (response.status, response.code) == (502, "SVC_001")
    assert len(backend.requests) == 1
