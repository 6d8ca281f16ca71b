"""Who is to blame when a body does not move: a client that uploads and reads nothing of its answer, a server that takes
what it is sent slowly, or one that takes nothing any more. Only the last has failed. Blamed for the others, sound
servers are ejected and an upstream's circuit opens for everybody, by whoever likes. Nor has a server failed to which
the gateway could make no connection for want of descriptors of its own."""

import resource
import signal
import socket
import ssl
import threading
import time

import pytest

from harness.attack import Attack, Honest
from harness.backend import Exchange, answer
from harness.bodies import chunked, digest, noise
from harness.client import ConnectionEnded, request
from harness.processes import wait_until

FRAMINGS = pytest.mark.parametrize("in_chunks", [False, True], ids=["with a length", "in chunks"])
FAILURES = 'gateway_upstream_failures_total{upstream="api"}'
BODY = 1.0


def nobody_is_blamed(gateway) -> None:
    assert gateway.metrics()[FAILURES] == 0
    assert [line for line in gateway.lines() if line.get("event", "").startswith("upstream.")] == []
    upstream = gateway.command_json("status")["upstreams"][0]
    assert upstream["circuit"] == "closed"
    assert {server["state"] for server in upstream["states"]} == {"up"}


# A client that does not read


def echo(exchange: Exchange) -> bytes | None:
    """Answers a POST while it reads it, with what it reads, in the framing that it came in."""
    if exchange.request.method == "GET":
        return answer()
    exchange.close()
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        exchange.socket.setsockopt(socket.SOL_SOCKET, buffer, 65_536)
    framing = next(name for name in ("Content-Length", "Transfer-Encoding") if exchange.request.field(name))
    head = f"HTTP/1.1 200 OK\r\n{framing}: {exchange.request.field(framing)}\r\n\r\n"
    exchange.send(head.encode() + exchange.buffered())
    while piece := exchange.socket.recv(65_536):
        exchange.send(piece)
    return None


def endless_upload(in_chunks: bool) -> bytes:
    """The beginning of more than anybody will take; whatever follows is part of it."""
    if in_chunks:
        return request("POST", "/echo", {"Transfer-Encoding": "chunked"}) + b"ffffffff\r\n"
    return request("POST", "/echo", {"Content-Length": str(0xFFFF_FFFF)})


@pytest.mark.once
@FRAMINGS
@pytest.mark.parametrize(("settings", "clients"), [
    pytest.param({"ejection": {"failures": 3}, "circuit_breaker": {"failures": 3}}, 10, id="few failures"),
    pytest.param({}, 24, id="the failures of the default settings"),
])
def test_clients_that_upload_and_read_nothing_are_cut_and_their_servers_are_not_blamed(
        start_gateway, start_backend, address, in_chunks, settings, clients):
    """The server stands still because its answer does: it cannot send, so it does not read."""
    servers = [start_backend(echo).address for _ in range(2)]
    gateway = start_gateway(
        "unused", timeouts={"body": f"{BODY:g}s"}, upstreams={"api": {"servers": servers, **settings}})
    honest = Honest(gateway.address, address)
    first, more = endless_upload(in_chunks), b"x" * 1_000_000
    with Attack(
            gateway.address, clients, first=first, drip=more, pause=0.05, receive_buffer=4_096, reads=False) as attack:
        # Few requests, since each that succeeds ends a row of failures.
        wait_until("each was cut twice", lambda: honest.ask(0.2, pause=0.1) and attack.ended >= 2 * clients, 40)
        cut = gateway.events("http.request", path="/echo")
    assert set(honest.statuses) == {200}, honest.statuses
    assert {line["status"] for line in cut} == {200}, "their answers had begun"
    assert min(line["duration_ms"] for line in cut) >= 1_000 * BODY, "and were not cut before their time"
    nobody_is_blamed(gateway)


def test_a_server_that_begins_its_answer_and_takes_nothing_more_is_blamed(start_gateway, start_backend):
    """The other side of it: here the client reads all that there is."""
    done = threading.Event()

    def stuck(exchange: Exchange) -> None:
        exchange.close()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        done.wait(20)

    gateway = start_gateway(
        start_backend(stuck), timeouts={"body": f"{BODY:g}s"},
        upstreams={"api": {"circuit_breaker": {"failures": 1}}})
    with gateway.connect() as client:
        # More than all buffers on the way hold.
        assert client.offer(request("POST", "/", body=bytes(60_000_000))) > 0
        with pytest.raises((ConnectionEnded, ConnectionError)):
            client.read_final()
    done.set()
    assert gateway.wait_event("upstream.circuit_opened")["reason"] == "response_timeout"
    assert gateway.metrics()[FAILURES] == 1


def test_a_server_that_does_not_wait_for_a_body_for_ever_is_not_blamed(start_gateway, start_backend):
    """It has taken all that came. Blamed for it, its circuit could be opened by anybody who stalls a few uploads."""
    def gives_up(exchange: Exchange) -> None:
        exchange.close()

    gateway = start_gateway(
        start_backend(gives_up),
        upstreams={"api": {"ejection": {"failures": 1}, "circuit_breaker": {"failures": 1}}})
    for framing in ({"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}):
        with gateway.connect() as client:
            client.send(request("POST", "/", framing))
            assert client.read_final("POST").status == 502
    assert gateway.events("upstream.circuit_opened") == []
    # Who has the whole request and goes away without an answer has failed.
    assert gateway.fetch(request("POST", "/", body=b"whole")).status == 502
    assert gateway.wait_event("upstream.circuit_opened")["reason"] == "connection_lost"


# A server that reads slowly

SLOW = noise(6_000_000)
PIECE, PAUSE = 16_384, 0.025


def slow(exchange: Exchange) -> bytes:
    """Takes 650 KB in a second, without a break."""
    if exchange.request.method == "POST":
        exchange.read_slowly(PIECE, PAUSE)
    return answer(body=digest(exchange.read_body()))


def secured(authority, directory) -> tuple[ssl.SSLContext | None, dict]:
    """What a backend speaks, and what the gateway is told of it."""
    if authority is None:
        return None, {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1").write(directory))
    return context, {"tls": {"enabled": True, "ca_file": authority.write(directory)}}


@pytest.mark.once
@pytest.mark.parametrize(("over", "in_chunks"), [
    pytest.param("plain", False, id="with a length"),
    pytest.param("plain", True, id="in chunks"),
    pytest.param("tls", False, id="over TLS"),
], indirect=["over"])
def test_a_server_that_takes_an_upload_slowly_but_steadily_gets_it_whole_and_is_not_blamed(
        start_gateway, start_backend, directory, over, in_chunks):
    """It takes something all the time. That the system tells of it in large steps only, when a third of its send buffer
    is free, is not the server's fault: on the way to a local server that is near 1 MB."""
    tls, settings = secured(over, directory)
    gateway = start_gateway(
        start_backend(slow, tls=tls), timeouts={"body": f"{BODY:g}s"},
        upstreams={"api": {"ejection": {"failures": 1}, "circuit_breaker": {"failures": 1}, **settings}})
    began = time.monotonic()
    with gateway.connect(timeout=30) as client:
        if in_chunks:
            message = request("POST", "/", {"Transfer-Encoding": "chunked"}) + chunked(SLOW)
        else:
            message = request("POST", "/", body=SLOW)
        response = client.ask_while_sending(message, "POST")
    assert (response.status, response.body) == (200, digest(SLOW))
    assert time.monotonic() - began > 3 * BODY, "it took longer than a server may stand still"
    nobody_is_blamed(gateway)


# A gateway that can open nothing


@pytest.mark.once
def test_without_descriptors_requests_get_503_and_no_server_is_blamed(start_gateway, start_backend):
    """With one failure either server would be ejected, and the circuit open."""
    backends = [start_backend(), start_backend()]
    gateway = start_gateway("unused", workers=1, upstreams={"api": {
        "servers": [backend.address for backend in backends], "keep_alive": 0,
        "ejection": {"failures": 1}, "circuit_breaker": {"failures": 1}}})
    clients = [gateway.connect() for _ in range(6)]
    assert [client.ask(request("GET", "/")).status for client in clients] == [200] * 6
    pid = gateway.child.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Fewer than are open: also who gives up his own makes none free.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    try:
        # At the same time: of those that wait for a request one goes for each connection that could not be made.
        gateway.freeze()
        for client in clients:
            client.send(request("GET", "/"))
        gateway.signal(signal.SIGCONT)
        told = [client.read_final() for client in clients]
    finally:
        gateway.signal(signal.SIGCONT)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert {(response.status, response.code) for response in told} == {(503, "SVC_001")}
    assert sum(len(backend.requests) for backend in backends) == 6, "none of them arrived anywhere"
    nobody_is_blamed(gateway)
    assert [gateway.get("/").status for _ in range(6)] == [200] * 6
    nobody_is_blamed(gateway)
