"""Members of the header: keys that a token brings along, extensions, types, nested tokens."""

import base64
import json
import zlib

from cryptography.hazmat.primitives import hashes
from harness.tokens import claims

from .case import ISSUER, Group, head, made, ours, part
from .signing import OURS, certificate, chain, ecdsa, jwk, mac, nothing, of, pkcs1

HEADER = Group(
    "Members of the header", "A token does not choose the key that it is judged by, cannot make the gateway fetch "
    "anything, and says nothing that must be understood and is not. All are signed by us, unless a key of the attacker "
    "is what is tried.", "secret")

# MARK: Keys in the header

OWN_KEY = "RFC 8725 §3.10: never followed"
READABLE = b"a secret that everybody can read here"


def signed_by_them(**members: object) -> str:
    return made(head(alg="RS256", **members), sign=pkcs1(whose="theirs"))


HEADER.each("{}", "invalid_signature", [
    ("`jku` at a server of the attacker", OWN_KEY, lambda w: {"jku": f"http://{w.backend.address}/jwks.json"}),
    ("`jku` with our host in front of an at sign", OWN_KEY,
     lambda w: {"jku": f"http://idp.test@{w.backend.address}/k"}),
    ("`jku` at a file", OWN_KEY, lambda w: {"jku": "file:///etc/passwd"}),
    ("`jku` with the key set inside", OWN_KEY,
     lambda w: {"jku": "data:application/json," + json.dumps({"keys": [jwk("rsa", "theirs")]})}),
    ("`x5u` at a server of the attacker", OWN_KEY, lambda w: {"x5u": f"http://{w.backend.address}/cert.pem"}),
    ("`jwk` of the attacker", "CVE-2018-0114", lambda w: {"jwk": jwk("rsa", "theirs")}),
    ("`jwk` with the name of our key", "CVE-2018-0114",
     lambda w: {"kid": "rsa", "jwk": jwk("rsa", "theirs", kid="rsa")}),
    ("`jwk` of ours over a signature of the attacker", OWN_KEY, lambda w: {"jwk": jwk("rsa")}),
    ("`x5c` of the attacker", OWN_KEY, lambda w: {"x5c": chain("theirs")}),
    ("`x5c` of the attacker before ours", OWN_KEY, lambda w: {"x5c": chain("theirs", "ours")}),
    ("`x5c` of ours before the attacker's", OWN_KEY, lambda w: {"x5c": chain("ours", "theirs")}),
    ("`x5t#S256` of our certificate", "RFC 7515 §4.1.8: a name, no proof",
     lambda w: {"x5t#S256": part(certificate().fingerprint(hashes.SHA256()))}),
    ("a whole key set in the header", OWN_KEY, lambda w: {"jwks": {"keys": [jwk("rsa", "theirs")]}}),
], lambda w, members: signed_by_them(**members(w)), against="public")
HEADER("`jwk` with a secret of the attacker", "CVE-2018-0114", "invalid_signature",
       lambda w: made(head(jwk={"kty": "oct", "k": part(READABLE)}), sign=mac(READABLE)))
HEADER("`jwk` of a P-256 key of the attacker", "CVE-2018-0114", "invalid_signature", lambda w: made(
    head(alg="ES256", jwk=jwk("p256", "theirs")), sign=ecdsa(whose="theirs")), against="public")
HEADER("`epk` of the attacker", "RFC 7518 §4.6.1.1: for encryption", "invalid_signature", lambda w: made(
    head(alg="ES256", epk=jwk("p256", "theirs")), sign=ecdsa(whose="theirs")), against="public")
HEADER("`jku` with an unknown kid", OWN_KEY, "unknown_kid", lambda w: signed_by_them(
    kid="theirs", jku=f"http://{w.backend.address}/jwks.json"), against="keyset")
HEADER("`iss` in the header", "RFC 7519 §5.3: replicated claims prove nothing", "wrong_issuer",
       lambda w: made(head(iss=ISSUER), ours(iss="https://evil.test")), against="strict")

# MARK: Extensions

CRIT = "RFC 7515 §4.1.11"
HEADER.each("`crit` {}", "invalid_token", [
    ("of an extension that is not there", CRIT, '"crit":["x"]'),
    ("of an extension that is there", CRIT, '"crit":["x"],"x":1'),
    ("of a URI", CRIT + ", appendix E",
     '"crit":["http://example.invalid/UNDEFINED"],"http://example.invalid/UNDEFINED":true'),
    ("of a claim", "RFC 7519 §5.3", '"crit":["exp"],"exp":1'),
    ("of `alg`", CRIT + ": no name of RFC 7515", '"crit":["alg"]'),
    ("of `b64`, which is true", "RFC 7797 §6", '"crit":["b64"],"b64":true'),
    ("twice of the same", CRIT + ": no name twice", '"crit":["x","x"],"x":1'),
    ("that is an empty list", CRIT + ": not empty", '"crit":[]'),
    ("that is text", CRIT + ": a list", '"crit":"x","x":1'),
    ("that is null", CRIT + ": a list", '"crit":null'),
    ("that is an object", CRIT + ": a list", '"crit":{"x":1}'),
    ("with a number in it", CRIT + ": a list of names", '"crit":[1]'),
    ("written with an escape", "RFC 8259 §7", r'"cr\u0069t":["x"],"x":1'),
], lambda w, text: made(f'{{"alg":"HS256",{text}}}'))
HEADER("`b64` is false without `crit`", "RFC 7797 §6", "invalid_token", lambda w: made(head(b64=False)))
HEADER("`b64` is true without `crit`", "RFC 7797 §6: not understood here", "invalid_token",
       lambda w: made(head(b64=True)))
HEADER("`b64` is no boolean", "RFC 7797 §3", "invalid_token", lambda w: made(head(b64="false")))


def unencoded() -> str:
    header, body = part(head(b64=False, crit=["b64"])), json.dumps(claims(), separators=(",", ":"))
    return f"{header}.{body}.{part(OURS(f'{header}.{body}'.encode()))}"


def with_decoded_claims(message: bytes) -> bytes:
    header, body = message.split(b".")
    return header + b"." + base64.urlsafe_b64decode(body + b"==")


HEADER("`b64` is false, the claims stand there unencoded", "RFC 7797 §5.2", "invalid_token", lambda w: unencoded())
HEADER("`b64` is false, the text of the claims is signed decoded", "RFC 7797 §3", "invalid_token",
       lambda w: made(head(b64=False, crit=["b64"]), sign=of(OURS, with_decoded_claims)))

# MARK: Types

CROSS = "RFC 8725 §2.8, §3.11"
HEADER.each("a `typ` {}", "invalid_token", [
    ("of a logout token", CROSS + "; OpenID Connect Back-Channel Logout §2.4", '"logout+jwt"'),
    ("of a security event", CROSS + "; RFC 8417 §2.3", '"secevent+jwt"'),
    ("of a DPoP proof", CROSS + "; RFC 9449 §4.2", '"dpop+jwt"'),
    ("of an authorization request", CROSS + "; RFC 9101 §10.8", '"oauth-authz-req+jwt"'),
    ("of an introspection", CROSS + "; RFC 9701 §5", '"token-introspection+jwt"'),
    ("of a client's authentication", CROSS, '"client-authentication+jwt"'),
    ("of the JSON serialisation", "RFC 7515 §4.1.9", '"JOSE+JSON"'),
    ("of an encrypted token", "RFC 7516 §4.1.11", '"JWE"'),
    ("that is empty", "RFC 7515 §4.1.9", '""'),
    ("that is only `application/`", "RFC 7515 §4.1.9", '"application/"'),
    ("with its prefix twice", "RFC 7515 §4.1.9", '"application/application/jwt"'),
    ("of another tree", "RFC 7515 §4.1.9", '"text/jwt"'),
    ("with a parameter", "RFC 7519 §5.1", '"JWT;charset=utf-8"'),
    ("with a space behind", "RFC 7515 §5.3", '"JWT "'),
    ("with a NUL behind", "RFC 7515 §5.3", r'"JWT\u0000"'),
    ("that ends like ours", CROSS, '"evil+at+jwt"'),
    ("that is null", "RFC 7515 §4.1.9: a string", "null"),
    ("that is a number", "RFC 7515 §4.1.9: a string", "1"),
    ("that is a list", "RFC 7515 §4.1.9: a string", '["JWT"]'),
], lambda w, text: made(f'{{"alg":"HS256","typ":{text}}}'))

# MARK: What is inside

NESTED = "RFC 7519 §5.2"
HEADER.alike("`cty` is {}, over claims", NESTED, "invalid_token", {
    "`JWT`": '"JWT"', "`jwt`": '"jwt"', "null": "null", "a list": '["JWT"]',
}, lambda w, text: made(f'{{"alg":"HS256","cty":{text}}}'))
HEADER("`cty` is `application/jwt`, over claims", NESTED + ", RFC 7515 §4.1.10: the prefix changes nothing",
       "invalid_token", lambda w: made(head(cty="application/jwt")))
HEADER("`cty` is `JWT`, over a good token", NESTED, "invalid_token", lambda w: made(head(cty="JWT"), made()))
HEADER("a good token as the claims, without `cty`", NESTED, "invalid_token", lambda w: made(body=made()))
HEADER("an unsecured token as the claims", NESTED, "invalid_token",
       lambda w: made(body=made(head(alg="none"), sign=nothing)))


def compressed(**changes: str) -> str:
    return made(head(zip="DEF"), zlib.compress(json.dumps(claims(**changes)).encode(), wbits=-15))


HEADER("`zip`, the claims are compressed", "RFC 7516 §4.1.3: for encryption", "invalid_token", lambda w: compressed())
HEADER("`zip`, the claims become a megabyte", "CVE-2024-33664: a bomb", "invalid_token",
       lambda w: compressed(pad="x" * 1_000_000))
