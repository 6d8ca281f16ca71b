"""TLS to servers of an upstream: what goes through, by which names servers are known, and what they are shown."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.backend import answer
from harness.certificates import Authority
from harness.client import request
from harness.processes import free_port, wait_until
from harness.upstream_tls import VERSIONS, Service, handshakes, refused


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_go_over_one_secured_connection_after_another(service: Service, version: ssl.TLSVersion) -> None:
    backend = service.backend()
    backend.tls.minimum_version = backend.tls.maximum_version = version
    gateway = service.gateway(backend)
    for _ in range(5):
        assert gateway.get("/a").status == 200
    assert backend.connections == 1, "the connection is kept, tickets on it or not"
    assert handshakes(gateway, "full") == 1


def test_a_key_update_on_an_idle_connection_is_no_unasked_for_answer(service: Service, directory: Path) -> None:
    """RFC 8446 §4.6: such messages may come at any time. Python sends none, OpenSSL's own server does when told."""
    port = free_port()
    chain, key = service.authority.issue("127.0.0.1").write(service.directory, "openssl")
    log = directory / "openssl.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", chain, "-key", key, "-crlf", "-msg"],
            stdin=subprocess.PIPE, stdout=output, stderr=output)
    assert server.stdin is not None
    try:
        wait_until("openssl listens", lambda: b"ACCEPT" in log.read_bytes())
        gateway = service.gateway(f"127.0.0.1:{port}")
        for number in range(1, 4):
            with gateway.connect() as client:
                client.send(request("GET", f"/{number}"))
                wait_until("the request arrives", lambda: b"GET /%d " % number in log.read_bytes())
                server.stdin.write(b"HTTP/1.1 200 OK\nContent-Length: 4\n\nok\n")
                server.stdin.flush()
                assert client.read_final("GET").status == 200
            server.stdin.write(b"k\n")
            server.stdin.flush()
            wait_until("the keys change", lambda: log.read_bytes().count(b", KeyUpdate") >= number)
        assert gateway.metrics()['gateway_upstream_connects_total{upstream="api"}'] == 1
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed(service: Service, version: ssl.TLSVersion) -> None:
    backend = service.backend()
    backend.tls.minimum_version = backend.tls.maximum_version = version
    backend.handler = lambda exchange: (
        exchange.read_body(), exchange.close(), answer(fields={"Connection": "close"}))[2]
    gateway = service.gateway(backend)
    for _ in range(4):
        assert gateway.get("/").status == 200
    assert (backend.connections, backend.resumed) == (4, 3)
    assert (handshakes(gateway, "full"), handshakes(gateway, "resumed")) == (1, 3)


def test_a_body_goes_through_unharmed_both_ways(service: Service) -> None:
    body = bytes(index * 7 % 251 for index in range(1_000_000))
    backend = service.backend()
    backend.handler = lambda exchange: exchange.send(answer(200, exchange.read_body()))
    gateway = service.gateway(backend)
    with gateway.connect() as client:
        for _ in range(2):
            assert client.ask_while_sending(request("POST", "/", body=body), "POST").body == body
    assert backend.connections == 1


def test_a_slow_reader_gets_all_of_a_large_answer(service: Service) -> None:
    body = b"x" * 3_000_000
    backend = service.backend()
    backend.handler = lambda exchange: exchange.send(answer(200, body))
    gateway = service.gateway(backend)
    with gateway.connect(receive_buffer=4_096) as client:
        client.send(request("GET", "/"))
        head = client.read_head()
        assert head.status == 200
        assert client.read_exactly(len(body)) == body


def test_the_name_of_the_server_is_asked_for_and_found(service: Service) -> None:
    backend = service.backend(service.authority.issue("localhost"))
    gateway = service.gateway(f"localhost:{backend.port}")
    assert gateway.get("/").status == 200
    assert backend.server_names == ["localhost"]


def test_an_address_is_found_in_the_certificate_and_not_asked_for(service: Service) -> None:
    """RFC 6066 §3: literal addresses are not permitted in SNI."""
    backend = service.backend(service.authority.issue("127.0.0.1"))
    assert service.gateway(backend).get("/").status == 200
    assert backend.server_names == [None]


def test_server_name_stands_for_the_host(service: Service) -> None:
    backend = service.backend(service.authority.issue("api.test"))
    gateway = service.gateway(backend, service.tls(server_name="api.test"))
    assert gateway.get("/").status == 200
    assert backend.server_names == ["api.test"]


def test_a_star_stands_for_one_label(service: Service) -> None:
    backend = service.backend(service.authority.issue("*.internal.test"))
    assert service.gateway(backend, service.tls(server_name="api.internal.test")).get("/").status == 200
    refused(
        service.gateway(backend, service.tls(server_name="a.b.internal.test")).get("/"), "tls_certificate_error")


def test_tls_over_a_unix_socket(service: Service, directory: Path) -> None:
    backend = service.backend(service.authority.issue("api.test"), path=str(directory / "api.sock"))
    assert service.gateway(backend, service.tls(server_name="api.test")).get("/").status == 200


def test_a_certificate_of_ours_is_shown_to_a_server_that_asks(service: Service) -> None:
    clients = Authority("Authority of clients")
    backend = service.backend()
    backend.tls.verify_mode = ssl.CERT_REQUIRED
    backend.tls.load_verify_locations(clients.write(service.directory, "clients"))
    seen: list[Any] = []
    backend.handler = lambda exchange: (seen.append(exchange.socket.getpeercert()), answer())[1]
    chain, key = clients.issue("gateway.test").write(service.directory, "ours")
    gateway = service.gateway(backend, service.tls(certificate_file=chain, key_file=key))
    assert gateway.get("/").status == 200
    assert seen[0]["subject"] == ((("commonName", "gateway.test"),),)
