"""OCSP responses that are stapled to certificates (RFC 6066 §8, RFC 8446 §4.4.2.1): which, to whom, and until when."""

import datetime
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from harness.certificates import Authority, Identity
from harness.client import request
from harness.gateway import run_binary
from harness.processes import surroundings, wait_until

from .edge import Edge

VERSIONS = ["-tls1_2", "-tls1_3"]


class Shown:
    """What OpenSSL's own client saw: Python's does not ask for responses."""

    def __init__(self, edge: Edge, *words: str, name: str = "gateway.test") -> None:
        host, port = edge.gateway.secure_address
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", name,
             "-CAfile", edge.authority.write(edge.directory), "-verify_return_error", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=surroundings())
        self.text = done.stdout
        assert "Verify return code: 0 (ok)" in self.text, done.stdout + done.stderr

    @property
    def serial(self) -> int | None:
        """Of the certificate that the response is about; None: there was none, and OpenSSL says so."""
        if "OCSP response: no response sent" in self.text:
            return None
        assert "OCSP Response Status: successful" in self.text
        numbers = re.findall(r"Serial Number: ([0-9A-F]+)\n", self.text.split("Responses:")[1].split("Cert Status")[0])
        assert len(numbers) == 1
        return int(numbers[0], 16)

    @property
    def messages(self) -> list[str]:
        """The handshake's messages with `-msg`."""
        return re.findall(r"Handshake \[length \w+\], (\w+)", self.text)


def stapled(edge: Edge, *words: str, name: str = "gateway.test") -> int | None:
    return Shown(edge, "-status", *words, name=name).serial


def response(
    authority: Authority, identity: Identity, status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    begins: float = -3_600, ends: float | None = 86_400,
) -> bytes:
    """Begins and ends so many seconds from now; None: it names no end (RFC 6960 §2.4)."""
    now = datetime.datetime.now(datetime.UTC)
    is_revoked = status == ocsp.OCSPCertStatus.REVOKED
    return (
        ocsp.OCSPResponseBuilder().add_response(
            identity.certificate, authority.certificate, hashes.SHA1(), status,
            now + datetime.timedelta(seconds=begins),
            None if ends is None else now + datetime.timedelta(seconds=ends),
            now - datetime.timedelta(hours=2) if is_revoked else None, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate).sign(authority.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER))


class Stapler:
    """A gateway whose certificate may have a response. The file is replaced in one step."""

    def __init__(self, start_edge: Callable[..., Edge], authority: Authority, directory: Path) -> None:
        self.start_edge = start_edge
        self.authority = authority
        self.directory = directory
        self.server = authority.issue("gateway.test")
        self.path = directory / "staple.der"

    @property
    def section(self) -> dict[str, Any]:
        chain, key = self.server.write(self.directory / "stapled")
        return {"certificate_file": chain, "key_file": key, "ocsp_file": str(self.path)}

    def write(self, contents: bytes) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_bytes(contents)
        draft.rename(self.path)

    def open(self, contents: bytes, **settings: Any) -> Edge:
        self.write(contents)
        return self.start_edge({**self.section, **settings})

    def good(self) -> bytes:
        return response(self.authority, self.server)


@pytest.fixture
def stapler(start_edge: Callable[..., Edge], authority: Authority, directory: Path) -> Stapler:
    return Stapler(start_edge, authority, directory)


def problems(edge: Edge, event: str = "tls.certificate_problem") -> list[tuple[str, str]]:
    return [(line["setting"], line["reason"]) for line in edge.gateway.events(event)]


# Shown


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_response_is_stapled(stapler: Stapler, version: str) -> None:
    edge = stapler.open(stapler.good())
    assert stapled(edge, version) == stapler.server.certificate.serial_number
    assert problems(edge) == []


def test_the_response_of_a_responder_of_openssl_is_stapled(
    stapler: Stapler, authority: Authority, directory: Path,
) -> None:
    """As an operator makes it by hand: index, request, response."""
    place = directory / "responder"
    ca = Identity(authority.certificate, authority.key, None).write(place, "ca")  # type: ignore[arg-type]
    server, _ = stapler.server.write(place, "server")
    end = stapler.server.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
    serial = f"{stapler.server.certificate.serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    index = place / "index.txt"
    index.write_text(f"V\t{end}\t\t{serial}\tunknown\t/CN=gateway.test\n")
    made = place / "made.der"
    subprocess.run(
        ["openssl", "ocsp", "-issuer", ca[0], "-cert", server, "-reqout", place / "request.der", "-no_nonce"],
        check=True, capture_output=True, env=surroundings())
    subprocess.run(
        ["openssl", "ocsp", "-index", index, "-CA", ca[0], "-rsigner", ca[0], "-rkey", ca[1], "-ndays", "2",
         "-reqin", place / "request.der", "-respout", made], check=True, capture_output=True, env=surroundings())
    assert stapled(stapler.open(made.read_bytes())) == stapler.server.certificate.serial_number


def test_a_response_that_names_no_end_is_stapled(stapler: Stapler) -> None:
    edge = stapler.open(response(stapler.authority, stapler.server, ends=None))
    assert stapled(edge) == stapler.server.certificate.serial_number


@pytest.mark.parametrize("version", VERSIONS)
def test_each_name_gets_the_response_of_its_own_certificate(
    stapler: Stapler, authority: Authority, directory: Path, version: str,
) -> None:
    shop, bare = authority.issue("shop.test"), authority.issue("bare.test")
    (chain, key), (bare_chain, bare_key) = shop.write(directory / "shop"), bare.write(directory / "bare")
    own = directory / "shop.der"
    own.write_bytes(response(authority, shop))
    edge = stapler.open(stapler.good(), certificates=[
        {"certificate_file": chain, "key_file": key, "ocsp_file": str(own)},
        {"certificate_file": bare_chain, "key_file": bare_key}])
    first = stapler.server.certificate.serial_number
    expected = {
        "gateway.test": first, "shop.test": shop.certificate.serial_number, "bare.test": None, "unknown.test": first}
    assert {name: stapled(edge, version, name=name) for name in expected} == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_of_two_kinds_of_key_for_one_name_each_gets_its_own_response(
    stapler: Stapler, authority: Authority, directory: Path, version: str,
) -> None:
    rsa = authority.issue("gateway.test", kind="rsa")
    chain, key = rsa.write(directory / "rsa")
    own = directory / "rsa.der"
    own.write_bytes(response(authority, rsa))
    edge = stapler.open(
        stapler.good(), certificates=[{"certificate_file": chain, "key_file": key, "ocsp_file": str(own)}])
    # The authority signs with ECDSA, so a client that wants RSA must take that as well, behind its own.
    wants = {
        "-tls1_2": ["-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
        "-tls1_3": ["-sigalgs", "rsa_pss_rsae_sha256"],
    }[version]
    assert stapled(edge, version) == stapler.server.certificate.serial_number
    assert stapled(edge, version, *wants) == rsa.certificate.serial_number


def test_a_client_that_does_not_ask_gets_none(stapler: Stapler) -> None:
    """RFC 6066 §8: the message may only come to who asked. TLS 1.2, where it is one of its own."""
    edge = stapler.open(stapler.good())
    assert "CertificateStatus" in Shown(edge, "-tls1_2", "-msg", "-status").messages
    silent = Shown(edge, "-tls1_2", "-msg").messages
    assert "Certificate" in silent and "CertificateStatus" not in silent


def test_a_client_of_tls_1_3_that_does_not_ask_gets_none(stapler: Stapler) -> None:
    """There it is an extension of the certificate's message, which is longer by it."""
    edge = stapler.open(stapler.good())

    def length(*words: str) -> int:
        found = re.search(r"Handshake \[length (\w+)\], Certificate\n", Shown(edge, "-tls1_3", "-msg", *words).text)
        assert found
        return int(found[1], 16)

    assert length("-status") - length() == len(stapler.path.read_bytes()) + 8


def test_clients_that_require_one_are_served_with_client_certificates_too(
    stapler: Stapler, authority: Authority, directory: Path,
) -> None:
    """The certificates of clients take nothing away from the response of ours."""
    chain, key = authority.issue("client.test").write(directory / "client")
    edge = stapler.open(stapler.good(), client_ca_file=authority.write(directory), client_auth="required")
    assert stapled(edge, "-cert", chain, "-key", key) == stapler.server.certificate.serial_number


# Not shown

REVOKED, UNKNOWN = ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
UNSUITABLE: dict[str, tuple[Callable[[Authority, Identity], bytes], str]] = {
    "out of date": (lambda authority, own: response(authority, own, begins=-7_200, ends=-60), "it is out of date"),
    "not valid yet": (lambda authority, own: response(authority, own, begins=3_600), "it is not valid yet"),
    "for another certificate": (
        lambda authority, _: response(authority, authority.issue("gateway.test")), "it is about another certificate"),
    "by another authority": (
        lambda _, own: response(Authority(), own), "it is about another certificate"),
    "revoked": (lambda authority, own: response(authority, own, REVOKED), "it says that the certificate is not good"),
    "unknown": (lambda authority, own: response(authority, own, UNKNOWN), "it says that the certificate is not good"),
    "no answer": (
        lambda _, __: ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            serialization.Encoding.DER), "the responder gave no answer"),
    "garbage": (lambda _, __: b"<html>not found</html>", "it is not an OCSP response in DER form"),
    "empty": (lambda _, __: b"", "it is not an OCSP response in DER form"),
    "cut": (lambda authority, own: response(authority, own)[:-20], "it is not an OCSP response in DER form"),
}


@pytest.mark.parametrize("which", list(UNSUITABLE))
def test_a_response_that_does_not_fit_is_left_out_and_said(stapler: Stapler, which: str) -> None:
    make, reason = UNSUITABLE[which]
    edge = stapler.open(make(stapler.authority, stapler.server))
    for version in VERSIONS:
        assert stapled(edge, version) is None
    assert problems(edge) == [("tls.ocsp_file", reason)]
    with edge.connect() as client:
        assert client.ask(request("GET", "/")).status == 200


def test_a_chain_without_the_issuer_gets_no_response_and_says_why(stapler: Stapler) -> None:
    stapler.server.issuer = None
    edge = stapler.open(stapler.good())
    assert stapled(edge) is None
    assert problems(edge) == [
        ("tls.ocsp_file", "the chain lacks the issuer of the certificate, so the response cannot be matched")]


def test_no_response_is_shown_without_the_setting(edge: Edge) -> None:
    assert stapled(edge) is None


def test_a_response_is_shown_until_its_end_and_no_longer(stapler: Stapler) -> None:
    edge = stapler.open(response(stapler.authority, stapler.server, ends=6))
    assert stapled(edge) == stapler.server.certificate.serial_number
    wait_until("it is left out", lambda: stapled(edge) is None, 20)


def test_a_missing_file_is_told_by_check(stapler: Stapler) -> None:
    edge = stapler.open(stapler.good())
    stapler.path.unlink()
    told = run_binary("check", "--config", edge.gateway.config_path)
    assert told.returncode != 0
    assert f'error: the file "{stapler.path}" cannot be read: ' in told.stderr
    assert '"ocsp_file"' in told.stderr, "the line of the setting is shown"


# Renewed


def test_a_renewed_response_is_shown_without_a_signal(stapler: Stapler) -> None:
    edge = stapler.open(response(stapler.authority, stapler.server, begins=-7_200, ends=-60))
    assert stapled(edge) is None
    stapler.write(stapler.good())
    wait_until("it is stapled", lambda: stapled(edge) is not None, 20)
    assert problems(edge, "tls.certificate_unusable") == []


def test_a_renewed_certificate_is_not_shown_with_the_response_of_the_old_one(stapler: Stapler) -> None:
    """The response comes after the certificate, since it is about it. In between there is none."""
    edge = stapler.open(stapler.good())
    stapler.server = stapler.authority.issue("gateway.test")
    stapler.server.write(stapler.directory / "stapled")
    edge.gateway.wait_event("tls.certificates_loaded", 20)
    assert stapled(edge) is None
    wait_until("the new one is served", lambda: served_fingerprint(edge) == stapler.server.fingerprint)
    stapler.write(stapler.good())
    wait_until("the new response", lambda: stapled(edge) == stapler.server.certificate.serial_number, 20)


def served_fingerprint(edge: Edge) -> str:
    with edge.connect() as client:
        der = client.socket.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).fingerprint(hashes.SHA256()).hex()


def test_a_response_that_vanishes_leaves_the_one_before_in_force(stapler: Stapler) -> None:
    edge = stapler.open(stapler.good())
    stapler.path.unlink()
    edge.gateway.wait_event("tls.certificate_unusable", 20, setting="tls.ocsp_file", file=str(stapler.path))
    assert stapled(edge) == stapler.server.certificate.serial_number


def test_a_reload_brings_a_response_into_force(stapler: Stapler) -> None:
    edge = stapler.open(b"")
    old = os.stat(stapler.path)
    stapler.write(stapler.good())
    assert os.stat(stapler.path).st_ino != old.st_ino
    edge.gateway.signal(signal.SIGHUP)
    edge.gateway.wait_event("gateway.reloaded")
    assert stapled(edge) == stapler.server.certificate.serial_number


def test_who_resumes_a_session_is_served(stapler: Stapler) -> None:
    """No certificate is shown in a resumed handshake, so there is nothing to staple to."""
    edge = stapler.open(stapler.good())
    context = edge.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with edge.connect(context) as client:
        session = client.socket.session
    with edge.connect(context, session=session) as client:
        assert client.socket.session_reused
        assert client.ask(request("GET", "/")).status == 200
