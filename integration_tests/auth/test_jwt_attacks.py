"""Every attack of `attacks` is refused, as docs/jwt-attacks.md says; good tokens of other libraries are not."""

import json
import subprocess
from collections import Counter

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from auth.attacks import ATTACKS, CONFIGURATIONS, signing
from auth.attacks.configurations import guarded
from auth.attacks.page import page
from auth.attacks.world import JSON, World
from harness.backend import answer
from harness.gateway import ROOT
from harness.processes import wait_until
from harness.provider import KEYS, Provider
from harness.tokens import SECRET, bearer, claims, encode


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """`worlds(name)`: started when it is first asked for, ended with the module."""
    started: dict[str, World] = {}

    def world(name: str) -> World:
        if name not in started:
            started[name] = World(name, tmp_path_factory.mktemp(f"attacks-{name}"))
            started[name].settle()
        return started[name]

    yield world
    for one in started.values():
        one.stop()


@pytest.mark.once
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused(worlds, attack):
    world = worlds(attack.against)
    data = attack.bytes(world)
    before = len(world.backend.requests)
    response = world.gateway.fetch(data)
    assert (response.status, response.code) == (attack.status, attack.code)
    assert world.reason(response.field("X-Request-Id"), attack.status) == attack.reason
    if attack.status == 401:
        assert response.field("WWW-Authenticate").startswith("Bearer ")
    assert len(world.backend.requests) == before, "nothing of it may arrive"


@pytest.mark.once
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_same_gateway_accepts_good_tokens_afterwards(worlds, name):
    """What was spoiled was good before: the same tools make tokens that pass. Nothing else has reached the backend."""
    world = worlds(name)
    good = world.good()
    for path, token in good:
        assert world.ask(path, token) == 200, (path, token)
    assert {request.target for request in world.backend.requests} <= {path for path, _ in good}
    assert world.gateway.child.running


def test_there_are_many_attacks_and_each_is_another_one():
    assert len(ATTACKS) >= 900
    assert [name for name, count in Counter(attack.name for attack in ATTACKS).items() if count > 1] == []
    assert {attack.against for attack in ATTACKS} == set(CONFIGURATIONS)


def test_the_page_lists_what_is_tried():
    """Printed anew with `python -m auth.attacks.page > ../docs/jwt-attacks.md`."""
    assert (ROOT / "docs" / "jwt-attacks.md").read_text() == page()


SIGNED_BY_OTHERS = [
    ("mixed", "HS256", SECRET, None), ("mixed", "HS384", SECRET, None), ("mixed", "HS512", SECRET, None),
    ("public", "RS256", "rsa", None), ("public", "PS256", "rsa", None), ("public", "ES256", "p256", None),
    ("public", "ES384", "p384", None), ("public", "ES512", "p521", None), ("public", "EdDSA", "ed25519", None),
    ("public", "EdDSA", "ed448", None), ("keyset", "RS256", "rsa", "rsa-1"), ("keyset", "ES256", "p256", "ec-1"),
    ("keyset", "EdDSA", "ed25519", "ed-1"),
]


@pytest.mark.parametrize(("against", "alg", "key", "kid"), SIGNED_BY_OTHERS, ids=lambda value: str(value)[:12])
def test_tokens_of_pyjwt_pass(worlds, against, alg, key, kid):
    """The refusals mean something: another library's tokens of every algorithm are accepted."""
    signer = key if alg.startswith("HS") else signing.key(key)
    assert worlds(against).ask("/", jwt.encode(claims(), signer, alg, {"kid": kid} if kid else None)) == 200


# RFC 9864 has deprecated the name EdDSA, and joserfc says so.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(("against", "alg", "key", "kid"), SIGNED_BY_OTHERS, ids=lambda value: str(value)[:12])
def test_tokens_of_joserfc_pass(worlds, against, alg, key, kid):
    kind = {"H": "oct", "R": "RSA", "P": "RSA"}.get(alg[0], "OKP" if alg == "EdDSA" else "EC")
    signer = joserfc_jwk.JWKRegistry.import_key(key if kind == "oct" else signing.private_pem(key), kind)
    header = {"alg": alg, **({"kid": kid} if kid else {})}
    assert worlds(against).ask("/", joserfc_jwt.encode(header, claims(), signer, algorithms=[alg])) == 200


OPENSSL = {
    "HS256": ["-sha256", "-mac", "HMAC", "-macopt"], "HS384": ["-sha384", "-mac", "HMAC", "-macopt"],
    "HS512": ["-sha512", "-mac", "HMAC", "-macopt"], "RS256": ["-sha256", "-sign"],
    "PS256": ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sign"],
    "ES256": ["-sha256", "-sign"], "ES384": ["-sha384", "-sign"], "ES512": ["-sha512", "-sign"],
}


@pytest.mark.parametrize(
    ("against", "alg", "key", "kid"), [one for one in SIGNED_BY_OTHERS if one[1] in OPENSSL],
    ids=lambda value: str(value)[:12])
def test_tokens_signed_by_the_openssl_program_pass(worlds, directory, against, alg, key, kid):
    """No line of Python has a part in the signature, other than taking ECDSA out of its DER."""
    header = {"alg": alg, **({"kid": kid} if kid else {})}
    signed = b".".join(encode(json.dumps(part).encode()) for part in (header, claims()))
    if alg.startswith("HS"):
        secret = f"hexkey:{SECRET.encode().hex()}"
    else:
        path = directory / "key.pem"
        path.write_bytes(signing.private_pem(key))
        secret = str(path)
    signature = subprocess.run(
        ["openssl", "dgst", *OPENSSL[alg], secret, "-binary"], input=signed, capture_output=True, check=True).stdout
    if alg.startswith("ES"):
        r, s = decode_dss_signature(signature)
        signature = signing.pair(r, s, {"ES256": 32, "ES384": 48, "ES512": 66}[alg])
    assert worlds(against).ask("/", f"{signed.decode()}.{encode(signature).decode()}") == 200


@pytest.mark.once
@pytest.mark.parametrize("how", ["copies its key", "publishes many of the same kid"])
def test_an_issuer_cannot_shut_another_one_out(start_gateway, backend, how):
    """The tokens of a stay good, whatever b publishes: b speaks for itself only (RFC 8725 §3.8)."""
    a, b = Provider("same"), Provider("own")
    try:
        copies = [a.key_set()["keys"][0]] if how == "copies its key" else [
            {"kid": "same", **signing.jwk("p256", f"b-{number}")} for number in range(4)]
        b.answers[KEYS] = answer(200, json.dumps({"keys": [*b.key_set()["keys"], *copies]}), JSON)
        gateway = start_gateway(backend, **guarded(
            {"id": "b", "oidc_issuer": b.issuer}, {"id": "a", "oidc_issuer": a.issuer}))
        for name in ("a", "b"):
            gateway.wait_event("keys.fetched", key=name)
        wait_until("the keys of b are used", lambda: gateway.get("/", fields=bearer(b.token("own"))).status == 200)
        assert gateway.get("/", fields=bearer(a.token("same"))).status == 200
    finally:
        a.close()
        b.close()
