"""Failed logins counted by account (docs/accounts.md), beside the rule for addresses."""

import json

import pytest

from harness.client import json_request, request as plain_request
from harness.load import together
from harness.processes import wait_until

pytestmark = pytest.mark.once

SECRET = "0123456789abcdef0123456789abcdef"
NAMES = ("alice", "bob")


@pytest.fixture
def start(start_gateway, login_backend):
    """More failures of the address than of an account, so that it is the account that is locked."""
    def start(redis=None, **accounts):
        return start_gateway(login_backend, redis, login={"limit": 50}, accounts={
            "member": ["username"], "limit": 3, "secret": SECRET, **accounts})
    return start


def login(name: str, password: str = "wrong", **fields: str) -> bytes:
    return json_request("POST", "/auth/login", {"username": name, "password": password}, fields or None)


def statuses(gateway, address, *logins: bytes) -> list[int]:
    with gateway.connect(address) as client:
        return [client.ask(one).status for one in logins]


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_an_account_is_locked_for_one_address_and_unlocked_by_command(start, redis, address, other_address, where):
    gateway = start(redis if where == "redis" else None)
    assert statuses(gateway, address, *[login(name) for name in ("alice", "ALICE ", "al\u200bice")]) == [401] * 3
    refused = gateway.fetch(login("alice", "right"), address)
    assert (refused.status, refused.code) == (429, "AUTH_006")
    assert 1790 < int(refused.field("Retry-After")) <= 1800
    # Neither the address, nor others of it, nor the account elsewhere.
    assert statuses(gateway, address, login("bob", "right")) == [200]
    assert statuses(gateway, other_address, login("alice", "right")) == [200]
    (lock,) = gateway.command_json("locks")["locks"]
    assert (lock["from"], lock["failures"]) == (address, 3)
    assert lock["account"] in gateway.command("locks").stdout
    metrics = gateway.metrics()
    assert (metrics["gateway_account_lockouts_total"], metrics["gateway_account_locks"]) == (1, 1)
    assert metrics['gateway_auth_failures_total{failure_reason="account_locked"}'] == 1
    told = gateway.wait_event("security.account_locked", client_ip=address, code="AUTH_006")
    assert (told["context"]["account"], told["context"]["locked_from"]) == (lock["account"], address)
    failed = gateway.wait_event("security.auth_failure", action="auth_failed", client_ip=address)
    assert failed["context"]["account"] == lock["account"]
    gateway.wait_event("security.auth_failure", action="locked_account_tried", client_ip=address)

    gateway.command("unblock", address)
    gateway.command("unblock", "--all")
    assert statuses(gateway, address, login("alice", "right")) == [429], "that is another rule"
    assert "is unlocked" in gateway.command("unlock", "Alice", "--from", address).stdout
    gateway.wait_event("security.account_unlocked", client_ip=address)
    # A success forgets, so three more may fail; one of another account forgets nothing.
    assert statuses(
        gateway, address, login("alice"), login("alice"), login("alice", "right"), login("alice"), login("alice"),
        login("bob", "right"), login("alice"), login("alice")) == [401, 401, 200, 401, 401, 200, 401, 429]
    assert gateway.command_json("unlock", "--hash", lock["account"])["count"] == 1
    assert gateway.command("locks").stdout == "no account is locked\n"
    said = json.dumps(gateway.lines()).lower()
    assert not any(name in said for name in NAMES)
    if where == "redis":
        keys = redis.shell("redis-cli --scan").lower()
        assert not any(name in keys for name in NAMES)


@pytest.mark.parametrize("body, kind", [
    ('username=alice&password="wrong"', "application/json"),
    ('{"\\u0075sername": "ALICE", "password": "wrong"}', "text/plain"),
    ('--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nalice\r\n--x\r\n\r\n"wrong"\r\n--x--\r\n', "x/y"),
], ids=["a form", "JSON", "multipart"])
def test_no_form_of_a_body_goes_uncounted(start, address, body, kind):
    gateway = start()
    one = plain_request("POST", "/auth/login", {"Content-Type": kind}, body.encode())
    size = f"{len(body.encode()):x}"
    chunked = plain_request("POST", "/auth/login", {"Transfer-Encoding": "chunked"}) \
        + f"{size}\r\n{body}\r\n0\r\n\r\n".encode()
    assert statuses(gateway, address, one, chunked, login("alice")) == [401] * 3
    assert statuses(gateway, address, login("alice", "right")) == [429]


def test_what_names_no_account_or_two_of_them(start, address):
    gateway = start()
    two = plain_request("POST", "/auth/login", {}, b'{"username": "alice", "username": "bob", "password": "wrong"}')
    refused = gateway.fetch(two, address)
    assert (refused.status, refused.code) == (400, "REQ_001")
    none = plain_request("POST", "/auth/login", {}, b'{"password": "wrong"}')
    assert statuses(gateway, address, *[none] * 4) == [401] * 4
    assert gateway.metrics()["gateway_logins_without_account_total"] == 4
    strict = start(when_unreadable="refuse")
    assert statuses(strict, address, none, login("alice")) == [400, 401]


def test_an_account_that_is_locked_everywhere_is_so_on_all_replicas(start, redis, address, other_address):
    gateways = [start(redis, key="account"), start(redis, key="account")]
    assert statuses(gateways[0], address, login("alice"), login("alice")) == [401] * 2
    assert statuses(gateways[1], other_address, login("alice")) == [401]
    for gateway in gateways:
        wait_until("locked", lambda one=gateway: statuses(one, address, login("alice", "right")) == [429], 2)
    assert gateways[0].command_json("locks")["locks"][0]["from"] is None
    gateways[0].command("unlock", "alice")
    wait_until("unlocked", lambda: statuses(gateways[1], address, login("alice", "right")) == [200], 2)


def test_of_60_guesses_at_once_exactly_3_reach_the_backend(start, login_backend, redis, address):
    patient = {"address": f"127.0.0.1:{redis.port}", "deadline": "10s"}
    gateways = [start(patient), start(patient)]
    answers = together(60, lambda index: gateways[index % 2].fetch(login("alice"), address, timeout=60).status)
    assert sorted(answers) == [401] * 3 + [429] * 57
    assert len(login_backend.requests) == 3


def test_a_flood_of_logins_of_a_locked_account_is_no_flood_of_records(start, address):
    gateway = start()
    assert statuses(gateway, address, *[login("alice")] * 103) == [401] * 3 + [429] * 100
    assert statuses(gateway, address, *[login("bob")] * 4) == [401] * 3 + [429]
    tried = lambda: gateway.events("security.auth_failure", action="locked_account_tried")
    wait_until("both are told", lambda: len(tried()) == 2)
    told = tried()
    assert [record["context"]["suppressed"] for record in told] == [0, 0], "one of each account"
    rest = gateway.wait_event("security.locked_logins_suppressed", 15)
    assert rest["context"]["suppressed"] == 99 and rest["code"] == "AUTH_006"
    assert gateway.metrics()['gateway_auth_failures_total{failure_reason="account_locked"}'] == 101
