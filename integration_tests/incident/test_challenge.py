"""Challenges (docs/challenge.md): after some failures a login must bring a solution. CAPTCHAs: test_challenge_captcha.py."""

import json
import re
import shutil
import subprocess
import threading
import time

import pytest

from harness.client import json_request, request as plain_request
from harness.heirs import Heirs
from harness.load import together
from harness.logins import RIGHT, WRONG, is_blocked, wrong_is_401
from harness.processes import wait_until

from .challenges import (
    CHALLENGED, HTML, PAGE, SECRET, WORK, ask, challenge, count, failed, login, page_of, solution, solve, starter)

pytestmark = pytest.mark.once


@pytest.fixture
def start(start_gateway, login_backend):
    return starter(start_gateway, login_backend)


@pytest.mark.parametrize("home", ["embedded", "redis"])
def test_three_failures_a_challenge_and_its_solution(start, login_backend, request, address, other_address, home):
    gateway = start(redis=request.getfixturevalue("redis") if home == "redis" else None)
    failed(gateway, address)
    refused = gateway.fetch(RIGHT, address)
    assert (refused.status, refused.code) == CHALLENGED
    assert refused.field("Proxy-Status") == "gateway; error=http_request_denied"
    posed = refused.json()["challenge"]
    assert (posed["kind"], posed["algorithm"], posed["difficulty"]) == ("proof_of_work", "sha-256", 8)
    solved = solve(posed["nonce"], posed["difficulty"])
    assert len(login_backend.requests) == 3
    assert ask(gateway, address, login("correct horse", solved)) == (200, None)
    seen = login_backend.requests[-1]
    assert b"challenge" not in seen.head.lower()
    assert ask(gateway, other_address) == (401, None), "nobody else is challenged"
    # Two more failures, each with its own solution, and the address is blocked.
    assert ask(gateway, address, login(solution=solution(gateway, address))) == (401, None)
    assert not is_blocked(gateway, address)
    assert ask(gateway, address, login(solution=solution(gateway, address))) == (401, None)
    assert is_blocked(gateway, address)
    assert ask(gateway, address, login(solution=solved)) == (403, "AUTH_004")
    assert (count(gateway, "posed"), count(gateway, "solved"), count(gateway, "wrong")) == (3, 3, 0)
    assert gateway.metrics()['gateway_requests_refused_total{stage="reserve",code="AUTH_007"}'] == 3
    told = gateway.wait_event("security.challenge_posed", client_ip=address, code="AUTH_007")
    assert told["context"]["failure_reason"] == "challenge_required"
    line = next(one for one in gateway.lines() if one.get("code") == "AUTH_007" and one.get("status") == 403)
    assert (line["stage"], line["reason"]) == ("reserve", "challenge_required")
    assert SECRET not in gateway.child.log() and solved not in gateway.child.log()


@pytest.mark.parametrize("home, replicas", [("embedded", 1), ("redis", 3)])
def test_of_1000_parallel_guesses_without_a_solution_exactly_3_reach_the_backend(
        start, start_backend, request, address, home, replicas):
    def slow(exchange):
        said = wrong_is_401(exchange)
        time.sleep(0.02)
        return said

    backend = start_backend(slow)
    redis = request.getfixturevalue("redis") if home == "redis" else None
    patient = redis and {"address": f"127.0.0.1:{redis.port}", "deadline": "10s"}
    gateways = [start(backend=backend, redis=patient) for _ in range(replicas)]

    def guesses(index: int) -> list:
        with gateways[index % replicas].connect(address, timeout=60) as client:
            return [(one.status, one.code) for one in (client.ask(WRONG) for _ in range(5))]

    answers = [one for some in together(200, guesses) for one in some]
    assert set(answers) <= {(401, None), CHALLENGED, (429, "RATE_001")}
    assert (len(backend.requests), answers.count((401, None))) == (3, 3)
    assert answers.count(CHALLENGED) > 100
    assert not is_blocked(gateways[0], address)
    if redis:
        assert redis.failures(address) == 3
        wait_until("no place is taken", lambda: not redis.shell('redis-cli --scan --pattern "login_pending:*"'), 2)
    # And of as many with solutions two.
    solved = [solution(gateways[index % replicas], address) for index in range(60)]
    answers = together(60, lambda index: ask(gateways[index % replicas], address, login(solution=solved[index])))
    assert len(backend.requests) == 5 and answers.count((401, None)) == 2
    wait_until("the block is in force", lambda: is_blocked(gateways[0], address), 2)


def test_a_solution_is_good_for_one_login_of_its_address(start, login_backend, address, other_address):
    gateway = start(login={"limit": 50})
    failed(gateway, address)
    failed(gateway, other_address)
    solved = solution(gateway, address)
    assert ask(gateway, other_address, login(solution=solved)) == CHALLENGED
    answers = together(20, lambda _: ask(gateway, address, login(solution=solved)))
    assert sorted(answers, key=str) == [(401, None)] + [CHALLENGED] * 19
    assert ask(gateway, address, login(solution=solved)) == CHALLENGED
    assert len(login_backend.requests) == 7
    assert (count(gateway, "spent"), count(gateway, "wrong")) == (20, 1)


def test_what_is_no_solution(start, login_backend, address):
    gateway = start(login={"limit": 50})
    failed(gateway, address)
    solved = solution(gateway, address)
    nonce, number = solved.split(".")
    wrong = [
        "", ".", nonce, nonce + ".", nonce + ".x", nonce + ".1234567890123", number, "A" * 42 + "." + number,
        nonce[:-1] + "!." + number, solved + ",", "." + solved, "0" * 9_000, "\xff", solved.upper(),
    ]
    for text in wrong:
        assert ask(gateway, address, login(solution=text)) == CHALLENGED, text
    twice = plain_request(
        "POST", "/auth/login", [("Gateway-Challenge", solved), ("Gateway-Challenge", solved)], b'"wrong"')
    assert ask(gateway, address, twice) == CHALLENGED
    assert len(login_backend.requests) == 3
    assert ask(gateway, address, login(solution=solved)) == (401, None), "it is still good"


def test_a_solution_is_good_until_it_expires(start, address):
    gateway = start({**WORK, "valid": "10s"})
    failed(gateway, address)
    posed = challenge(gateway, address)
    solved = solve(posed["nonce"], posed["difficulty"])
    end = time.mktime(time.strptime(posed["expires"], "%Y-%m-%dT%H:%M:%S.000Z")) - time.timezone
    assert 8 < end - time.time() <= 10
    wait_until("it is over", lambda: time.time() > end + 0.1, 15)
    assert ask(gateway, address, login(solution=solved)) == CHALLENGED


def test_who_is_never_blocked_is_never_challenged(start, address, other_address):
    gateway = start(never_block=[other_address])
    failed(gateway, other_address, 8)
    failed(gateway, address)
    assert ask(gateway, address) == CHALLENGED
    gateway.command("allow", address, "--for", "10m", "--reason", "a test")
    wait_until("allowed", lambda: ask(gateway, address, RIGHT) == (200, None), 2)


def test_a_reload_turns_it_on_and_harder_and_off(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend, login={"limit": 50})
    failed(gateway, address, 4)

    def reload(**settings):
        gateway.write_config({**gateway.settings, "login": {"limit": 50, **settings}})
        gateway.command("reload")

    reload(challenge=WORK)
    solved = solution(gateway, address)
    reload(challenge={**WORK, "difficulty": 9})
    posed = challenge(gateway, address, login(solution=solved))
    assert posed["difficulty"] == 9
    reload(challenge={**WORK, "difficulty": 9, "after": 40})
    assert ask(gateway, address) == (401, None)
    reload()
    assert ask(gateway, address) == (401, None)


def test_replicas_accept_what_the_other_one_posed(start, redis, address):
    gateways = [start(redis=redis), start(redis=redis)]
    failed(gateways[0], address)
    solved = solution(gateways[0], address)
    assert ask(gateways[1], address, login("correct horse", solved)) == (200, None)
    nameless = {key: value for key, value in WORK.items() if key != "secret"}
    others = [start(nameless, redis=redis), start(nameless, redis=redis)]
    solved = solution(others[0], address)
    assert ask(others[1], address, login("correct horse", solved)) == CHALLENGED
    assert ask(others[0], address, login("correct horse", solved)) == (200, None)


def test_a_process_that_takes_over_accepts_what_the_former_posed(start, login_backend, address):
    gateway = start()
    failed(gateway, address)
    solved = solution(gateway, address)
    gateway.command("upgrade")
    Heirs().after(gateway, gateway.child.pid)
    assert challenge(gateway, address)["kind"] == "proof_of_work", "failures are known to it"
    assert ask(gateway, address, login("correct horse", solved)) == (200, None)
    assert len(login_backend.requests) == 4


def test_a_login_keeps_its_solution_when_its_body_comes_late_and_when_it_waits(start, start_backend, address):
    gate = threading.Event()

    def held(exchange):
        said = wrong_is_401(exchange)
        if b"slow" in exchange.read_body():
            gate.wait(20)
        return said

    backend = start_backend(held)
    gateway = start(backend=backend, login={"limit": 4})
    failed(gateway, address)
    slow = json_request(
        "POST", "/auth/login", {"username": "slow", "password": "correct horse"},
        {"Gateway-Challenge": solution(gateway, address)})
    first = gateway.connect(address, timeout=30).send(slow)
    wait_until("it is at the backend", lambda: len(backend.requests) == 4)
    # The one place that is left is taken: it waits, its body in pieces.
    data = login("correct horse", solution(gateway, address))
    second = gateway.connect(address, timeout=30).send(data[:-5])
    time.sleep(0.1)
    second.send(data[-5:])
    wait_until("it waits", lambda: gateway.metrics()["gateway_logins_waiting"] == 1, 5)
    gate.set()
    assert (first.read_response().status, second.read_response().status) == (200, 200)


def test_it_goes_on_while_redis_is_away(start, redis, address):
    gateway = start(redis=redis)
    failed(gateway, address)
    redis.kill()
    gateway.wait_event("ledger.degraded")
    solved = solution(gateway, address)
    assert ask(gateway, address, login("correct horse", solved)) == (200, None)


def test_the_example_of_the_page_is_one():
    text = PAGE.read_text()
    nonce = re.search(r'"nonce":"([^"]+)"', text).group(1)
    assert solve(nonce, 18) == re.search(r"Gateway-Challenge: (\S+)", text).group(1)


# The page of browsers

NODE = r"""
const vm = require("vm"), fs = require("fs");
const page = JSON.parse(fs.readFileSync(0)), elements = {};
const element = id => elements[id] ??= { addEventListener() {}, focus() {} };
const world = {
  document: { body: { dataset: page.data }, getElementById: element }, history: {}, setTimeout,
  location: { pathname: page.path, protocol: page.protocol },
};
let cookie = "";
Object.defineProperty(world.document, "cookie", {
  get: () => page.keeps ? cookie : "theme=dark",
  set: text => { cookie = text; },
});
vm.runInNewContext(page.script, world);
const wait = () => elements.back?.hidden === false
  ? console.log(JSON.stringify([cookie, elements.task.textContent])) : setTimeout(wait, 5);
wait();
"""


def test_browsers_get_a_page_and_its_cookie_is_a_solution(start, login_backend, address):
    gateway = start()
    failed(gateway, address)
    html = page_of(gateway, address)
    nonce, bits = re.search(r'data-nonce="([^"]+)" data-difficulty="(\d+)"', html).groups()
    cookie = f"theme=dark; gateway_challenge={solve(nonce, int(bits))}"
    assert ask(gateway, address, login("correct horse", **HTML, Cookie=cookie)) == (200, None)
    assert login_backend.requests[-1].field("Cookie") == "theme=dark"
    plain = start({**WORK, "page": False})
    failed(plain, address)
    assert ask(plain, address, login(**HTML)) == CHALLENGED


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("path, protocol, where", [
    ("/auth/login", "http:", "; Path=/auth/login; Max-Age=600; SameSite=Strict"),
    ("/a;b", "https:", "; Path=/; Max-Age=600; SameSite=Strict; Secure"),
])
@pytest.mark.parametrize("keeps, says", [(True, "Done."), (False, "Your browser has not kept the cookie")])
def test_the_script_of_the_page_finds_what_the_gateway_accepts(start, address, path, protocol, where, keeps, says):
    gateway = start({**WORK, "difficulty": 14})
    failed(gateway, address)
    html = page_of(gateway, address)
    data = dict(re.findall(r'data-([a-z]+)="([^"]*)"', html))
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    asked = json.dumps({"script": script, "data": data, "path": path, "protocol": protocol, "keeps": keeps})
    told = subprocess.run(["node", "-e", NODE], input=asked, capture_output=True, text=True, timeout=60, check=True)
    cookie, told_user = json.loads(told.stdout)
    assert told_user.startswith(says) and cookie.endswith(where)
    pair = cookie.split(";")[0]
    assert ask(gateway, address, login("correct horse", Cookie=pair)) == (200, None)
