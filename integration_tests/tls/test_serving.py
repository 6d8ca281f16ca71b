"""HTTPS for clients: handshakes, names, what is spoken, what backends learn."""

import socket
import ssl
from collections.abc import Callable

import pytest

from harness.backend import Backend, answer
from harness.certificates import Authority
from harness.client import Client, request
from harness.processes import wait_until

from .edge import Edge

START = Callable[..., Edge]


def handshakes(edge: Edge, result: str) -> float:
    return edge.gateway.metrics()[f'gateway_tls_handshakes_total{{result="{result}"}}']


def test_a_request_over_tls_reaches_the_backend_and_says_so(edge: Edge, backend: Backend) -> None:
    with edge.connect() as client:
        for _ in range(3):
            assert client.ask(request("GET", "/a")).status == 200
    seen = backend.requests[-1]
    assert seen.field("X-Forwarded-Proto") == "https"
    assert "proto=https" in seen.field("Forwarded")
    assert handshakes(edge, "full") == 1


def test_requests_without_tls_still_say_http(edge: Edge, backend: Backend) -> None:
    assert edge.gateway.get("/a").status == 200
    assert backend.requests[-1].field("X-Forwarded-Proto") == "http"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(edge: Edge, version: ssl.TLSVersion) -> None:
    context = edge.context()
    context.minimum_version = context.maximum_version = version
    with edge.connect(context) as client:
        assert client.ask(request("GET", "/")).status == 200
        assert client.socket.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]


def test_a_setting_raises_the_oldest_version(start_edge: START) -> None:
    edge = start_edge({"min_version": "1.3"})
    context = edge.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        edge.connect(context)
    wait_until("the failure is counted", lambda: handshakes(edge, "no_shared_version") == 1)


def test_tls_1_1_is_refused(edge: Edge) -> None:
    context = edge.context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        edge.connect(context)
    wait_until("the failure is counted", lambda: handshakes(edge, "no_shared_version") == 1)


@pytest.mark.parametrize(("asked", "served"), [
    ("gateway.test", "gateway.test"), ("shop.test", "shop.test"), ("SHOP.test", "shop.test"),
    ("a.wild.test", "*.wild.test"), ("own.wild.test", "own.wild.test"), ("a.b.wild.test", "gateway.test"),
    ("unknown.test", "gateway.test"), (None, "gateway.test"),
])
def test_the_name_chooses_the_certificate(
    start_edge: START, authority: Authority, directory: object, asked: str | None, served: str,
) -> None:
    places = [authority.issue(name).write(directory / "more", f"c{index}")  # type: ignore[operator]
              for index, name in enumerate(["shop.test", "*.wild.test", "own.wild.test"])]
    edge = start_edge({"certificates": [{"certificate_file": chain, "key_file": key} for chain, key in places]})
    context = edge.context()
    context.check_hostname = False
    with edge.connect(context, asked) as client:  # type: ignore[arg-type]
        names = client.socket.getpeercert()["subjectAltName"]
    assert names == (("DNS", served),)


def test_http_1_1_is_chosen_by_alpn(edge: Edge) -> None:
    with edge.connect(edge.context(protocols=["h2", "http/1.1"])) as client:
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        assert client.ask(request("GET", "/")).status == 200


def test_a_client_that_only_speaks_other_protocols_is_turned_away(edge: Edge) -> None:
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        edge.connect(edge.context(protocols=["h2"]))
    wait_until("the failure is counted", lambda: handshakes(edge, "no_shared_protocol") == 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_on_any_worker(edge: Edge, version: ssl.TLSVersion) -> None:
    context = edge.context()
    context.minimum_version = context.maximum_version = version
    with edge.connect(context) as client:
        client.ask(request("GET", "/"))  # TLS 1.3 sends its tickets behind the handshake
        session = client.socket.session
    for _ in range(8):
        with edge.connect(context, session=session) as client:
            assert client.socket.session_reused
            assert client.ask(request("GET", "/")).status == 200
    assert handshakes(edge, "resumed") == 8


def test_a_body_goes_through_unharmed_both_ways(edge: Edge, backend: Backend) -> None:
    body = bytes(index * 7 % 251 for index in range(3_000_000))
    backend.handler = lambda exchange: exchange.send(answer(200, exchange.read_body()))
    with edge.connect() as client:
        assert client.ask_while_sending(request("POST", "/", body=body), "POST").body == body
        assert client.ask(request("GET", "/")).status == 200


def test_many_requests_in_one_record_are_answered_in_order(edge: Edge, backend: Backend) -> None:
    with edge.connect() as client:
        client.send(b"".join(request("GET", f"/{number}") for number in range(50)))
        assert [client.read_final("GET").status for _ in range(50)] == [200] * 50
    assert [seen.target for seen in backend.requests[-50:]] == [f"/{number}" for number in range(50)]


def test_a_request_cut_into_records_of_one_byte_is_one_request(edge: Edge) -> None:
    with edge.connect() as client:
        for byte in request("POST", "/", body=b"hello"):
            client.socket.send(bytes([byte]))
        assert client.read_final("POST").status == 200


def test_plain_http_on_the_tls_port_gets_no_answer(edge: Edge, backend: Backend) -> None:
    with Client(edge.gateway.secure_address) as client:
        client.send(request("GET", "/"))
        try:
            said = client.socket.recv(4_096)
        except ConnectionResetError:
            said = b""
    assert b"HTTP" not in said
    assert backend.requests == []
    wait_until("the failure is counted", lambda: handshakes(edge, "not_tls") == 1)
    with edge.connect() as client:
        assert client.ask(request("GET", "/")).status == 200


def test_a_handshake_that_takes_too_long_is_ended(start_edge: START) -> None:
    edge = start_edge(timeouts={"handshake": "200ms"})
    with Client(edge.gateway.secure_address) as client:
        client.send(b"\x16\x03\x01")
        assert client.socket.recv(100) == b""
    assert handshakes(edge, "timeout") == 1


def test_a_connection_that_ends_in_the_handshake_is_counted(edge: Edge) -> None:
    Client(edge.gateway.secure_address).close()
    wait_until("the end is counted", lambda: handshakes(edge, "closed") == 1)


def test_the_end_of_an_answer_is_said_with_close_notify(edge: Edge) -> None:
    with edge.connect() as client:
        client.send(request("GET", "/", {"Connection": "close"}))
        assert client.read_final("GET").status == 200
        client.socket.suppress_ragged_eofs = False
        assert client.socket.recv(10) == b""  # SSLEOFError without close_notify


def test_the_end_of_an_idle_connection_is_said_with_close_notify(start_edge: START) -> None:
    """RFC 9112 §9.8: a server must try to."""
    edge = start_edge(timeouts={"idle": "300ms"})
    with edge.connect() as client:
        assert client.ask(request("GET", "/")).status == 200
        client.socket.suppress_ragged_eofs = False
        assert client.socket.recv(10) == b""


def test_a_close_notify_is_answered_with_one(edge: Edge) -> None:
    with edge.connect() as client:
        assert client.ask(request("GET", "/")).status == 200
        assert client.socket.unwrap()  # SSLEOFError without one


def test_a_slow_reader_of_a_large_answer_gets_all_of_it(edge: Edge, backend: Backend) -> None:
    body = b"x" * 2_000_000
    backend.handler = lambda exchange: exchange.send(answer(200, body))
    with edge.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.send(request("GET", "/"))
        assert client.read_final("GET").body == body


def test_a_blocked_address_is_refused_over_tls_too(edge: Edge, address: str) -> None:
    edge.gateway.command("block", address, "--for", "1m", "--reason", "test")
    with edge.connect(source=address) as client:
        answer = client.ask(request("GET", "/"))
    assert (answer.status, answer.code) == (403, "AUTH_004")


def test_an_https_target_is_served_on_a_secured_connection(edge: Edge, backend: Backend) -> None:
    with edge.connect() as client:
        answer = client.ask(request("GET", "https://gateway.test/x"))
    assert answer.status == 200
    assert backend.requests[-1].target == "/x"
