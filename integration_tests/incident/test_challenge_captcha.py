"""Challenges whose solution a provider of CAPTCHAs knows (docs/challenge.md)."""

import threading
from pathlib import Path

import pytest

from harness import tracing
from harness.backend import answer
from harness.captcha import SECRET as CAPTCHA_SECRET
from harness.captcha import SITE_KEY, Captcha, said
from harness.load import together
from harness.logins import RIGHT
from harness.processes import wait_until

from .challenges import CHALLENGED, SECRET, ask, challenge, count, failed, login, page_of, solve, starter

pytestmark = pytest.mark.once


@pytest.fixture
def start(start_gateway, login_backend):
    return starter(start_gateway, login_backend)


@pytest.fixture
def captcha():
    captcha = Captcha()
    yield captcha
    captcha.close()


def captchas(captcha, **changes):
    return {"kind": "siteverify", "difficulty": 8, "secret": SECRET, "siteverify": captcha.settings(**changes)}


def questions(gateway, result):
    return gateway.metrics()[f'gateway_captcha_questions_total{{result="{result}"}}']


def test_a_captcha_is_verified_once_by_its_provider(start, login_backend, captcha, address, other_address):
    gateway = start(captchas(captcha, hostname=["www.example.org"]), login={"limit": 50})
    assert ask(gateway, address, login("correct horse", captcha.solve("0.unasked"))) == (200, None)
    assert captcha.asked == {}, "nobody is challenged yet"
    failed(gateway, address)
    failed(gateway, other_address)
    assert challenge(gateway, address) == {"kind": "siteverify", "provider": "turnstile", "site_key": SITE_KEY}
    assert ask(gateway, address, login("correct horse", captcha.solve("0.good"))) == (200, None)
    assert captcha.forms[-1] == {"secret": [CAPTCHA_SECRET], "response": ["0.good"], "remoteip": [address]}
    assert b"challenge" not in login_backend.requests[-1].head.lower()
    assert ask(gateway, address, login("correct horse", "0.good")) == CHALLENGED
    assert captcha.asked["0.good"] == 1, "it was used before"
    assert ask(gateway, other_address, login("correct horse", "0.good")) == CHALLENGED
    assert captcha.asked["0.good"] == 2, "the provider says that it is used"
    assert ask(gateway, address, login(solution="0.bad")) == CHALLENGED
    assert (questions(gateway, "good"), questions(gateway, "bad")) == (1, 2)
    assert count(gateway, "solved", "siteverify") == 1 and count(gateway, "spent", "siteverify") == 1
    html = page_of(gateway, address)
    assert f'data-sitekey="{SITE_KEY}"' in html and "https://challenges.cloudflare.com/" in html
    log = gateway.child.log()
    assert CAPTCHA_SECRET not in log and "0.good" not in log and "0.bad" not in log


def test_a_token_at_once_is_one_question_and_one_login(start, login_backend, captcha, address):
    gateway = start(captchas(captcha), login={"limit": 50})
    failed(gateway, address)
    captcha.solve("0.good")
    hold = threading.Event()

    def held(exchange):
        hold.wait(10)
        return said(success=True)

    captcha.script = held
    timer = threading.Timer(0.5, hold.set)
    timer.start()
    answers = together(20, lambda _: ask(gateway, address, login(solution="0.good")))
    assert sorted(answers, key=str) == [(401, None)] + [CHALLENGED] * 19
    assert captcha.asked == {"0.good": 1}
    assert len(login_backend.requests) == 4


@pytest.mark.parametrize("script", [
    answer(200, b"x" * 100_000, {"Content-Type": "application/json"}), answer(200, b"<html>", {"Content-Type": "text/html"}),
    answer(200, b'{"success":"true"}', {"Content-Type": "application/json"}), answer(404, b"nothing here"),
    answer(302, b"", {"Location": "/elsewhere"}), said(success=True, hostname="evil.example.org"),
    said(success=False, **{"error-codes": ["invalid-input-secret"]}),
], ids=["huge", "a page", "a text", "404", "302", "another host", "a wrong secret"])
@pytest.mark.parametrize("when_away", ["proof_of_work", "refuse", "allow"])
def test_any_other_answer_is_a_no(start, login_backend, captcha, address, script, when_away):
    gateway = start(captchas(captcha, when_away=when_away, hostname="www.example.org"))
    failed(gateway, address)
    captcha.script = script
    assert challenge(gateway, address, login("correct horse", "0.token"))["kind"] == "siteverify"
    assert len(login_backend.requests) == 3


def test_a_wrong_secret_is_told(start, captcha, address):
    gateway = start(captchas(captcha, secret="another secret"))
    failed(gateway, address)
    assert ask(gateway, address, login(solution=captcha.solve("0.token"))) == CHALLENGED
    assert gateway.wait_event("challenge.unverified")["reason"] == "it does not know the secret"


@pytest.mark.parametrize("trouble", ["down", "hangs", "503"])
def test_a_provider_that_does_not_answer_is_spared_and_work_takes_its_place(
        start, login_backend, captcha, address, trouble):
    gateway = start(captchas(captcha, timeout="200ms"))
    failed(gateway, address)
    release = threading.Event()
    if trouble == "down":
        captcha.close()
    else:
        captcha.script = answer(503, b"") if trouble == "503" else lambda exchange: release.wait(20) and None
    for number in range(5):
        posed = challenge(gateway, address, login(solution=f"0.token-{number}"))
        assert posed["kind"] == "proof_of_work"
    told = gateway.wait_event("challenge.spared")
    assert told["when_away"] == "proof_of_work"
    asked = sum(captcha.asked.values())
    posed = challenge(gateway, address)
    assert posed["kind"] == "proof_of_work", "nobody needs a token now"
    solved = solve(posed["nonce"], posed["difficulty"])
    assert ask(gateway, address, login("correct horse", solved)) == (200, None)
    assert ask(gateway, address, login(solution="0.token")) == CHALLENGED
    assert sum(captcha.asked.values()) == asked and questions(gateway, "spared") == 1
    assert questions(gateway, "failed") == 5
    release.set()


@pytest.mark.parametrize("when_away, then", [("refuse", (503, "SVC_001")), ("allow", (200, None))])
def test_what_becomes_of_logins_without_the_provider_is_configured(start, captcha, address, when_away, then):
    gateway = start(captchas(captcha, when_away=when_away))
    failed(gateway, address)
    captcha.close()
    assert challenge(gateway, address)["kind"] == "siteverify"
    for _ in range(6):
        assert ask(gateway, address, login("correct horse", "0.token")) == then


def test_no_worker_waits_for_the_provider(start, captcha, address, other_address):
    gateway = start(captchas(captcha, timeout="10s"))
    failed(gateway, address)
    hold = threading.Event()
    captcha.script = lambda exchange: hold.wait(10) and said(success=True)
    waiting = gateway.connect(address).send(login("correct horse", "0.token"))
    gone = gateway.connect(address).send(login("correct horse", "0.other"))
    wait_until("both are asked about", lambda: len(captcha.asked) == 2)
    gone.close()
    for _ in range(20):
        assert ask(gateway, other_address, RIGHT) == (200, None)
    hold.set()
    assert waiting.read_response().status == 200
    # And whoever has gone keeps no place: both that are left are to be had.
    captcha.script = None
    for number in range(2):
        assert ask(gateway, address, login(solution=captcha.solve(f"0.last-{number}"))) == (401, None)


@pytest.mark.parametrize("when_away", ["proof_of_work", "refuse", "allow"])
def test_one_address_has_four_questions_at_a_time_and_ten_that_are_in_vain(
        start, login_backend, captcha, address, other_address, when_away):
    gateway = start(captchas(captcha, when_away=when_away, timeout="10s"), login={"limit": 50})
    failed(gateway, address)
    failed(gateway, other_address)
    hold = threading.Event()
    captcha.script = lambda exchange: hold.wait(20) and said(success=False)

    def guess(number: int) -> str:
        return challenge(gateway, address, login("correct horse", f"0.token-{number}"))["kind"]

    kinds: list = []
    guesses = threading.Thread(target=lambda: kinds.extend(together(100, guess)))
    guesses.start()
    wait_until("the others are refused", lambda: questions(gateway, "spared") == 96, 20)
    hold.set()
    guesses.join(30)
    assert kinds == ["siteverify"] * 100 and sum(captcha.asked.values()) == 4
    captcha.script = None
    for number in range(100, 110):
        assert guess(number) == "siteverify"
    assert sum(captcha.asked.values()) == 10
    captcha.solve("0.token-200")
    assert guess(200) == "siteverify", "it has had its ten"
    assert len(login_backend.requests) == 6
    assert ask(gateway, other_address, login("correct horse", captcha.solve("0.other"))) == (200, None)


@pytest.mark.parametrize("when_away, then", [
    ("proof_of_work", CHALLENGED), ("refuse", (503, "SVC_001")), ("allow", CHALLENGED)])
def test_a_provider_that_has_too_many_questions_is_not_away(start, captcha, address, other_address, when_away, then):
    gateway = start(captchas(captcha, when_away=when_away, timeout="10s", max_pending=2))
    failed(gateway, address)
    failed(gateway, other_address)
    hold = threading.Event()
    captcha.script = lambda exchange: hold.wait(20) and said(success=False)
    held = [gateway.connect(address).send(login("correct horse", f"0.token-{number}")) for number in range(2)]
    wait_until("both are asked about", lambda: len(captcha.asked) == 2)
    refused = gateway.fetch(login("correct horse", "0.third"), other_address)
    assert (refused.status, refused.code) == then
    assert then != CHALLENGED or refused.json()["challenge"]["kind"] == "siteverify"
    hold.set()
    assert [client.read_response().code for client in held] == ["AUTH_007"] * 2


@pytest.mark.parametrize("when_away, then", [
    ("proof_of_work", "proof_of_work"), ("refuse", None), ("allow", "siteverify")])
def test_a_provider_that_asks_to_be_asked_less_is_away_but_for_those_who_would_go_on_without_it(
        start, login_backend, captcha, address, when_away, then):
    gateway = start(captchas(captcha, when_away=when_away))
    failed(gateway, address)
    captcha.script = answer(429, b"", {"Retry-After": "60"})
    refused = gateway.fetch(login("correct horse", "0.token"), address)
    assert refused.json().get("challenge", {}).get("kind") == then
    assert refused.status == (503 if when_away == "refuse" else 403)
    assert len(login_backend.requests) == 3


def test_the_names_of_the_runbook_are_honoured(start_gateway, login_backend, captcha, address):
    gateway = start_gateway(
        login_backend, environment={"RECAPTCHA_SITE_KEY": "6Lc_a", "RECAPTCHA_SECRET_KEY": CAPTCHA_SECRET},
        login={"challenge": {"kind": "siteverify", "siteverify": {"url": captcha.url}}})
    failed(gateway, address)
    assert challenge(gateway, address) == {"kind": "siteverify", "provider": "recaptcha", "site_key": "6Lc_a"}
    assert ask(gateway, address, login("correct horse", captcha.solve("token"))) == (200, None)


def test_a_reload_that_waits_for_a_name_challenges_nobody_before_the_challenge_is_known(
        start_gateway, login_backend, captcha, address):
    gateway = start_gateway(login_backend, login={"limit": 50})
    failed(gateway, address, 4)
    tasks = Path(f"/proc/{gateway.child.pid}/task")
    # That of upstreams is the first one.
    resolver = wait_until("the resolver", lambda: min(
        (int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == "resolver"), default=None))
    upstreams = {**gateway.settings["upstreams"], "named": {"servers": ["localhost:9"]}}
    gateway.write_config({
        **gateway.settings, "upstreams": upstreams, "login": {"limit": 50, "challenge": captchas(captcha)}})
    reload = threading.Thread(target=gateway.command, args=["reload"])
    with tracing.held(resolver):
        reload.start()
        assert gateway.wait_event("gateway.reload_waits")["hosts"] == ["localhost"]
        assert gateway.command_json("status")["configuration"]["generation"] == 1
        # The rules are told to the ledger anew, and are still those.
        gateway.command("allow", "192.0.2.1", "--for", "5m", "--reason", "test")
        assert ask(gateway, address) == (401, None), "what was in force still is"
        assert not gateway.events("gateway.reloaded")
    reload.join(20)
    assert challenge(gateway, address)["kind"] == "siteverify"
    assert ask(gateway, address, login("correct horse", captcha.solve("0.good"))) == (200, None)
