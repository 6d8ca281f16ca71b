"""Keys of providers: of whom a token may be, and what a key set holds that is no key for signatures."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.tokens import claims

from .case import Group, by, head, made, part
from .signing import (
    Parts, Sign, constant, ecdsa, ecdsa_with, edwards, jwk, key, mac, number, pkcs1, right_block)

SETS = Group(
    "Key sets and providers",
    "Two providers, a and b, each with keys of its own and one kid that both have. What a set "
    "holds that is no key for signatures is left out. All dates are good.", "providers")

# MARK: Whose token it is

OF_ONE = "RFC 8725 §3.8"
COMPARED = "RFC 7519 §7.3: compared exactly"

SETS("signed by b, of issuer a, kid of b", OF_ONE, "wrong_issuer", lambda w: by(w.b, "b", w.a.issuer))
SETS("signed by a, of issuer b, kid of a", OF_ONE, "wrong_issuer", lambda w: by(w.a, "a", w.b.issuer))
SETS("signed by b, of issuer a, kid of a", OF_ONE, "invalid_signature", lambda w: by(w.b, "b", w.a.issuer, name="a"))
# The keys of the token's own issuer are tried, no others.
SETS("signed by b, of issuer a, the kid that both have", OF_ONE, "invalid_signature",
     lambda w: by(w.b, "shared", w.a.issuer))
SETS("signed by a, of issuer b, the kid that both have", OF_ONE, "invalid_signature",
     lambda w: by(w.a, "shared", w.b.issuer))
SETS("signed by a stranger, the kid that both have", OF_ONE, "invalid_signature",
     lambda w: by(w.a, "a", w.a.issuer, ecdsa(whose="theirs"), "shared"))
SETS("signed by a, of no issuer", OF_ONE, "missing_claim", lambda w: by(w.a, "a", None))
SETS("signed by a, of both issuers", "RFC 7519 §4.1.1: a string", "invalid_token",
     lambda w: by(w.a, "a", [w.a.issuer, w.b.issuer]))
SETS("signed by a, of a stranger", OF_ONE, "wrong_issuer", lambda w: by(w.a, "a", "https://evil.test"))
SETS("signed by a, its issuer with a slash", COMPARED, "wrong_issuer", lambda w: by(w.a, "a", w.a.issuer + "/"))
SETS("signed by a, its issuer with another name of the host", COMPARED, "wrong_issuer",
     lambda w: by(w.a, "a", w.a.issuer.replace("127.0.0.1", "localhost")))
SETS("signed by a, its issuer and a port of b", COMPARED, "wrong_issuer",
     lambda w: by(w.a, "a", w.a.issuer.replace(str(w.a.server.port), str(w.b.server.port))))
SETS("signed by a, another realm of its server", OF_ONE, "wrong_issuer",
     lambda w: by(w.a, "a", w.a.base + "/realms/other"))
SETS("signed by a, the URL of its metadata as the issuer", COMPARED, "wrong_issuer",
     lambda w: by(w.a, "a", w.a.issuer + "/.well-known/openid-configuration"))
SETS("an unknown kid", "RFC 7515 §4.1.4", "unknown_kid", lambda w: by(w.a, "a", w.a.issuer, name="nobody"))
SETS("no kid, where several keys could be meant", "RFC 7515 §4.1.4", "unknown_kid",
     lambda w: made(head(alg="ES256"), claims(iss=w.a.issuer), ecdsa_with(w.a.keys["a"])))
SETS("a key that the provider took away", "RFC 7517 §5; kgateway#7856", "unknown_kid",
     lambda w: w.gone_token(claims("new")))
SETS("a key that was taken away, a token that was accepted before", "the cache forgets with the key", "unknown_kid",
     lambda w: w.gone_before)
SETS("HS256 with the text of the key set", "RFC 8725 §2.1, CVE-2015-9235", "alg_not_allowed",
     lambda w: made(head(kid="a"), claims(iss=w.a.issuer), mac(json.dumps(w.a.key_set()).encode())))
SETS("`jku` of a for a key of b", "RFC 8725 §3.10: never followed", "wrong_issuer", lambda w: made(
    head(alg="ES256", kid="b", jku=w.a.url), claims(iss=w.a.issuer), ecdsa_with(w.b.keys["b"])))

# MARK: What is no key for signatures


@dataclass(frozen=True)
class Bad:
    """A member of a's key set that is no key for signatures, and how a token would be signed with it."""

    name: str
    why: str
    alg: str
    member: Callable[[], Parts]
    sign: Sign
    reason: str = "unknown_kid"


def rsa(name: str, why: str, sign: Sign = pkcs1(whose="published"), **members: Any) -> Bad:
    return Bad(name, why, "RS256", lambda: jwk("rsa", "published", **members), sign)


def p256(name: str, why: str, **members: Any) -> Bad:
    return Bad(name, why, "ES256", lambda: jwk("p256", "published", **members), ecdsa(whose="published"))


def neutral(curve: str, size: int) -> Bad:
    """With A the neutral element, R as well and S = 0 the equation of RFC 8032 §5.1.7 holds for every message."""
    point = b"\1" + bytes(size - 1)
    return Bad(f"the neutral element of {curve}", "each message has the same signature", "EdDSA", lambda: {
        "kty": "OKP", "crv": curve, "x": part(point)}, constant(point + bytes(size)))


def huge_exponent() -> int:
    """The first of 65 bits that an RSA key could have."""
    return next(e for e in itertools.count((1 << 64) + 1, 2) if math.gcd(e, totient()) == 1)


def totient() -> int:
    numbers = key("rsa", "published").private_numbers()
    return (numbers.p - 1) * (numbers.q - 1)


def with_huge_exponent(message: bytes) -> bytes:
    modulus = key("rsa", "published").public_key().public_numbers().n
    value = pow(int.from_bytes(right_block(message), "big"), pow(huge_exponent(), -1, totient()), modulus)
    return value.to_bytes(256, "big")


USE, OPERATIONS, PUBLISHED_ALG, CURVE = "RFC 7517 §4.2", "RFC 7517 §4.3", "RFC 7517 §4.4", "RFC 7518 §6.2.1.1"
# By kid.
BAD_KEYS = {
    "use-enc": rsa("a key for encryption", USE, use="enc"),
    "use-case": rsa("use in upper case", USE, use="SIG"),
    "use-list": rsa("use as a list", USE, use=["sig"]),
    "ops-sign": rsa("key_ops for signing only", OPERATIONS, key_ops=["sign"]),
    "ops-wrap": rsa("key_ops for wrapping keys", OPERATIONS, key_ops=["wrapKey"]),
    "ops-none": p256("no key_ops at all in the list", OPERATIONS, key_ops=[]),
    "ops-text": p256("key_ops as text", OPERATIONS, key_ops="verify"),
    "alg-oaep": rsa("an RSA key published for RSA-OAEP", PUBLISHED_ALG, alg="RSA-OAEP-256"),
    "alg-none": rsa("a key published for `none`", PUBLISHED_ALG, alg="none"),
    "alg-hs": Bad("an RSA key published for HS256", "RFC 8725 §2.1", "HS256",
                  lambda: jwk("rsa", "published", alg="HS256"), mac(b"published")),
    "alg-other": p256("a P-256 key published for RS256", PUBLISHED_ALG, alg="RS256"),
    "rsa-1024": Bad("an RSA key of 1024 bits", "RFC 7518 §3.3: 2048 at least", "RS256",
                    lambda: jwk("rsa1024", "published"), pkcs1(kind="rsa1024", whose="published")),
    "rsa-huge": Bad("an RSA key of 16,384 bits", "CWE-400: each check would take long", "RS256", lambda: {
        "kty": "RSA", "n": number((1 << 16_383) + 12_345), "e": "AQAB"}, constant(b"\1" * 1_024)),
    "rsa-e1": rsa("an RSA key with the exponent 1", "every padded digest is its own signature", right_block, e="AQ"),
    "rsa-even": rsa("an RSA key with an even exponent", "RFC 8017 §3.1", e="AQAA"),
    "rsa-e65": Bad("an RSA key with an exponent of 65 bits", "CWE-400", "RS256",
                   lambda: jwk("rsa", "published", e=number(huge_exponent())), with_huge_exponent),
    "ec-off": p256("a point off the curve", "RFC 8725 §3.4", y=part(b"\1" * 32)),
    "ec-zero": p256("a point of zeros", "RFC 8725 §3.4", x=part(bytes(32)), y=part(bytes(32))),
    "ec-short": p256("a coordinate of 31 bytes", "RFC 7518 §6.2.1.2", x=part(b"\1" * 31)),
    "ec-curve": Bad("a P-256 point under the name P-384", CURVE, "ES384", lambda: jwk("p256", "published", crv="P-384"),
                    ecdsa("p256", 384, "published")),
    "ec-k256": Bad("a secp256k1 key", "RFC 8812: not among ours", "ES256", lambda: jwk("k256", "published"),
                   ecdsa("k256", whose="published")),
    "ec-nameless": p256("a key without its curve", CURVE, crv=None),
    "okp-x": Bad("an X25519 key", "RFC 8037 §3.2: for agreement", "EdDSA",
                 lambda: jwk("ed25519", "published", crv="X25519"), edwards(whose="published")),
    "okp-one": neutral("Ed25519", 32),
    "okp-one-448": neutral("Ed448", 57),
    "kty-case": rsa("a kty in lower case", "RFC 7517 §4.1: compared exactly", kty="rsa"),
    "kty-other": p256("a P-256 key with the kty RSA", "RFC 7517 §4.1", kty="RSA"),
}
for _kid, _bad in BAD_KEYS.items():
    SETS(f"in the set: {_bad.name}", _bad.why, _bad.reason, lambda w, kid=_kid, bad=_bad: made(
        head(alg=bad.alg, kid=kid), claims(iss=w.a.issuer), bad.sign))

EVERYBODYS = b"a secret that everybody can fetch"
SETS("in the set: a secret that everybody can fetch", "RFC 7517 §9.2: a public set holds no secrets",
     "unknown_kid", lambda w: made(head(kid="oct"), claims(iss=w.a.issuer), mac(EVERYBODYS)), against="symmetric")
