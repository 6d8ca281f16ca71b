"""Servers of an upstream that are not believed, or speak no TLS with us: what clients are told, and operators."""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.backend import Backend
from harness.certificates import Authority, Identity
from harness.gateway import run_binary
from harness.upstream_tls import VERSIONS, Service, handshakes, refused


@pytest.mark.parametrize(("reason", "make"), [
    ("the authority of the certificate is not known", lambda ours: Authority("Another").issue("127.0.0.1")),
    ("the certificate has expired", lambda ours: ours.issue("127.0.0.1", starts=-10, days=-1)),
    ("the certificate is not valid yet", lambda ours: ours.issue("127.0.0.1", starts=2)),
    ("the certificate is for another name", lambda ours: ours.issue("other.test", "127.0.0.2")),
], ids=["authority", "expired", "early", "name"])
def test_a_server_that_cannot_prove_who_it_is_gets_no_request(
    service: Service, authority: Authority, reason: str, make: Callable[[Authority], Identity],
) -> None:
    backend = service.backend(make(authority))
    gateway = service.gateway(backend)
    for _ in range(3):
        refused(gateway.get("/secret"), "tls_certificate_error")
    assert backend.requests == []
    told = gateway.events("upstream.tls_failed")
    assert [(line["upstream"], line["server"], line["reason"]) for line in told] == [("api", backend.address, reason)]
    line = gateway.wait_event("http.request")
    assert (line["stage"], line["code"], line["server"]) == ("lease", "SVC_001", backend.address)
    assert handshakes(gateway, "certificate_refused") == 6, "each of the three was tried twice"


def test_a_common_name_alone_is_no_name(service: Service, authority: Authority) -> None:
    """RFC 9525 §6.3 looks at subject alternative names only."""
    backend = service.backend(authority.issue("api.test", alternative=False))
    refused(service.gateway(backend, service.tls(server_name="api.test")).get("/"), "tls_certificate_error")


def test_system_roots_do_not_know_an_authority_of_our_own(service: Service) -> None:
    refused(service.gateway(service.backend(), service.tls(ca_file=None)).get("/"), "tls_certificate_error")


def test_verify_off_takes_anybody_and_warns(service: Service, tmp_path: Path) -> None:
    backend = service.backend(Authority("Another").issue("other.test", days=-1, starts=-10))
    gateway = service.gateway(backend, {"enabled": True, "verify": False})
    assert gateway.get("/").status == 200
    checked = run_binary("check", "--config", gateway.config_path)
    assert "need not prove who they are" in checked.stdout + checked.stderr


def test_another_server_is_tried_when_one_cannot_be_believed(service: Service, authority: Authority) -> None:
    bad = service.backend(Authority("Another").issue("127.0.0.1"))
    good = service.backend()
    gateway = service.gateway(bad, upstreams={"api": {"servers": [bad.address, good.address], "tls": service.tls()}})
    for _ in range(6):
        assert gateway.get("/").status == 200
    assert bad.requests == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_wants_a_certificate_and_gets_none(service: Service, version: ssl.TLSVersion) -> None:
    backend = service.backend()
    backend.tls.minimum_version = backend.tls.maximum_version = version
    backend.tls.verify_mode = ssl.CERT_REQUIRED
    backend.tls.load_verify_locations(service.authority.write(service.directory))
    gateway = service.gateway(backend)
    refused(gateway.get("/"), "tls_alert_received")
    assert backend.requests == []
    assert gateway.wait_event("upstream.tls_failed")["reason"].startswith("the server refused: ")


def test_a_server_without_a_version_in_common(service: Service) -> None:
    backend = service.backend()
    backend.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    answered = service.gateway(backend, service.tls(min_version="1.3")).get("/")
    assert (answered.status, answered.code) == (502, "SVC_001")


def test_a_server_that_closes_in_the_handshake(service: Service) -> None:
    def leave(accepted: socket.socket) -> socket.socket:
        accepted.recv(100)
        raise EOFError

    backend = service.start_backend(welcome=leave)
    gateway = service.gateway(backend)
    refused(gateway.get("/"), "tls_protocol_error")
    assert backend.requests == []


def test_a_server_that_speaks_plain_http(service: Service, backend: Backend) -> None:
    gateway = service.gateway(backend)
    backend.welcome = lambda accepted: (accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), accepted)[1]
    refused(gateway.get("/"), "tls_protocol_error")


def test_a_slow_handshake_ends_at_the_connect_timeout(service: Service) -> None:
    quiet = threading.Event()
    backend = service.start_backend(welcome=lambda accepted: (quiet.wait(10), accepted)[1])
    gateway = service.gateway(backend, timeouts={"connect": "200ms"})
    refused(gateway.get("/"), "connection_timeout", "SVC_002", 504)
    quiet.set()


def test_recovery_is_told_once(service: Service) -> None:
    backend = service.backend(Authority("Another").issue("127.0.0.1"))
    gateway = service.gateway(backend)
    assert gateway.get("/").status == 502
    backend.tls = service.context()
    for _ in range(3):
        assert gateway.get("/").status == 200
    gateway.wait_event("upstream.tls_recovered", upstream="api", server=backend.address)
    assert len(gateway.events("upstream.tls_failed")) == len(gateway.events("upstream.tls_recovered")) == 1
