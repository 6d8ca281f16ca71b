"""Signed assertions for backends, as a backend sees them: PyJWT verifies with the keys that the gateway publishes."""

import json
import os
import re
import signal
import stat
import threading
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from harness.backend import answer
from harness.client import fetch, json_request, request
from harness.gateway import ADMIN_TOKEN, merged, run_binary
from harness.load import Asked, Load, failed
from harness.processes import wait_until
from harness.tokens import bearer, claims, token

HEADER = "X-Identity-Assertion"
PATH = "/.well-known/jwks.json"
ASSERTION = {"header": HEADER, "issuer": "https://edge.test", "audience": "backends", "jwks_path": PATH}
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
def start_signing(start_guarded):
    """`start_signing(lifetime="5s")`: settings of the assertion; `sections` of the rest."""
    def start(sections=None, **assertion):
        return start_guarded(**merged({"assertion": ASSERTION}, {**(sections or {}), "assertion": assertion}))
    return start


def key_set(gateway, path=PATH):
    answer = gateway.get(path)
    assert answer.status == 200, answer.body
    return answer.json()


def verified(assertion, keys, audience="backends"):
    """The claims, when one of the keys has signed them; else what PyJWT raises."""
    header = jwt.get_unverified_header(assertion)
    assert header["typ"] == "assertion+jwt"
    key = jwt.PyJWKSet.from_dict(keys)[header["kid"]]
    return jwt.decode(
        assertion, key, algorithms=["ES256", "EdDSA"], audience=audience, issuer="https://edge.test",
        options={"require": ["iss", "aud", "iat", "exp", "jti"]})


def assertion_of(gateway, backend, fields=None, target="/"):
    """What the backend gets with one request."""
    before = len(backend.requests)
    assert gateway.get(target, fields=fields or bearer(token())).status == 200
    assert len(backend.requests) == before + 1
    return backend.requests[-1].field(HEADER)


def kids(keys):
    return [key["kid"] for key in keys["keys"]]


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def replace(path: Path, data: bytes, mode: int = 0o600) -> Path:
    draft = path.with_suffix(".draft")
    draft.write_bytes(data)
    draft.chmod(mode)
    draft.rename(path)
    return path


# --- What it says


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_backend_verifies_who_the_caller_is(start_signing, backend, algorithm):
    gateway = start_signing(algorithm=algorithm)
    body = claims(
        roles=["user", "admin"], scope="read write", iss="https://idp.test", amr=["pwd", "otp"], acr="gold",
        auth_time=int(time.time()) - 60, azp="app", client_id="app")
    assertion = assertion_of(gateway, backend, bearer(token(body)))
    said = verified(assertion, key_set(gateway))
    assert jwt.get_unverified_header(assertion)["alg"] == algorithm
    assert said["exp"] - said["iat"] == 60
    assert abs(said["iat"] - time.time()) < 10
    for name in ("iat", "exp", "jti"):
        del said[name]
    assert said == {
        "iss": "https://edge.test", "aud": "backends", "sub": "alice",
        "sub_id": {"format": "iss_sub", "iss": "https://idp.test", "sub": "alice"}, "roles": ["user", "admin"],
        "scope": "read write", "acr": "gold", "amr": ["pwd", "otp"], "auth_time": body["auth_time"], "azp": "app",
        "client_id": "app"}


@pytest.mark.parametrize("subject", ['a"b', "a\\", 'x","roles":["admin"],"y":"', "Zoë\n\x00", "\u2028😀"])
def test_a_subject_cannot_break_out_of_the_claims(start_signing, backend, subject):
    gateway = start_signing()
    said = verified(assertion_of(gateway, backend, bearer(token(claims(subject)))), key_set(gateway))
    assert said["sub"] == subject
    assert said["roles"] == ["user"]


def test_it_does_not_outlive_the_token(start_signing, backend):
    gateway = start_signing()
    end = int(time.time()) + 20
    said = verified(assertion_of(gateway, backend, bearer(token(claims(exp=end)))), key_set(gateway))
    assert said["exp"] == end


def test_each_backend_has_its_own_audience(start_signing, backend):
    gateway = start_signing(sections={
        "upstreams": {"staff": {"servers": [backend.address], "assertion_audience": "staff"}},
        "routes": [{"path": "/", "upstream": "api"}, {"path": "/staff", "upstream": "staff"}]})
    keys, mine = key_set(gateway), bearer(token())
    assert verified(assertion_of(gateway, backend, mine), keys)["aud"] == "backends"
    staff = assertion_of(gateway, backend, mine, "/staff")
    assert verified(staff, keys, "staff")["aud"] == "staff"
    with pytest.raises(jwt.InvalidAudienceError):
        verified(staff, keys)


def test_it_is_used_for_many_requests_of_one_token(start_signing, backend):
    gateway = start_signing(sections={"workers": 1})
    alice, bob = bearer(token(claims("alice"))), bearer(token(claims("bob")))
    seen = {assertion_of(gateway, backend, who) for _ in range(20) for who in (alice, bob)}
    assert len(seen) == 2
    wait_until("both are counted", lambda: gateway.metrics()["gateway_assertions_signed_total"] == 2, 5)


# --- What is forged


@pytest.mark.parametrize("name", [HEADER, "x-identity-assertion", "X_Identity_Assertion", "X.Identity.Assertion"])
@pytest.mark.parametrize("target", ["/open", "/maybe", "/"])
def test_a_forged_one_never_arrives(start_signing, backend, name, target):
    gateway = start_signing()
    identity = bearer(token()) if target == "/" else {}
    gateway.get(target, fields={name: "forged-value", **identity})
    arrived = backend.only()
    assert b"forged-value" not in arrived.head
    spellings = [other for other in arrived.names() if re.sub("[^a-z0-9]", "-", other) == HEADER.lower()]
    assert len(spellings) == (1 if target == "/" else 0)


def test_a_trailer_cannot_bring_one(start_signing, backend):
    gateway = start_signing()
    body = b"3\r\nabc\r\n0\r\nX-Identity-Assertion: forged-value\r\n\r\n"
    gateway.fetch(request("POST", "/open", {"Transfer-Encoding": "chunked", "Trailer": HEADER}) + body)
    arrived = backend.only()
    assert arrived.body == b"abc"
    assert b"forged-value" not in arrived.head + arrived.raw_body


def test_connection_cannot_take_it_away(start_signing, backend):
    gateway = start_signing()
    assert assertion_of(gateway, backend, {"Connection": HEADER, **bearer(token())})


# --- The keys


def test_the_keys_are_served_as_a_key_set(start_signing):
    gateway = start_signing(jwks_max_age="90s")
    got = gateway.get(PATH)
    assert got.field("Content-Type") == "application/jwk-set+json"
    assert got.field("Cache-Control") == "public, max-age=90"
    key = got.json()["keys"][0]
    assert set(key) == {"alg", "crv", "kid", "kty", "use", "x", "y"}
    head = gateway.fetch(request("HEAD", PATH))
    assert head.status == 200 and head.body == b""
    assert head.field("Content-Length") == str(len(got.body))
    refused = gateway.fetch(request("POST", PATH, body=b""))
    assert refused.status == 405 and refused.field("Allow") == "GET, HEAD"
    on_admin = gateway.ask_admin(PATH)
    assert on_admin.status == 200 and on_admin.body == got.body
    for field in ("Content-Type", "Cache-Control"):
        assert on_admin.field(field) == got.field(field)


def test_a_blocked_address_does_not_get_the_keys(start_signing, address):
    gateway = start_signing()
    gateway.command("block", address)
    assert gateway.get(PATH, address).code == "AUTH_004"


def test_without_a_path_the_backend_has_its_own(start_signing, backend):
    gateway = start_signing(jwks_path=None)
    assert gateway.get(PATH, fields=bearer(token())).body == b"ok"
    assert kids(gateway.ask_admin(PATH).json())


def test_nothing_is_signed_unless_it_is_asked_for(gateway, backend):
    assert gateway.get("/", fields=bearer(token())).status == 200
    assert "assertion" not in str(backend.only().names())
    assert gateway.ask_admin(PATH).status == 404
    assert gateway.command("rotate-assertion-key", check=False).returncode == 1


def test_all_workers_sign_with_the_same_key(start_signing, backend):
    gateway = start_signing(sections={"workers": 4})
    keys, mine = key_set(gateway), bearer(token())
    seen = [assertion_of(gateway, backend, mine) for _ in range(60)]
    assert len(set(seen)) > 1, "each worker signs for itself"
    assert {verified(assertion, keys)["sub"] for assertion in seen} == {"alice"}


# --- The key that was made


def test_a_restart_keeps_the_key(start_signing, backend):
    gateway = start_signing()
    before, keys = assertion_of(gateway, backend), key_set(gateway)
    path = Path(gateway.settings["state_dir"]) / "assertion.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    gateway.stop()
    gateway.start()
    assert key_set(gateway) == keys
    verified(before, key_set(gateway))
    verified(assertion_of(gateway, backend), keys)


def test_an_upgrade_keeps_the_key(start_signing, backend):
    gateway = start_signing()
    keys = key_set(gateway)
    gateway.command("upgrade")
    assert key_set(gateway) == keys
    verified(assertion_of(gateway, backend), keys)


@pytest.mark.parametrize(("spoil", "word"), [
    (lambda path: path.write_text("nonsense"), "no PEM block"),
    (lambda path: path.write_text(path.read_text().replace("# published", "# x")), "does not say when"),
    (lambda path: path.chmod(0o644), "read by every user"),
])
def test_a_kept_key_that_cannot_be_used_is_no_reason_to_make_another(start_signing, spoil, word):
    gateway = start_signing()
    gateway.stop()
    path = Path(gateway.settings["state_dir"]) / "assertion.pem"
    spoil(path)
    spoiled = path.read_bytes()
    checked = run_binary("check", "--config", gateway.config_path)
    assert checked.returncode == 78 and word in checked.stderr
    with pytest.raises(AssertionError, match=word):
        gateway.start()
    assert path.read_bytes() == spoiled


# --- Rotation


def rotate(gateway, **members):
    return fetch(gateway.admin, json_request("POST", "/admin/keys/rotate", members, BEARER))


def test_a_rotation_publishes_first_and_signs_later(start_signing, backend):
    gateway = start_signing(lifetime="5s", jwks_max_age="1s")
    old = kids(key_set(gateway))
    mine = bearer(token())
    done = rotate(gateway)
    assert done.status == 200
    new = done.json()["kid"]
    wait_until("both are published", lambda: kids(key_set(gateway)) == [*old, new], 2)
    assert done.json()["previous"]["kid"] == old[0]
    assert jwt.get_unverified_header(assertion_of(gateway, backend, mine))["kid"] == old[0]
    again = rotate(gateway)
    assert again.status == 503 and new in again.json()["detail"]
    gateway.wait_event("assertion.key_signs", 10, kid=new)
    wait_until(
        "it signs", lambda: jwt.get_unverified_header(assertion_of(gateway, backend, mine))["kid"] == new, 10)
    assert kids(key_set(gateway)) == [*old, new]
    record = gateway.wait_event(service="audit", action="key_rotation")
    assert new in record["message"] and record["context"]["actor"] == "admin-token"
    gateway.stop()
    gateway.start()
    assert kids(key_set(gateway)) == [*old, new]
    assert jwt.get_unverified_header(assertion_of(gateway, backend, mine))["kid"] == new


def test_keys_in_the_wrong_hands_are_withdrawn_at_once(start_signing, backend):
    gateway = start_signing()
    old, mine = kids(key_set(gateway))[0], bearer(token())
    assert jwt.get_unverified_header(assertion_of(gateway, backend, mine))["kid"] == old
    said = gateway.command("rotate-assertion-key", "--compromised").stdout
    assert f"the one before, {old}, is withdrawn" in said
    wait_until("it is gone", lambda: old not in kids(key_set(gateway)), 2)
    for _ in range(20):
        wait_until(
            "nothing is signed with it",
            lambda: jwt.get_unverified_header(assertion_of(gateway, backend, mine))["kid"] != old, 2)
    assert gateway.events(service="audit", action="key_rotation")[0]["context"]["actor"].startswith("uid:")


def test_nobody_rotates_without_a_token(start_signing):
    gateway = start_signing()
    before = key_set(gateway)
    for fields in ({}, {"Authorization": "Bearer another token, just as long as the real"}):
        assert fetch(gateway.admin, json_request("POST", "/admin/keys/rotate", {}, fields)).status == 401
    assert fetch(gateway.admin, request("GET", "/admin/keys/rotate", BEARER)).status == 405
    assert rotate(gateway, compromised="yes").status == 422
    assert rotate(gateway, force=True).status == 422
    assert key_set(gateway) == before


@pytest.mark.once
def test_under_load_no_rotation_makes_an_assertion_that_cannot_be_verified(start_signing, backend):
    """The backend keeps the keys as long as it may, and not a moment less."""
    max_age = 1.0
    gateway = start_signing(lifetime="5s", jwks_max_age="1s", sections={"tokens": {"cache_entries": 64}})
    lock, problems, seen = threading.Lock(), [], set()
    kept = {"at": 0.0, "keys": {}}

    def verify(exchange):
        exchange.read_body()
        with lock:
            if time.monotonic() - kept["at"] >= max_age:
                # Its age counts from before it was asked for.
                kept.update(at=time.monotonic(), keys=key_set(gateway))
            try:
                verified(exchange.request.field(HEADER), kept["keys"])
                seen.add(jwt.get_unverified_header(exchange.request.field(HEADER))["kid"])
            except (jwt.PyJWTError, KeyError) as problem:
                problems.append(repr(problem))
        return answer()

    backend.handler = verify
    asked = [Asked(request("GET", "/", bearer(token(claims(f"user-{number}"))))) for number in range(20)]
    with Load(gateway.address, asked, 6, pause=0.002) as load:
        for _ in range(2):
            new = rotate(gateway).json()["kid"]
            wait_until("it signs", lambda kid=new: kid in seen, 20)
        samples = load.stop()
    assert not failed(samples), failed(samples)[:3]
    assert not problems, problems[:3]
    assert len(seen) == 3


# --- A key file


def test_a_key_file_signs_and_is_followed(start_signing, backend, directory):
    first, second = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    path = replace(directory / "key.pem", pem(first) + public_pem(second))
    gateway = start_signing(key_file=str(path), lifetime="5s", jwks_max_age="1s")
    mine = bearer(token())
    keys = key_set(gateway)
    assert [key["alg"] for key in keys["keys"]] == ["ES256", "EdDSA"]
    assert jwt.get_unverified_header(assertion_of(gateway, backend, mine))["alg"] == "ES256"
    assert "assertion.pem" not in os.listdir(gateway.settings["state_dir"])
    refused = rotate(gateway)
    assert refused.status == 422 and str(path) in refused.json()["detail"]
    replace(path, pem(second) + public_pem(first))
    gateway.wait_event("assertion.key_signs", 10, kid=keys["keys"][1]["kid"])
    wait_until("it signs", lambda: jwt.get_unverified_header(
        assertion_of(gateway, backend, mine))["alg"] == "EdDSA", 10)
    verified(assertion_of(gateway, backend, mine), keys)
    assert gateway.events(service="audit", action="key_rotation")[0]["context"]["actor"] == "gateway"


def test_a_bad_key_file_changes_nothing(start_signing, backend, directory):
    path = replace(directory / "key.pem", pem(ec.generate_private_key(ec.SECP256R1())))
    gateway = start_signing(key_file=str(path))
    keys = key_set(gateway)
    replace(path, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert gateway.wait_event("assertion.key_file_unusable", 10)["file"] == str(path)
    assert gateway.command("reload", check=False).returncode == 1
    verified(assertion_of(gateway, backend), keys)
    assert key_set(gateway) == keys


@pytest.mark.parametrize(("make", "word"), [
    (lambda path: replace(path, pem(ec.generate_private_key(ec.SECP384R1()))), "only keys on P-256 and Ed25519"),
    (lambda path: replace(path, public_pem(ec.generate_private_key(ec.SECP256R1()))), "the key is a public one"),
    (lambda path: replace(path, pem(ec.generate_private_key(ec.SECP256R1())), 0o644), "read by every user"),
    (lambda path: replace(path, pem(ec.generate_private_key(ec.SECP256R1()))), "cannot be used with EdDSA"),
])
def test_a_key_file_that_cannot_sign_is_a_mistake(directory, make, word):
    path = make(directory / "key.pem")
    assertion = {**ASSERTION, "key_file": str(path), **({"algorithm": "EdDSA"} if "EdDSA" in word else {})}
    if "only" in word:
        assertion.pop("algorithm", None)
    settings = {
        "state_dir": str(directory / "state"), "assertion": assertion,
        "upstreams": {"api": {"servers": ["127.0.0.1:9"]}},
        "routes": [{"path": "/", "upstream": "api", "auth": "none"}]}
    config = directory / "gateway.conf"
    config.write_text(json.dumps(settings))
    checked = run_binary("check", "--config", config)
    assert checked.returncode == 78
    assert word in checked.stderr, checked.stderr


# --- Reload


def test_a_reload_turns_it_on_and_off(start_guarded, backend):
    gateway = start_guarded()
    plain, mine = gateway.settings, bearer(token())
    assert gateway.get("/", fields={HEADER: "theirs", **mine}).status == 200
    assert backend.requests[-1].field(HEADER) == "theirs", "the name means nothing yet"
    gateway.write_config({**plain, "assertion": ASSERTION})
    gateway.command("reload")
    keys = key_set(gateway)
    verified(assertion_of(gateway, backend, mine), keys)
    gateway.write_config({**plain, "assertion": {**ASSERTION, "lifetime": "30s", "audience": "others"}})
    gateway.signal(signal.SIGHUP)
    wait_until("the new rules hold", lambda: jwt.decode(
        assertion_of(gateway, backend, mine), options={"verify_signature": False})["aud"] == "others", 5)
    said = verified(assertion_of(gateway, backend, mine), keys, "others")
    assert said["exp"] - said["iat"] == 30
    gateway.write_config(plain)
    gateway.command("reload")
    wait_until("it is off", lambda: assertion_of(gateway, backend, mine) is None, 5)
    assert gateway.get(PATH, fields=mine).body == b"ok"
    gateway.write_config({**plain, "assertion": ASSERTION})
    gateway.command("reload")
    assert key_set(gateway) == keys, "the key was kept"


def test_another_algorithm_is_a_rotation(start_signing, backend):
    gateway = start_signing(jwks_max_age="1s")
    gateway.write_config(merged(gateway.settings, {"assertion": {"algorithm": "EdDSA"}}))
    gateway.command("reload")
    keys = wait_until("both are published", lambda: len(key_set(gateway)["keys"]) == 2 and key_set(gateway), 5)
    assert [key["alg"] for key in keys["keys"]] == ["ES256", "EdDSA"]
    assert jwt.get_unverified_header(assertion_of(gateway, backend))["alg"] == "ES256"
    gateway.wait_event("assertion.key_signs", 10, algorithm="EdDSA")
    verified(assertion_of(gateway, backend), keys)
