"""Which tokens pass, which are refused, with which code and challenge, and that nothing of a refused request goes on."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from harness.client import request
from harness.tokens import SECRET, bearer, by_hand, claims, encode, token

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def refused(response, backend, code: str, error: str | None = "invalid_token", status: int = 401) -> None:
    """RFC 9457 body, RFC 6750 challenge, and nothing at the backend."""
    assert (response.status, response.code) == (status, code)
    assert response.json()["status"] == status
    challenge = response.field("WWW-Authenticate")
    assert challenge.startswith("Bearer")
    assert (f'error="{error}"' in challenge) if error else ("error" not in challenge)
    assert backend.requests == []


def test_a_good_token_passes_and_the_backend_gets_the_identity(gateway, backend):
    assert gateway.get("/", fields=bearer(token(claims("alice", role="user")))).status == 200
    arrived = backend.only()
    assert arrived.field("X-User-ID") == "alice"
    assert arrived.field("X-User-Role") == "user"
    assert arrived.field("X-Authenticated") == "true"


def test_no_token_is_401_without_an_error_named(gateway, backend):
    refused(gateway.get("/"), backend, "AUTH_001", error=None)


@pytest.mark.parametrize("made", [
    pytest.param(lambda: token(key="another secret that is long enough as well"), id="of another key"),
    pytest.param(lambda: by_hand({"alg": "none", "typ": "JWT"}, claims(), None), id="alg none"),
    pytest.param(lambda: by_hand({"alg": "None"}, claims(), None), id="alg None"),
    pytest.param(lambda: by_hand({"alg": "none"}, claims(), SECRET.encode()), id="alg none with a signature"),
    pytest.param(lambda: token(alg="HS512"), id="an alg that the key does not have"),
    pytest.param(lambda: token(key=RSA, alg="RS256"), id="RS256 where only HS256 is known"),
    pytest.param(lambda: by_hand({"typ": "JWT"}, claims(), SECRET.encode()), id="no alg"),
    pytest.param(lambda: by_hand({"alg": "HS256", "crit": ["x"], "x": 1}, claims(), SECRET.encode()), id="crit"),
    pytest.param(lambda: token() + "A", id="a longer signature"),
    pytest.param(lambda: token()[:-2], id="a shorter signature"),
    pytest.param(lambda: token().rsplit(".", 1)[0] + ".", id="no signature"),
    pytest.param(lambda: token().replace(".", ".." , 1), id="four parts"),
    pytest.param(lambda: token() + "=", id="padding"),
    pytest.param(lambda: "nonsense", id="nonsense"),
    pytest.param(lambda: token(claims(sub="mallory")).rsplit(".", 1)[0] + "." + token().rsplit(".", 1)[1],
                 id="another one's signature"),
    pytest.param(lambda: token(claims(nbf=int(time.time()) + 120)), id="not yet valid"),
    pytest.param(lambda: token(claims(exp="tomorrow")), id="exp is no number"),
])
def test_a_bad_token_is_refused_as_invalid(gateway, backend, made):
    refused(gateway.get("/", fields=bearer(made())), backend, "AUTH_001")


def test_an_expired_token_has_a_code_of_its_own(gateway, backend):
    refused(gateway.get("/", fields=bearer(token(claims(exp=int(time.time()) - 31)))), backend, "AUTH_002")


def test_within_the_leeway_an_expired_token_passes(gateway):
    assert gateway.get("/", fields=bearer(token(claims(exp=int(time.time()) - 5)))).status == 200


def test_a_token_that_was_verified_before_still_expires(start_guarded, backend):
    gateway = start_guarded(tokens={"leeway": "0s"})
    short = bearer(token(claims(exp=int(time.time()) + 2)))
    with gateway.connect() as client:
        assert client.ask(request("GET", "/", short)).status == 200
        time.sleep(2.2)
        response = client.ask(request("GET", "/", short))
    assert (response.status, response.code) == (401, "AUTH_002")
    assert len(backend.requests) == 1


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_secret_as_a_public_key_and_the_public_key_as_a_secret_are_both_refused(start_guarded, backend, alg, directory):
    """The RS/HS confusion: a token signed with the public key's text as an HMAC secret (RFC 8725 §2.1)."""
    path = directory / "rsa.pem"
    path.write_bytes(public_pem(RSA))
    path.chmod(0o600)
    gateway = start_guarded(tokens={"keys": [{"id": "rsa", "pem_file": str(path), "algorithms": ["RS256"]}]})
    for text in (public_pem(RSA), public_pem(RSA).rstrip(b"\n")):
        signed = jwt.algorithms.HMACAlgorithm(getattr(jwt.algorithms.HMACAlgorithm, alg.replace("HS", "SHA")))
        body = by_hand({"alg": alg, "typ": "JWT"}, claims(), b"").rsplit(".", 1)[0]
        forged = f"{body}.{encode(signed.sign(body.encode(), text)).decode()}"
        refused(gateway.get("/", fields=bearer(forged)), backend, "AUTH_001")
    assert gateway.get("/", fields=bearer(token(key=RSA, alg="RS256"))).status == 200


@pytest.mark.parametrize(("alg", "key"), [
    ("RS256", RSA), ("RS384", RSA), ("RS512", RSA), ("PS256", RSA), ("PS512", RSA), ("ES256", EC), ("EdDSA", ED),
])
def test_every_signature_works_from_a_pem_file_and_only_as_allowed(start_guarded, directory, alg, key):
    path = directory / "key.pem"
    path.write_bytes(public_pem(key))
    path.chmod(0o600)
    gateway = start_guarded(tokens={"keys": [{"id": "k", "pem_file": str(path), "algorithms": [alg]}]})
    assert gateway.get("/", fields=bearer(token(key=key, alg=alg))).status == 200
    tampered = token(key=key, alg=alg)[:-6] + "AAAAAA"
    assert gateway.get("/", fields=bearer(tampered)).code == "AUTH_001"


def test_a_jwks_file_gives_keys_by_kid_and_unknown_members_are_skipped(start_guarded, directory):
    known = {"kid": "one", "use": "sig", "alg": "RS256", **jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), True)}
    curve = {"kid": "two", **jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key(), True)}
    path = directory / "jwks.json"
    path.write_text(json.dumps({"keys": [{"kty": "odd", "kid": "zero"}, known, curve]}))
    path.chmod(0o600)
    gateway = start_guarded(tokens={"keys": [{"id": "idp", "jwks_file": str(path)}]})
    assert gateway.get("/", fields=bearer(token(key=RSA, alg="RS256", kid="one"))).status == 200
    assert gateway.get("/", fields=bearer(token(key=EC, alg="ES256", kid="two"))).status == 200
    assert gateway.get("/", fields=bearer(token(key=RSA, alg="RS256", kid="two"))).code == "AUTH_001"
    assert gateway.get("/", fields=bearer(token(key=RSA, alg="RS256", kid="three"))).code == "AUTH_001"


@pytest.mark.parametrize(("changes", "status"), [
    ({"iss": "https://idp.test", "aud": "api"}, 200),
    ({"iss": "https://idp.test", "aud": ["other", "api"]}, 200),
    ({"iss": "https://evil.test", "aud": "api"}, 401),
    ({"aud": "api"}, 401),
    ({"iss": "https://idp.test", "aud": "other"}, 401),
    ({"iss": "https://idp.test"}, 401),
    ({"iss": "https://idp.test/", "aud": "api"}, 401),
])
def test_issuer_and_audience(start_guarded, changes, status):
    gateway = start_guarded(tokens={"issuers": ["https://idp.test"], "audiences": ["api"]})
    assert gateway.get("/", fields=bearer(token(claims(**changes)))).status == status


def test_a_token_above_the_limit_is_refused(start_guarded, backend):
    gateway = start_guarded(tokens={"max_bytes": "1KiB"})
    refused(gateway.get("/", fields=bearer(token(claims(pad="x" * 1000)))), backend, "AUTH_001")


@pytest.mark.parametrize("fields", [
    pytest.param([("Authorization", "Bearer a"), ("Authorization", "Bearer b")], id="two fields"),
    pytest.param([("Authorization", "Basic YWxpY2U6eA==")], id="Basic"),
    pytest.param([("Authorization", "Bearer")], id="no token"),
    pytest.param([("Authorization", "Bearer a b")], id="two words"),
])
def test_credentials_that_are_no_bearer_token_are_refused(gateway, backend, fields):
    response = gateway.fetch(request("GET", "/", fields))
    assert (response.status, response.code) == (401, "AUTH_001")
    assert response.field("WWW-Authenticate").startswith("Bearer")
    assert backend.requests == []


def test_the_scheme_is_read_in_any_case(gateway):
    assert gateway.get("/", fields={"Authorization": f"bearer {token()}"}).status == 200
