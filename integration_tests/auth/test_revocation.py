"""Tokens that are good and must not be (docs/revocation.md): refused by any of their names, everywhere and at once."""

import time

import pytest

from harness.client import request
from harness.issuer import ask
from harness.keys import REVOKED
from harness.processes import wait_until
from harness.revocations import PASSES, of, refused_soon, soon
from harness.tokens import SECRET, bearer, by_hand, claims


# What is refused

KINDS = [
    ("sub", "mallory", {}), ("jti", "j-mallory", {}), ("role", "staff", {"roles": ["user", "staff"]}),
    ("key", "main", {}), ("iss", "https://idp.example.org", {"iss": "https://idp.example.org"}),
    ("sub", "7", {"sub": 7}),
    ("sub", "caf\u00e9 \U0001f511/\"%?", {"sub": "caf\u00e9 \U0001f511/\"%?"}), ("sub", "\u0301x", {"sub": "\u0301x"}),
]


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_a_token_is_refused_by_each_of_its_names_and_accepted_again(start_guarded, redis, backend, where):
    gateway = start_guarded(redis if where == "redis" else None)
    for kind, name, changes in KINDS:
        # By hand, because PyJWT takes no number for a user; some issuers do.
        value = by_hand({"alg": "HS256"}, {**claims("mallory", jti="j-mallory"), **changes}, SECRET.encode())
        other = of("alice")
        assert ask(gateway, value) == PASSES, (kind, name)
        before = len(backend.requests)
        report = gateway.command("revoke", f"--{kind}", name).stdout
        assert "is refused from now on" in report
        for target in ("/", "/maybe"):
            assert ask(gateway, value, target) == REVOKED, (kind, name)
        assert len(backend.requests) == before, "nothing of it goes on"
        assert ask(gateway, value, "/open") == PASSES, "where no token is asked for none is looked at"
        assert ask(gateway, other) == (REVOKED if kind == "key" else PASSES)
        assert gateway.command_json("revocations")["count"] == 1
        assert "is accepted again" in gateway.command("unrevoke", f"--{kind}", name).stdout
        assert ask(gateway, value) == PASSES
        assert gateway.command_json("revocations")["count"] == 0
    if where == "redis":
        assert redis.cli("--scan", "--pattern", "revoked:*") == ""


def test_the_answer_and_the_audit_log_say_why(start_guarded):
    gateway = start_guarded()
    value = of("mallory", iat=1_700_000_000)
    gateway.command("revoke", "--sub", "mallory", "--reason", "stolen laptop", "--for", "1h")
    response = gateway.get("/", fields=bearer(value))
    assert (response.status, response.code) == REVOKED
    challenge = response.field("WWW-Authenticate")
    assert challenge.startswith("Bearer") and 'error="invalid_token"' in challenge
    refusal = gateway.wait_event("security.auth_failure")
    assert refusal["context"]["failure_reason"] == "revoked"
    assert "mallory" in str(refusal)
    assert gateway.wait_event("http.request", status=401)["reason"] == "revoked"
    operation = gateway.wait_event("operation", action="tokens_revoked")
    assert "tokens of sub mallory: stolen laptop, until 20" in operation["message"]
    assert (operation["context"]["target"], operation["context"]["trigger"]) == ("sub mallory", "stolen laptop")
    assert operation["context"]["expires_at"] in operation["message"]
    gateway.command("unrevoke", "--sub", "mallory")
    lifted = gateway.wait_event("operation", action="revocation_lifted")
    assert "tokens of sub mallory" in lifted["message"]
    assert (lifted["context"]["target"], lifted["context"]["trigger"]) == ("sub mallory", "command")
    samples = gateway.metrics()
    assert samples['gateway_revocations_set_total{cause="operator"}'] == 1
    assert samples["gateway_revocations_lifted_total"] == 1
    assert samples["gateway_revocations"] == 0


def test_what_is_issued_afterwards_passes(start_guarded):
    gateway = start_guarded()
    old = of("mallory", iat=int(time.time()) - 1)
    without_date = of("mallory", iat=None)
    gateway.command("revoke", "--sub", "mallory", "--issued-before", "now")
    assert ask(gateway, old) == REVOKED
    assert ask(gateway, without_date) == REVOKED
    assert ask(gateway, of("mallory", iat=int(time.time()) + 1)) == PASSES


def test_a_token_that_was_found_is_revoked_from_its_file_for_as_long_as_it_would_live(start_guarded, directory):
    gateway = start_guarded()
    value, lost = of("mallory"), directory / "stolen.txt"
    lost.write_text(f"Bearer {value}\n")
    answer = gateway.command_json("revoke", "--token-file", str(lost))
    assert answer["revocation"]["name"] == "j-mallory"
    assert 300 + 400 < answer["revocation"]["ttl_seconds"] <= 300 + 421
    assert ask(gateway, value) == REVOKED
    # What never ends, as it says, and what is in milliseconds.
    lost.write_text(of("eve", exp=1_900_000_000_000))
    assert gateway.command_json("revoke", "--token-file", str(lost))["revocation"]["ttl_seconds"] is None
    wrong = gateway.command("revoke", "--token-file", value, check=False)
    assert wrong.returncode == 64
    assert value not in wrong.stdout + wrong.stderr


def test_the_next_request_of_a_connection_meets_it_on_every_worker(start_guarded):
    gateway = start_guarded(workers=2)
    bad, good = of("mallory"), of("alice")
    clients = [gateway.connect() for _ in range(16)]
    assert all(client.ask(request("GET", "/", bearer(bad))).status == 200 for client in clients)
    gateway.command("revoke", "--sub", "mallory")
    # No waiting: the command answers when it is in force here.
    assert [client.ask(request("GET", "/", bearer(bad))).code for client in clients] == ["AUTH_003"] * 16
    assert all(client.ask(request("GET", "/", bearer(good))).status == 200 for client in clients), "and it stays open"


def test_one_that_would_give_something_back_is_refused(start_guarded, redis):
    gateway = start_guarded(redis)
    value = of("mallory", iat=int(time.time()) - 10)
    gateway.command("revoke", "--sub", "mallory")
    for words in (["--issued-before", "2020-01-01T00:00:00Z"], ["--for", "1s"], ["--issued-before", "now"]):
        done = gateway.command("revoke", "--sub", "mallory", *words, check=False)
        assert done.returncode == 1
        assert "tokens of sub mallory are refused already" in done.stderr
        assert ask(gateway, value) == REVOKED
    gateway.command("unrevoke", "--sub", "mallory")
    gateway.command("revoke", "--sub", "mallory", "--issued-before", "2020-01-01T00:00:00Z")
    assert ask(gateway, value) == PASSES
    gateway.command("revoke", "--sub", "mallory", "--issued-before", "now")
    assert ask(gateway, value) == REVOKED


# On all replicas

@pytest.mark.parametrize("replicas", [2, 3])
def test_all_replicas_refuse_it_and_accept_it_again(start_guarded, redis, replicas):
    gateways = [start_guarded(redis) for _ in range(replicas)]
    bad, good = of("mallory"), of("alice")
    for gateway in gateways:
        assert ask(gateway, bad) == PASSES
    for turn, gateway in enumerate(gateways):
        gateway.command("revoke", "--sub", "mallory", "--for", "1h")
        assert ask(gateway, bad) == REVOKED
        refused_soon(gateways, bad)
        assert all(ask(one, good) == PASSES for one in gateways)
        other = gateways[turn - 1]
        other.command("unrevoke", "--sub", "mallory")
        assert ask(other, bad) == PASSES
        soon("all accept", lambda: all(ask(one, bad) == PASSES for one in gateways))
    assert [gateway.command_json("revocations")["count"] for gateway in gateways] == [0] * replicas


def test_by_redis_cli_as_the_runbook_says(start_guarded, redis):
    gateways = [start_guarded(redis) for _ in range(2)]
    old, new = of("mallory", iat=int(time.time()) - 5), of("mallory", iat=int(time.time()) + 5)
    for line, undo, values in [
        ("redis-cli SET revoked:sub:mallory $(date +%s)", "redis-cli DEL revoked:sub:mallory", [old]),
        ("redis-cli SET revoked:sub:mallory 1", "redis-cli DEL revoked:sub:mallory", [old, new]),
        ("redis-cli SET revoked:jti:j-mallory 1 EX 3600", "redis-cli DEL revoked:jti:j-mallory", [old, new]),
        ("redis-cli SET revoked:role:user 1", "redis-cli DEL revoked:role:user", [old, new]),
        ("redis-cli LPUSH revoked:key:main oops", "redis-cli DEL revoked:key:main", [old, new]),
    ]:
        redis.shell(line)
        for value in values:
            refused_soon(gateways, value)
        if new not in values:
            assert ask(gateways[0], new) == PASSES
        redis.shell(undo)
        soon("accepted", lambda: all(ask(gateway, value) == PASSES for gateway in gateways for value in (old, new)))
    redis.shell("redis-cli SET revoked:user:mallory 1")
    gateways[0].wait_event("revocation.unparsable_key", key="revoked:user:mallory")
    assert ask(gateways[0], old) == PASSES


def test_it_ends_by_itself(start_guarded, redis):
    gateways = [start_guarded(redis), start_guarded(redis)]
    value = of("mallory")
    gateways[0].command("revoke", "--sub", "mallory", "--for", "1s")
    refused_soon(gateways, value)
    wait_until("its time is over", lambda: all(ask(gateway, value) == PASSES for gateway in gateways), 3)
