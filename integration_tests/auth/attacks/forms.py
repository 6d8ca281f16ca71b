"""Other forms than the three parts of a signed token: encryption, JSON serialisations, parts too many or too few."""

import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from harness.tokens import SECRET, claims

from .case import Group, head, made, part, spliced
from .signing import Parts, jwk, key, nothing, sha

FORM = Group(
    "Forms of tokens", "Three parts, no others: no encryption, no JSON serialisation, no detached content.", "secret")

# MARK: Encryption


def encrypted(header: Parts, wrapped: bytes, content: bytes, cek: bytes) -> str:
    """RFC 7516 §7.1 with A256GCM."""
    protected, nonce = part({**header, "enc": "A256GCM"}), bytes(12)
    sealed = AESGCM(cek).encrypt(nonce, content, protected.encode())
    return ".".join([protected, *map(part, (wrapped, nonce, sealed[:-16], sealed[-16:]))])


def wrapped_for_us(content: str) -> str:
    """Encrypted to the public key of the gateway, which everybody can do."""
    cek = b"k" * 32
    way = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = key("rsa").public_key().encrypt(cek, way)
    return encrypted({"alg": "RSA-OAEP-256", "cty": "JWT"}, wrapped, content.encode(), cek)


FORM.each("{}", "invalid_token", [
    ("JWE, alg `dir` with the shared secret", "RFC 7516 §3: five parts",
     lambda: encrypted({"alg": "dir"}, b"", json.dumps(claims()).encode(), sha(SECRET.encode()))),
    ("JWE with a signed token inside", "RFC 7519 §5.2", lambda: wrapped_for_us(made())),
    ("JWE with an unsigned token inside", "RFC 8725 §3.3: encryption to a public key proves nothing",
     lambda: wrapped_for_us(made(head(alg="none"), sign=nothing))),
    ("JWE with bare claims inside", "RFC 8725 §2.3", lambda: wrapped_for_us(json.dumps(claims()))),
    ("JWE with empty parts", "RFC 7516 §7.1", lambda: part({"alg": "dir", "enc": "A256GCM"}) + "...."),
    ("JWE that asks for a thousand million rounds", "CVE-2023-51775", lambda: encrypted(
        {"alg": "PBES2-HS256+A128KW", "p2c": 1_000_000_000, "p2s": "AAAA"}, bytes(40), b"{}", bytes(32))),
    ("JWE with a point off the curve", "RFC 8725 §2.5, CVE-2016-9121", lambda: encrypted(
        {"alg": "ECDH-ES", "epk": jwk("p256", "theirs", y=part(b"\1" * 32))}, b"", b"{}", bytes(32))),
], lambda w, token: token())

# MARK: JSON serialisations


def compact_json(value: Parts) -> str:
    return json.dumps(value, separators=(",", ":"))


def flattened(**members: object) -> Parts:
    header, body, signature = made().split(".")
    return {"protected": header, "payload": body, "signature": signature, **members}


def general(*signatures: Parts) -> str:
    return compact_json({"payload": part(claims()), "signatures": signatures})


def polyglot() -> str:
    """Compact for one reader, JSON for another: the forged claims stand where the compact form has them."""
    forged = f"{part(head())}.{part(claims('mallory'))}."
    return compact_json({forged: "", **flattened()})


FORM.each("{}", "invalid_token", [
    ("the flattened JSON serialisation", "RFC 7515 §7.2.2", lambda: compact_json(flattened())),
    ("the flattened one with an unprotected header", "RFC 7515 §7.2.2",
     lambda: compact_json(flattened(header={"alg": "none"}))),
    ("the general JSON serialisation", "RFC 7515 §7.2.1", lambda: general(flattened())),
    ("the general one with a good and a forged signature", "CVE-2016-9122",
     lambda: general(flattened(), flattened(signature="AAAA"))),
    ("the general one without signatures", "RFC 7515 §7.2.1", lambda: general()),
    ("a mixture of compact and JSON", "CVE-2022-39227", lambda: polyglot()),
], lambda w, token: token())

# MARK: Parts

FORM("detached content", "RFC 7515 appendix F", "invalid_signature", lambda w: spliced(made(), 1, ""))
FORM("an empty payload that is signed", "RFC 7519 §7.2: claims", "invalid_token", lambda w: made(body=""))
FORM.alike("{}", "RFC 7515 §7.1: three parts", "invalid_token", {
    "one part": lambda: made().split(".")[0],
    "two parts": lambda: made().rpartition(".")[0],
    "four parts, the fourth is empty": lambda: made() + ".",
    "four parts, the first is empty": lambda: "." + made(),
    "four parts, the third is empty": lambda: "..".join(made().rsplit(".", 1)),
    "a second signature behind a dot": lambda: made() + "." + made().split(".")[2],
    "six parts, two good tokens": lambda: made() + "." + made(),
}, lambda w, token: token())
FORM("five parts, the first three are a good token", "no JWE because of its dots", "invalid_token",
     lambda w: made() + ".AAAA.AAAA")
FORM("fourteen thousand dots", "CVE-2025-30204", "invalid_token", lambda w: "." * 14_000)
FORM.alike("{}", "RFC 7515 §7.1: three parts", "invalid_token", {
    "one dot": lambda: ".",
    "two dots": lambda: "..",
    "no header": lambda: spliced(made(), 0, ""),
    "a signature only": lambda: ".." + made().split(".")[2],
    "colons instead of dots": lambda: made().replace(".", ":"),
    "dots that are percent-encoded": lambda: made().replace(".", "%2E"),
    "full-width dots": lambda: made().replace(".", "\uff0e").encode(),
    "the whole token encoded once more": lambda: part(made()),
    "a token behind its type": lambda: "JWT." + made(),
}, lambda w, token: token())

# MARK: Other formats

FORM("a PASETO", "another format", "invalid_token",
     lambda w: "v4.public." + part(json.dumps(claims()).encode() + bytes(64)))
FORM("an SD-JWT with a disclosure", "another format", "invalid_signature",
     lambda w: made() + "~" + part(["salt", "role", "admin"]) + "~")
FORM("an opaque token", "RFC 6749 §1.4", "invalid_token", lambda w: "2YotnFZFEjr1zCsicMWpAA")
