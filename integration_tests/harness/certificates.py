"""An authority of the test's own, and certificates by it."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make_key(kind: str = "ecdsa") -> Key:
    """`ecdsa` on P-256, or `rsa` with 2048 bits, which takes a moment to find."""
    return {
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048),
    }[kind]()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Identity:
    """A certificate with its key, in files of its own."""

    def __init__(self, certificate: x509.Certificate, key: Key, issuer: x509.Certificate | None) -> None:
        self.certificate = certificate
        self.key = key
        self.issuer = issuer

    @property
    def chain_pem(self) -> bytes:
        links = [self.certificate] + ([self.issuer] if self.issuer else [])
        return b"".join(link.public_bytes(serialization.Encoding.PEM) for link in links)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def write(self, directory: Path, name: str = "server") -> tuple[str, str]:
        """Paths of the chain and of the key (mode 600); each file is replaced in one step."""
        directory.mkdir(parents=True, exist_ok=True)
        paths = directory / f"{name}.pem", directory / f"{name}.key"
        for path, contents in zip(paths, (self.chain_pem, self.key_pem), strict=True):
            draft = path.with_suffix(path.suffix + ".draft")
            draft.write_bytes(contents)
            draft.chmod(0o600)
            draft.rename(path)
        return str(paths[0]), str(paths[1])


class Authority:
    def __init__(self, name: str = "Test authority", kind: str = "ecdsa") -> None:
        self.key = make_key(kind)
        self.certificate = (
            x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(name))
            .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(_now() - datetime.timedelta(days=1)).not_valid_after(_now() + datetime.timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256()))

    def issue(
        self, *names: str, days: int = 90, starts: int = -1, alternative: bool = True, kind: str = "ecdsa",
    ) -> Identity:
        """A certificate for the names (addresses among them), valid from `starts` to `days` days from now. Without
        `alternative` the first one is its common name and nothing else."""
        key = make_key(kind)
        builder = (
            x509.CertificateBuilder().subject_name(_name(names[0])).issuer_name(self.certificate.subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(_now() + datetime.timedelta(days=starts))
            .not_valid_after(_now() + datetime.timedelta(days=days)))
        if alternative:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        return Identity(builder.sign(self.key, hashes.SHA256()), key, self.certificate)

    def vouch(self, identity: Identity, hours: int = 24) -> bytes:
        """An OCSP response in DER: the certificate is good."""
        return (
            ocsp.OCSPResponseBuilder().add_response(
                identity.certificate, self.certificate, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD,
                _now() - datetime.timedelta(hours=48), _now() + datetime.timedelta(hours=hours), None, None)
            .responder_id(ocsp.OCSPResponderEncoding.NAME, self.certificate).sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER))

    def write(self, directory: Path, name: str = "authority") -> str:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{name}.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)
