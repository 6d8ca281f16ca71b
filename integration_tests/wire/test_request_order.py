"""Several requests on one connection, faults among them, and clients that close one side (RFC 9112 §9)."""

import signal
import socket
import threading

import pytest

from harness.backend import Exchange, answer
from harness.client import request

FAULTS = {
    400: b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    408: b"GET / HTTP/1.1\r\nHost: a\r\nA: ",
    413: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1_001,
    414: b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    417: b"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 0\r\n\r\n",
    421: b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    431: b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 40_000 + b"\r\n\r\n",
    501: b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    505: b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
}
# What the gateway must be told for some of them to be faults.
BOUNDS = {408: {"timeouts": {"head": "500ms"}}, 413: {"limits": {"body": 1_000}}}


@pytest.mark.parametrize("status", FAULTS)
def test_request_fault_is_answered_behind_the_answers_before_it_and_ends_the_connection(start_gateway, backend, status):
    """§9.3.2: in order; nothing behind the fault is read, because where the next request begins is not known."""
    proceed = threading.Event()

    def waits(exchange: Exchange) -> bytes:
        proceed.wait(10)
        return answer(body=exchange.request.target)

    backend.handler = waits
    # Half a head would be completed by what follows.
    behind = b"" if status == 408 else request("GET", "/3")
    with start_gateway(backend, **BOUNDS.get(status, {})).connect() as client:
        client.send(request("GET", "/1") + request("GET", "/2") + FAULTS[status] + behind)
        backend.wait_for(1)
        assert client.silent(0.7 if status == 408 else 0.05)
        proceed.set()
        assert [client.read_final().body for _ in range(2)] == [b"/1", b"/2"]
        refused = client.read_final()
        assert (refused.status, refused.field("Connection")) == (status, "close")
        assert client.ended()
    assert [arrived.target for arrived in backend.requests] == ["/1", "/2"]


@pytest.mark.parametrize("status", FAULTS)
def test_request_fault_is_answered_before_anything_reaches_a_backend(start_gateway, backend, status):
    with start_gateway(backend, **BOUNDS.get(status, {})).connect() as client:
        assert client.ask(FAULTS[status]).status == status
        assert client.ended()
    assert backend.requests == [] and backend.connections == 0


def test_request_flood_that_is_refused_leaves_the_others_their_turn(start_gateway, backend):
    """A thousand requests in one packet train are answered in order, at most 128 of them in one turn of the worker's loop.

    The gateway stands still until both clients have asked, so that who came first does not depend on this machine."""
    gateway = start_gateway(backend, workers=1, routes=[{"path": "/served", "upstream": "api", "auth": "none"}])
    count, per_turn = 1_000, 128
    with gateway.connect() as flood, gateway.connect() as other:
        for client in (flood, other):
            assert client.ask(request("GET", "/")).status == 404
        gateway.freeze()
        flood.send(request("HEAD", "/flood") * count)
        other.send(request("HEAD", "/other"))
        gateway.signal(signal.SIGCONT)
        assert other.read_head().status == 404
        assert [flood.read_head().status for _ in range(count)] == [404] * count
    gateway.wait_event("http.request", path="/other")
    order = [line["path"] for line in gateway.lines() if line.get("path") in ("/flood", "/other")]
    assert order.index("/other") <= per_turn


def test_request_head_that_comes_in_single_bytes_is_read(gateway, backend):
    head = request("GET", "/", {"A": "a" * 3_000})
    with gateway.connect() as client:
        client.send_slowly(head, 0)
        assert client.read_final().status == 200
        # A fault is noticed with its line at the latest, not when the time for the head is over.
        client.send_slowly(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 3_000 + b"\0b\r\n", 0)
        assert client.read_final().status == 400
        assert client.ended()
    assert backend.only().field("A") == "a" * 3_000


@pytest.mark.parametrize("beginning", [
    b"GET / HTTP/2.0\r\n", b"TRACE / HTTP/1.1\r\n", b"GET /#x HTTP/1.1\r\n", b"GET /#", b"GET /a//b HTTP/1.1\r\nA: b\r\n",
    b"GET / HTTP/1.1\r\nHost: a b\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nA : b",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\nA: b",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n", b"POST / HTTP/1.1\r\nExpect: x\r\n",
])
def test_request_fault_is_answered_before_the_head_is_complete(gateway, backend, beginning):
    """Nothing that follows could mend it, so nobody waits for it."""
    with gateway.connect() as client:
        assert client.ask(beginning).status in (400, 417, 501, 505)
        assert client.ended()
    assert backend.requests == []
    assert gateway.get("/").status == 200


WHOLE = [
    request("GET", "/a?b", {"A": "b"}), request("POST", "/", body=b"hello"),
    request("POST", "/", {"Transfer-Encoding": "chunked"}) + b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
    b"\r\n" + request("OPTIONS", "*", {"Max-Forwards": "4"}),
]


@pytest.mark.parametrize("whole", WHOLE)
def test_request_is_the_same_wherever_its_bytes_are_cut(gateway, backend, whole):
    """§2: a message is a sequence of octets; how the network cuts it means nothing."""
    with gateway.connect() as client:
        for cut in range(1, len(whole)):
            client.send(whole[:cut])
            assert client.ask(whole[cut:], "POST").status == 200
    assert len(backend.requests) == len(whole) - 1
    assert len({(arrived.method, arrived.target, arrived.body) for arrived in backend.requests}) == 1


def test_request_of_a_client_that_closed_its_sending_side_is_answered(gateway, backend):
    """§9.6: a half-closed client may still read."""
    proceed = threading.Event()

    def waits(exchange: Exchange) -> bytes:
        exchange.read_body()
        proceed.wait(10)
        return answer(body=exchange.request.target)

    backend.handler = waits
    with gateway.connect() as client:
        client.send(request("POST", "/1", body=b"hello") + request("GET", "/2"))
        client.socket.shutdown(socket.SHUT_WR)
        backend.wait_for(1)
        proceed.set()
        assert [client.read_final().body for _ in range(2)] == [b"/1", b"/2"]
        assert client.ended()


@pytest.mark.parametrize("part", [
    b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
])
def test_request_that_ends_with_its_connection_is_no_request(gateway, backend, part):
    """§8: incomplete; the backend never sees it as a whole."""
    with gateway.connect() as client:
        client.send(part)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    assert gateway.get("/last").status == 200
    assert not any(arrived.complete.is_set() for arrived in backend.requests if arrived.target != "/last")


def test_request_of_http_1_0_ends_its_connection(gateway, backend):
    """§9.3, §C.2.2: a proxy keeps no connection with HTTP/1.0, even when asked to."""
    for fields in (b"", b"Connection: keep-alive\r\n"):
        with gateway.connect() as client:
            client.send((b"GET / HTTP/1.0\r\nHost: a\r\n" + fields + b"\r\n") * 2)
            response = client.read_final()
            assert (response.status, response.field("Connection")) == (200, "close")
            assert client.ended()
    assert len(backend.requests) == 2


def test_request_options_that_may_travel_no_further_is_answered_here(start_gateway, backend):
    """RFC 9110 §7.6.2, §9.3.7."""
    gateway = start_gateway(backend, routes=[
        {"path": "/some", "upstream": "api", "auth": "none", "methods": ["GET", "OPTIONS"]},
        {"path": "/", "upstream": "api", "auth": "none"}])
    with gateway.connect() as client:
        for target, allow in (("/some", "GET, OPTIONS, HEAD"), ("/", None), ("*", None)):
            response = client.ask(request("OPTIONS", target, {"Max-Forwards": "0"}))
            assert (response.status, response.field("Content-Length"), response.field("Allow")) == (200, "0", allow)
    assert backend.requests == []
    assert gateway.fetch(request("OPTIONS", "/", {"Max-Forwards": "1"})).status == 200
    assert backend.only().field("Max-Forwards") == "0"


def test_request_target_of_https_is_for_trusted_proxies(start_gateway, backend, address, other_address):
    """RFC 9110 §7.4."""
    gateway = start_gateway(backend, trusted_proxies=[f"{address}/32"])
    sent = request("GET", "https://gateway.test/a")
    assert gateway.fetch(sent, other_address).status == 421
    assert gateway.fetch(sent, address).status == 200
    assert backend.only().target == "/a"
