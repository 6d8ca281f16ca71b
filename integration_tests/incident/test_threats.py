"""Patterns of attacks in the failed logins of all (docs/threats.md): what is seen, how it is told, when it ends."""

import itertools
import json
import subprocess

import pytest

from harness.backend import Exchange, answer
from harness.client import json_request
from harness.gateway import ADMIN_TOKEN, merged
from harness.heirs import Heirs
from harness.processes import wait_until
from harness.threats import PATH, SECRET, THRESHOLDS, Receiver, by_openssl, genuine, host, login, report, spraying

PATTERNS = ["single_account", "spraying", "stuffing", "distributed", "success_after_failures"]
# Each pair is tried once.
stolen = itertools.count()


def single_account(gateway):
    for number in range(50):
        login(gateway, host(number % 2), "alice-of-the-test")


def distributed(gateway):
    for number in range(16):
        login(gateway, host(number), "alice-of-the-test")


def stuffing(gateway):
    for number in itertools.islice(stolen, 28):
        login(gateway, host(number % 14), f"user-{number}")


def success_after_failures(gateway):
    for number in range(3):
        login(gateway, host(number), "alice-of-the-test")
    assert login(gateway, host(9), "alice-of-the-test", "right") == 200


ATTACKS = {
    "single_account": (single_account, "account"), "distributed": (distributed, "account"),
    "spraying": (spraying, "network"), "stuffing": (stuffing, "everybody"),
    "success_after_failures": (success_after_failures, "account")}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_told_everywhere_once_and_without_names(start_watching, receiver, pattern):
    attack, kind = ATTACKS[pattern]
    gateway = start_watching(webhook=receiver.settings())
    attack(gateway)
    told = gateway.wait_event("security.threat_detected", action="threat_detected")
    assert (told["context"]["pattern"], told["level"], told["service"]) == (pattern, "ERROR", "audit")
    assert "suspicious_activity" in told["message"]
    assert gateway.wait_event("traffic.threat_began")["pattern"] == pattern
    began = receiver.wait("threat.began")
    (active,) = report(gateway)["active"]
    assert began["data"]["id"] == active["id"] == told["context"]["threat_id"]
    assert (active["pattern"], active["subject_kind"]) == (pattern, kind)
    if kind == "account":
        assert active["subject"] == told["context"]["account"] and len(active["subject"]) == 32
    if kind == "network":
        assert active["subject"] == told["client_ip"] == host(1)
    attack(gateway)
    assert len(gateway.events("security.threat_detected")) == 1, "many signs, one threat"
    metrics = gateway.metrics()
    for one in PATTERNS:
        assert metrics[f'gateway_threats_total{{pattern="{one}"}}'] == (one == pattern)
        assert metrics[f'gateway_threats_active{{pattern="{one}"}}'] == (one == pattern)
    table = gateway.command("threats").stdout
    assert f"active  {pattern}" in table and active["subject"] in table
    said = (json.dumps(gateway.lines()) + json.dumps(report(gateway)) + json.dumps(receiver.messages()) + table).lower()
    assert "alice" not in said and "user-" not in said
    (message,) = receiver.complete
    assert genuine(message) and message.field("Webhook-Signature") == f"v1,{by_openssl(message)}"
    assert (message.target == "/secret-of-the-path?key=secret-of-the-webhook"
            and message.field("Content-Type") == "application/json")
    assert "secret-of-the-" not in said, "path and query may be the secret"
    if pattern == "success_after_failures":
        assert (active["from_failing_network"], told["context"]["from_failing_network"]) == (False, False)
    request = next(line for line in gateway.lines() if line.get("request_id") == told["context"]["request_id"])
    assert (request["trace_id"], request["method"]) == (told["trace_id"], "POST")
    assert began["data"]["last_request_id"] == told["context"]["request_id"]
    message.body += b" "
    assert not genuine(message)


def test_a_threat_goes_on_and_ends(start_watching, receiver):
    gateway = start_watching(window="4s", reminder="1s", webhook=receiver.settings())
    spraying(gateway)
    began = receiver.wait("threat.began")

    def goes_on():
        login(gateway, host(1), f"user-{next(stolen)}")
        return receiver.messages("threat.continues")

    continues = wait_until("told again", goes_on, 8)[0]
    assert continues["data"]["id"] == began["data"]["id"] and continues["data"]["signs"] > 1
    gateway.wait_event("security.threat_continues", action="threat_continues")
    ended = receiver.wait("threat.ended", 12)
    assert ended["data"]["id"] == began["data"]["id"] and ended["data"]["ended_at"]
    gateway.wait_event("security.threat_ended", client_ip=host(1))
    gateway.wait_event("traffic.threat_ended")
    now = report(gateway)
    assert (now["active"], [one["id"] for one in now["recent"]]) == ([], [began["data"]["id"]])
    assert gateway.metrics()['gateway_threats_active{pattern="spraying"}'] == 0
    assert "over   spraying" in gateway.command("threats").stdout
    wait_until("forgotten", lambda: report(gateway)["logins"]["failures"] == 0, 8)


def test_ordinary_logins_of_many_behind_one_address_are_none(start_watching):
    gateway = start_watching(failure_ratio=30)
    with gateway.connect(host(1)) as client:
        for number in range(120):
            for password in (["wrong"] if number % 12 == 0 else []) + ["right"]:
                client.ask(json_request("POST", "/auth/login", {"username": f"u{number}", "password": password}))
    now = report(gateway)
    assert (now["active"], now["logins"]["failures"], now["logins"]["successes"]) == ([], 10, 120)
    assert abs(now["logins"]["succeeded_accounts"] - 120) < 6


def test_the_runbook_finds_what_it_asks_for(start_watching, start_gateway, login_backend):
    gateway = start_gateway(
        login_backend, rate_limits={"per_address": {"rate": "1/min", "burst": 1}}, threats={"enabled": True})
    for _ in range(3):
        gateway.get("/", host(1))
    assert gateway.ask_admin(PATH).status == 401
    assert gateway.get(PATH, host(2)).json() == {"status": "ok"}, "on the public listener it is the backend's"
    address = ":".join(map(str, gateway.admin))
    # As rust-auth-service-security.md has it, with the token that it lacks.
    said = subprocess.run(
        ["bash", "-c",
         f"curl -s -H 'Authorization: Bearer {ADMIN_TOKEN}' http://{address}{PATH} | jq '.rate_limiting'"],
        capture_output=True, text=True, check=True)
    limiting = json.loads(said.stdout)
    assert limiting["refused_total"] >= 2
    assert {"limit": "per_address", "count": limiting["refused_total"]} in limiting["refused"]
    limit = next(one for one in limiting["limits"] if one["limit"] == "per_address")
    assert limit["in_force"].startswith("1/min")
    assert (limiting["blocked_addresses"], limiting["locked_accounts"]) == (0, 0)
    now = report(gateway)
    assert [one["pattern"] for one in now["patterns"]] == PATTERNS
    assert (now["accounts"], now["enabled"], now["scope"], now["webhook"]["url"]) == ("unknown", True, "process", None)
    assert now["thresholds"] == {
        "account_failures": 10, "networks": 10, "spraying_accounts": 10, "stuffing_accounts": 50, "failure_ratio": 30,
        "failures_before_success": 5}
    assert "no threat now\naccounts are not looked at" in gateway.command("threats").stdout


def test_each_account_that_is_taken_from_one_address_is_told(start_watching):
    gateway = start_watching(spraying_accounts=500)
    for number in range(8):
        login(gateway, host(1), f"user-{number}")
    for name in "abc":
        assert login(gateway, host(1), name, "right") == 200
    wait_until("told of three", lambda: len(gateway.events("security.threat_detected")) == 3, 5)
    told = gateway.events("security.threat_detected")
    assert [one["context"]["pattern"] for one in told] == ["success_after_failures"] * 3
    assert len({one["context"]["account"] for one in told}) == 3
    assert {(one["client_ip"], one["context"]["from_failing_network"]) for one in told} == {(host(1), True)}


def test_behind_an_address_that_is_never_blocked_nobody_is_told_for_his_neighbours(start_gateway, login_backend):
    gateway = start_gateway(login_backend, never_block=[host(1)], threats=THRESHOLDS)
    for number in range(20):
        login(gateway, host(1), f"user-{number}")
    assert login(gateway, host(1), "bob", "right") == 200
    wait_until("seen", lambda: report(gateway)["logins"]["successes"] == 1, 5)
    now = report(gateway)
    assert (now["active"], now["logins"]["failures"]) == ([], 20)


def test_a_login_that_is_redirected_is_a_success(start_gateway, start_backend):
    def form(exchange: Exchange) -> bytes:
        body = exchange.read_body()
        return answer(401, b"") if b'"wrong"' in body else answer(302, b"", {"Location": "/home"})

    gateway = start_gateway(
        start_backend(form), login={"limit": 1000}, threats=THRESHOLDS,
        accounts={"member": "username", "limit": 900, "secret": SECRET})
    for _ in range(3):
        login(gateway, host(1), "alice")
    assert login(gateway, host(1), "alice", "right") == 302
    assert gateway.wait_event("security.threat_detected")["context"]["pattern"] == "success_after_failures"
    assert gateway.events("security.auth_success") == [], "nobody knows where it leads"


def test_without_accounts_only_a_success_behind_failures_is_told(start_watching):
    gateway = start_watching(accounts=False)
    for attack in (spraying, distributed):
        attack(gateway)
    assert report(gateway)["active"] == []
    assert login(gateway, host(1), "bob", "right") == 200
    wait_until("it is told", lambda: report(gateway)["active"])
    (active,) = report(gateway)["active"]
    assert (active["pattern"], active["subject"]) == ("success_after_failures", host(1))


@pytest.mark.parametrize("key", ["pair", "account"])
def test_who_goes_on_with_a_locked_account_is_seen(start_gateway, login_backend, key):
    gateway = start_gateway(
        login_backend, login={"limit": 1000}, threats=THRESHOLDS | {"account_failures": 10},
        accounts={"member": "username", "secret": SECRET, "key": key, "limit": 3})
    sources = [host(1)] * 12 if key == "pair" else [host(number) for number in range(16)]
    assert [login(gateway, source, "alice") for source in sources] == [401] * 3 + [429] * (len(sources) - 3)
    told = gateway.wait_event("security.threat_detected")
    assert told["context"]["pattern"] == ("single_account" if key == "pair" else "distributed")


def test_with_the_default_rules_sprayers_are_seen_before_and_behind_their_block(start_gateway, login_backend):
    gateway = start_gateway(
        login_backend, login={"block": "1s"}, accounts={"member": "username", "secret": SECRET})
    number = 0

    def sprayed():
        nonlocal number
        number += login(gateway, host(1), f"user-{number}") == 401
        return gateway.events("security.threat_detected")

    (told,) = wait_until("spraying", sprayed, 15)
    assert (told["context"]["pattern"], told["client_ip"]) == ("spraying", host(1))
    assert 8 <= number <= 14


def reload(gateway, **threats) -> None:
    gateway.write_config(merged(gateway.settings, {"threats": threats}))
    gateway.command("reload")


def test_a_reload_changes_thresholds_and_the_webhook(start_watching, receiver):
    gateway = start_watching(spraying_accounts=400, stuffing_accounts=20_000)
    spraying(gateway)
    assert report(gateway)["active"] == []
    # What was counted before counts on.
    reload(gateway, spraying_accounts=6, webhook=receiver.settings())
    login(gateway, host(1), "one-more")
    assert receiver.wait("threat.began")["data"]["failures"] == 15
    other = Receiver()
    try:
        receiver.replies = [answer(500, b"no")] * 9
        for name in ("a", "b", "c"):
            login(gateway, host(7), name)
        login(gateway, host(7), "d", "right")
        wait_until("refused once", lambda: len(receiver.complete) >= 2, 8)
        reload(gateway, webhook={"url": other.url})
        assert other.wait("threat.began")["data"]["pattern"] == "success_after_failures", "what waited goes there"
    finally:
        other.server.close()
    reload(gateway, enabled=False, webhook=None)
    now = report(gateway)
    assert (now["enabled"], now["active"], len(now["recent"])) == (False, [], 2)
    wait_until("both ended", lambda: len(gateway.events("security.threat_ended")) == 2)
    distributed(gateway)
    assert report(gateway)["logins"]["failures"] == 0
    assert gateway.command("threats").stdout == "threats are not looked for (threats.enabled)\n"


def test_over_an_upgrade_the_new_process_begins_anew(start_watching, receiver):
    gateway = start_watching(webhook=receiver.settings())
    spraying(gateway)
    receiver.wait("threat.began")
    gateway.command("upgrade")
    Heirs().of(gateway)
    assert json.loads(gateway.command("threats", "--json").stdout)["logins"]["failures"] == 0
    spraying(gateway)
    wait_until("told anew", lambda: len(receiver.messages("threat.began")) == 2, 8)
