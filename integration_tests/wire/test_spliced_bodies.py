"""The middle of a large body goes from socket to socket inside the kernel: the same bytes, the same rules, the same ends."""

import socket
import threading
from itertools import pairwise

import pytest

from harness.backend import Exchange, answer
from harness.bodies import digest, noise
from harness.client import ConnectionEnded, request
from harness.processes import wait_until

# Where splicing begins and what is always copied (BodyRelay), and what one pipe holds (Pipe).
LEAST, COPIED, PIPE = 256 << 10, 64 << 10, 512 << 10
SIZES = [LEAST - 1, LEAST, LEAST + 1, LEAST + COPIED, PIPE, PIPE + COPIED, 3 * PIPE + 12_345]
LARGE = 8 << 20


def fingerprint(exchange: Exchange) -> bytes:
    return answer(body=digest(exchange.read_body()))


def pipes(gateway) -> int:
    """Ends of pipes that the gateway has open."""
    return gateway.open_files("pipe:")


@pytest.mark.parametrize("size", SIZES)
def test_a_body_arrives_as_it_was_sent(gateway, backend, size):
    body = noise(size)
    backend.handler = lambda exchange: fingerprint(exchange) if exchange.request.method == "PUT" else answer(body=body)
    with gateway.connect() as client:
        for _ in range(2):
            assert client.ask(request("PUT", "/up", body=body)).body == digest(body)
            assert client.ask(request("GET", "/down")).body == body


def test_it_is_spliced_and_the_pipe_is_kept_for_the_next(gateway, backend):
    body = noise(LARGE)
    backend.handler = lambda exchange: fingerprint(exchange) if exchange.request.method == "PUT" else answer(body=body)
    before = pipes(gateway)
    with gateway.connect() as client:
        assert client.ask(request("GET", "/down")).body == body
        assert pipes(gateway) == before + 2
        assert client.ask(request("PUT", "/up", body=body)).body == digest(body)
        assert pipes(gateway) == before + 2


def test_requests_behind_a_large_body_are_not_part_of_it(gateway, backend):
    backend.handler = fingerprint
    bodies = [noise(LEAST + COPIED * number + number, number) for number in range(6)]
    with gateway.connect(timeout=30) as client:
        sender = threading.Thread(
            target=client.send, args=(b"".join(request("PUT", "/up", body=body) for body in bodies),))
        sender.start()
        for body in bodies:
            assert client.read_final().body == digest(body)
        sender.join()
        assert client.ask(request("GET", "/after")).status == 200


def test_sixty_transfers_at_once_have_more_than_the_pipes(gateway, backend):
    """Whoever finds no pipe copies; nobody gets a piece of another's body."""
    bodies = {f"/{number}": noise(LARGE // 8 + number, number) for number in range(60)}
    backend.handler = lambda exchange: (
        fingerprint(exchange) if exchange.request.method == "PUT" else answer(body=bodies[exchange.request.target]))
    clients = {target: gateway.connect(timeout=60) for target in bodies}
    # Nobody reads until all have asked, so that the pipes are all in use.
    for target, client in clients.items():
        client.send(request("GET", target))
    before = len(backend.wait_for(len(bodies), timeout=30))
    assert before == len(bodies)
    for target, client in clients.items():
        assert client.read_final().body == bodies[target]
    for target, client in clients.items():
        assert client.ask(request("PUT", target, body=bodies[target])).body == digest(bodies[target])
        client.close()


def test_a_client_that_goes_away_in_a_download_leaves_nothing_behind(gateway, backend):
    body = noise(LARGE)
    backend.handler = lambda exchange: answer(body=body)
    for reset in (False, True):
        client = gateway.connect(receive_buffer=4_096)
        client.send(request("GET", "/down"))
        assert client.read_head().status == 200
        client.read_exactly(LEAST)
        client.reset() if reset else client.close()
    assert gateway.get("/after").body == body
    wait_until("the connections to be closed", lambda: gateway.metrics()["gateway_client_connections"] <= 1)


def test_a_client_that_goes_away_in_an_upload_is_seen_by_the_backend(gateway, backend):
    ended = []

    def swallow(exchange: Exchange) -> bytes | None:
        if exchange.request.method == "GET":
            return answer()
        try:
            exchange.read_body()
        except (EOFError, ConnectionResetError) as error:
            ended.append(type(error))
        exchange.close()
        return None

    backend.handler = swallow
    for reset in (False, True):
        client = gateway.connect()
        client.send(request("PUT", "/up", {"Content-Length": str(LARGE)})).send(noise(LARGE // 2))
        client.reset() if reset else client.close()
    wait_until("both uploads to end", lambda: len(ended) == 2)
    assert gateway.get("/after").status == 200


@pytest.mark.parametrize("sent", [LEAST, LARGE // 2, LARGE - COPIED, LARGE - 1])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(gateway, backend, sent):
    body = noise(LARGE)

    def break_off(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + body[:sent])
        exchange.socket.shutdown(socket.SHUT_WR)
        exchange.close()

    backend.handler = break_off
    with gateway.connect() as client:
        assert client.send(request("GET", "/down")).read_head().status == 200
        with pytest.raises((ConnectionEnded, ConnectionResetError)):
            client.read_exactly(LARGE)
    line = gateway.wait_event("http.request", path="/down")
    assert sent < line["bytes_out"] < sent + 1_000


def test_a_backend_may_refuse_a_large_body_before_its_end(gateway, backend):
    def refuse(exchange: Exchange) -> bytes:
        exchange.close()
        return answer(413, b"too much")

    backend.handler = refuse
    with gateway.connect() as client:
        client.send(request("PUT", "/up", {"Content-Length": str(LARGE)}))
        client.socket.setblocking(False)
        piece = noise(COPIED)
        answered = []

        def offer() -> bool:
            try:
                client.socket.send(piece)
            except (BlockingIOError, ConnectionResetError, BrokenPipeError):
                pass
            try:
                answered.append(client.socket.recv(65_536))
            except BlockingIOError:
                return False
            return True

        wait_until("the answer", offer)
        assert answered[0].startswith(b"HTTP/1.1 413 ")


@pytest.mark.once
def test_bytes_behind_a_large_answer_reach_nobody(gateway, backend):
    body = noise(LARGE)
    backend.handler = lambda exchange: (
        answer(body=body) + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray" if exchange.request.target == "/down"
        else answer(body=b"own"))
    with gateway.connect() as client:
        for _ in range(3):
            assert client.ask(request("GET", "/down")).body == body
            assert client.ask(request("GET", "/own")).body == b"own"
    connections = [seen.connection for seen in backend.requests if seen.target == "/own"]
    assert all(first != second for first, second in pairwise(connections))


def test_a_slow_reader_gets_all_of_it(gateway, backend):
    body = noise(LARGE)
    backend.handler = lambda exchange: answer(body=body)
    with gateway.connect(receive_buffer=4_096) as client:
        client.send(request("GET", "/down"))
        assert client.read_head().status == 200
        received = b"".join(client.read_exactly(min(40_000, LARGE - at)) for at in range(0, LARGE, 40_000))
    assert received == body


def test_the_access_log_counts_what_nobody_read(gateway, backend):
    body = noise(LARGE)
    backend.handler = lambda exchange: fingerprint(exchange) if exchange.request.method == "PUT" else answer(body=body)
    with gateway.connect() as client:
        client.ask(request("PUT", "/up", body=body))
        head = client.ask(request("GET", "/down")).head
    assert LARGE < gateway.wait_event("http.request", path="/up")["bytes_in"] < LARGE + 1_000
    assert gateway.wait_event("http.request", path="/down")["bytes_out"] == LARGE + len(head)


def test_an_urgent_byte_does_not_stop_a_body(gateway, backend):
    """It is no part of the stream (RFC 9293 §3.8.5), and everything behind it is."""
    body = noise(LARGE)
    backend.handler = fingerprint
    with gateway.connect() as client:
        client.send(request("PUT", "/up", {"Content-Length": str(LARGE)}) + body[:LARGE // 2])
        client.socket.send(b"!", socket.MSG_OOB)
        client.send(body[LARGE // 2:])
        assert client.read_final().body == digest(body)
