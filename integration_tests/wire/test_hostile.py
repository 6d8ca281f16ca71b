"""What clients and backends may do to bring the gateway down, to be cut off, or to leave it waiting."""

import signal
import socket
import threading
import time

import pytest

from harness.backend import Exchange, answer
from harness.client import ConnectionEnded, request
from harness.logins import WRONG, wrong_is_401
from harness.processes import wait_until
from harness.tokens import SECRET

TRACED = request("GET", "/", {
    "A": "1", "B": "2", "C": "3", "X-Request-Id": "abc",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]}
CLOSED = [{"path": "/closed", "upstream": "api", "auth": "required"}, {"path": "/", "upstream": "api", "auth": "none"}]
BIG = 8 << 20

# What the gateway withstood once in two attempts it does not withstand.
pytestmark = pytest.mark.once


@pytest.mark.parametrize("broken", [b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"\x00", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_malformed_head_is_not_read_with_the_places_of_the_head_before(start_gateway, backend, broken):
    gateway = start_gateway(backend, workers=1)
    assert gateway.fetch(TRACED).status == 200
    with gateway.connect() as client:
        assert client.send(broken).read_final("GET").status == 400
    assert gateway.get("/").status == 200


@pytest.mark.parametrize("refused", [b"GET / HT\r\n", request("GET", "/closed", {"Connection": "close"})])
def test_a_refusal_is_not_audited_with_the_token_of_the_request_before(start_gateway, backend, refused):
    gateway = start_gateway(backend, workers=1, tokens=TOKENS, routes=CLOSED)
    secret = "a" * 600
    assert gateway.get("/closed", fields={"Authorization": f"Bearer {secret}"}).status == 401
    with gateway.connect() as client:
        assert client.send(refused).read_final("GET").status in (400, 401)
    assert gateway.get("/").status == 200


def test_the_largest_head_that_can_be_set_is_read_and_refused_like_any_other(start_gateway, backend):
    gateway = start_gateway(backend, limits={"head": "128KiB"})
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for number in range(3):
            client.send(b"X-%d: " % number + b"a" * 40_000 + b"\r\n")
            time.sleep(0.1)
        assert client.send(b"\r\n").read_final("GET").status == 200
    with gateway.connect() as client:
        try:
            for number in range(5):
                client.send(b"GET / HTTP/1.1\r\nX: " if number == 0 else b"a" * 40_000)
                time.sleep(0.1)
            assert client.read_final("GET").status == 431
        except ConnectionError:
            pass
    assert gateway.get("/").status == 200


def test_an_exchange_that_outlives_its_routes_and_upstreams_is_counted_where_it_began(start_gateway, backend):
    routes = [{"path": f"/r{number}", "upstream": "api", "auth": "none"} for number in range(40)]
    gateway = start_gateway(backend, workers=1, routes=routes)
    proceed = threading.Event()

    def waits(exchange: Exchange) -> bytes:
        exchange.read_body()
        proceed.wait(10)
        return answer()

    backend.handler = waits
    with gateway.connect() as client:
        client.send(request("GET", "/r39"))
        backend.wait_for(1)
        gateway.write_config({**gateway.settings, "routes": routes[:1]})
        gateway.signal(signal.SIGHUP)
        gateway.wait_event("gateway.reloaded")
        time.sleep(0.2)
        proceed.set()
        assert client.read_final("GET").status == 200
    assert gateway.get("/r0").status == 200
    assert gateway.get("/r39").status == 404


def read_with_a_pause(gateway, fields, pause) -> list[int]:
    """Many clients that each stop reading with another part of their answer to come: for some of them that part is in
    the gateway's own buffer, wherever the socket's ends. How much each got in all."""
    received = [0] * 40

    def read(index: int) -> None:
        with gateway.connect(receive_buffer=65_536, timeout=20) as client:
            client.send(request("GET", "/", fields))
            client.read_head()
            try:
                received[index] += len(client.read_exactly(BIG - (index + 1) * 128_000))
                pause(index)
                received[index] += len(client.read_exactly((index + 1) * 128_000))
            except (ConnectionEnded, OSError):
                return

    readers = [threading.Thread(target=read, args=(index,)) for index in range(len(received))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(40)
    return received


def test_a_slow_reader_gets_the_whole_of_a_last_answer(start_gateway, backend):
    gateway = start_gateway(backend)
    backend.answers(answer(body=b"x" * BIG))
    received = read_with_a_pause(gateway, {"Connection": "close"}, lambda _: time.sleep(3.5))
    assert received == [BIG] * len(received)


def test_draining_does_not_cut_an_answer_that_is_still_being_read(start_gateway, backend):
    gateway = start_gateway(backend)
    backend.answers(answer(body=b"x" * BIG))
    everyone = threading.Barrier(40, action=lambda: (time.sleep(0.5), gateway.signal(signal.SIGTERM), time.sleep(0.5)))
    received = read_with_a_pause(gateway, {}, lambda _: everyone.wait(30))
    assert received == [BIG] * len(received)
    assert gateway.child.wait(10) == 0


def test_an_early_answer_reaches_a_client_that_sent_everything_and_closed_its_side(start_gateway, backend):
    gateway = start_gateway(backend)

    def refuses(exchange: Exchange) -> bytes:
        exchange.close()
        return answer(413, b"too much")

    backend.handler = refuses
    for _ in range(10):
        with gateway.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n")
            try:
                client.send(b"x" * 2_000_000)
                client.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            time.sleep(0.1)
            assert client.read_final("POST").status == 413


def test_a_connection_that_was_announced_to_close_is_closed(gateway, backend):
    def early(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        exchange.read_body()
        exchange.send(b"cd")

    backend.handler = early
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n12")
        head = client.read_head()
        assert head.field("Connection") == "close"
        client.send(b"34")
        assert client.read_exactly(4) == b"abcd"
        assert client.ended(3)


def test_an_early_hint_does_not_shorten_the_time_for_the_answer(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"body": "1s", "response": "6s"})

    def hints(exchange: Exchange) -> bytes:
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        time.sleep(2.5)
        return answer()

    backend.handler = hints
    with gateway.connect() as client:
        assert client.send(request("GET", "/")).read_final("GET").status == 200


def test_a_login_under_way_is_judged_while_other_workers_are_done_draining(start_gateway, backend, address):
    """A worker whose connections are all idle must not report twice: the control thread would end under the login."""
    gateway = start_gateway(backend, workers=2)
    proceed = threading.Event()

    def waits(exchange: Exchange) -> bytes:
        if exchange.request.method == "GET":
            return answer()
        proceed.wait(10)
        return wrong_is_401(exchange)

    backend.handler = waits
    with gateway.connect(address) as busy:
        busy.send(WRONG)
        backend.wait_for(1)
        idle = [gateway.connect() for _ in range(16)]
        for client in idle:
            assert client.ask(request("GET", "/")).status == 200
        gateway.signal(signal.SIGTERM)
        time.sleep(1)
        proceed.set()
        assert busy.read_final("POST").status == 401
        for client in idle:
            client.close()
    assert gateway.child.wait(5) == 0


def test_an_absolute_target_does_not_hide_its_host_behind_an_empty_host_field(gateway, backend):
    with gateway.connect() as client:
        client.send(b"GET http://admin.test/ HTTP/1.1\r\nHost:\r\n\r\n")
        assert client.read_final("GET").status == 200
    assert backend.only().field("Host") == "admin.test"
    assert backend.only().field("X-Forwarded-Host") == "admin.test"


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def test_a_backend_that_resets_in_the_middle_is_noticed_when_bytes_and_reset_come_at_once(gateway, backend):
    reached = threading.Event()

    def breaks(exchange: Exchange) -> None:
        exchange.close()
        gateway.signal(signal.SIGSTOP)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        reset(exchange.socket)
        gateway.signal(signal.SIGCONT)
        reached.set()

    backend.handler = breaks
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        assert reached.wait(5)
        began = time.monotonic()
        with pytest.raises((ConnectionEnded, ConnectionError)):
            client.read_final("GET")
        assert time.monotonic() - began < 3


def test_a_client_that_resets_in_the_middle_of_its_body_is_noticed_when_bytes_and_reset_come_at_once(gateway, backend):
    client = gateway.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    backend.wait_for(1)
    gateway.signal(signal.SIGSTOP)
    client.send(b"half")
    client.reset()
    gateway.signal(signal.SIGCONT)
    wait_until("the backend sees the end", lambda: backend.open_connections == 0, 3)


def test_a_connection_that_was_reset_behind_its_answer_is_not_used_again(gateway, backend):
    def refuses(exchange: Exchange) -> None:
        exchange.close()
        exchange.read_body()
        gateway.freeze()
        exchange.send(answer(413))
        reset(exchange.socket)
        gateway.signal(signal.SIGCONT)

    backend.handler = refuses
    for _ in range(4):
        assert gateway.fetch(request("POST", "/", body=b"unwanted")).status == 413


def test_requests_that_were_sent_ahead_of_the_end_are_all_answered(gateway):
    with gateway.connect() as client:
        client.send(request("GET", "/") * 20)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_to_end().count(b"HTTP/1.1 200") == 20


def test_a_request_is_tried_again_although_the_configuration_changed_meanwhile(gateway, backend):
    def loses_the_first(exchange: Exchange) -> bytes | None:
        if len(backend.requests) > 1:
            return answer()
        gateway.signal(signal.SIGHUP)
        gateway.wait_event("gateway.reloaded")
        time.sleep(0.2)
        exchange.close()
        return None

    backend.handler = loses_the_first
    assert gateway.get("/").status == 200
    assert len(backend.requests) == 2


def test_what_is_cut_off_at_the_end_of_draining_is_in_the_access_log(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"drain": "1s"})
    proceed = threading.Event()

    def waits(exchange: Exchange) -> bytes:
        proceed.wait(10)
        return answer()

    backend.handler = waits
    with gateway.connect() as client:
        client.send(request("GET", "/cut"))
        backend.wait_for(1)
        gateway.signal(signal.SIGTERM)
        assert gateway.child.wait(5) == 0
        proceed.set()
    assert gateway.events("gateway.stopped")[0]["cut_connections"] == 1
    assert gateway.events("http.request", path="/cut")
