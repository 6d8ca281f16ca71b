"""Event streams and long polls: answers that take their time."""

import signal
import time

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.event_streams import Events, is_cut, read_event
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token

TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}], "leeway": "0s"}
SHORT = {"body": "300ms", "drain": "1s"}


@pytest.fixture
def events(backend):
    backend.handler = handler = Events()
    yield handler
    handler.release()


def subscribe(gateway, source=None, target="/", fields=None):
    client = gateway.connect(source)
    client.send(request("GET", target, fields))
    head = client.read_head()
    assert (head.status, head.field("Transfer-Encoding")) == (200, "chunked")
    return client


def test_each_event_is_passed_on_when_it_comes(gateway, events):
    client = subscribe(gateway)
    for number in range(20):
        events.send(f"data: {number}\n\n")
        assert read_event(client) == f"data: {number}\n\n".encode()


def test_an_event_stream_may_be_quiet_for_longer_than_a_body(start_gateway, backend, events):
    gateway = start_gateway(backend, timeouts=SHORT)
    client = subscribe(gateway)
    for _ in range(2):
        assert client.silent(0.9)
        events.send("data: x\n\n")
        assert read_event(client) == b"data: x\n\n"


def test_another_body_may_not(start_gateway, backend):
    backend.handler = handler = Events("text/plain")
    gateway = start_gateway(backend, timeouts=SHORT)
    client = subscribe(gateway)
    assert is_cut(client)
    handler.release()


def test_an_event_stream_without_a_byte_is_closed_in_the_end(start_gateway, backend, events):
    gateway = start_gateway(backend, timeouts={**SHORT, "tunnel": "500ms"})
    client = subscribe(gateway)
    began = time.monotonic()
    assert is_cut(client)
    assert 0.4 < time.monotonic() - began < 3
    assert gateway.metrics()['gateway_upstream_failures_total{upstream="api"}'] == 0


def test_a_block_cuts_the_open_streams_of_its_address_only(gateway, backend, events, address, other_address):
    blocked = [subscribe(gateway, address) for _ in range(6)]
    spared = subscribe(gateway, other_address)
    gateway.command("block", address)
    began = time.monotonic()
    assert all(map(is_cut, blocked))
    assert time.monotonic() - began < 3
    wait_until(
        "the log lines", lambda: len(gateway.events("http.request", client_ip=address, ended_by="blocked")) == 6)
    events.send("data: x\n\n")
    assert read_event(spared) == b"data: x\n\n"


def test_a_download_that_is_no_stream_is_not_cut_by_a_block(gateway, backend, address):
    """It is one answer to one request that was allowed; the next request is refused."""
    backend.handler = handler = Events("text/plain")
    client = subscribe(gateway, address)
    gateway.command("block", address)
    handler.send("rest")
    assert read_event(client) == b"rest"
    handler.release()


def test_an_event_stream_ends_with_its_token(start_gateway, backend, events):
    gateway = start_gateway(backend, tokens=TOKENS, routes=[
        {"path": "/", "upstream": "api", "auth": "required"},
        {"path": "/kept", "upstream": "api", "auth": "required", "close_at_expiry": False}])

    def fields() -> dict[str, str]:
        return bearer(token(claims(exp=int(time.time()) + 2)))

    client = subscribe(gateway, fields=fields())
    kept = subscribe(gateway, target="/kept", fields=fields())
    assert is_cut(client)
    events.send("data: x\n\n")
    assert read_event(kept) == b"data: x\n\n"


def test_an_open_stream_holds_the_gateway_to_its_drain_deadline_and_no_longer(gateway, events):
    client = subscribe(gateway)
    gateway.signal(signal.SIGTERM)
    events.send("data: last\n\n")
    assert read_event(client) == b"data: last\n\n"
    assert is_cut(client)
    gateway.child.wait()


def test_a_stream_is_counted_when_it_begins_and_logged_when_it_ends(gateway, events, address):
    client = subscribe(gateway, address)
    counted = 'gateway_http_requests_total{route="/",method="GET",code="200"}'
    assert gateway.metrics()[counted] == 1
    assert not gateway.events("http.request", client_ip=address)
    client.close()
    assert gateway.wait_event("http.request", client_ip=address)["path"] == "/"
    assert gateway.metrics()[counted] == 1


def test_a_client_that_leaves_a_quiet_stream_is_noticed_by_the_backend(gateway, events):
    client = subscribe(gateway)
    client.close()
    assert events.cut_off()


def test_a_long_poll_may_take_longer_on_its_own_route(start_gateway, backend):
    def slowly(exchange: Exchange) -> bytes:
        time.sleep(0.9)
        return answer(body="at last")

    backend.handler = slowly
    gateway = start_gateway(backend, timeouts={"response": "300ms", "drain": "1s"}, routes=[
        {"path": "/", "upstream": "api", "auth": "none"},
        {"path": "/poll", "upstream": "api", "auth": "none", "response_timeout": "10s"}])
    assert gateway.get("/poll").body == b"at last"
    assert gateway.get("/").status == 504
