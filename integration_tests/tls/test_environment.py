"""The TLS edge by the variables that deployments know: TLS_CERT_PATH, TLS_KEY_PATH, FORCE_HTTPS,
SECURITY_HEADERS_ENABLED, HSTS_MAX_AGE, CSP_POLICY."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from harness.backend import Backend
from harness.certificates import Authority, Identity
from harness.client import Client, Response, request
from harness.gateway import Gateway, binary, config, merged
from harness.processes import free_port, surroundings, wait_until

from .edge import Edge

MISTAKES = 78
POLICY = "default-src 'self'; frame-ancestors 'none'"
AGE = 31_536_000
HSTS = f"max-age={AGE}"


class Deployment:
    """A certificate in files, and gateways that know of it by variables only."""

    def __init__(
        self, start_gateway: Callable[..., Gateway], backend: Backend, authority: Authority, directory: Path,
    ) -> None:
        self.start_gateway = start_gateway
        self.backend = backend
        self.authority = authority
        self.directory = directory / "own"
        self.identity = authority.issue("gateway.test")
        self.chain, self.key = self.identity.write(self.directory)
        self.files = {"TLS_CERT_PATH": self.chain, "TLS_KEY_PATH": self.key}
        self.port = free_port()

    def start(self, variables: Mapping[str, str], **sections: Any) -> Edge:
        """The port is free and not 8443; everything else of TLS comes from the variables."""
        environment = {"GATEWAY_TLS__LISTEN": f"127.0.0.1:{self.port}", **self.files, **variables}
        gateway = self.start_gateway(self.backend, environment=environment, **sections)
        return Edge(gateway, self.authority, self.identity, self.directory)

    def check(self, variables: Mapping[str, str], *options: str, **sections: Any) -> subprocess.CompletedProcess[str]:
        return self.run("check", variables, *options, **sections)

    def run(
        self, verb: str, variables: Mapping[str, str], *options: str, **sections: Any,
    ) -> subprocess.CompletedProcess[str]:
        place = self.directory / "checked"
        place.mkdir(exist_ok=True)
        gateway = Gateway(place, merged(config(self.backend.address, place), sections))
        gateway.write_config()
        return subprocess.run(
            [binary(), verb, "--config", gateway.config_path, *options], capture_output=True, text=True, timeout=20,
            check=False, env={**surroundings(), **variables})

    def refused(self, variables: Mapping[str, str], name: str, words: str, **sections: Any) -> None:
        """`check` says it, and `run` does not start; both name the variable at the beginning of the line."""
        for verb in ["check", "run"]:
            done = self.run(verb, variables, **sections)
            said = done.stderr + done.stdout
            assert done.returncode == MISTAKES, said
            assert [line for line in said.splitlines() if line.startswith(f"{name}: error: ") and words in line], said


@pytest.fixture
def deployment(
    start_gateway: Callable[..., Gateway], backend: Backend, authority: Authority, directory: Path,
) -> Deployment:
    return Deployment(start_gateway, backend, authority, directory)


def plain(edge: Edge, target: str = "/a?b") -> Response:
    return edge.gateway.get(target)


def secure(edge: Edge, target: str = "/a?b") -> Response:
    with edge.connect() as client:
        return client.ask(request("GET", target))


# What each does


def test_all_of_them_at_once(deployment: Deployment, backend: Backend) -> None:
    edge = deployment.start({
        "FORCE_HTTPS": "true", "SECURITY_HEADERS_ENABLED": "true", "HSTS_MAX_AGE": str(AGE), "CSP_POLICY": POLICY})
    redirect = plain(edge)
    assert (redirect.status, redirect.field("Location")) == (308, f"https://gateway.test:{deployment.port}/a?b")
    assert redirect.field("Strict-Transport-Security") is None
    assert backend.requests == []
    answer = secure(edge)
    assert answer.status == 200
    assert answer.field("Strict-Transport-Security") == HSTS
    assert answer.field("Content-Security-Policy") == POLICY
    assert answer.field("X-Content-Type-Options") == "nosniff"
    assert answer.field("X-Frame-Options") == "DENY"
    assert answer.field("Referrer-Policy") == "strict-origin-when-cross-origin"
    assert backend.only().field("X-Forwarded-Proto") == "https"


def test_the_certificate_alone_serves_tls_beside_plain_text(deployment: Deployment) -> None:
    edge = deployment.start({})
    with edge.connect() as client:
        assert client.socket.getpeercert()["subjectAltName"] == (("DNS", "gateway.test"),)
        answer = client.ask(request("GET", "/a"))
    assert answer.status == plain(edge).status == 200
    for name in ["Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options"]:
        assert answer.field(name) is None


@pytest.mark.parametrize(("value", "status"), [("true", 308), ("false", 200), ("", 200)])
def test_force_https(deployment: Deployment, value: str, status: int) -> None:
    """An empty variable counts as not set: Compose files pass `${FORCE_HTTPS:-}`."""
    assert plain(deployment.start({"FORCE_HTTPS": value})).status == status


def test_force_https_with_the_port_that_clients_see(deployment: Deployment) -> None:
    edge = deployment.start({"FORCE_HTTPS": "true", "GATEWAY_TLS__REDIRECT_PORT": "443"})
    assert plain(edge).field("Location") == "https://gateway.test/a?b"


@pytest.mark.parametrize(("value", "field"), [("300", "max-age=300"), ("0", None), ("", None)])
def test_hsts_max_age_is_seconds(deployment: Deployment, value: str, field: str | None) -> None:
    edge = deployment.start({"HSTS_MAX_AGE": value})
    assert secure(edge).field("Strict-Transport-Security") == field
    assert plain(edge).field("Strict-Transport-Security") is None


@pytest.mark.parametrize(("value", "field"), [("true", "DENY"), ("false", None), ("", None)])
def test_security_headers_enabled(deployment: Deployment, value: str, field: str | None) -> None:
    edge = deployment.start({"SECURITY_HEADERS_ENABLED": value})
    for answer in [plain(edge), secure(edge)]:
        assert answer.field("X-Frame-Options") == field
        assert answer.field("Content-Security-Policy") is None


def test_csp_policy_needs_no_other_variable_and_no_certificate(
    start_gateway: Callable[..., Gateway], backend: Backend,
) -> None:
    gateway = start_gateway(backend, environment={"CSP_POLICY": POLICY})
    answer = gateway.get("/a")
    assert answer.field("Content-Security-Policy") == POLICY
    assert answer.field("X-Frame-Options") is None


def test_security_headers_need_no_certificate(start_gateway: Callable[..., Gateway], backend: Backend) -> None:
    gateway = start_gateway(backend, environment={"SECURITY_HEADERS_ENABLED": "true"})
    assert gateway.get("/a").field("X-Frame-Options") == "DENY"


def test_what_asks_for_nothing_needs_no_certificate(
    start_gateway: Callable[..., Gateway], backend: Backend,
) -> None:
    gateway = start_gateway(backend, environment={
        "FORCE_HTTPS": "false", "HSTS_MAX_AGE": "0", "SECURITY_HEADERS_ENABLED": "false", "TLS_CERT_PATH": "",
        "TLS_KEY_PATH": "", "CSP_POLICY": ""})
    assert gateway.get("/a").status == 200


# Beside a file


def test_they_go_before_the_file(deployment: Deployment, authority: Authority) -> None:
    chain, key = authority.issue("old.test").write(deployment.directory, "old")
    edge = deployment.start(
        {"FORCE_HTTPS": "false", "HSTS_MAX_AGE": "60", "SECURITY_HEADERS_ENABLED": "true", "CSP_POLICY": POLICY},
        tls={"certificate_file": chain, "key_file": key, "redirect": True, "hsts_max_age": "1d"},
        security_headers={"enabled": False, "content_security_policy": "default-src 'none'"})
    assert plain(edge).status == 200
    answer = secure(edge)
    assert answer.field("Strict-Transport-Security") == "max-age=60"
    assert answer.field("Content-Security-Policy") == POLICY
    assert answer.field("X-Frame-Options") == "DENY"


def test_empty_ones_leave_the_file_in_force(deployment: Deployment) -> None:
    edge = deployment.start(
        {"FORCE_HTTPS": "", "HSTS_MAX_AGE": "", "CSP_POLICY": ""},
        tls={"redirect": True, "redirect_port": 443, "hsts_max_age": "1d"},
        security_headers={"content_security_policy": POLICY})
    assert plain(edge).status == 308
    assert secure(edge).field("Strict-Transport-Security") == "max-age=86400"
    assert secure(edge).field("Content-Security-Policy") == POLICY


def test_their_certificate_is_renewed_like_any_other(deployment: Deployment, authority: Authority) -> None:
    edge = deployment.start({})
    renewed = authority.issue("gateway.test")
    renewed.write(deployment.directory)
    event = edge.gateway.wait_event("tls.certificates_loaded", timeout=10)
    assert event["names"] == "gateway.test"

    def served() -> bool:
        with edge.connect() as client:
            return client.socket.getpeercert(binary_form=True) == _der(renewed)

    wait_until("the new one is served", served)


def _der(identity: Identity) -> bytes:
    return identity.certificate.public_bytes(Encoding.DER)


def test_relative_paths_start_at_the_directory_of_the_file(deployment: Deployment) -> None:
    name = "gateway.test"
    place = deployment.directory / "checked"
    deployment.authority.issue(name).write(place)
    checked = deployment.check({"TLS_CERT_PATH": "server.pem", "TLS_KEY_PATH": "server.key"})
    assert checked.returncode == 0, checked.stderr
    (place / "server.pem").rename(place / "other.pem")
    deployment.refused(
        {"TLS_CERT_PATH": "server.pem", "TLS_KEY_PATH": "server.key"}, "TLS_CERT_PATH", "No such file or directory")


@pytest.mark.parametrize(("variables", "line"), [
    ({"FORCE_HTTPS": "true"}, ("tls.redirect: true", "environment FORCE_HTTPS")),
    ({"HSTS_MAX_AGE": "300"}, ("tls.hsts_max_age: 300s", "environment HSTS_MAX_AGE")),
    ({}, ("tls.listen: [0.0.0.0:8443]", "default")),
])
def test_check_says_where_a_value_comes_from(
    deployment: Deployment, variables: dict[str, str], line: tuple[str, str],
) -> None:
    said = deployment.check({**deployment.files, **variables}, "--effective").stdout
    assert [one for one in said.splitlines() if one.startswith(line[0]) and one.endswith(f"# {line[1]}")], said


# What is incomplete or contradictory


def test_a_certificate_without_a_key(deployment: Deployment) -> None:
    deployment.refused({"TLS_CERT_PATH": deployment.chain}, "TLS_CERT_PATH", "the certificate has no key")


def test_a_key_without_a_certificate(deployment: Deployment) -> None:
    deployment.refused({"TLS_KEY_PATH": deployment.key}, "TLS_KEY_PATH", "the key has no certificate")


def test_force_https_without_a_certificate(deployment: Deployment) -> None:
    deployment.refused({"FORCE_HTTPS": "true"}, "FORCE_HTTPS", "there is no TLS listener to redirect to")


def test_a_redirect_to_a_port_that_nobody_knows(deployment: Deployment) -> None:
    """The system chooses it, and differently at each start."""
    deployment.refused(
        {**deployment.files, "GATEWAY_TLS__LISTEN": "127.0.0.1:0", "FORCE_HTTPS": "true"}, "FORCE_HTTPS", "port")


def test_hsts_behind_a_balancer_that_ends_tls(deployment: Deployment) -> None:
    """No certificate is needed for it: that the client's own connection is secure is the balancer's word."""
    variables = {"HSTS_MAX_AGE": "300", "SECURITY_HEADERS_ENABLED": "true"}
    gateway = deployment.start_gateway(deployment.backend, environment=variables, trusted_proxies=["127.0.0.1"])
    said = gateway.get("/", fields={"X-Forwarded-Proto": "https"})
    assert said.field("Strict-Transport-Security") == "max-age=300"
    assert gateway.get("/").field("Strict-Transport-Security") is None


def test_all_but_the_certificate(deployment: Deployment) -> None:
    variables = {"FORCE_HTTPS": "true", "SECURITY_HEADERS_ENABLED": "true", "HSTS_MAX_AGE": "300", "CSP_POLICY": POLICY}
    deployment.refused(variables, "FORCE_HTTPS", "there is no TLS listener to redirect to")


def test_an_oldest_version_without_a_certificate(deployment: Deployment) -> None:
    deployment.refused({"GATEWAY_TLS__MIN_VERSION": "1.3"}, "GATEWAY_TLS__MIN_VERSION", "certificate")


def test_a_port_to_redirect_to_and_no_redirect(deployment: Deployment) -> None:
    """Whoever names the port and does not say `false` believes that there is a redirect."""
    deployment.refused(
        {**deployment.files, "GATEWAY_TLS__REDIRECT_PORT": "443"}, "GATEWAY_TLS__REDIRECT_PORT", "redirect")


@pytest.mark.parametrize("section", [
    {"redirect": False, "redirect_port": 443}, {"client_ca_file": "authority.pem", "client_auth": "none"},
])
def test_what_is_switched_off_by_its_own_word_is_no_mistake(deployment: Deployment, section: dict[str, Any]) -> None:
    (deployment.directory / "checked").mkdir()
    deployment.authority.write(deployment.directory / "checked")
    checked = deployment.check(deployment.files, tls=section)
    assert checked.returncode == 0, checked.stderr


def test_a_stapled_response_of_no_certificate(deployment: Deployment) -> None:
    """`ocsp_file` of `tls` belongs to `certificate_file` of `tls`, which is not set."""
    response = deployment.directory / "ocsp.der"
    response.write_bytes(deployment.authority.vouch(deployment.identity))
    deployment.refused(
        {"GATEWAY_TLS__OCSP_FILE": str(response)}, "GATEWAY_TLS__OCSP_FILE", "certificate",
        tls={"certificates": [{"certificate_file": deployment.chain, "key_file": deployment.key}]})


@pytest.mark.parametrize(("name", "value", "words"), [
    ("FORCE_HTTPS", "yes", "neither true nor false"), ("FORCE_HTTPS", "1", "neither true nor false"),
    ("FORCE_HTTPS", "TRUE", "neither true nor false"), ("SECURITY_HEADERS_ENABLED", "on", "neither true nor false"),
    ("HSTS_MAX_AGE", "1d", "not a number of seconds"), ("HSTS_MAX_AGE", "-1", "not a number of seconds"),
    ("HSTS_MAX_AGE", "1.5", "not a number of seconds"), ("HSTS_MAX_AGE", "316224001", "out of range"),
    ("HSTS_MAX_AGE", "99999999999999999999", "out of range"),
    ("CSP_POLICY", "default-src 'self'\r\nX-Injected: yes", "control character or a line break"),
    ("CSP_POLICY", "default-src 'self'\nX-Injected: yes", "control character or a line break"),
])
def test_values_that_make_no_sense(deployment: Deployment, name: str, value: str, words: str) -> None:
    deployment.refused({**deployment.files, name: value}, name, words)


def test_files_that_cannot_be_used(deployment: Deployment) -> None:
    other = deployment.directory / "other.key"
    other.write_bytes(deployment.authority.issue("other.test").key_pem)
    other.chmod(0o600)
    nothing = deployment.directory / "nothing.pem"
    nothing.write_text("nothing\n")
    nothing.chmod(0o600)
    for variables, name, words in [
        ({"TLS_CERT_PATH": "/nowhere/chain.pem"}, "TLS_CERT_PATH", "No such file or directory"),
        ({"TLS_KEY_PATH": "/nowhere/key.pem"}, "TLS_KEY_PATH", "No such file or directory"),
        ({"TLS_CERT_PATH": str(deployment.directory)}, "TLS_CERT_PATH", ""),
        ({"TLS_CERT_PATH": str(nothing)}, "TLS_CERT_PATH", "no certificate in PEM form"),
        ({"TLS_KEY_PATH": str(nothing)}, "TLS_KEY_PATH", "no private key in PEM form"),
        ({"TLS_KEY_PATH": str(other)}, "TLS_KEY_PATH", "the key does not belong to the first certificate"),
    ]:
        deployment.refused({**deployment.files, **variables}, name, words)


def test_a_key_that_everybody_can_read(deployment: Deployment) -> None:
    Path(deployment.key).chmod(0o644)
    deployment.refused(deployment.files, "TLS_KEY_PATH", "can be read by every user of this machine")
    allowed = deployment.check({**deployment.files, "GATEWAY_ALLOW_WORLD_READABLE_SECRETS": "true"})
    assert allowed.returncode == 0, allowed.stderr


@pytest.mark.parametrize(("known", "own", "value"), [
    ("FORCE_HTTPS", "GATEWAY_TLS__REDIRECT", "true"), ("HSTS_MAX_AGE", "GATEWAY_TLS__HSTS_MAX_AGE", "300s"),
    ("TLS_CERT_PATH", "GATEWAY_TLS__CERTIFICATE_FILE", None), ("TLS_KEY_PATH", "GATEWAY_TLS__KEY_FILE", None),
    ("SECURITY_HEADERS_ENABLED", "GATEWAY_SECURITY_HEADERS__ENABLED", "true"),
    ("CSP_POLICY", "GATEWAY_SECURITY_HEADERS__CONTENT_SECURITY_POLICY", POLICY),
])
def test_two_names_of_one_setting(deployment: Deployment, known: str, own: str, value: str | None) -> None:
    value = value or deployment.files[known]
    deployment.refused(
        {**deployment.files, known: value.removesuffix("s") if known == "HSTS_MAX_AGE" else value, own: value}, known,
        f"and so does {own}")


def test_the_default_port_of_tls_is_not_that_of_plain_text(deployment: Deployment) -> None:
    """Both would bind 8443, and a client would meet one or the other."""
    checked = deployment.check({**deployment.files, "GATEWAY_LISTEN": "0.0.0.0:8443"})
    assert checked.returncode == MISTAKES
    assert "8443 is served without TLS already" in checked.stderr


def test_mistakes_show_nothing_of_the_key(deployment: Deployment) -> None:
    broken = Path(deployment.key).read_text().replace("PRIVATE KEY", "PRIVATE KEYS")
    place = deployment.directory / "broken.key"
    place.write_text(broken)
    place.chmod(0o600)
    done = deployment.run("run", {**deployment.files, "TLS_KEY_PATH": str(place)})
    assert done.returncode == MISTAKES
    secret = broken.splitlines()[1]
    assert secret not in done.stdout + done.stderr


def test_a_connection_without_tls_to_its_port_is_not_served(deployment: Deployment, backend: Backend) -> None:
    edge = deployment.start({"FORCE_HTTPS": "true"})
    with Client(edge.gateway.secure_address) as client:
        assert b"HTTP" not in _until_end(client.send(request("GET", "/a")))
    assert backend.requests == []


def _until_end(client: Client) -> bytes:
    try:
        return client.read_to_end()
    except ConnectionResetError:
        return b""
