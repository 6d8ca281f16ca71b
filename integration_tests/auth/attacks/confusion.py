"""Algorithms that are taken for others."""

import base64
import functools
import json

from cryptography.hazmat.primitives import serialization
from harness.tokens import SECRET

from .case import Group, head, made, signed
from .configurations import key_set_text
from .signing import (
    DER, OURS, PEM, PKCS1, SSH, Sign, certificate, ecdsa, edwards, jwk, key, mac, of, pkcs1, pss, public, sha, then)

CONFUSION = Group(
    "Confusion of algorithms",
    "A key serves the algorithms that it is bound to. In `mixed` a shared secret stands beside "
    "public keys, so HMAC is allowed, but not with their text.", "mixed")

# MARK: A public key as a secret

PUBLIC = "RFC 8725 §2.1, CVE-2015-9235"
PEM_OF_RSA = functools.partial(public, "rsa")
OPENSSH = serialization.PublicFormat.OpenSSH
# What an attacker may take for the bytes of a public key, where it was tried first, and the bytes.
KEY_TEXTS = (
    ("the PEM", PUBLIC, PEM_OF_RSA),
    ("the PEM without its last line feed", "CVE-2016-10555", lambda: PEM_OF_RSA().rstrip()),
    ("the PEM with CR LF", PUBLIC, lambda: PEM_OF_RSA().replace(b"\n", b"\r\n")),
    ("the PEM in one line", PUBLIC, lambda: PEM_OF_RSA().replace(b"\n", b"")),
    ("the PEM with written line feeds", "as in a variable of an environment",
     lambda: PEM_OF_RSA().replace(b"\n", b"\\n")),
    ("the base64 inside the PEM", PUBLIC, lambda: b"".join(PEM_OF_RSA().split(b"\n")[1:-2])),
    ("the PEM of PKCS#1", "CVE-2017-11424", lambda: public("rsa", PEM, PKCS1)),
    ("the DER", PUBLIC, lambda: public("rsa", DER)),
    ("the DER of PKCS#1", PUBLIC, lambda: public("rsa", DER, PKCS1)),
    ("the OpenSSH line", "CVE-2022-29217", lambda: public("rsa", SSH, OPENSSH)),
    ("the modulus", PUBLIC, lambda: base64.urlsafe_b64decode(jwk("rsa")["n"] + "==")),
    ("the modulus in base64url", PUBLIC, lambda: jwk("rsa")["n"].encode()),
    ("the JWK", PUBLIC, lambda: json.dumps(jwk("rsa"), separators=(",", ":")).encode()),
    ("the JWK with spaces", PUBLIC, lambda: json.dumps(jwk("rsa"), indent=2).encode()),
    ("the thumbprint of the JWK", "RFC 7638",
     lambda: sha(json.dumps(jwk("rsa"), separators=(",", ":"), sort_keys=True).encode())),
    ("the PEM of its certificate", PUBLIC, lambda: certificate().public_bytes(PEM)),
    ("the DER of its certificate", PUBLIC, lambda: certificate().public_bytes(DER)),
    ("the PEM of the P-256 key", "CVE-2024-33663", lambda: public("p256")),
    ("the OpenSSH line of the P-256 key", "CVE-2024-33663", lambda: public("p256", SSH, OPENSSH)),
    ("the point of the P-256 key", "CVE-2024-33663", lambda: public(
        "p256", serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)),
    ("the 32 bytes of the Ed25519 key", "CVE-2022-29217", lambda: key("ed25519").public_key().public_bytes_raw()),
)
CONFUSION.each("HS256 with {} as the secret", "invalid_signature", KEY_TEXTS, lambda w, text: made(sign=mac(text())))


def with_pem(size: int, **members: str) -> str:
    return made(head(alg=f"HS{size}", **members), sign=mac(public("rsa"), size))


CONFUSION.alike("HS{} with the PEM as the secret", PUBLIC, "invalid_signature", {"384": 384, "512": 512},
                lambda w, size: with_pem(size))
CONFUSION("HS256 with the PEM as the secret, kid names the public key", PUBLIC, "invalid_signature",
          lambda w: with_pem(256, kid="rsa"))
CONFUSION.alike(
    "HS{} with the PEM as the secret, where no secret is known", PUBLIC, "alg_not_allowed",
    {"256": 256, "384": 384, "512": 512}, lambda w, size: with_pem(size), against="public")
CONFUSION("HS256 with the text of the key set as the secret", PUBLIC, "alg_not_allowed",
          lambda w: made(head(kid="rsa-1"), sign=mac(key_set_text().encode())), against="keyset")

# MARK: A secret, and what is none


def our_mac(size: int, count: int | None = None) -> Sign:
    """`count`: cut to so many bytes."""
    return then(mac(SECRET.encode(), size), lambda code: code[:count])


CONFUSION.each("{} with the secret of HS256", "alg_not_allowed", [
    ("HS384", "RFC 8725 §3.1: one key, one algorithm", "HS384", our_mac(384)),
    ("HS512", "RFC 8725 §3.1: one key, one algorithm", "HS512", our_mac(512)),
], signed, against="secret")
CONFUSION.each("{} with a key of the attacker, where only a secret is known", "alg_not_allowed", [
    ("RS256", "RFC 8725 §3.1", "RS256", pkcs1(whose="theirs")),
    ("PS256", "RFC 8725 §3.1", "PS256", pss(whose="theirs")),
    ("ES256", "RFC 8725 §3.1", "ES256", ecdsa(whose="theirs")),
    ("EdDSA", "RFC 8725 §3.1", "EdDSA", edwards(whose="theirs")),
], signed, against="secret")
CONFUSION.each("{}", "invalid_signature", [
    ("RS256 with an HMAC of the secret as its signature", "CVE-2022-23541", "RS256", OURS),
    ("ES256 with an HMAC of the secret as its signature", "CVE-2022-23541", "ES256", OURS),
    ("EdDSA with an HMAC of the secret as its signature", "CVE-2022-23541", "EdDSA", OURS),
    ("HS256 with a right RS256 signature", "RFC 8725 §2.1", "HS256", pkcs1()),
    ("HS256 with a right ES256 signature", "RFC 8725 §2.1", "HS256", ecdsa()),
    ("HS256 with a right EdDSA signature", "RFC 8725 §2.1", "HS256", edwards()),
    ("HS512 with the HMAC of SHA-256", "RFC 7518 §3.2", "HS512", our_mac(256)),
    ("HS256 with the HMAC of SHA-512", "RFC 7518 §3.2", "HS256", our_mac(512)),
    ("HS256 with the HMAC of SHA-512 cut to 32 bytes", "RFC 7518 §3.2", "HS256", our_mac(512, 32)),
    ("HS384 with the HMAC of SHA-512 cut to 48 bytes", "RFC 7518 §3.2", "HS384", our_mac(512, 48)),
    ("HS256 with the HMAC of SHA-384 cut to 32 bytes", "RFC 7518 §3.2", "HS256", our_mac(384, 32)),
], signed)

# MARK: One public key for another, and for another algorithm

CONFUSION.each("{}", "invalid_signature", [
    ("RS256 with a PSS signature", "RFC 7518 §3.3", "RS256", pss()),
    ("PS256 with a PKCS#1 v1.5 signature", "RFC 7518 §3.5", "PS256", pkcs1()),
], signed, against="public")
CONFUSION.each("{} with a right signature of a key bound to RS256 and PS256", "alg_not_allowed", [
    ("RS384", "RFC 8725 §3.1", "RS384", pkcs1(384)),
    ("RS512", "RFC 8725 §3.1", "RS512", pkcs1(512)),
    ("PS384", "RFC 8725 §3.1", "PS384", pss(384)),
    ("PS512", "RFC 8725 §3.1", "PS512", pss(512)),
], signed, against="public")
CONFUSION("RS1 with a right signature over SHA-1", "SHA-1 is broken (RFC 8725 §3.2)", "alg_not_allowed",
          lambda w: signed(w, "RS1", pkcs1(1)), against="public")
CURVE = "RFC 7518 §3.4: the curve belongs to the algorithm"
CONFUSION.each("{}", "invalid_signature", [
    ("RS256 over SHA-1", "RFC 7518 §3.3", "RS256", pkcs1(1)),
    ("RS256 over SHA-512", "RFC 7518 §3.3", "RS256", pkcs1(512)),
    ("ES256 with a P-384 key", CURVE, "ES256", ecdsa("p384", 256)),
    ("ES256 with a P-521 key", CURVE, "ES256", ecdsa("p521", 256)),
    ("ES384 with a P-256 key", CURVE, "ES384", ecdsa("p256", 384)),
    ("ES384 with a P-521 key", CURVE, "ES384", ecdsa("p521", 384)),
    ("ES512 with a P-384 key", CURVE, "ES512", ecdsa("p384", 512)),
    ("ES256 with a secp256k1 key", CURVE, "ES256", ecdsa("k256", 256)),
    ("ES256 with its own key over SHA-384", "RFC 7518 §3.4", "ES256", ecdsa("p256", 384)),
    ("ES256 with its own key over SHA-1", "RFC 7518 §3.4", "ES256", ecdsa("p256", 1)),
    ("ES384 with its own key over SHA-256", "RFC 7518 §3.4", "ES384", ecdsa("p384", 256)),
    ("ES512 with its own key over SHA-256", "RFC 7518 §3.4", "ES512", ecdsa("p521", 256)),
], signed, against="public")
CONFUSION("ES256K", "RFC 8812: not among ours", "alg_not_allowed", lambda w: signed(w, "ES256K", ecdsa("k256")),
          against="public")
CONFUSION.each("{}", "invalid_signature", [
    ("EdDSA with an ECDSA signature of 64 bytes", "RFC 8037 §3.1", "EdDSA", ecdsa()),
    ("ES256 with an Ed25519 signature of 64 bytes", "RFC 7518 §3.4", "ES256", edwards()),
    ("RS256 with an Ed448 signature", "RFC 7518 §3.3", "RS256", edwards("ed448")),
    ("EdDSA over the SHA-512 of the message", "RFC 8032 §5.1: not Ed25519ph", "EdDSA",
     of(edwards(), lambda message: sha(message, 512))),
], signed, against="public")

# MARK: Other names

CONFUSION.each("a right Ed25519 signature under the name `{}`", "alg_not_allowed", [
    (alg, "RFC 7515 §4.1.1: names are compared exactly", alg)
    for alg in ("eddsa", "EDDSA", "Ed25519", "es256", "ED25519")
], lambda w, alg: signed(w, alg, edwards()), against="public")
CONFUSION.each("our HMAC under the name `{}`", "alg_not_allowed", [
    (alg.replace("\0", "<NUL>"), "RFC 7515 §4.1.1", alg)
    for alg in ("hs256", "Hs256", "HS256 ", "HS-256", "HS2560", "HS25", "HS257", "SHA256", "HMACSHA256", "HS256\0")
], lambda w, alg: signed(w, alg, OURS), against="secret")
CONFUSION.each("{} as the algorithm of a signature", "alg_not_allowed", [
    ("dir", "RFC 7518 §4.5: for encryption", "dir"),
    ("A128KW", "RFC 7518 §4.4: for encryption", "A128KW"),
    ("RSA-OAEP", "RFC 7518 §4.3", "RSA-OAEP"),
    ("RSA1_5", "RFC 7518 §4.2", "RSA1_5"),
    ("ECDH-ES", "RFC 8725 §2.5", "ECDH-ES"),
], lambda w, alg: made(head(alg=alg, enc="A256GCM")))
CONFUSION("PBES2 with a thousand million rounds", "CVE-2023-51775: the token sets the price", "alg_not_allowed",
          lambda w: made(head(alg="PBES2-HS256+A128KW", p2c=1_000_000_000, p2s="AAAA", enc="A128GCM")))

# MARK: The kid of another key

CONFUSION("RS256 with the kid of a P-256 key", "RFC 8725 §3.1", "unknown_kid",
          lambda w: made(head(alg="RS256", kid="ec-1"), sign=pkcs1()), against="keyset")
CONFUSION("EdDSA with the kid of an RSA key", "RFC 8725 §3.1", "unknown_kid",
          lambda w: made(head(alg="EdDSA", kid="rsa-1"), sign=edwards()), against="keyset")
CONFUSION("PS256 with the kid of a key published for RS256", "RFC 7517 §4.4", "alg_not_allowed",
          lambda w: made(head(alg="PS256", kid="rsa-1"), sign=pss()), against="keyset")
CONFUSION("ES256 with the kid of another P-256 key of ours", "RFC 7515 §4.1.4", "invalid_signature",
          lambda w: made(head(alg="ES256", kid="ec-1"), sign=ecdsa(whose="second")), against="keyset")
