"""Keys and signatures: right ones, and those that no library would make.

A key is made when it is first asked for, so that whoever only collects tests makes none.
"""

import base64
import datetime
import functools
import hashlib
import hmac
import itertools
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from harness.tokens import SECRET, encode

Sign = Callable[[bytes], bytes]
Parts = dict[str, Any]

# MARK: Keys


def key(kind: str, whose: str = "ours") -> Any:
    """A private key. What is not `ours` the gateway does not know, unless somebody publishes it."""
    return _key(kind, whose)


@functools.cache
def _key(kind: str, whose: str) -> Any:
    """Behind `key`, because a cache tells a default from the same word written."""
    curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "k256": ec.SECP256K1}
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    if kind in ("ed25519", "ed448"):
        return {"ed25519": ed25519.Ed25519PrivateKey, "ed448": ed448.Ed448PrivateKey}[kind].generate()
    return rsa.generate_private_key(public_exponent=65537, key_size={"rsa": 2048, "rsa1024": 1024}[kind])


PEM, DER, SSH = serialization.Encoding.PEM, serialization.Encoding.DER, serialization.Encoding.OpenSSH
SPKI, PKCS1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1


def public(kind: str, encoding: Any = PEM, form: Any = SPKI) -> bytes:
    return key(kind).public_key().public_bytes(encoding, form)


def private_pem(kind: str) -> bytes:
    return key(kind).private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def modulus() -> int:
    return key("rsa").public_key().public_numbers().n


def number(value: int, size: int | None = None) -> str:
    """base64urlUInt of RFC 7518 §2."""
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big")).decode()


def jwk(kind: str, whose: str = "ours", **members: Any) -> Parts:
    """RFC 7517; members are added or replaced, a None removes one."""
    one = key(kind, whose).public_key()
    if isinstance(one, rsa.RSAPublicKey):
        own = {"kty": "RSA", "n": number(one.public_numbers().n), "e": number(one.public_numbers().e)}
    elif isinstance(one, ec.EllipticCurvePublicKey):
        point, size = one.public_numbers(), (one.key_size + 7) // 8
        curve = {"k256": "secp256k1"}.get(kind, f"P-{one.key_size}")
        own = {"kty": "EC", "crv": curve, "x": number(point.x, size), "y": number(point.y, size)}
    else:
        own = {"kty": "OKP", "crv": kind.capitalize(), "x": encode(one.public_bytes_raw()).decode()}
    return {name: value for name, value in {**own, **members}.items() if value is not None}


def certificate(whose: str = "ours") -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens.test")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key("rsa", whose).public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9)).sign(key("rsa", whose), hashes.SHA256()))


def chain(*whose: str) -> list[str]:
    """RFC 7515 §4.1.6: base64, not base64url."""
    return [base64.b64encode(certificate(one).public_bytes(DER)).decode() for one in whose]


# MARK: Right signatures

SHA = {256: hashes.SHA256, 384: hashes.SHA384, 512: hashes.SHA512, 1: hashes.SHA1}


def sha(message: bytes, size: int = 256) -> bytes:
    return hashlib.new(f"sha{size}", message).digest()


def mac(secret: bytes, size: int = 256) -> Sign:
    return lambda message: hmac.new(secret, message, f"sha{size}").digest()


def pkcs1(size: int = 256, whose: str = "ours", kind: str = "rsa") -> Sign:
    return lambda message: key(kind, whose).sign(message, padding.PKCS1v15(), SHA[size]())


def pss(size: int = 256, salt: int | None = None, mask: int | None = None, whose: str = "ours") -> Sign:
    way = padding.PSS(padding.MGF1(SHA[mask or size]()), size // 8 if salt is None else salt)
    return lambda message: key("rsa", whose).sign(message, way, SHA[size]())


def ecdsa(kind: str = "p256", size: int = 256, whose: str = "ours") -> Sign:
    return lambda message: ecdsa_with(key(kind, whose), size)(message)


def ecdsa_with(private: Any, size: int = 256) -> Sign:
    """R and S side by side (RFC 7518 §3.4)."""
    def sign(message: bytes) -> bytes:
        numbers = decode_dss_signature(private.sign(message, ec.ECDSA(SHA[size]())))
        return pair(*numbers, (private.key_size + 7) // 8)
    return sign


def ecdsa_der() -> Sign:
    return lambda message: key("p256").sign(message, ec.ECDSA(hashes.SHA256()))


def edwards(kind: str = "ed25519", whose: str = "ours") -> Sign:
    return lambda message: key(kind, whose).sign(message)


OURS = mac(SECRET.encode())
OTHERS = mac(b"another secret that is long enough as well")

# MARK: Spoiled signatures


def nothing(_: bytes) -> bytes:
    return b""


def constant(value: bytes) -> Sign:
    return lambda _: value


def then(sign: Sign, change: Callable[[bytes], bytes]) -> Sign:
    """What `sign` gives, spoiled."""
    return lambda message: change(sign(message))


def of(sign: Sign, other: Callable[[bytes], bytes]) -> Sign:
    """A signature of something else than the message."""
    return lambda message: sign(other(message))


def until(sign: Sign, good: Callable[[bytes], bool]) -> Sign:
    """Signs anew until the signature is one of the kind that is wanted; for schemes that use randomness."""
    return lambda message: next(one for _ in itertools.count() if good(one := sign(message)))


# Orders of the groups, and the prime under P-256 (FIPS 186-5, RFC 8032).
N256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
N521 = (1 << 521) - 657877501894328237357444332315020117536923257219387276263472201219398408051703
P256 = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff
L25519 = (1 << 252) + 27742317777372353535851937790883648493


def pair(r: int, s: int, width: int = 32) -> bytes:
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def halves(signature: bytes) -> tuple[int, int]:
    middle = len(signature) // 2
    return int.from_bytes(signature[:middle], "big"), int.from_bytes(signature[middle:], "big")


# DigestInfo of RFC 8017 §9.2, note 1, without the digest.
INFO = {
    256: bytes.fromhex("3031300d060960864801650304020105000420"), 1: bytes.fromhex("3021300906052b0e03021a05000414"),
    512: bytes.fromhex("3051300d060960864801650304020305000440")}


def block(
    info: bytes, start: bytes = b"\0\1", filler: bytes = b"\xff", garbage: bytes = b"", count: int | None = None,
) -> bytes:
    """EMSA-PKCS1-v1_5 of 256 bytes. `garbage` stands behind, where nothing may stand; `count` bytes of filler."""
    room = 256 - len(start) - 1 - len(info) - len(garbage)
    padded = start + filler * (room if count is None else count) + b"\0" + info + garbage
    return padded.ljust(256, b"\xaa")


def right_block(message: bytes) -> bytes:
    return block(INFO[256] + sha(message))


def pss_block(message: bytes, trailer: int = 0xbc, first: int = 0, filler: int = 0) -> bytes:
    """EMSA-PSS of RFC 8017 §9.1.1 with SHA-256, with one thing changed."""
    salt = b"\x5a" * 32
    digest = sha(bytes(8) + sha(message) + salt)
    plain = bytearray(bytes(256 - 32 - 32 - 2) + b"\1" + salt)
    plain[8] |= filler
    mask = b"".join(sha(digest + index.to_bytes(4, "big")) for index in range(8))[:len(plain)]
    masked = bytearray(a ^ b for a, b in zip(plain, mask, strict=True))
    # One bit less than the modulus has (emBits = modBits - 1).
    masked[0] = masked[0] & 0x7f | first
    return bytes(masked) + digest + bytes([trailer])


def rsa_raw(padded: Callable[[bytes], bytes]) -> Sign:
    """Our private operation on a block that no library would make."""
    def sign(message: bytes) -> bytes:
        value = pow(int.from_bytes(padded(message), "big"), key("rsa").private_numbers().d, modulus())
        return value.to_bytes(256, "big")
    return sign
