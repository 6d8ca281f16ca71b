"""Opaque tokens (docs/introspection.md): judged by their issuer, who may be slow, away, wrong or hostile."""

import ssl
import threading
import time

import pytest

from harness import tracing
from harness.backend import answer
from harness.certificates import Authority
from harness.client import fetch, request
from harness.issuer import OPAQUE, SILENT, Issuer, ask, said
from harness.long_exchanges import LongExchanges
from harness.processes import free_port, wait_until
from harness.tokens import bearer, token
from harness.websocket import closing, handshake

BAD = (401, "AUTH_001")
PASSES = (200, None)


def reasons(gateway):
    return [line["context"]["failure_reason"] for line in gateway.events("security.auth_failure")]


def count(gateway, result):
    return gateway.metrics()[f'gateway_introspections_total{{result="{result}"}}']


def test_a_token_is_judged_by_its_issuer_and_the_backend_learns_whose_it_is(start_asking, issuer, backend):
    issuer.grant(OPAQUE, "alice", role="editor", tier="gold")
    gateway = start_asking(issuer)
    assert ask(gateway, OPAQUE) == PASSES
    assert ask(gateway, OPAQUE, "/gold") == PASSES
    assert ask(gateway, OPAQUE, "/admin") == (403, "PERM_002")
    assert ask(gateway, OPAQUE, "/open") == PASSES
    assert ask(gateway, "unheard-of") == BAD
    assert ask(gateway, "unheard-of", "/maybe") == BAD
    assert ask(gateway, token()) == PASSES, "a JWT is nobody's affair but its key's"
    assert issuer.asked == {OPAQUE: 1, "unheard-of": 1}
    assert issuer.forms[0] == {"token": [OPAQUE], "token_type_hint": ["access_token"]}
    seen = [one for one in backend.requests if one.target == "/"][0]
    assert (seen.field("X-User-ID"), seen.field("X-User-Role")) == ("alice", "editor")
    wait_until("it is told", lambda: reasons(gateway).count("token_inactive") == 2)
    assert count(gateway, "active") == 1 and count(gateway, "inactive") == 1
    assert OPAQUE not in gateway.child.log() and "s3cret" not in gateway.child.log()


def test_without_an_endpoint_an_opaque_token_is_refused_as_ever(start_guarded):
    gateway = start_guarded()
    assert ask(gateway, OPAQUE) == BAD
    assert 'gateway_introspections_total{result="active"}' in gateway.metrics()


@pytest.mark.once
def test_200_requests_at_once_are_one_question(start_asking, issuer):
    issuer.grant(OPAQUE)
    hold = threading.Event()

    def held(exchange):
        hold.wait(10)
        return said(active=True, sub="alice")

    issuer.script = held
    gateway = start_asking(issuer, timeout="10s")
    clients = [gateway.connect() for _ in range(200)]
    for client in clients:
        client.send(request("GET", "/", bearer(OPAQUE)))
    wait_until("the question is there", lambda: issuer.asked[OPAQUE] == 1)
    hold.set()
    for client in clients:
        assert client.read_response().status == 200
    assert issuer.asked == {OPAQUE: 1}


def test_no_worker_waits_while_a_token_is_asked_about(start_asking, issuer):
    hold = threading.Event()
    issuer.script = lambda exchange: hold.wait(10) and said(active=True, sub="alice")
    gateway = start_asking(issuer, timeout="10s")
    waiting = [gateway.connect().send(request("GET", "/", bearer(f"token-{number}"))) for number in range(20)]
    wait_until("all are asked about", lambda: len(issuer.asked) == 20)
    for _ in range(50):
        assert ask(gateway, token()) == PASSES
    hold.set()
    for client in waiting:
        assert client.read_response().status == 200


def test_the_body_waits_unread_and_arrives_whole(start_asking, issuer, backend):
    issuer.grant(OPAQUE)
    hold = threading.Event()

    def held(exchange):
        hold.wait(10)
        return said(active=True, sub="alice")

    issuer.script = held
    gateway = start_asking(issuer, timeout="10s")
    body = b"0123456789" * 100_000
    head = f"POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {OPAQUE}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    behind = request("GET", "/maybe?behind")
    client = gateway.connect()
    sender = threading.Thread(target=client.send, args=(head + body + behind,))
    sender.start()
    wait_until("the question is there", lambda: issuer.asked[OPAQUE] == 1)
    assert backend.requests == []
    hold.set()
    assert client.read_response().status == 200
    assert client.read_response().status == 200
    sender.join()
    first, second = backend.requests
    assert (first.body, second.target) == (body, "/maybe?behind")


def test_requests_sent_ahead_are_answered_in_their_order(start_asking, issuer, backend):
    for name in ("one", "two", "three"):
        issuer.grant(f"token-{name}", name)
    gateway = start_asking(issuer)
    ahead = [request("GET", f"/{name}", bearer(f"token-{name}")) for name in ("one", "two", "bad", "three")]
    client = gateway.connect().send(b"".join(ahead))
    assert [client.read_response().status for _ in ahead] == [200, 200, 401, 200]
    assert [one.field("X-User-ID") for one in backend.requests] == ["one", "two", "three"]


def test_a_token_that_was_waited_for_in_vain_takes_none_with_it_that_was_sent_behind_it(start_asking, issuer):
    """The thread that asks stands still until the first one's time is over."""
    issuer.grant("token-two", "two")
    gateway = start_asking(issuer, timeout="300ms")
    client = gateway.connect()
    with tracing.held(gateway.child.pid):
        client.send(request("GET", "/one", bearer("token-one")) + request("GET", "/two", bearer("token-two")))
        first = client.read_response()
    assert (first.status, first.code) == SILENT
    assert client.read_response().status == 200
    assert issuer.asked["token-two"] == 1


def test_whoever_goes_away_while_his_token_is_asked_about_takes_nobody_with_him(start_asking, issuer):
    hold = threading.Event()
    issuer.script = lambda exchange: hold.wait(10) and said(active=True, sub="alice")
    gateway = start_asking(issuer, timeout="10s")
    gone = [gateway.connect().send(request("GET", "/", bearer(OPAQUE))) for _ in range(5)]
    stays = gateway.connect().send(request("GET", "/", bearer(OPAQUE)))
    wait_until("the question is there", lambda: issuer.asked[OPAQUE] == 1)
    for client in gone:
        client.close()
    hold.set()
    assert stays.read_response().status == 200
    assert ask(gateway, OPAQUE) == PASSES


def test_it_starts_without_the_endpoint_and_says_503_until_it_is_there(start_asking, start_issuer):
    port = free_port()
    away = Issuer(port=port)
    away.close()
    gateway = start_asking(away)
    refused = gateway.get("/", fields=bearer(OPAQUE))
    assert (refused.status, refused.code) == SILENT
    assert refused.field("Retry-After") == "1" and refused.field("WWW-Authenticate") is None
    assert refused.field("Proxy-Status") == "gateway; error=proxy_internal_response"
    assert ask(gateway, OPAQUE, "/maybe") == SILENT
    assert ask(gateway, token()) == PASSES
    told = gateway.wait_event("introspection.failed")
    assert "Connection refused" in told["reason"] and told["failures"] == 1
    wait_until("it is told", lambda: reasons(gateway) == ["introspection_unavailable"] * 2)
    here = start_issuer(port=port)
    here.grant(OPAQUE)
    assert ask(gateway, OPAQUE) == PASSES
    assert gateway.wait_event("introspection.works")["failures"] == 1


def test_an_endpoint_that_does_not_answer_is_spared_and_what_is_known_stays_good(start_asking, issuer):
    issuer.grant(OPAQUE)
    gateway = start_asking(issuer)
    assert ask(gateway, OPAQUE) == PASSES
    issuer.script = answer(500, b"no")
    for number in range(8):
        assert ask(gateway, f"token-{number}") == SILENT
    assert len(issuer.asked) == 1 + 5
    assert gateway.wait_event("introspection.spared")["seconds"] == 60
    assert count(gateway, "failed") == 5 and count(gateway, "spared") == 3
    assert ask(gateway, OPAQUE) == PASSES


@pytest.mark.once
def test_tokens_that_the_issuer_chokes_on_do_not_cut_off_the_others(start_asking, issuer):
    issuer.grant(OPAQUE)
    gateway = start_asking(issuer)
    issuer.script = answer(400, b"what?")
    for number in range(20):
        assert ask(gateway, f"token-{number}") == SILENT
    issuer.script = None
    assert ask(gateway, OPAQUE) == PASSES
    assert not gateway.events("introspection.spared")
    assert len(gateway.events("introspection.failed")) <= 2


@pytest.mark.once
def test_a_slow_endpoint_costs_its_time_and_no_more(start_asking, issuer):
    release = threading.Event()
    issuer.script = lambda exchange: release.wait(10) and None
    gateway = start_asking(issuer, timeout="300ms")
    began = time.monotonic()
    assert ask(gateway, OPAQUE) == SILENT
    assert 0.25 < time.monotonic() - began < 2
    assert "no answer in time" in gateway.wait_event("introspection.failed")["reason"]
    release.set()


@pytest.mark.parametrize("value", [
    "a&active=true", "a%26token=b", "a b", "a,b", 'a"b', "a;b", "{}", "a\tb", "tök", "x" * 20_000])
def test_what_is_no_token68_is_never_sent_on(start_asking, issuer, value):
    gateway = start_asking(issuer)
    data = b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + value.encode() + b"\r\n\r\n"
    assert gateway.fetch(data).status in (400, 401)
    assert not issuer.asked


@pytest.mark.parametrize("value", ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "a.b.c", ".."])
def test_three_parts_are_a_jwt_which_the_issuer_cannot_save(start_asking, issuer, value):
    issuer.grant(value)
    gateway = start_asking(issuer)
    assert ask(gateway, value) == BAD
    assert not issuer.asked


def test_five_parts_are_for_the_issuer_to_read(start_asking, issuer):
    issuer.grant("a.b.c.d.e")
    assert ask(start_asking(issuer), "a.b.c.d.e") == PASSES


def test_claims_are_judged_as_those_of_a_jwt(start_guarded, issuer):
    now = int(time.time())
    gateway = start_guarded(tokens={
        "issuers": ["https://idp.test"], "audiences": ["api"], "introspection": issuer.settings()})
    good = {"iss": "https://idp.test", "aud": ["other", "api"]}
    expected = {
        "good": (good, PASSES), "endless": ({**good, "exp": None}, PASSES),
        "expired": ({**good, "exp": now - 600}, (401, "AUTH_002")), "early": ({**good, "nbf": now + 600}, BAD),
        "another-issuer": ({**good, "iss": "https://evil.test"}, BAD), "no-issuer": ({"aud": "api"}, BAD),
        "another-audience": ({**good, "aud": "other"}, BAD), "no-audience": ({"iss": "https://idp.test"}, BAD),
        "odd-end": ({**good, "exp": "soon"}, BAD)}
    for name, (claims, _) in expected.items():
        issuer.grant(name, **claims)
        issuer.tokens[name] = {key: value for key, value in issuer.tokens[name].items() if value is not None}
    assert {name: ask(gateway, name) for name in expected} == {name: how for name, (_, how) in expected.items()}


def test_an_answer_counts_for_its_time(start_asking, issuer):
    issuer.grant(OPAQUE)
    gateway = start_asking(issuer, cache="400ms", cache_negative="400ms")
    assert ask(gateway, OPAQUE) == PASSES
    del issuer.tokens[OPAQUE]
    wait_until("it is taken back", lambda: ask(gateway, OPAQUE) == BAD, 5)
    issuer.grant(OPAQUE)
    wait_until("it is given back", lambda: ask(gateway, OPAQUE) == PASSES, 5)


def test_without_a_memory_each_request_asks(start_asking, issuer):
    issuer.grant(OPAQUE)
    gateway = start_asking(issuer, cache="0s", cache_negative="0s")
    for _ in range(5):
        assert ask(gateway, OPAQUE) == PASSES
    assert issuer.asked[OPAQUE] == 5


@pytest.mark.parametrize("target", [["--sub", "alice"], ["--jti", "j1"], ["--key", "introspection"]])
def test_a_revocation_meets_it_at_once(start_asking, issuer, target):
    issuer.grant(OPAQUE, "alice", jti="j1")
    gateway = start_asking(issuer)
    assert ask(gateway, OPAQUE) == PASSES
    gateway.command("revoke", *target)
    assert ask(gateway, OPAQUE) == (401, "AUTH_003")


def test_a_reload_changes_whom_it_asks_and_loses_nobody(start_asking, issuer, start_issuer):
    other = start_issuer()
    other.grant(OPAQUE, "bob")
    hold = threading.Event()
    issuer.script = lambda exchange: hold.wait(10) and said(active=True, sub="alice")
    gateway = start_asking(issuer, timeout="10s")
    waiting = gateway.connect().send(request("GET", "/", bearer(OPAQUE)))
    wait_until("the question is there", lambda: issuer.asked[OPAQUE] == 1)
    settings = gateway.settings
    settings["tokens"]["introspection"] = other.settings(timeout="10s")
    gateway.write_config(settings)
    gateway.command("reload")
    assert waiting.read_response().status == 200
    assert other.asked[OPAQUE] == 1
    hold.set()
    del settings["tokens"]["introspection"]
    gateway.write_config(settings)
    gateway.command("reload")
    wait_until("nobody is asked", lambda: ask(gateway, OPAQUE) == BAD)


@pytest.mark.parametrize("target", ["alice", None])
def test_what_it_has_opened_ends_with_a_revocation_or_with_the_endpoint(start_asking, issuer, backend, target):
    issuer.grant(OPAQUE, "alice")
    backend.handler = handler = LongExchanges()
    gateway = start_asking(issuer)
    client = gateway.connect().send(handshake("/chat", bearer(OPAQUE)))
    assert client.read_head().status == 101
    if target:
        gateway.command("revoke", "--sub", target)
    else:
        settings = gateway.settings
        del settings["tokens"]["introspection"]
        gateway.write_config(settings)
        gateway.command("reload")
    reason = "token revoked"
    assert closing(client.read_exactly(4 + len(reason))) == (1008, reason)
    handler.release()


def test_a_check_of_another_proxy_waits_as_well(start_guarded, issuer):
    issuer.grant(OPAQUE, "alice")
    gateway = start_guarded(
        tokens={"introspection": issuer.settings()}, forward_auth={"listen": ["127.0.0.1:0"]})

    def check(value):
        parts = {"Method": "GET", "Uri": "/", "Host": "api.test", "Proto": "https", "For": "192.0.2.9"}
        fields = {**{f"X-Forwarded-{name}": part for name, part in parts.items()}, **bearer(value)}
        return fetch(gateway.check_address, request("GET", "/verify", fields, host="gateway"))

    allowed = check(OPAQUE)
    assert (allowed.status, allowed.field("X-User-ID")) == (200, "alice")
    assert check("unheard-of").status == 401
    issuer.script = answer(500, b"no")
    assert check("another").status == 503
    assert issuer.asked == {OPAQUE: 1, "unheard-of": 1, "another": 1}


def test_an_address_that_is_blocked_meanwhile_is_not_served(start_asking, issuer, backend):
    hold = threading.Event()
    issuer.script = lambda exchange: hold.wait(10) and said(active=True, sub="alice")
    gateway = start_asking(issuer, timeout="10s")
    client = gateway.connect("127.0.7.62").send(request("GET", "/", bearer(OPAQUE)))
    wait_until("the question is there", lambda: issuer.asked[OPAQUE] == 1)
    gateway.command("block", "127.0.7.62")
    hold.set()
    assert client.read_response().status == 403
    assert backend.requests == []


def test_of_too_many_questions_the_rest_gets_503(start_asking, issuer):
    hold = threading.Event()
    issuer.script = lambda exchange: hold.wait(10) and said(active=True, sub="alice")
    gateway = start_asking(issuer, timeout="10s", max_pending=4)
    waiting = [gateway.connect().send(request("GET", "/", bearer(f"token-{number}"))) for number in range(4)]
    wait_until("four are asked about", lambda: len(issuer.asked) == 4)
    assert ask(gateway, "token-5") == SILENT
    assert count(gateway, "spared") == 1
    hold.set()
    assert [client.read_response().status for client in waiting] == [200] * 4


@pytest.mark.parametrize("is_trusted", [True, False])
def test_the_endpoint_must_prove_who_it_is(start_asking, start_issuer, directory, is_trusted):
    authority, other = Authority(), Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost").write(directory / "idp"))
    issuer = start_issuer(tls=context, name="localhost")
    issuer.grant(OPAQUE)
    gateway = start_asking(issuer, ca_file=(authority if is_trusted else other).write(directory / "trust"))
    if is_trusted:
        assert ask(gateway, OPAQUE) == PASSES
        return
    assert ask(gateway, OPAQUE) == SILENT
    assert "no TLS: certificate" in gateway.wait_event("introspection.failed")["reason"]
    assert not issuer.asked


def test_a_wrong_secret_is_told_to_the_operator_alone(start_asking, issuer):
    issuer.grant(OPAQUE)
    gateway = start_asking(issuer, client_secret="another secret")
    assert ask(gateway, OPAQUE) == SILENT
    assert gateway.wait_event("introspection.failed")["reason"] == "status 401"


def test_a_request_that_waits_for_the_issuer_takes_one_request_of_its_address(start_guarded, issuer, address):
    """Each is a token that nothing is known of yet: it is decided twice, and counted once."""
    for number in range(3):
        issuer.grant(f"opaque-token-{number}", "alice")
    gateway = start_guarded(
        tokens={"introspection": issuer.settings()}, rate_limits={"per_address": {"rate": "1/d", "burst": 2}})
    answers = [ask(gateway, f"opaque-token-{number}", source=address) for number in range(3)]
    assert answers == [PASSES, PASSES, (429, "RATE_001")]
    assert len(issuer.asked) == 2, "nobody is asked about what is refused"
