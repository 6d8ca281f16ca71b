"""Gateways that ask clients for certificates, and such certificates."""

import base64
import datetime
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type as StringKind
from cryptography.x509.oid import NameOID

from harness.backend import Request
from harness.certificates import Authority, Identity
from harness.client import request

from .edge import Edge

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NAMES = ("Client-Cert", "X-Client-Cert-Subject", "X-Client-Cert-Fingerprint")


def person(
    authority: Authority, *subject: tuple[x509.ObjectIdentifier, str], days: float = 90, starts: float = -1,
    extension: x509.ExtensionType | None = None, signed_by: Identity | None = None, own: bool = False,
    kind: StringKind | None = None,
) -> Identity:
    """A client's certificate with this subject, in this order; `own`: signed by its own key."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(oid, value, kind, _validate=False) for oid, value in subject])
    issuer = signed_by.certificate if signed_by else authority.certificate
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name if own else issuer.subject)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=starts)).not_valid_after(now + datetime.timedelta(days=days)))
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    signer = key if own else signed_by.key if signed_by else authority.key
    return Identity(builder.sign(signer, hashes.SHA256()), key, signed_by.certificate if signed_by else None)


def alice(authority: Authority, **ways: Any) -> Identity:
    return person(authority, (NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "alice"), **ways)


@dataclass
class Doors:
    """Gateways that ask clients for certificates of an authority of the clients' own."""

    start_edge: Callable[..., Edge]
    clients: Authority
    directory: Path

    def trust(self, *authorities: Authority) -> str:
        """The path of the authorities' file, which is replaced in one step."""
        path = self.directory / "clients.pem"
        draft = path.with_suffix(".draft")
        draft.write_bytes(b"".join(
            one.certificate.public_bytes(serialization.Encoding.PEM) for one in authorities or [self.clients]))
        draft.rename(path)
        return str(path)

    def open(self, client_auth: str, **sections: Any) -> Edge:
        return self.start_edge({"client_ca_file": self.trust(), "client_auth": client_auth}, **sections)


def speaking(version: ssl.TLSVersion, edge: Edge, client: Identity | None = None) -> ssl.SSLContext:
    context = edge.context(client=client)
    context.minimum_version = context.maximum_version = version
    return context


def served(edge: Edge, context: ssl.SSLContext) -> None:
    with edge.connect(context) as client:
        assert client.ask(request("GET", "/served")).status == 200


def turned_away(edge: Edge, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> str:
    """OpenSSL's word for the alert. With TLS 1.2 the handshake fails; with TLS 1.3 the client has finished its own
    part of it and learns of the refusal with the first thing it reads (RFC 8446 §4.4.2.4)."""
    with pytest.raises(ssl.SSLError) as caught, edge.connect(context, session=session) as client:
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3, "the handshake of TLS 1.2 must not succeed"
        client.socket.recv(1)
    reason: str = caught.value.reason
    assert "_ALERT_" in reason, "it is the gateway that refuses"
    return reason


def handshakes(edge: Edge, result: str) -> float:
    return edge.gateway.metrics()[f'gateway_tls_handshakes_total{{result="{result}"}}']


def says(seen: Request, identity: Identity, subject: str) -> None:
    """Each of the fields came once, and as the certificate has it."""
    der = identity.certificate.public_bytes(serialization.Encoding.DER)
    assert [seen.all(name) for name in NAMES] == [
        [f":{base64.b64encode(der).decode()}:"], [subject], [identity.fingerprint]]


def says_nothing(seen: Request) -> None:
    assert [name for name in seen.names() if "cert" in name or "ssl" in name] == []
