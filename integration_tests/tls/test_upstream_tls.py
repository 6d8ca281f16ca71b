"""TLS to servers of an upstream: who is believed, what is told when nobody can be, and what goes through."""

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.backend import Backend, answer
from harness.certificates import Authority, Identity
from harness.client import Response, request
from harness.gateway import Gateway, run_binary
from harness.load import Load
from harness.processes import free_port, wait_until

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Service:
    """Backends with TLS, and gateways that believe an authority of the test's own."""

    def __init__(
        self, start_gateway: Callable[..., Gateway], start_backend: Callable[..., Backend], authority: Authority,
        directory: Path,
    ) -> None:
        self.start_gateway = start_gateway
        self.start_backend = start_backend
        self.authority = authority
        self.directory = directory / "service"

    def context(self, identity: Identity | None = None) -> ssl.SSLContext:
        identity = identity or self.authority.issue("127.0.0.1", "api.test")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*identity.write(self.directory, f"backend-{identity.fingerprint[:8]}"))
        context.set_alpn_protocols(["http/1.1"])
        return context

    def backend(self, identity: Identity | None = None, **ways: Any) -> Backend:
        return self.start_backend(tls=self.context(identity), **ways)

    def tls(self, **settings: Any) -> dict[str, Any]:
        section = {"enabled": True, "ca_file": self.authority.write(self.directory), **settings}
        return {key: value for key, value in section.items() if value is not None}

    def gateway(self, backend: Backend | str, tls: dict[str, Any] | None = None, **sections: Any) -> Gateway:
        return self.start_gateway(backend, **{
            "workers": 1, "upstreams": {"api": {"tls": tls or self.tls()}}, **sections})


@pytest.fixture
def service(
    start_gateway: Callable[..., Gateway], start_backend: Callable[..., Backend], authority: Authority, directory: Path,
) -> Service:
    return Service(start_gateway, start_backend, authority, directory)


def handshakes(gateway: Gateway, result: str) -> float:
    return gateway.metrics()[f'gateway_upstream_tls_handshakes_total{{upstream="api",result="{result}"}}']


def refused(response: Response, error: str, code: str = "SVC_001", status: int = 502) -> None:
    assert (response.status, response.code) == (status, code)
    assert response.field("Proxy-Status") == f"gateway; error={error}"


# What goes through


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
    backend.handler = lambda exchange: (exchange.read_body(), exchange.close(), answer(fields={"Connection": "close"}))[2]
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


# What is refused


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


# Ends


UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nall of it"


def test_an_answer_that_ends_with_close_notify_is_whole(service: Service) -> None:
    def handler(exchange: Any) -> None:
        exchange.send(UNTIL_CLOSE)
        exchange.socket.unwrap()
        exchange.close()

    backend = service.backend(handler=handler)
    assert service.gateway(backend).get("/").body == b"all of it"


@pytest.mark.parametrize("way", ["end", "reset"])
def test_an_answer_that_is_cut_off_is_not_whole(service: Service, way: str) -> None:
    """RFC 8446 §6.1: anybody in between can end a TCP connection, so only close_notify is an end."""
    def handler(exchange: Any) -> None:
        exchange.send(UNTIL_CLOSE)
        if way == "reset":
            exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.close()

    backend = service.backend(handler=handler)
    gateway = service.gateway(backend)
    with gateway.connect() as client, pytest.raises((ConnectionResetError, AssertionError)):
        client.ask(request("GET", "/"))


def test_an_idle_connection_that_the_server_ends_is_not_used_again(service: Service) -> None:
    backend = service.backend()

    def handler(exchange: Any) -> None:
        exchange.send(answer())
        exchange.socket.unwrap()
        exchange.close()

    backend.handler = handler
    gateway = service.gateway(backend)
    for _ in range(5):
        assert gateway.get("/").status == 200


@pytest.mark.once
def test_unasked_for_bytes_on_an_idle_connection_are_nobodys_answer(service: Service) -> None:
    backend = service.backend()
    backend.handler = lambda exchange: (exchange.read_body(), answer() + answer(200, "stolen"))[1]
    gateway = service.gateway(backend)
    for _ in range(5):
        assert gateway.get("/").body == b"ok"


def test_the_gateway_says_goodbye_to_idle_connections(service: Service) -> None:
    ends: list[bytes] = []

    def handler(exchange: Any) -> None:
        exchange.socket.suppress_ragged_eofs = False
        exchange.send(answer())
        ends.append(exchange.socket.recv(1))  # SSLEOFError without close_notify
        exchange.close()

    backend = service.backend(handler=handler)
    gateway = service.gateway(backend, upstreams={"api": {"tls": service.tls(), "idle_timeout": "100ms"}})
    assert gateway.get("/").status == 200
    wait_until("the idle connection is closed", lambda: backend.open_connections == 0)
    assert ends == [b""]


# Health checks


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


# Reload


def test_a_file_that_cannot_be_used_keeps_the_gateway_from_starting(service: Service, directory: Path) -> None:
    conf = directory / "gateway.conf"
    conf.write_text(
        'upstreams: {api: {servers: ["127.0.0.1:9"], tls: {enabled: true, ca_file: none.pem}}}\n'
        "routes: [{path: /, upstream: api, auth: none}]\n")
    told = run_binary("check", "--config", conf)
    assert told.returncode != 0
    assert "gateway.conf:1:75: error: the file" in told.stdout + told.stderr
    assert "none.pem\" cannot be used: No such file or directory" in told.stdout + told.stderr


def test_a_key_that_everybody_can_read_is_refused(service: Service) -> None:
    backend = service.backend()
    gateway = service.gateway(backend)
    chain, key = service.authority.issue("gateway.test").write(service.directory, "ours")
    Path(key).chmod(0o644)
    gateway.write_config({**gateway.settings, "upstreams": {"api": {
        "servers": [backend.address], "tls": service.tls(certificate_file=chain, key_file=key)}}})
    told = gateway.command("reload", check=False)
    assert told.returncode == 1
    assert "can be read by every user" in told.stdout + told.stderr
    assert gateway.get("/").status == 200


@pytest.mark.once
def test_a_reload_takes_a_new_authority_under_load_and_drops_no_request(service: Service) -> None:
    backend = service.backend()
    gateway = service.gateway(backend, workers=2)
    successor = Authority("Successor")
    authorities, new = Path(service.authority.write(service.directory)), Path(successor.write(service.directory, "new"))
    asking = request("GET", "/")
    with Load(gateway.address, asking, 4) as load:
        backend.wait_for(50)
        # First both are believed, then the server changes, then the old one is dropped: as one rotates an authority.
        authorities.write_bytes(authorities.read_bytes() + new.read_bytes())
        gateway.command("reload")
        backend.tls = service.context(successor.issue("127.0.0.1"))
        backend.wait_for(len(backend.requests) + 50)
        authorities.write_bytes(new.read_bytes())
        gateway.command("reload")
        backend.wait_for(len(backend.requests) + 50)
        assert {sample.status for sample in load.stop()} == {200}
    backend.tls = service.context(service.authority.issue("127.0.0.1"))
    gateway.command("reload")
    assert gateway.get("/").status == 502, "the old authority is not believed any more, and no session of its time"
