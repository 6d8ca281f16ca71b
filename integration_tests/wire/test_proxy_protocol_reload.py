"""A reload changes whose PROXY headers are believed: for new connections, and for those that are there."""

import threading
from collections.abc import Callable

import pytest

from harness.backend import Backend, Exchange, answer
from harness.client import Client, ConnectionEnded, request
from harness.gateway import Gateway
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until
from harness.proxy_headers import block, line
from harness.websocket import frame, handshake

CLIENT = "203.0.113.7"


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], backend: Backend, address: str) -> Gateway:
    """`address` is a balancer that announces clients."""
    return start_gateway(backend, workers=1, proxy_protocol={"from": [address]})


def believe(gateway: Gateway, sender: str) -> None:
    """Nobody but this one, from now on."""
    gateway.write_config({**gateway.settings, "proxy_protocol": {"from": [sender]}})
    gateway.command("reload")


def test_new_connections_meet_it(gateway: Gateway, address: str, other_address: str) -> None:
    believe(gateway, other_address)
    with Client(gateway.address, address, preface=line(CLIENT)) as client:
        assert client.ask(request("GET", "/")).status == 400
    with Client(gateway.address, other_address, preface=line(CLIENT)) as client:
        assert client.ask(request("GET", "/")).status == 200


def test_kept_connections_end_unless_their_sender_is_still_believed(
    gateway: Gateway, backend: Backend, address: str, other_address: str,
) -> None:
    with (
        Client(gateway.address, address, preface=line(CLIENT)) as kept,
        Client(gateway.address, address, preface=b"PROXY UNKNOWN\r\n") as own,
        Client(gateway.address, other_address) as plain,
    ):
        for client in (kept, own, plain):
            assert client.ask(request("GET", "/")).status == 200
        believe(gateway, address)
        for client in (kept, own, plain):
            assert client.ask(request("GET", "/")).status == 200
        believe(gateway, other_address)
        assert kept.ended()
        for client in (own, plain):
            assert client.ask(request("GET", "/")).status == 200, "these are nobody's but their own"
    assert [seen.field("X-Forwarded-For") for seen in backend.requests][-2:] == [address, other_address]


def test_of_a_connection_with_a_request_under_way_the_answer_is_the_last(
    gateway: Gateway, backend: Backend, address: str, other_address: str,
) -> None:
    proceed = threading.Event()

    def held(exchange: Exchange) -> bytes:
        proceed.wait(10)
        return answer()

    backend.handler = held
    with Client(gateway.address, address, preface=line(CLIENT)) as client:
        client.send(request("GET", "/one") + request("GET", "/two"))
        backend.wait_for(1)
        believe(gateway, other_address)
        wait_until("the reload", lambda: is_stranger(gateway, address))
        proceed.set()
        last = client.read_response()
        assert (last.status, last.field("Connection")) == (200, "close")
        assert client.ended()
    assert [seen.target for seen in backend.requests] == ["/one"]


def is_stranger(gateway: Gateway, sender: str) -> bool:
    """The worker has taken the rules over: what the sender says is a request, and a malformed one."""
    try:
        with Client(gateway.address, sender, preface=line(CLIENT)) as client:
            return client.ask(request("GET", "/health")).status == 400
    except (ConnectionEnded, ConnectionError):
        # It was announced just before.
        return False


def test_a_header_that_was_on_its_way_is_not_believed(
    gateway: Gateway, backend: Backend, address: str, other_address: str,
) -> None:
    headers = [line(CLIENT), block(CLIENT), b"PROXY UNKNOWN\r\n"]
    waiting = [Client(gateway.address, address, preface=header[:8]) for header in headers]
    assert gateway.get("/health", other_address).status == 200, "who came before was accepted before"
    believe(gateway, other_address)
    wait_until("the reload", lambda: is_stranger(gateway, address))
    for client, header in zip(waiting, headers, strict=True):
        client.send(header[8:] + request("GET", "/"))
        assert client.ended()
    result = 'gateway_proxy_headers_total{result="malformed"}'
    wait_until("they are counted", lambda: gateway.metrics()[result] == len(headers))
    told = gateway.wait_event("proxy_protocol.refused")
    assert (told["address"], told["reason"]) == (address, "a reload has taken the sender out of proxy_protocol.from")
    assert backend.requests == []


def test_a_websocket_goes_on(gateway: Gateway, backend: Backend, address: str, other_address: str) -> None:
    backend.handler = handler = LongExchanges()
    with Client(gateway.address, address, preface=line(CLIENT)) as client:
        client.send(handshake("/chat"))
        assert client.read_head().status == 101
        believe(gateway, other_address)
        wait_until("the reload", lambda: is_stranger(gateway, address))
        client.send(frame(b"ping", masked=True))
        assert handler.chat.read(10) == frame(b"ping", masked=True)
        handler.chat.socket().sendall(frame(b"pong"))
        assert client.read_exactly(6) == frame(b"pong")
    handler.release()
