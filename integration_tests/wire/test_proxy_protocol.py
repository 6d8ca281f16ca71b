"""The PROXY protocol in both directions: whose word is believed, what is closed, who is counted and blocked."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.backend import Backend
from harness.certificates import Authority
from harness.client import Client, request
from harness.gateway import Gateway
from harness.load import together
from harness.logins import WRONG, wrong_is_401
from harness.processes import wait_until
from harness.proxy_headers import SIGNATURE, Reader, block, line, raw_block

START = Callable[..., Gateway]
CLIENT = "203.0.113.7"


@pytest.fixture
def balancer(address: str) -> str:
    """The address of a load balancer that announces its clients."""
    return address


@pytest.fixture
def start(start_gateway: START, backend: Backend, balancer: str) -> START:
    def start(upstream: Backend | str = backend, **sections: Any) -> Gateway:
        return start_gateway(upstream, **{"workers": 1, "proxy_protocol": {"from": [balancer]}, **sections})
    return start


def results(gateway: Gateway) -> dict[str, float]:
    names = ["announced", "sender", "malformed", "closed", "late"]
    metrics = gateway.metrics()
    return {name: metrics[f'gateway_proxy_headers_total{{result="{name}"}}'] for name in names}


def counted(gateway: Gateway, result: str, number: int = 1) -> None:
    wait_until(f"{number} {result}", lambda: results(gateway)[result] == number)


# From clients


@pytest.mark.parametrize("header", [line(CLIENT), block(CLIENT)], ids=["v1", "v2"])
def test_the_announced_client_takes_the_place_of_the_peer(
    start: START, backend: Backend, balancer: str, header: bytes,
) -> None:
    gateway = start()
    with Client(gateway.address, balancer, preface=header) as client:
        for _ in range(3):
            assert client.ask(request("GET", "/a")).status == 200
    seen = backend.requests[-1]
    assert seen.field("X-Forwarded-For") == CLIENT
    assert "for=203.0.113.7;" in seen.field("Forwarded")
    told = gateway.wait_event("http.request")
    assert (told["client_ip"], told["client_port"]) == (CLIENT, 41_000)
    assert (told["peer_ip"], told["peer_port"], told["proxy_ip"]) == (CLIENT, 41_000, balancer)
    counted(gateway, "announced")


@pytest.mark.parametrize("header", [
    line("2001:db8::7", "2001:db8::1"), block("2001:db8::7", "2001:db8::1"),
], ids=["v1", "v2"])
def test_an_ipv6_client_on_an_ipv4_connection(start: START, backend: Backend, balancer: str, header: bytes) -> None:
    with Client(start().address, balancer, preface=header) as client:
        assert client.ask(request("GET", "/")).status == 200
    assert backend.requests[-1].field("X-Forwarded-For") == "2001:db8::7"


@pytest.mark.parametrize("header", [
    b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", raw_block(0x20, 0x00), raw_block(0x20, 0x11, b"probe"),
    raw_block(0x21, 0x00), raw_block(0x21, 0x31, b"/" * 216), raw_block(0x21, 0x12, bytes(12)),
], ids=["unknown", "unknown-long", "local", "local-with-bytes", "unspecified", "unix", "datagram"])
def test_a_header_that_announces_nobody_leaves_the_sender(
    start: START, backend: Backend, balancer: str, header: bytes,
) -> None:
    gateway = start()
    with Client(gateway.address, balancer, preface=header) as client:
        assert client.ask(request("GET", "/")).status == 200
    assert backend.requests[-1].field("X-Forwarded-For") == balancer
    told = gateway.wait_event("http.request")
    assert told["peer_ip"] == balancer and "proxy_ip" not in told
    counted(gateway, "sender")


@pytest.mark.parametrize("header", [line(CLIENT), block(CLIENT, extensions=b"\x04\0\x02ab")], ids=["v1", "v2"])
def test_a_header_may_come_byte_by_byte_and_with_the_request_behind_it(
    start: START, backend: Backend, balancer: str, header: bytes,
) -> None:
    gateway = start()
    with Client(gateway.address, balancer) as client:
        for byte in header + request("GET", "/slowly"):
            client.send(bytes([byte]))
        assert client.read_final("GET").status == 200
    with Client(gateway.address, balancer) as client:
        assert client.ask(header + request("GET", "/at-once"), "GET").status == 200
    assert [seen.target for seen in backend.requests] == ["/slowly", "/at-once"]


def test_a_client_that_has_sent_all_and_closed_its_side_is_answered(start: START, balancer: str) -> None:
    with Client(start().address, balancer, preface=line(CLIENT)) as client:
        client.send(request("GET", "/"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_final("GET").status == 200


@pytest.mark.parametrize("data", [
    request("GET", "/"), b"\x16\x03\x01\x02\0\x01\0", b"PROXY TCP4 203.0.113.7\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 41000 443\n", b"PROXY UNKNOWN " + b"x" * 93, b"PROXY TCP4 0.0.0.0 192.0.2.1 1 2\r\n",
    SIGNATURE.swapcase(), SIGNATURE + b"\x11", SIGNATURE + b"\x22", SIGNATURE + b"\x21\x41", SIGNATURE + b"\x21\x13",
    SIGNATURE + b"\x21\x11\x10\x01", raw_block(0x21, 0x11, bytes(11)), raw_block(0x21, 0x21, bytes(12)),
    block(CLIENT, extensions=b"\x04\0\x09ab"), block(CLIENT, extensions=b"\x03\0\x04abcd"),
], ids=[
    "no-header", "tls", "v1-short", "v1-lf", "v1-too-long", "v1-nobody", "signature", "version", "command", "family",
    "transport", "v2-too-long", "v2-too-short", "v6-too-short", "extensions", "checksum",
])
def test_what_is_no_header_closes_the_connection_at_once_and_is_told(
    start: START, backend: Backend, balancer: str, data: bytes,
) -> None:
    gateway = start()
    with Client(gateway.address, balancer, preface=data) as client:
        assert client.ended()
    counted(gateway, "malformed")
    told = gateway.wait_event("proxy_protocol.refused")
    assert told["address"] == balancer and told["reason"] and told["untold"] == 0
    assert backend.requests == []


def test_the_log_is_not_flooded(start: START, balancer: str) -> None:
    gateway = start()
    for _ in range(20):
        with Client(gateway.address, balancer, preface=b"GET / HTTP/1.1\r\n\r\n") as client:
            assert client.ended()
    counted(gateway, "malformed", 20)
    assert len(gateway.events("proxy_protocol.refused")) == 1


@pytest.mark.parametrize("start_of_header", [b"", b"PROXY TCP4 203.0.113.7 ", SIGNATURE, SIGNATURE + b"\x21\x11\0\x0c\1"])
def test_a_header_that_does_not_come_in_time_ends_the_connection(
    start: START, balancer: str, start_of_header: bytes,
) -> None:
    gateway = start(timeouts={"head": "200ms"})
    with Client(gateway.address, balancer, preface=start_of_header) as client:
        began = time.monotonic()
        assert client.ended()
        assert time.monotonic() - began >= 0.1
    counted(gateway, "late")


def test_a_probe_that_only_connects_is_no_matter_for_the_log(start: START, balancer: str) -> None:
    gateway = start()
    Client(gateway.address, balancer).close()
    Client(gateway.address, balancer, preface=b"PROXY").close()
    counted(gateway, "closed", 2)
    assert gateway.events("proxy_protocol.refused") == []


@pytest.mark.parametrize("header", [line(CLIENT), block(CLIENT)], ids=["v1", "v2"])
def test_a_header_of_anybody_else_is_a_malformed_request(
    start: START, backend: Backend, other_address: str, header: bytes,
) -> None:
    gateway = start()
    with Client(gateway.address, other_address, preface=header) as client:
        answer = client.ask(request("GET", "/"))
    assert (answer.status, answer.code) == (400, "REQ_001")
    assert backend.requests == []
    assert sum(results(gateway).values()) == 0


def test_a_second_header_is_a_malformed_request(start: START, balancer: str) -> None:
    with Client(start().address, balancer, preface=line(CLIENT) + line("198.51.100.1")) as client:
        assert client.ask(request("GET", "/")).status == 400


def test_without_the_setting_nobody_is_believed(start_gateway: START, backend: Backend, balancer: str) -> None:
    with Client(start_gateway(backend).address, balancer, preface=line(CLIENT)) as client:
        assert client.ask(request("GET", "/")).status == 400


def test_waiting_connections_have_a_place_among_all(start: START, balancer: str, other_address: str) -> None:
    gateway = start(limits={"connections": 3})
    with Client(gateway.address, balancer) as first, Client(gateway.address, balancer) as second:
        with gateway.connect(other_address) as client:
            assert client.ask(request("GET", "/")).status == 200
            with Client(gateway.address, balancer, preface=line(CLIENT)) as fourth:
                assert client.ended(), "who waits for nothing gives its place"
                assert fourth.ask(request("GET", "/")).status == 200
        first.close()
        assert second.send(line(CLIENT)).ask(request("GET", "/")).status == 200
    wait_until("every place is given back", lambda: gateway.metrics()["gateway_client_connections"] == 0)
    for _ in range(4):
        with Client(gateway.address, balancer, preface=line(CLIENT)) as client:
            assert client.ask(request("GET", "/")).status == 200


# Who is meant


def test_failed_logins_are_counted_for_the_announced_client(
    start: START, start_backend: Callable[..., Backend], balancer: str,
) -> None:
    gateway = start(start_backend(wrong_is_401))
    with Client(gateway.address, balancer, preface=line(CLIENT)) as client:
        assert [client.ask(WRONG).status for _ in range(6)] == [401] * 5 + [403]
    with Client(gateway.address, balancer, preface=block(CLIENT)) as client:
        blocked = client.ask(request("GET", "/"))
        assert (blocked.status, blocked.code) == (403, "AUTH_004")
    with Client(gateway.address, balancer, preface=line("203.0.113.8")) as client:
        assert client.ask(WRONG).status == 401, "others behind the balancer go on"
    told = gateway.wait_event("security.block_set")
    assert told["client_ip"] == CLIENT
    assert gateway.wait_event("security.auth_failure", client_ip=CLIENT)["proxy_ip"] == balancer


def test_a_blocked_client_is_refused_behind_the_header(start: START, balancer: str) -> None:
    gateway = start()
    gateway.command("block", CLIENT, "--for", "1m", "--reason", "test")
    with Client(gateway.address, balancer, preface=line(CLIENT)) as client:
        blocked = client.ask(request("GET", "/"))
    assert (blocked.status, blocked.code) == (403, "AUTH_004")


def test_the_announced_address_is_looked_up_among_the_trusted_proxies(
    start: START, backend: Backend, balancer: str,
) -> None:
    gateway = start(trusted_proxies=["198.51.100.0/24"])
    forwarded = request("GET", "/", {"X-Forwarded-For": "203.0.113.9"})
    with Client(gateway.address, balancer, preface=line("198.51.100.1")) as client:
        client.ask(forwarded)
    assert gateway.wait_event("http.request", client_ip="203.0.113.9")["peer_ip"] == "198.51.100.1"
    with Client(gateway.address, balancer, preface=line(CLIENT)) as client:
        client.ask(forwarded)
    assert gateway.wait_event("http.request", client_ip=CLIENT)
    assert backend.requests[-1].field("X-Forwarded-For") == CLIENT


def test_the_word_of_a_trusted_balancer_about_itself_is_not_a_proxy_s(
    start: START, backend: Backend, balancer: str,
) -> None:
    """Being allowed to announce is not being trusted with X-Forwarded-For."""
    gateway = start()
    with Client(gateway.address, balancer, preface=b"PROXY UNKNOWN\r\n") as client:
        client.ask(request("GET", "/", {"X-Forwarded-For": "203.0.113.9"}))
    assert backend.requests[-1].field("X-Forwarded-For") == balancer


# Before TLS, and in life


@pytest.fixture
def secure(start: START, directory: Any) -> tuple[Gateway, Any]:
    authority = Authority()
    chain, key = authority.issue("gateway.test").write(directory / "tls")
    gateway = start(tls={"listen": ["127.0.0.1:0"], "certificate_file": chain, "key_file": key})
    return gateway, ssl.create_default_context(cafile=authority.write(directory / "tls"))


@pytest.mark.parametrize("header", [line(CLIENT), block(CLIENT)], ids=["v1", "v2"])
def test_tls_begins_right_behind_the_header(
    secure: tuple[Gateway, Any], backend: Backend, balancer: str, header: bytes,
) -> None:
    gateway, context = secure
    with Client(gateway.secure_address, balancer, tls=context, server_name="gateway.test", preface=header) as client:
        assert client.ask(request("GET", "/")).status == 200
    assert backend.requests[-1].field("X-Forwarded-For") == CLIENT
    assert backend.requests[-1].field("X-Forwarded-Proto") == "https"


def test_header_and_handshake_in_one_segment(secure: tuple[Gateway, Any], balancer: str) -> None:
    gateway, context = secure
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="gateway.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    with Client(gateway.secure_address, balancer, preface=line(CLIENT) + outgoing.read()) as client:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(client.socket.recv(16_384))
        session.write(request("GET", "/"))
        client.send(outgoing.read())
        answer = b""
        while b"\r\n\r\nok" not in answer:
            try:
                answer += session.read(16_384)
            except ssl.SSLWantReadError:
                incoming.write(client.socket.recv(16_384))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.once
def test_many_clients_behind_one_balancer_keep_their_names(start: START, backend: Backend, balancer: str) -> None:
    gateway = start(workers=2)

    def ask(number: int) -> None:
        with Client(gateway.address, balancer, preface=(line if number % 2 else block)(f"203.0.113.{number}")) as client:
            for turn in range(5):
                assert client.ask(request("GET", f"/{number}/{turn}")).status == 200

    together(40, ask)
    assert len(backend.requests) == 200
    for seen in backend.requests:
        assert seen.field("X-Forwarded-For") == f"203.0.113.{seen.target.split('/')[1]}"


def test_draining_waits_for_a_header_no_longer_than_for_anything_else(start: START, balancer: str) -> None:
    gateway = start(timeouts={"drain": "1s"})
    with Client(gateway.address, balancer, preface=b"PROXY TCP4 ") as waiting:
        wait_until("it waits", lambda: gateway.get("/health").status == 200)
        gateway.child.stop()
        assert waiting.ended()
    assert gateway.events("gateway.stopped")


# To servers


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def told(start_backend: Callable[..., Backend], reader: Reader) -> Iterator[Backend]:
    yield start_backend(welcome=reader)


@pytest.mark.parametrize(("version", "header"), [("v1", line), ("v2", block)])
def test_a_server_is_told_the_client(
    start_gateway: START, told: Backend, reader: Reader, address: str, version: str, header: Callable[..., bytes],
) -> None:
    gateway = start_gateway(told, workers=1, upstreams={"api": {"proxy_protocol": version}})
    with gateway.connect(address) as client:
        port = client.socket.getsockname()[1]
        for _ in range(3):
            assert client.ask(request("GET", "/")).status == 200
    assert reader.headers == [header(address, "127.0.0.1", (port, gateway.address[1]))] * 3


@pytest.mark.parametrize(("version", "header"), [("v1", b"PROXY UNKNOWN\r\n"), ("v2", raw_block(0x20, 0))])
def test_a_health_check_announces_nobody(
    start_gateway: START, told: Backend, reader: Reader, version: str, header: bytes,
) -> None:
    gateway = start_gateway(told, upstreams={"api": {
        "proxy_protocol": version, "health_check": {"path": "/healthz", "interval": "100ms"}}})
    assert {request.target for request in told.wait_for(3)} == {"/healthz"}
    assert set(reader.headers) == {header}
    assert gateway.events("upstream.server_down") == []


@pytest.mark.once
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_no_server_connection_serves_two_clients(
    start_gateway: START, told: Backend, reader: Reader, address: str, other_address: str, version: str,
) -> None:
    gateway = start_gateway(told, workers=1, upstreams={"api": {"proxy_protocol": version}})
    for source in [address, other_address] * 2:
        assert gateway.get("/", source).status == 200
    assert told.connections == 4
    assert len(set(reader.headers)) == 4, "each port is another one"
    assert [each.field("Connection") for each in told.requests] == ["close"] * 4


def test_the_client_behind_a_trusted_proxy_is_told_without_its_port(
    start_gateway: START, told: Backend, reader: Reader, address: str,
) -> None:
    gateway = start_gateway(
        told, trusted_proxies=[address], upstreams={"api": {"proxy_protocol": "v1"}})
    gateway.get("/", address, {"X-Forwarded-For": "2001:db8::9"})
    port = gateway.address[1]
    assert reader.headers == [f"PROXY TCP6 2001:db8::9 ::ffff:127.0.0.1 0 {port}\r\n".encode()]


def test_what_was_announced_is_passed_on(
    start: START, told: Backend, reader: Reader, balancer: str,
) -> None:
    gateway = start(told, upstreams={"api": {"proxy_protocol": "v2"}})
    with Client(gateway.address, balancer, preface=line(CLIENT)) as client:
        assert client.ask(request("GET", "/")).status == 200
    assert reader.headers == [block(CLIENT)]


def test_a_body_goes_through_behind_the_header(start_gateway: START, told: Backend, address: str) -> None:
    body = b"x" * 300_000
    gateway = start_gateway(told, upstreams={"api": {"proxy_protocol": "v1"}})
    assert gateway.fetch(request("POST", "/", body=body), address).status == 200
    assert told.only().body == body


def test_another_attempt_has_a_header_of_its_own(
    start_gateway: START, told: Backend, reader: Reader, address: str,
) -> None:
    first: list[bool] = []

    def once(exchange: Any) -> bytes | None:
        if not first:
            first.append(True)
            exchange.close()
            return None
        exchange.read_body()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    told.handler = once
    gateway = start_gateway(told, upstreams={"api": {"proxy_protocol": "v1"}})
    assert gateway.get("/", address).status == 200
    assert len(reader.headers) == 2


def test_the_header_goes_before_tls(
    start_gateway: START, start_backend: Callable[..., Backend], reader: Reader, address: str, directory: Any,
) -> None:
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1").write(directory / "tls"))
    backend = start_backend(welcome=reader, tls=context)
    gateway = start_gateway(backend, workers=1, upstreams={"api": {
        "proxy_protocol": "v2", "tls": {"enabled": True, "ca_file": authority.write(directory / "tls")}}})
    for _ in range(2):
        assert gateway.get("/", address).status == 200
    assert len(reader.headers) == backend.connections == 2
    assert backend.resumed == 1, "what is not kept is resumed"
