"""Certificates with RSA keys beside those with ECDSA keys: for names of their own, and for the same name."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from harness.backend import Backend
from harness.certificates import Authority, Identity
from harness.client import Client, request
from harness.gateway import Gateway
from harness.processes import surroundings, wait_until

START = Callable[..., Gateway]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
KINDS = ["rsa", "ecdsa"]
OTHER = {"rsa": "ecdsa", "ecdsa": "rsa"}

# What a client takes that knows one kind of key only: by its ciphers in TLS 1.2 and its signatures in both.
CIPHERS = {"rsa": "ECDHE-RSA-AES128-GCM-SHA256", "ecdsa": "ECDHE-ECDSA-AES128-GCM-SHA256"}
SIGNATURES = {"rsa": "rsa_pss_rsae_sha256:RSA+SHA256", "ecdsa": "ECDSA+SHA256"}


class House:
    """Authorities of both kinds, so that no signature of a chain is of the other kind, and what clients see."""

    def __init__(self, start_gateway: START, backend: Backend, directory: Path) -> None:
        self._start, self._backend, self.directory = start_gateway, backend, directory
        self.authorities = {kind: Authority(f"Authority of {kind}", kind) for kind in KINDS}
        self.gateway: Gateway

    def issue(self, kind: str, *names: str) -> Identity:
        return self.authorities[kind].issue(*names, kind=kind)

    def serve(self, *identities: Identity) -> None:
        """The first one is the default."""
        pairs = [identity.write(self.directory, f"c{index}") for index, identity in enumerate(identities)]
        sections = [{"certificate_file": chain, "key_file": key} for chain, key in pairs]
        self.gateway = self._start(self._backend, tls={
            "listen": ["127.0.0.1:0"], **sections[0], "certificates": sections[1:]})

    def context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for kind, authority in self.authorities.items():
            context.load_verify_locations(authority.write(self.directory, kind))
        context.minimum_version = context.maximum_version = version
        return context

    def shown(self, version: ssl.TLSVersion, name: str, ciphers: str | None = None) -> tuple[bytes, str]:
        """The certificate in DER and the cipher, to a client that believes both authorities and gets an answer."""
        context = self.context(version)
        if ciphers is not None:
            context.set_ciphers(ciphers)
        with Client(self.gateway.secure_address, tls=context, server_name=name) as client:
            assert client.ask(request("GET", "/")).status == 200
            der = client.socket.getpeercert(binary_form=True)
            cipher = client.socket.cipher()
        assert der is not None and cipher is not None
        return der, cipher[0]

    def openssl(self, flag: str, name: str, kind: str) -> str:
        """What OpenSSL's client says that takes signatures of this kind only, which Python's cannot be told."""
        host, port = self.gateway.secure_address
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", name, flag, "-verify_return_error",
             "-CAfile", self.authorities[kind].write(self.directory, kind), "-sigalgs", SIGNATURES[kind]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=surroundings(), check=False)
        return done.stdout + done.stderr

    def handshakes(self, result: str) -> float:
        return self.gateway.metrics()[f'gateway_tls_handshakes_total{{result="{result}"}}']


@pytest.fixture
def house(start_gateway: START, backend: Backend, directory: Path) -> House:
    return House(start_gateway, backend, directory / "tls")


def der(identity: Identity) -> bytes:
    return identity.certificate.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_either_kind_is_served_in_both_versions(
    house: House, kind: str, version: ssl.TLSVersion,
) -> None:
    identity = house.issue(kind, "gateway.test")
    house.serve(identity)
    shown, cipher = house.shown(version, "gateway.test")
    assert shown == der(identity)
    # TLS 1.3 has taken the kind of the key out of the names of ciphers.
    expected = f"ECDHE-{kind.upper()}-" if version == ssl.TLSVersion.TLSv1_2 else "TLS_"
    assert cipher.startswith(expected)


@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("default", KINDS)
def test_certificates_of_both_kinds_stand_side_by_side_for_different_names(
    house: House, default: str, flag: str,
) -> None:
    """Each client knows one kind of key only, and asks for the name that has it; whichever kind is the default."""
    identities = {kind: house.issue(kind, f"{kind}.test") for kind in (default, OTHER[default])}
    house.serve(*identities.values())
    for kind, identity in identities.items():
        for version in VERSIONS:
            assert house.shown(version, f"{kind}.test")[0] == der(identity)
        said = house.openssl(flag, f"{kind}.test", kind)
        assert "Verify return code: 0 (ok)" in said and f"CN = {kind}.test" in said, said
        expected = {"rsa": "Peer signature type: RSA-PSS", "ecdsa": "Peer signature type: ECDSA"}[kind]
        assert expected in said, said


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first", KINDS)
def test_of_two_certificates_for_one_name_each_client_gets_the_one_that_it_can_use(
    house: House, first: str, version: ssl.TLSVersion,
) -> None:
    """With the chain and the key of that one; ECDSA for who can use both, and each other name stays one's own."""
    identities = {first: house.issue(first, "first.test", "gateway.test")}
    identities[OTHER[first]] = house.issue(OTHER[first], "gateway.test", "second.test")
    house.serve(house.issue("ecdsa", "default.test"), *identities.values())
    assert house.shown(version, "gateway.test")[0] == der(identities["ecdsa"])
    assert house.shown(version, "first.test")[0] == der(identities[first])
    assert house.shown(version, "second.test")[0] == der(identities[OTHER[first]])
    flag = {ssl.TLSVersion.TLSv1_2: "-tls1_2", ssl.TLSVersion.TLSv1_3: "-tls1_3"}[version]
    for kind in KINDS:
        said = house.openssl(flag, "gateway.test", kind)
        assert "Verify return code: 0 (ok)" in said, said
        assert {"rsa": "Peer signature type: RSA-PSS", "ecdsa": "Peer signature type: ECDSA"}[kind] in said, said
    # The first has no certificate of the second's kind under its own name.
    said = house.openssl(flag, "first.test", OTHER[first])
    assert "alert handshake failure" in said and "no peer certificate available" in said, said
    wait_until("the failure is counted", lambda: house.handshakes("no_shared_cipher") == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_certificates_for_one_name_and_of_one_kind_the_first_holds(house: House, kind: str) -> None:
    held, passed_over = house.issue(kind, "gateway.test"), house.issue(kind, "gateway.test", "second.test")
    house.serve(house.issue(OTHER[kind], "default.test"), held, passed_over)
    for version in VERSIONS:
        assert house.shown(version, "gateway.test")[0] == der(held)
        assert house.shown(version, "second.test")[0] == der(passed_over), "its other names are its own"


@pytest.mark.parametrize("first", KINDS)
def test_the_default_may_be_of_both_kinds(house: House, first: str) -> None:
    """For its name, and for clients that name nobody that there is."""
    identities = {kind: house.issue(kind, "gateway.test") for kind in (first, OTHER[first])}
    house.serve(*identities.values())
    for kind, identity in identities.items():
        assert house.shown(ssl.TLSVersion.TLSv1_2, "gateway.test", CIPHERS[kind]) == (der(identity), CIPHERS[kind])
        for flag in ("-tls1_2", "-tls1_3"):
            said = house.openssl(flag, "nobody.test", kind)
            assert "Verify return code: 0 (ok)" in said and "CN = gateway.test" in said, said


@pytest.mark.parametrize("first", KINDS)
def test_a_certificate_may_be_renewed_with_a_key_of_the_other_kind(house: House, first: str) -> None:
    house.serve(house.issue(first, "gateway.test"))
    renewed = house.issue(OTHER[first], "gateway.test")
    renewed.write(house.directory, "c0")

    def is_served() -> bool:
        return house.shown(ssl.TLSVersion.TLSv1_3, "gateway.test")[0] == der(renewed)

    wait_until("the renewed one is served", is_served, 15)
    assert house.shown(ssl.TLSVersion.TLSv1_2, "gateway.test", CIPHERS[OTHER[first]])[0] == der(renewed)
