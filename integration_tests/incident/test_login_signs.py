"""Rules that count accounts, and those whose failures stand in the body of an answer (docs/login-rules.md)."""

import gzip
import json
import threading
import time

import pytest

from harness.backend import answer
from harness.client import json_request
from harness.load import together
from harness.logins import is_blocked
from harness.processes import wait_until

# A guess that went uncounted is one too many.
pytestmark = pytest.mark.once

SECRET = "0123456789abcdef0123456789abcdef"
ACCOUNTS = {"member": ["username"], "secret": SECRET}


def code(name, digits="wrong", **fields):
    return json_request("POST", "/auth/mfa", {"username": name, "code": digits} if name else {"code": digits}, fields or None)


def statuses(gateway, address, *asked):
    with gateway.connect(address) as client:
        return [client.ask(one).status for one in asked]


@pytest.fixture
def mfa_backend(start_backend):
    def reply(exchange):
        body = exchange.read_body()
        return answer(401 if b'"wrong"' in body else 200, {"ok": b'"wrong"' not in body})
    return start_backend(reply)


def mfa(key, **more):
    return {"rules": [{"name": "mfa", "class": "mfa", "key": key, "endpoints": ["POST /auth/mfa"], "limit": 3, **more}]}


@pytest.mark.parametrize("home", ["redis", "embedded"])
def test_a_rule_for_accounts_locks_them_wherever_they_are_tried(
        start_gateway, mfa_backend, redis, address, other_address, home):
    gateway = start_gateway(mfa_backend, redis if home == "redis" else None, login=mfa("account"), accounts=ACCOUNTS)
    assert statuses(gateway, address, code("alice"), code("ALICE")) == [401, 401]
    assert statuses(gateway, other_address, code("alice"), code("alice", "right")) == [401, 429]
    refused = gateway.fetch(code("alice", "right"), address)
    assert (refused.status, refused.code) == (429, "AUTH_006")
    assert 1_790 <= int(refused.field("Retry-After")) <= 1_800
    assert statuses(gateway, address, code("bob", "right")) == [200]
    assert not is_blocked(gateway, address)
    [lock] = gateway.command_json("locks")["locks"]
    assert (lock["from"], lock["failures"]) == (None, 3)
    told = gateway.wait_event("security.account_locked")
    assert told["context"]["trigger"] == "failed_logins:mfa"
    samples = gateway.metrics()
    assert samples['gateway_login_rule_failures_total{rule="mfa"}'] == 3
    assert samples['gateway_login_rule_blocks_total{rule="mfa",action="block"}'] == 1
    # Logins are locked by the pair here, which is another lock.
    assert statuses(gateway, address, json_request("POST", "/auth/login", {"username": "alice", "password": "x"})) == [200]
    if home == "redis":
        assert redis.cli("--scan", "--pattern", "login_fail:*").split() == [f"login_fail:mfa@{lock['account']}"]
    gateway.command("unlock", "alice")
    assert statuses(gateway, address, code("alice"), code("alice"), code("alice", "right")) == [401, 401, 200]


def test_failures_of_one_replica_are_forgotten_on_another_by_unlock(start_gateway, mfa_backend, redis, address):
    one, two = [start_gateway(mfa_backend, redis, login=mfa("pair"), accounts=ACCOUNTS) for _ in range(2)]
    assert statuses(one, address, code("alice"), code("alice"), code(None)) == [401] * 3
    two.command("unlock", "--all")
    assert redis.cli("--scan", "--pattern", "login_fail:*").split() == [f"login_fail:mfa@{address}"], "that is no account"
    assert statuses(one, address, code("alice"), code("alice"), code("alice", "right")) == [401, 401, 200]


def test_without_an_account_the_address_is_counted(start_gateway, mfa_backend, address, other_address):
    gateway = start_gateway(mfa_backend, login=mfa("account"), accounts=ACCOUNTS)
    assert statuses(gateway, address, *[code(None)] * 4) == [401, 401, 401, 403]
    assert statuses(gateway, other_address, code(None, "right")) == [200]
    assert gateway.metrics()["gateway_logins_without_account_total"] == 4
    gateway.command("unblock", address)
    assert statuses(gateway, address, *[code(None)] * 4) == [401, 401, 401, 403]


def test_of_60_guesses_at_one_account_exactly_3_reach_the_backend(start_gateway, mfa_backend, redis, address, other_address):
    patient = {"address": f"127.0.0.1:{redis.port}", "deadline": "10s"}
    gateways = [start_gateway(mfa_backend, patient, login=mfa("account"), accounts=ACCOUNTS) for _ in range(2)]
    places = [(gateway, client) for gateway in gateways for client in (address, other_address)]

    def guess(index):
        gateway, client = places[index % 4]
        return gateway.fetch(code("alice"), client, timeout=60).status
    assert sorted(together(60, guess)) == [401] * 3 + [429] * 57
    assert len(mfa_backend.requests) == 3


# What the backend says in its body alone.

API = {"name": "api", "endpoints": ["POST /api/login"], "limit": 5,
       "failure": {"statuses": [], "json": {"member": "error.code", "values": ["bad_credentials"]}}}
BAD = json.dumps({"error": {"code": "bad_credentials", "text": "no"}})
GOOD = json.dumps({"token": "x" * 40, "error": None})


# What a guesser would like to choose of the answer.
CHOICES = {"Accept": "text/html", "Range": "bytes=0-0", "If-None-Match": "*", "If-Range": "x"}


def api(password="wrong", fields=None):
    return json_request("POST", "/api/login", {"username": "alice", "password": password}, fields)


@pytest.fixture
def start_api(start_gateway, start_backend):
    """A backend that answers 200 to everything; `reply(exchange, isWrong)` says how."""
    def start(reply, redis=None, **login):
        def handler(exchange):
            return reply(exchange, b'"wrong"' in exchange.read_body())
        backend = start_backend(handler)
        return start_gateway(backend, redis, login={"rules": [{**API, **login}]}), backend
    return start


@pytest.mark.parametrize("home", ["redis", "embedded"])
def test_a_member_of_the_answer_tells_a_failure(start_api, redis, address, home):
    gateway, backend = start_api(
        lambda exchange, wrong: answer(200, BAD if wrong else GOOD, {"Content-Type": "application/json"}),
        redis if home == "redis" else None)
    with gateway.connect(address) as client:
        for _ in range(4):
            said = client.ask(api(fields={"Accept-Encoding": "gzip, br", **CHOICES}))
            assert (said.status, said.body.decode()) == (200, BAD)
            said = client.ask(api("right"))
            assert (said.status, said.body.decode()) == (200, GOOD)
        assert client.ask(api()).status == 200
        assert client.ask(api("right")).status == 403
    assert {request.field("Accept-Encoding") for request in backend.requests} == {"identity"}
    assert {request.field("Accept") for request in backend.requests} == {"application/json"}
    for name in ["Range", "If-None-Match", "If-Range"]:
        assert {request.field(name) for request in backend.requests} == {None}, name
    samples = gateway.metrics()
    assert samples['gateway_login_rule_failures_total{rule="api"}'] == 5
    failures = lambda: gateway.events(event="security.auth_failure", action="auth_failed")
    wait_until("five records of failures", lambda: len(failures()) >= 5)
    assert len(failures()) == 5
    assert len(gateway.events(event="security.auth_success")) == 4, "a 200 that says so is no success"


def pieces(*parts, pause=0.02, ends=False):
    """Sends an answer a piece at a time."""
    def reply(exchange):
        for part in parts:
            exchange.send(part)
            time.sleep(pause)
        # One that is known to be whole leaves its connection for others.
        if parts[0] is not CHUNKED or ends:
            exchange.close()
    return reply


def chunks(text, size):
    data = text.encode()
    return [f"{len(data[at:at + size]):x}\r\n".encode() + data[at:at + size] + b"\r\n" for at in range(0, len(data), size)]


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
LONG = json.dumps({"error": {"code": "fine"}, "filler": "y" * 300_000})
LATE = json.dumps({"filler": "y" * 30_000, "error": {"code": "fine"}})


@pytest.mark.parametrize("said, parts, fails", [
    (BAD, [CHUNKED, *chunks(BAD, 7), b"0\r\n\r\n"], True),
    (GOOD, [CHUNKED, *chunks(GOOD, 7), b"0\r\n\r\n"], False),
    (BAD, [OPEN[:20], OPEN[20:], BAD[:9].encode(), BAD[9:].encode()], True),
    (GOOD, [OPEN, GOOD.encode()], False),
    (LONG, [CHUNKED, *chunks(LONG, 50_000), b"0\r\n\r\n"], False),
    (LATE, [CHUNKED, *chunks(LATE, 10_000), b"0\r\n\r\n"], True),
], ids=["chunks, failed", "chunks, passed", "until the end, failed", "until the end, passed", "long", "behind what is read"])
def test_an_answer_in_pieces_is_told_whole_and_judged_once(start_api, address, said, parts, fails):
    gateway, _ = start_api(lambda exchange, wrong: pieces(*parts)(exchange), limit=2)
    for status in [200, 200, 403 if fails else 200]:
        answered = gateway.fetch(api(), address)
        assert answered.status == status
        assert status == 403 or answered.body.decode() == said


@pytest.mark.parametrize("body, fields", [
    (gzip.compress(GOOD.encode()), {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    (b'{"error": {"code": "fine"', {"Content-Type": "application/json"}),
    (b"<html>welcome", {"Content-Type": "text/html"}),
    (f"[{GOOD}, {BAD}]".encode(), {"Content-Type": "application/json"}),
], ids=["compressed", "broken", "no JSON", "several answers"])
def test_what_cannot_be_read_is_a_failure_and_passes_as_it_is(start_api, address, body, fields):
    gateway, _ = start_api(lambda exchange, wrong: answer(200, body, fields), limit=2)
    for _ in range(2):
        said = gateway.fetch(api(), address)
        assert (said.status, said.body) == (200, body)
    assert gateway.fetch(api(), address).status == 403


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "stalled"])
@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
], ids=["length", "chunks"])
def test_an_answer_that_breaks_off_tells_nothing_and_counts(start_gateway, start_backend, address, head, closes):
    def reply(exchange):
        exchange.read_body()
        exchange.send(head + BAD[:30].encode())
        if closes:
            exchange.close()
        else:
            time.sleep(3)
    gateway = start_gateway(
        start_backend(reply), login={"rules": [{**API, "limit": 2}]}, timeouts={"response": "1s"})
    assert [gateway.fetch(api(), address).status for _ in range(3)] == [502, 502, 403]
    assert gateway.metrics()['gateway_login_rule_failures_total{rule="api"}'] == 2


def test_what_the_head_has_said_counts_though_the_body_breaks_off(start_gateway, start_backend, address):
    # By its status for one rule, while another one waits for the body.
    def reply(exchange):
        exchange.read_body()
        exchange.send(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n{")
        exchange.close()
    rules = [{**API, "limit": 50}, {"name": "plain", "endpoints": API["endpoints"], "limit": 2}]
    gateway = start_gateway(start_backend(reply), login={"rules": rules})
    assert [gateway.fetch(api(), address).status for _ in range(3)] == [502, 502, 403]


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "stalled"])
def test_an_answer_that_breaks_off_behind_a_reload_counts_by_the_rule_that_it_was_for(
        start_gateway, start_backend, address, closes):
    ends = threading.Event()

    def reply(exchange):
        exchange.read_body()
        # Who has seen the interim answer knows that the rest was looked at.
        exchange.send(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + BAD[:30].encode())
        ends.wait(20)
        exchange.close()
    gateway = start_gateway(start_backend(reply), workers=1, login={"rules": [API]}, timeouts={"response": "5s"})
    with gateway.connect(address) as client:
        client.send(api())
        assert client.read_response().status == 103
        # The rule is the second one now.
        other = {"name": "other", "endpoints": ["POST /other"], "limit": 1}
        gateway.write_config({**gateway.settings, "login": {"rules": [other, {**API, "limit": 1}]}})
        gateway.command("reload")
        gateway.wait_event("gateway.reloaded")
        if closes:
            ends.set()
        assert client.read_response().status == 502
        ends.set()
    samples = gateway.metrics()
    counted = {name: samples.get(f'gateway_login_rule_failures_total{{rule="{name}"}}', 0) for name in ["api", "other"]}
    assert counted == {"api": 1, "other": 0}
    assert is_blocked(gateway, address)


def test_a_right_password_forgets_no_wrong_second_factors(start_gateway, start_backend, address):
    def reply(exchange):
        exchange.read_body()
        return answer(200, {"mfa": "wrong"}, {"X-Mfa": "wrong"})
    rule = {"name": "mfa", "class": "mfa", "key": "account", "endpoints": ["POST /auth/login"], "limit": 3,
            "failure": {"field": "X-Mfa", "value": "wrong"}}
    gateway = start_gateway(start_backend(reply), login={"rules": [rule]}, accounts=ACCOUNTS)
    login = json_request("POST", "/auth/login", {"username": "alice", "password": "right", "code": "wrong"})
    assert statuses(gateway, address, *[login] * 4) == [200, 200, 200, 429]


def test_chunks_that_are_none_count_as_a_failure(start_api, address):
    gateway, _ = start_api(lambda exchange, wrong: pieces(CHUNKED, b"zz\r\n", ends=True)(exchange), limit=2)
    assert [gateway.fetch(api(), address).status for _ in range(3)] == [502, 502, 403]


def test_of_60_guesses_at_once_exactly_5_are_told_that_they_failed(start_api, redis, address):
    patient = {"address": f"127.0.0.1:{redis.port}", "deadline": "10s"}
    gateway, backend = start_api(
        lambda exchange, wrong: answer(200, BAD if wrong else GOOD, {"Content-Type": "application/json"}), patient)
    assert sorted(together(60, lambda _: gateway.fetch(api(), address, timeout=60).status)) == [200] * 5 + [403] * 55
    assert len(backend.requests) == 5
