"""Every wait has an end: slow heads, slow bodies, idle connections, slow and absent backends."""

import socket
import time

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import free_port


def ends_within(client, low: float, high: float) -> None:
    began = time.monotonic()
    assert client.ended(high + 1)
    assert low <= time.monotonic() - began <= high


def tells_of(gateway, server: str, status: int, stage: str, code: str) -> None:
    """The access line names the server that had the request, and no status of its: it gave none."""
    line = gateway.wait_event("http.request")
    assert (line["status"], line["stage"], line["code"]) == (status, stage, code)
    assert (line["upstream"], line["server"]) == ("api", server)
    assert "upstream_status" not in line


def test_a_head_that_drips_is_answered_408_when_its_time_is_over(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"head": "1s"})
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        for _ in range(8):
            time.sleep(0.1)
            client.send(b"X: 1\r\n")
        response = client.read_response()
        assert response.status == 408
        assert 0.8 <= time.monotonic() - began <= 3
        assert client.ended()
    assert backend.requests == []


def test_an_idle_connection_is_closed_without_a_word(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"idle": "1s"})
    with gateway.connect() as client:
        assert client.ask(request("GET", "/")).status == 200
        ends_within(client, 0.5, 3)


def test_a_connection_that_never_speaks_is_closed(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"idle": "1s", "head": "1s"})
    with gateway.connect() as client:
        ends_within(client, 0.5, 3)


def test_a_body_that_stalls_is_answered_408(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"body": "1s"})
    with gateway.connect() as client:
        client.send(request("POST", "/", {"Content-Length": "10"}) + b"12345")
        assert client.read_response().status == 408
        assert client.ended()
    assert not any(arrived.complete.is_set() for arrived in backend.requests)


def test_a_slow_body_that_moves_is_not_cut(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"body": "1s"})
    with gateway.connect() as client:
        client.send(request("POST", "/", {"Content-Length": "8"}))
        client.send_slowly(b"12345678", 0.25)
        assert client.read_response().status == 200


def test_a_backend_that_does_not_answer_is_504(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"response": "1s"})

    def late(exchange: Exchange) -> bytes:
        time.sleep(2.5)
        return answer()

    backend.handler = late
    began = time.monotonic()
    response = gateway.get("/")
    assert (response.status, response.code) == (504, "SVC_002")
    tells_of(gateway, backend.address, 504, "relay", "SVC_002")
    assert 0.9 <= time.monotonic() - began <= 2.4


def test_a_backend_that_nobody_listens_for_is_503(start_gateway):
    gateway = start_gateway(f"127.0.0.1:{free_port()}")
    response = gateway.get("/")
    assert (response.status, response.code) == (503, "SVC_001")


def test_a_backend_that_does_not_accept_is_504(start_gateway):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        gateway = start_gateway(f"127.0.0.1:{full.getsockname()[1]}", timeouts={"connect": "1s"})
        response = gateway.get("/")
        for filler in fillers:
            filler.close()
        server = f"127.0.0.1:{full.getsockname()[1]}"
    assert (response.status, response.code) == (504, "SVC_002")
    assert response.field("Proxy-Status") == "gateway; error=connection_timeout"
    tells_of(gateway, server, 504, "lease", "SVC_002")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_backend_that_closes_without_an_answer_is_502(gateway, backend, said):
    def leave(exchange: Exchange) -> bytes:
        exchange.read_body()
        exchange.close()
        return said

    backend.handler = leave
    assert gateway.fetch(request("POST", "/", body=b"x")).status == 502
    assert len(backend.requests) == 1, "a POST is never sent twice"
    tells_of(gateway, backend.address, 502, "relay", "SVC_001")


@pytest.mark.parametrize("said", [
    b"NOT HTTP\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA field\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
])
def test_a_malformed_answer_is_502_and_its_connection_is_not_used_again(gateway, backend, said):
    backend.answers(said)
    assert gateway.get("/").status == 502
    tells_of(gateway, backend.address, 502, "relay", "SVC_001")
    backend.answers(answer())
    assert gateway.get("/").status == 200
    assert backend.connections == 2


def test_a_pooled_connection_that_the_backend_closed_costs_no_request(gateway, backend):
    def once(exchange: Exchange) -> bytes:
        exchange.read_body()
        exchange.close()
        return answer()

    backend.handler = once
    with gateway.connect() as client:
        for _ in range(20):
            assert client.ask(request("POST", "/", body=b"x")).status == 200
            time.sleep(0.01)
    assert len(backend.requests) == 20


def test_the_other_server_serves_while_one_is_away(start_gateway, start_backend):
    first, second = start_backend(), start_backend()
    gateway = start_gateway(first, upstreams={"api": {"servers": [first.address, second.address]}})
    for _ in range(8):
        assert gateway.get("/").status == 200
    assert first.requests and second.requests, "round robin reaches both"
    first.close()
    assert [gateway.get("/").status for _ in range(10)] == [200] * 10
