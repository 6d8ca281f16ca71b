"""Keys that are fetched: from a URL or from an OpenID provider, through rotations and through everything that may go wrong."""

import json
import ssl
import threading
import time

import pytest

from harness.backend import answer
from harness.certificates import Authority
from harness.client import request
from harness.processes import free_port, wait_until
from harness.provider import KEYS, METADATA, Provider
from harness.tokens import SECRET, bearer, token

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def start_provider():
    started = []

    def start(*kids, **ways):
        started.append(Provider(*(kids or ("one",)), **ways))
        return started[-1]

    yield start
    for provider in started:
        provider.close()


@pytest.fixture
def provider(start_provider):
    return start_provider()


@pytest.fixture
def start_trusting(start_guarded):
    """A gateway that believes this provider: by the URL of its keys, or by its issuer."""

    def start(provider, by="jwks_url", keys=(), **settings):
        place = {"jwks_url": provider.url, "oidc_issuer": provider.issuer}[by]
        return start_guarded(tokens={"keys": [{"id": "idp", by: place, **settings}, *keys]})

    return start


def status(gateway, value):
    return gateway.get("/", fields=bearer(value)).status


def reasons(gateway):
    """Of refused tokens, oldest first."""
    return [line["context"]["failure_reason"] for line in gateway.events("security.auth_failure")]


def passes(gateway, value):
    """Once the keys are here."""
    wait_until("the token passes", lambda: status(gateway, value) == 200)


@pytest.mark.parametrize("by", ["jwks_url", "oidc_issuer"])
def test_tokens_of_a_provider_pass_and_its_keys_are_fetched_once(start_trusting, provider, backend, by):
    gateway = start_trusting(provider, by)
    passes(gateway, provider.token("one"))
    for number in range(50):
        assert status(gateway, provider.token("one", sub=f"user-{number}")) == 200
    assert provider.fetches() == 1
    assert provider.fetches(METADATA) == (1 if by == "oidc_issuer" else 0)
    [asked] = [one for one in provider.server.requests if one.target == KEYS]
    assert asked.field("Host") == f"127.0.0.1:{provider.server.port}"
    assert asked.field("Accept-Encoding") == "identity"


def test_a_provider_vouches_for_its_own_issuer_only(start_trusting, start_provider):
    """RFC 8725 §3.8: a key that belongs to one issuer says nothing for another."""
    ours, other = start_provider("one"), start_provider("two")
    gateway = start_trusting(ours, "oidc_issuer", [{"id": "other", "oidc_issuer": other.issuer}])
    passes(gateway, ours.token("one"))
    passes(gateway, other.token("two"))
    assert status(gateway, ours.token("one", iss=other.issuer)) == 401
    assert status(gateway, other.token("two", iss=ours.issuer)) == 401
    assert status(gateway, ours.token("one", iss=None)) == 401
    wait_until("each is told", lambda: reasons(gateway)[-3:] == ["wrong_issuer", "wrong_issuer", "missing_claim"])


def test_it_starts_without_the_provider_says_503_and_recovers_by_itself(start_trusting, start_provider, backend):
    port = free_port()
    away = Provider("one")
    away.close()
    away.base = f"http://127.0.0.1:{port}"
    gateway = start_trusting(away, "jwks_url", [{"id": "own", "secret": SECRET}])
    refused = gateway.get("/", fields=bearer(away.token("one")))
    assert (refused.status, refused.code) == (503, "SVC_001")
    assert refused.field("Retry-After") == "1"
    assert refused.field("Proxy-Status") == "gateway; error=proxy_internal_response"
    assert refused.field("WWW-Authenticate") is None
    wait_until("it is told", lambda: reasons(gateway) == ["jwks_unavailable"])
    assert gateway.get("/").status == 401, "without a token nothing has to be known"
    assert status(gateway, token()) == 200, "a key of our own needs no provider"
    assert gateway.get("/health").status == 200
    [source] = gateway.command_json("status")["keys"]
    assert source["state"] == "missing" and "Connection refused" in source["problem"]
    here = start_provider("one", port=port)
    passes(gateway, here.token("one", iss=None))
    assert gateway.events("keys.fetched")[-1]["keys"] == "idp/one"


HUGE = json.dumps({"keys": [], "padding": "x" * (1 << 20)})
FAULTS = {
    "an error": (KEYS, answer(500, b"no"), "status 500"),
    "a redirect": (KEYS, answer(302, b"", {"Location": "http://127.0.0.1:1/"}), "redirects are not followed"),
    "a page": (KEYS, answer(200, b"<html>", {"Content-Type": "text/html"}), "text/html and not JSON"),
    "compressed": (KEYS, answer(200, b"\x1f\x8b", {**JSON, "Content-Encoding": "gzip"}), "encoded (gzip)"),
    "huge": (KEYS, answer(200, HUGE, JSON), "more than 1048576 bytes"),
    "huge in chunks": (
        KEYS, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + f"{len(HUGE):x}\r\n{HUGE}\r\n0\r\n\r\n".encode(), "more than 1048576 bytes"),
    "two lengths": (KEYS, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "Content-Length"),
    "no HTTP": (KEYS, b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
    "cut off": (KEYS, lambda exchange: exchange.close() or b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", "closed before"),
    "no JSON": (KEYS, answer(200, b"{", JSON), "not a strict JSON object"),
    "no keys": (KEYS, answer(200, b'{"keys":[]}', JSON), "no usable key"),
    "keys of no use": (KEYS, answer(200, b'{"keys":[{"kty":"odd"}]}', JSON), "no usable key"),
    "slow": (KEYS, lambda exchange: time.sleep(1.5), "no answer in time"),
    "another issuer": (METADATA, answer(200, b'{"issuer":"https://evil.test","jwks_uri":"https://a/"}', JSON), "another issuer"),
    "keys without TLS": (METADATA, lambda exchange: answer(200, json.dumps({
        "issuer": f"http://{exchange.request.field('Host')}/realms/demo", "jwks_uri": "http://192.0.2.1/"}), JSON), "not an https URL"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_provider_gives_no_keys_and_is_told(start_trusting, provider, name):
    """Nothing is taken from such an answer; the gateway goes on asking, and takes the first good one."""
    path, scripted, reason = FAULTS[name]
    provider.answers[path] = scripted
    gateway = start_trusting(provider, "oidc_issuer", timeout="500ms")
    told = gateway.wait_event("keys.fetch_failed")
    assert told["key"] == "idp" and reason in told["reason"], told
    assert status(gateway, provider.token("one")) == 503
    provider.answers.clear()
    passes(gateway, provider.token("one"))


@pytest.mark.parametrize("name", ["an error", "a page", "no keys", "cut off"])
def test_a_fault_later_leaves_the_keys_in_force(start_trusting, provider, name):
    gateway = start_trusting(provider)
    passes(gateway, provider.token("one"))
    provider.answers[KEYS] = FAULTS[name][1]
    provider.add("two")
    assert status(gateway, provider.token("two")) == 401
    gateway.wait_event("keys.fetch_failed")
    assert status(gateway, provider.token("one", sub="another")) == 200


def test_a_new_key_is_found_by_its_first_token_and_a_removed_one_refused_at_once(start_trusting, provider):
    gateway = start_trusting(provider)
    old = provider.token("one")
    passes(gateway, old)
    assert status(gateway, old) == 200
    provider.add("two")
    new = provider.token("two")
    del provider.keys["one"]
    passes(gateway, new)
    assert status(gateway, old) == 401, "also of a token that was remembered"
    assert provider.fetches() == 2
    wait_until("it is told", lambda: reasons(gateway)[-1] == "unknown_kid")


@pytest.mark.once
def test_a_flood_of_unknown_kids_causes_one_fetch(start_trusting, start_provider, provider):
    gateway = start_trusting(provider)
    passes(gateway, provider.token("one"))
    strangers = start_provider(*(f"kid-{number}" for number in range(40)))
    tokens = [strangers.token(kid) for kid in strangers.keys]
    flood = b"".join(request("HEAD", "/", bearer(value)) for value in tokens)

    def run() -> None:
        with gateway.connect() as client:
            for _ in range(20):
                client.send(flood)
                assert [client.read_head().status for _ in tokens] == [401] * len(tokens)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = gateway.metrics()['gateway_auth_failures_total{failure_reason="unknown_kid"}']
    assert refused == 4 * 20 * len(tokens)
    assert provider.fetches() == 2
    assert status(gateway, provider.token("one", sub="still")) == 200


def test_a_reload_that_changes_nothing_about_it_asks_for_nothing(start_trusting, provider):
    gateway = start_trusting(provider)
    passes(gateway, provider.token("one"))
    for _ in range(5):
        gateway.command("reload")
        assert status(gateway, provider.token("one")) == 200
    assert provider.fetches() == 1


def test_keys_stay_when_a_reload_changes_how_they_are_fetched(start_trusting, provider):
    gateway = start_trusting(provider)
    passes(gateway, provider.token("one"))
    provider.answers[KEYS] = answer(500, b"no")
    gateway.settings["tokens"]["keys"][0]["refresh"] = "1h"
    gateway.write_config()
    gateway.command("reload")
    gateway.wait_event("keys.fetch_failed")
    assert status(gateway, provider.token("one", sub="another")) == 200


@pytest.mark.parametrize("is_trusted", [True, False])
def test_the_provider_must_prove_who_it_is(start_trusting, start_provider, directory, is_trusted):
    authority, other = Authority(), Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost").write(directory / "idp"))
    provider = start_provider("one", tls=context, name="localhost")
    gateway = start_trusting(
        provider, "oidc_issuer", ca_file=(authority if is_trusted else other).write(directory / "trust"))
    if is_trusted:
        passes(gateway, provider.token("one"))
        return
    assert "no TLS: certificate" in gateway.wait_event("keys.fetch_failed")["reason"]
    assert status(gateway, provider.token("one")) == 503


def test_a_key_set_in_a_file_is_watched(start_guarded, directory, provider):
    path = directory / "jwks.json"

    def write(text):
        draft = directory / "draft"
        draft.write_text(text)
        draft.chmod(0o600)
        draft.rename(path)

    write(json.dumps(provider.key_set()))
    gateway = start_guarded(tokens={"keys": [{"id": "file", "jwks_file": str(path)}]})
    first = provider.token("one")
    assert status(gateway, first) == 200
    write("{")
    assert gateway.wait_event("keys.file_unusable")["key"] == "file"
    assert status(gateway, first) == 200
    provider.add("two")
    del provider.keys["one"]
    write(json.dumps(provider.key_set()))
    passes(gateway, provider.token("two"))
    assert status(gateway, first) == 401


def test_metrics_tell_how_old_keys_are_and_how_fetching_goes(start_trusting, provider):
    gateway = start_trusting(provider)
    passes(gateway, provider.token("one"))
    [source] = gateway.command_json("status")["keys"]
    assert (source["id"], source["state"], source["keys"], source["problem"]) == ("idp", "good", ["idp/one"], None)
    metrics = gateway.metrics()
    assert metrics['gateway_key_fetches_total{source="idp",result="ok"}'] == 1
    assert metrics['gateway_key_fetches_total{source="idp",result="failed"}'] == 0
    assert abs(metrics['gateway_key_fetch_timestamp_seconds{source="idp"}'] - time.time()) < 60
