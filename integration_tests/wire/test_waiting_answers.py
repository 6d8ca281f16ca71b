"""What befalls a client while its request waits for an answer (docs/websocket.md): a WebSocket or an event stream is
closed as it begins, and a long poll is one request that was let through and has its answer."""

import signal
import threading
import time

import pytest

from harness.backend import Exchange
from harness.client import request
from harness.event_streams import is_cut
from harness.issuer import ask
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until
from harness.revocations import of
from harness.tokens import SECRET, bearer, claims, token
from harness.websocket import Switching, closing, frame, handshake, switched

BLOCKED = (1008, "blocked")
# A Close without a mask: two bytes of head, two of code.
CLOSE = 2 + 2 + len("blocked")
LATE = b"at last"


class Late(LongExchanges):
    """Its heads come when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.agrees = threading.Event()

    def __call__(self, exchange: Exchange) -> bytes | None:
        if exchange.request.target in ("/chat", "/events"):
            self.agrees.wait(60)
        return super().__call__(exchange)

    def release(self) -> None:
        self.agrees.set()
        super().release()


@pytest.fixture
def service(backend):
    backend.handler = handler = Late()
    yield handler
    handler.release()


def waiting(gateway, backend, data: bytes, source: str | None = None):
    """A client whose request the backend has, and does not answer yet."""
    before = len(backend.requests)
    client = gateway.connect(source).send(data)
    backend.wait_for(before + 1)
    return client


# What begins behind the answer


@pytest.mark.once
@pytest.mark.parametrize("whole_network", [False, True])
def test_a_websocket_whose_client_is_blocked_before_the_101_is_closed_as_it_begins(
        gateway, backend, service, address, whole_network):
    """What the client has sent ahead does not pass any more."""
    chat = waiting(gateway, backend, handshake("/chat") + frame(b"sent ahead", masked=True), address)
    gateway.command("block", address.rsplit(".", 1)[0] + ".0/24" if whole_network else address)
    service.agrees.set()
    assert chat.read_head().status == 101
    assert closing(chat.read_exactly(CLOSE)) == BLOCKED
    assert closing(service.chat.read(4 + CLOSE)) == BLOCKED, "the backend's side, which is masked"
    assert gateway.wait_event("http.request", client_ip=address)["ended_by"] == "blocked"
    metrics = gateway.metrics()
    assert (metrics["gateway_tunnels"], metrics['gateway_tunnels_closed_total{reason="blocked"}']) == (0, 1)


@pytest.mark.once
def test_an_event_stream_whose_client_is_blocked_before_its_head_is_cut_as_it_begins(
        gateway, backend, service, address):
    events = waiting(gateway, backend, request("GET", "/events"), address)
    gateway.command("block", address)
    service.agrees.set()
    assert events.read_head().status == 200
    assert is_cut(events)
    assert service.events.cut_off(), "the backend learns it, too"
    assert gateway.wait_event("http.request", client_ip=address)["ended_by"] == "blocked"


@pytest.mark.once
def test_what_came_with_the_101_does_not_pass_to_a_blocked_client(gateway, backend, address):
    agrees, chat = threading.Event(), Switching(switched(), greeting=frame(b"secret"))

    def late(exchange: Exchange) -> bytes | None:
        agrees.wait(60)
        return chat(exchange)

    backend.handler = late
    client = waiting(gateway, backend, handshake("/chat"), address)
    gateway.command("block", address)
    agrees.set()
    assert client.read_head().status == 101
    came = client.read_to_end()
    chat.release()
    assert closing(came) == BLOCKED


@pytest.mark.once
@pytest.mark.parametrize("framing", [b"Content-Length: 14\r\n\r\ndata: secret\n\n", b"\r\ndata: secret\n\n"])
def test_what_came_with_the_head_of_an_event_stream_does_not_pass_to_a_blocked_client(
        gateway, backend, address, framing):
    agrees = threading.Event()

    def late(exchange: Exchange) -> None:
        agrees.wait(60)
        exchange.close()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing)

    backend.handler = late
    client = waiting(gateway, backend, request("GET", "/events"), address)
    gateway.command("block", address)
    agrees.set()
    assert client.read_head().status == 200
    assert is_cut(client)
    assert gateway.wait_event("http.request", client_ip=address)["ended_by"] == "blocked"


def test_a_block_of_another_address_closes_neither(gateway, backend, service, address, other_address):
    chat = waiting(gateway, backend, handshake("/chat"), address)
    events = waiting(gateway, backend, request("GET", "/events"), address)
    gateway.command("block", other_address)
    service.agrees.set()
    assert (chat.read_head().status, events.read_head().status) == (101, 200)
    assert chat.silent(0.2) and events.silent(0.2)


# A long poll


@pytest.fixture
def guarded(start_gateway, backend, service):
    keys = [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]
    return start_gateway(backend, tokens={"keys": keys, "leeway": "0s"}, routes=[
        {"path": "/", "upstream": "api", "auth": "required"}])


def has_its_answer(poll, service) -> bool:
    """The answer that comes late, and whole."""
    service.late.set()
    response = poll.read_final()
    return (response.status, response.body) == (200, LATE)


def test_a_long_poll_has_its_answer_though_its_client_is_blocked_meanwhile(gateway, backend, service, address):
    """It is one request that was let through, as a download is. The next is refused, on the same connection, too."""
    poll = waiting(gateway, backend, request("GET", "/poll"), address)
    gateway.command("block", address)
    assert gateway.get("/", address).status == 403
    assert has_its_answer(poll, service)
    assert poll.ask(request("GET", "/poll")).status == 403


def test_a_long_poll_has_its_answer_though_its_token_expires_meanwhile(guarded, backend, service):
    value = token(claims(exp=int(time.time()) + 2))
    poll = waiting(guarded, backend, request("GET", "/poll", bearer(value)))
    wait_until("the token has expired", lambda: ask(guarded, value)[0] == 401)
    assert has_its_answer(poll, service)
    assert poll.ask(request("GET", "/poll", bearer(value))).status == 401


def test_a_long_poll_has_its_answer_though_its_token_is_revoked_meanwhile(guarded, backend, service):
    value = of("mallory")
    poll = waiting(guarded, backend, request("GET", "/poll", bearer(value)))
    guarded.command("revoke", "--sub", "mallory")
    wait_until("the token is refused", lambda: ask(guarded, value)[0] == 401)
    assert has_its_answer(poll, service)
    assert poll.ask(request("GET", "/poll", bearer(value))).status == 401


def test_a_long_poll_has_its_answer_though_its_route_is_closed_meanwhile(gateway, backend, service, address):
    poll = waiting(gateway, backend, request("GET", "/poll"), address)
    gateway.command("lockdown", "/", "--for", "5m")
    wait_until("the route is closed", lambda: gateway.get("/", address).status == 503)
    assert has_its_answer(poll, service)
    assert poll.ask(request("GET", "/poll")).status == 503


def test_a_blocked_clients_long_poll_gives_its_place_to_a_new_client(
        start_gateway, backend, service, address, other_address):
    """Another's keeps its own."""
    gateway = start_gateway(backend, workers=1, limits={"connections": 2})
    poll = waiting(gateway, backend, request("GET", "/poll"), address)
    other = waiting(gateway, backend, request("GET", "/poll"), other_address)
    gateway.command("block", address)
    assert gateway.get("/", other_address).status == 200
    assert poll.ended()
    assert gateway.wait_event("http.request", client_ip=address)["ended_by"] == "blocked"
    assert has_its_answer(other, service)


def test_a_long_poll_that_is_answered_during_a_drain_has_its_answer_and_the_connection_ends(
        start_gateway, backend, service):
    gateway = start_gateway(backend, timeouts={"drain": "20s"})
    poll = waiting(gateway, backend, request("GET", "/poll"))
    gateway.signal(signal.SIGTERM)
    gateway.wait_event("gateway.draining")
    service.late.set()
    response = poll.read_final()
    assert (response.status, response.body, response.field("Connection")) == (200, LATE, "close")
    assert gateway.child.wait() == 0
    assert gateway.wait_event("gateway.stopped")["cut_connections"] == 0


def test_a_long_poll_that_is_not_answered_before_the_drain_deadline_is_cut_without_an_answer(
        start_gateway, backend, service, address):
    gateway = start_gateway(backend, timeouts={"drain": "1s"})
    poll = waiting(gateway, backend, request("GET", "/poll"), address)
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert poll.ended(), "not one byte of an answer"
    assert time.monotonic() - began >= 1, "not before its time"
    assert gateway.child.wait() == 0
    assert gateway.wait_event("gateway.stopped")["cut_connections"] == 1
    assert gateway.wait_event("http.request", client_ip=address)["ended_by"] == "draining"
