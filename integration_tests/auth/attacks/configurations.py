"""The configurations that tokens are tried against, and what each of them accepts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.tokens import SECRET, claims

from .case import AUDIENCE, ISSUER, by, head, made, member, nested, now, ours, part, respelled
from .key_sets import BAD_KEYS, EVERYBODYS
from .signing import (
    N256, OURS, Parts, Sign, ecdsa, edwards, halves, jwk, mac, pair, pkcs1, pss, pss_block, public, right_block,
    rsa_raw)

# A path, and a token or fields.
Good = tuple[str, str | list[tuple[str, str]]]


@dataclass(frozen=True)
class Configuration:
    """Made for a `World`, which writes files that it names, and has the providers a and b where a set is published."""

    about: str
    # Sections of the configuration.
    settings: Callable[[Any], Parts]
    # What is spoiled by the attacks was good before.
    good: Callable[[Any], list[Good]]
    # What provider a publishes besides its own keys; nothing: there are no providers.
    published: Callable[[], list[Parts]] | None = None


# MARK: Routes

ROUTES = [
    {"path": "/", "upstream": "api"},
    {"path": "/open", "upstream": "api", "auth": "none"},
    {"path": "/maybe", "upstream": "api", "auth": "optional"},
    {"path": "/browser", "upstream": "api", "cookie": "access_token"},
]
DEMANDS = [
    {"path": "/", "upstream": "api"},
    {"path": "/admin", "upstream": "api", "roles": ["admin"]},
    {"path": "/orders", "upstream": "api", "scopes": ["orders.read", "orders.write"]},
    {"path": "/gold", "upstream": "api", "claims": {"tier": ["gold", "silver"]}},
    {"path": "/mail", "upstream": "api", "claims": {"email": "@present"}},
    {"path": "/realm", "upstream": "api", "claims": {"realm_access.roles": ["editor"]}},
    {"path": "/verified", "upstream": "api", "claims": {"email_verified": ["true"]}},
    {"path": "/transfer", "upstream": "api", "step_up": {"acr": "gold", "max_age": "15m"}},
    {"path": "/level", "upstream": "api", "step_up": {"acr": "2"}},
    {"path": "/mfa", "upstream": "api", "step_up": {"amr": ["mfa"]}},
]

# MARK: Keys


def shared(*algorithms: str) -> Parts:
    return {"id": "main", "secret": SECRET, "algorithms": list(algorithms)}


def pems(w: Any, algorithms: Mapping[str, list[str]]) -> list[Parts]:
    return [{"id": kind, "pem_file": w.write(f"{kind}.pem", public(kind)), "algorithms": allowed}
            for kind, allowed in algorithms.items()]


def key_set_text() -> str:
    """The set of `keyset`: three kinds of keys, two of them on one curve."""
    return json.dumps({"keys": [
        jwk("rsa", kid="rsa-1", use="sig", alg="RS256"), jwk("p256", kid="ec-1", use="sig", alg="ES256"),
        jwk("p256", "second", kid="ec-2", use="sig", alg="ES256"), jwk("ed25519", kid="ed-1", use="sig", alg="EdDSA")]})


def good_and_bad_keys() -> list[Parts]:
    return [
        jwk("rsa", kid="a-rsa", use="sig"), jwk("ed25519", kid="a-ed"),
        *({"kid": kid, **bad.member()} for kid, bad in BAD_KEYS.items())]


def guarded(*keys: Parts, routes: list[Parts] = ROUTES, **tokens: Any) -> Parts:
    return {"routes": routes, "tokens": {"keys": list(keys), **tokens}}


def of_providers(w: Any) -> Parts:
    return guarded({"id": "a", "oidc_issuer": w.a.issuer}, {"id": "b", "oidc_issuer": w.b.issuer})


def of_one_issuer(routes: list[Parts]) -> Parts:
    return guarded(shared("HS256"), routes=routes, issuers=[ISSUER], audiences=[AUDIENCE])


# MARK: What is good


def high_s(message: bytes) -> bytes:
    """The other signature that ECDSA has for the same message. No rule of JOSE forbids it, so it is no attack."""
    r, s = halves(ecdsa()(message))
    return pair(r, max(s, N256 - s))


def all_signed(*signatures: tuple[str, Sign]) -> list[Good]:
    return [("/", made(head(alg=alg), sign=sign)) for alg, sign in signatures]


def good_of_secret(w: Any) -> list[Good]:
    return [
        ("/", made()), ("/", respelled().decode()), ("/maybe", made()),
        ("/browser", [("Cookie", f"access_token={made()}")]), ("/", made(head(kid="anything"))),
        ("/", made(r'{"\u0061lg":"HS256"}')), ("/", made(body=claims(exp=now() - 20))),
        ("/", made(body=claims(nbf=now() + 20, iat=now() + 20))),
        ("/", made(body=member('"exp":4.1e9', exp=None))),
        ("/", made({"alg": "HS256", "x": nested(14)})), ("/", made(body=claims(pad="x" * 11_000)))]


def good_of_keyset(w: Any) -> list[Good]:
    signs = {("RS256", "rsa-1"): pkcs1(), ("ES256", "ec-1"): ecdsa(), ("ES256", "ec-2"): ecdsa(whose="second"),
             ("EdDSA", "ed-1"): edwards()}
    return [("/", made(head(alg=alg, kid=kid), sign=sign)) for (alg, kid), sign in signs.items()]


def good_of_policy(w: Any) -> list[Good]:
    rights = {
        "/": {}, "/admin": {"roles": "user admin"}, "/orders": {"scope": "orders.write orders.read"},
        "/gold": {"tier": ["silver"]}, "/mail": {"email": False}, "/realm": {"realm_access": {"roles": ["editor"]}},
        "/verified": {"email_verified": True}, "/transfer": {"acr": "gold", "auth_time": now() - 900},
        "/level": {"acr": "2"}, "/mfa": {"amr": ["pwd", "mfa"]}}
    return [(path, made(body=ours(**body))) for path, body in rights.items()]


def good_of_own_kids(w: Any) -> list[Good]:
    return [("/", by(w.a, "a", w.a.issuer)), ("/", by(w.b, "b", w.b.issuer))]


def good_of_providers(w: Any) -> list[Good]:
    return [
        *good_of_own_kids(w), ("/", by(w.a, "shared", w.a.issuer)), ("/", by(w.b, "shared", w.b.issuer)),
        ("/", made(head(alg="RS256", kid="a-rsa"), claims(iss=w.a.issuer), pkcs1())),
        ("/", made(head(alg="EdDSA", kid="a-ed"), claims(iss=w.a.issuer), edwards()))]


# MARK: All of them

CONFIGURATIONS = {
    "secret": Configuration("one shared secret for HS256", lambda w: guarded(shared("HS256")), good_of_secret),
    "public": Configuration(
        "public keys: RSA for RS256 and PS256, P-256, P-384, P-521, Ed25519, Ed448",
        lambda w: guarded(*pems(w, {
            "rsa": ["RS256", "PS256"], "p256": ["ES256"], "p384": ["ES384"], "p521": ["ES512"], "ed25519": ["EdDSA"],
            "ed448": ["EdDSA"]})),
        lambda w: all_signed(
            ("RS256", pkcs1()), ("RS256", rsa_raw(right_block)), ("PS256", pss()), ("PS256", rsa_raw(pss_block)),
            ("ES256", ecdsa()), ("ES256", high_s), ("ES384", ecdsa("p384", 384)), ("ES512", ecdsa("p521", 512)),
            ("EdDSA", edwards()), ("EdDSA", edwards("ed448")))),
    "mixed": Configuration(
        "a shared secret for HS256 to HS512 beside an RSA, a P-256 and an Ed25519 key",
        lambda w: guarded(*pems(w, {"rsa": ["RS256"], "p256": ["ES256"], "ed25519": ["EdDSA"]}),
                          shared("HS256", "HS384", "HS512")),
        lambda w: all_signed(
            ("HS256", OURS), ("HS384", mac(SECRET.encode(), 384)), ("HS512", mac(SECRET.encode(), 512)),
            ("RS256", pkcs1()), ("ES256", ecdsa()), ("EdDSA", edwards()))),
    "keyset": Configuration(
        "a key set in a file, every key with a kid",
        lambda w: guarded({"id": "idp", "jwks_file": w.write("jwks.json", key_set_text().encode())}), good_of_keyset),
    "strict": Configuration(
        "a shared secret, an issuer and an audience", lambda w: of_one_issuer(ROUTES),
        lambda w: [("/", made(body=ours())), ("/", made(body=ours(aud=["billing", AUDIENCE])))]),
    "policy": Configuration(
        "the same, and routes that demand roles, scopes, claims or a login", lambda w: of_one_issuer(DEMANDS),
        good_of_policy),
    "providers": Configuration("two OpenID providers", of_providers, good_of_providers, good_and_bad_keys),
    "symmetric": Configuration(
        "two OpenID providers, one of which publishes a secret", of_providers, good_of_own_kids,
        lambda: [{"kty": "oct", "kid": "oct", "k": part(EVERYBODYS)}]),
}
