"""Health checks over TLS: whole handshakes, and servers that are taken out because they are no longer believed."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from harness.backend import Backend
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.processes import wait_until
from harness.upstream_tls import VERSIONS, Service

CHECK = {"path": "/healthz", "interval": "100ms", "timeout": "1s", "unhealthy_after": 2}


def checked(service: Service, backend: Backend, **tls: Any) -> Gateway:
    return service.gateway(backend, upstreams={"api": {"tls": service.tls(**tls), "health_check": CHECK}})


@pytest.mark.parametrize("version", VERSIONS)
def test_checks_go_over_tls_with_a_whole_handshake_each(service: Service, version: ssl.TLSVersion) -> None:
    backend = service.backend(service.authority.issue("api.test"))
    backend.tls.minimum_version = backend.tls.maximum_version = version
    gateway = checked(service, backend, server_name="api.test")
    assert {request.target for request in backend.wait_for(5)} == {"/healthz"}
    assert backend.resumed == 0 and set(backend.server_names) == {"api.test"}
    assert gateway.events("upstream.server_down") == []


def test_a_server_whose_certificate_is_no_longer_believed_is_taken_out(service: Service) -> None:
    backend = service.backend()
    gateway = checked(service, backend)
    backend.wait_for(2)
    backend.tls = service.context(service.authority.issue("127.0.0.1", starts=-10, days=-1))
    gateway.wait_event("upstream.server_down", reason="no TLS: the certificate has expired")
    backend.tls = service.context()
    gateway.wait_event("upstream.server_up", server=backend.address)
    wait_until("every worker knows", lambda: gateway.get("/").status == 200)


@pytest.mark.parametrize("version", VERSIONS)
def test_checks_show_our_certificate_and_hear_when_it_is_refused(service: Service, version: ssl.TLSVersion) -> None:
    clients = Authority("Authority of clients")
    backend = service.backend()
    backend.tls.minimum_version = backend.tls.maximum_version = version
    backend.tls.verify_mode = ssl.CERT_REQUIRED
    backend.tls.load_verify_locations(clients.write(service.directory, "clients"))
    chain, key = clients.issue("gateway.test").write(service.directory, "ours")
    checked(service, backend, certificate_file=chain, key_file=key)
    backend.wait_for(3)
    distrusted = checked(service, backend)
    told = distrusted.wait_event("upstream.server_down")
    assert told["reason"].startswith("no TLS: the server refused: ")


def test_a_reload_takes_a_new_authority_for_checks_too(service: Service) -> None:
    backend = service.backend()
    gateway = checked(service, backend)
    backend.wait_for(2)
    successor = Authority("Successor")
    Path(service.tls()["ca_file"]).write_bytes(Path(successor.write(service.directory, "new")).read_bytes())
    gateway.command("reload")
    gateway.wait_event("upstream.server_down", reason="no TLS: the authority of the certificate is not known")


def test_a_server_that_never_ends_its_handshake_fails_its_checks(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway = service.gateway(f"127.0.0.1:{silent.getsockname()[1]}", upstreams={"api": {
            "tls": service.tls(), "health_check": {**CHECK, "timeout": "200ms"}}})
        gateway.wait_event("upstream.server_down")
