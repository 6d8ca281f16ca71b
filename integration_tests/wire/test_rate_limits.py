"""Requests that are too many (docs/rate-limits.md): who is refused, for how long, and what is told of it."""

import signal
import time

import pytest

from harness.client import fetch, request
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token
from harness.websocket import Echo, handshake, open_websocket

LIMITED = (429, "RATE_001")
PASSES = (200, None)
# A day: what is used up stays so for as long as a test runs.
SLOW = {"rate": "1/d"}
KEYS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]}


def ask(gateway, target="/", source=None, fields=None):
    response = gateway.get(target, source, fields)
    return response.status, response.code


def passed(gateway, count, **how):
    """Of `count` requests on connections of their own, which meet both workers, how many got through."""
    answers = [ask(gateway, **how) for _ in range(count)]
    assert set(answers) <= {PASSES, LIMITED}
    return answers.count(PASSES)


def reload(gateway, **sections):
    gateway.write_config({**gateway.settings, **sections})
    gateway.command("reload")


@pytest.mark.once
def test_a_burst_passes_on_both_workers_together_and_nothing_more(start_gateway, backend, address, other_address):
    gateway = start_gateway(backend, rate_limits={"per_address": {**SLOW, "burst": 20}})
    assert passed(gateway, 60, source=address) == 20
    with gateway.connect(address) as client:
        answers = [client.ask(request("GET", "/")) for _ in range(3)]
    assert [each.status for each in answers] == [429] * 3, "the connection is kept"
    assert ask(gateway, source=other_address) == PASSES
    assert ask(gateway, "/health", address) == LIMITED, "everything that is served counts"
    assert len(backend.requests) == 21
    metrics = gateway.metrics()
    assert metrics['gateway_rate_limited_requests_total{limit="per_address"}'] == 44
    assert metrics['gateway_auth_failures_total{failure_reason="rate_limited"}'] == 44
    gateway.wait_event("http.request", status=429, stage="screen", reason="rate_limited", code="RATE_001")


def test_who_waits_as_told_gets_through(start_gateway, backend, address):
    gateway = start_gateway(backend, rate_limits={"per_address": {"rate": "30/min", "burst": 2}, "legacy_fields": True})
    for _ in range(2):
        answer = gateway.get("/", address)
        assert answer.status == 200 and answer.field("RateLimit") is None, "no fields unless the route asks for them"
    refused = gateway.get("/", address)
    assert (refused.status, refused.code) == LIMITED
    assert refused.json()["title"] == "The address makes too many requests"
    wait = int(refused.field("Retry-After"))
    assert wait in (1, 2)
    assert refused.field("RateLimit-Policy") == '"per_address";q=30;w=60'
    assert refused.field("RateLimit") == f'"per_address";r=0;t={wait}'
    assert refused.field("X-RateLimit-Limit") == "30"
    assert (refused.field("X-RateLimit-Remaining"), refused.field("X-RateLimit-Reset")) == ("0", str(wait))
    assert refused.field("Proxy-Status") == "gateway; error=http_request_denied"
    # The time that was told is the condition here.
    time.sleep(wait)
    assert ask(gateway, source=address) == PASSES


def test_a_flood_has_one_audit_record_and_not_one_for_each_request(start_gateway, backend, address):
    gateway = start_gateway(backend, rate_limits={"per_address": {**SLOW, "burst": 1}})
    assert passed(gateway, 30, source=address) == 1
    record = gateway.wait_event("security.rate_limited", client_ip=address)
    assert (record["code"], record["stage"], record["context"]["trigger"]) == ("RATE_001", "screen", "per_address")
    assert record["context"]["failure_reason"] == "rate_limited"
    assert len(gateway.events("security.rate_limited")) == 1


def test_blocked_addresses_are_told_that_they_are_blocked(start_gateway, backend, address):
    gateway = start_gateway(backend, rate_limits={"per_address": {**SLOW, "burst": 1}})
    assert passed(gateway, 2, source=address) == 1
    gateway.command("block", address, "--for", "1m")
    assert ask(gateway, source=address) == (403, "AUTH_004")


def test_clients_behind_a_trusted_proxy_are_counted_and_the_proxy_is_not(start_gateway, backend, address, other_address):
    gateway = start_gateway(
        backend, trusted_proxies=[address], never_block=[other_address],
        rate_limits={"per_address": {**SLOW, "burst": 1}})
    assert passed(gateway, 5, source=address) == 5
    assert passed(gateway, 5, source=other_address) == 5
    assert passed(gateway, 5, source=address, fields={"X-Forwarded-For": "192.0.2.1"}) == 1
    # One /64 of IPv6 is one client.
    v6 = [ask(gateway, source=address, fields={"X-Forwarded-For": f"2001:db8:0:7::{host}"}) for host in range(1, 4)]
    assert v6 == [PASSES, LIMITED, LIMITED]
    assert ask(gateway, source=address, fields={"X-Forwarded-For": "2001:db8:0:8::1"}) == PASSES


def test_an_identity_is_counted_wherever_it_comes_from(start_gateway, backend, address, other_address):
    gateway = start_gateway(
        backend, tokens=KEYS, rate_limits={"per_identity": {**SLOW, "burst": 4}},
        routes=[{"path": "/", "upstream": "api"}, {"path": "/admin", "upstream": "api", "roles": ["admin"]}])
    alice, bob = bearer(token(claims("alice"))), bearer(token(claims("bob")))
    assert [ask(gateway, "/admin", address, alice) for _ in range(5)] == [(403, "PERM_002")] * 5
    assert passed(gateway, 3, source=address, fields=alice) == 3
    assert passed(gateway, 3, source=other_address, fields=alice) == 1, "what was refused anyway took nothing"
    assert ask(gateway, source=address, fields=bob) == PASSES
    assert ask(gateway, source=address) == (401, "AUTH_001")
    record = gateway.wait_event("security.rate_limited", client_ip=other_address)
    assert (record["stage"], record["context"]["user_id"]) == ("authorize", "alice")


@pytest.mark.parametrize(("per", "name"), [("address", "route_address"), ("route", "route")])
def test_a_route_has_a_limit_of_its_own_and_tells_what_is_left(start_gateway, backend, address, other_address, per, name):
    gateway = start_gateway(backend, routes=[
        {"path": "/", "upstream": "api", "auth": "none"},
        {"path": "/search", "upstream": "api", "auth": "none",
         "rate_limit": {"per": per, **SLOW, "burst": 3, "fields": True}},
    ])
    left = []
    for _ in range(3):
        answer = gateway.get("/search?q=a", address)
        assert answer.status == 200
        assert answer.field("RateLimit-Policy") == f'"{name}";q=1;w=86400'
        left.append(answer.field("RateLimit").split(";")[1])
    assert left == ["r=2", "r=1", "r=0"]
    assert ask(gateway, "/search", address) == LIMITED
    assert ask(gateway, "/search", other_address) == (PASSES if per == "address" else LIMITED)
    assert passed(gateway, 5, source=address) == 5, "the other route"
    assert gateway.metrics()[f'gateway_rate_limited_requests_total{{limit="{name}"}}'] == (1 if per == "address" else 2)


def test_a_reload_changes_it_and_forgets_nothing(start_gateway, backend, address):
    gateway = start_gateway(backend)
    assert passed(gateway, 20, source=address) == 20
    reload(gateway, rate_limits={"per_address": {**SLOW, "burst": 5}})
    assert passed(gateway, 10, source=address) == 5
    reload(gateway, rate_limits={"per_address": {**SLOW, "burst": 8}})
    assert passed(gateway, 10, source=address) == 3, "what was used up stays so"
    gateway.write_config({key: value for key, value in gateway.settings.items() if key != "rate_limits"})
    gateway.signal(signal.SIGHUP)
    wait_until("no limit", lambda: ask(gateway, source=address) == PASSES)


def test_the_variables_of_the_runbook(start_gateway, backend, address):
    gateway = start_gateway(
        backend, environment={"RATE_LIMIT_PER_IP_PER_MINUTE": "100", "RATE_LIMIT_BURST": "4"})
    answers = [gateway.get("/", address) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 4 + [429]
    assert answers[-1].field("RateLimit-Policy") == '"per_address";q=100;w=60'
    one = gateway.command_json("rate-limit")["rate_limits"][0]
    assert (one["limit"], one["configured"]) == ("per_address", "100/min, burst 4")


def test_an_emergency_limit_has_an_end(start_gateway, backend, address, other_address):
    gateway = start_gateway(backend)
    said = gateway.command(
        "rate-limit", "per_address", "--rate", "1/d", "--burst", "2", "--for", "30m", "--reason", "attack").stdout
    assert said.startswith("per_address is 1/d, burst 2, for 30m, until ")
    assert passed(gateway, 5, source=address) == 2, "in force when the command is over"
    assert "per_address is 1/d, burst 2, for " in gateway.command("status").stdout
    assert gateway.metrics()["gateway_rate_limit_overrides"] == 1
    assert "attack" in gateway.wait_event("operation", action="rate_limit_changed")["message"]
    gateway.wait_event("limits.rate_changed", level="WARNING", limit="per_address", burst=2)
    one = gateway.command_json("rate-limit")["rate_limits"][0]
    assert (one["in_force"], one["configured"]) == ("1/d, burst 2", "off")
    reload(gateway)
    assert passed(gateway, 3, source=address) == 0, "a reload leaves it"

    assert gateway.command("rate-limit", "per_address", "--restore").stdout == "per_address is as configured again\n"
    assert passed(gateway, 3, source=address) == 3
    assert gateway.command("rate-limit", "per_address", "--restore").stdout == (
        "per_address is as configured: nothing else was set\n")

    gateway.command("rate-limit", "per_address", "--rate", "1/d", "--burst", "1", "--for", "1s")
    assert passed(gateway, 2, source=other_address) <= 2
    gateway.wait_event("operation", action="rate_limit_restored", timeout=5)
    wait_until("its end", lambda: ask(gateway, source=other_address) == PASSES, 5)


def test_a_route_without_a_limit_gets_none_by_command(start_gateway, backend):
    gateway = start_gateway(backend, routes=[
        {"path": "/", "upstream": "api", "auth": "none"},
        {"path": "/search", "upstream": "api", "auth": "none", "rate_limit": {"rate": "100/s", "burst": 50}},
    ])
    refused = gateway.command("rate-limit", "/", "--rate", "1/d", "--for", "1m", check=False)
    assert refused.returncode != 0 and "There is no such rate limit" in refused.stderr
    gateway.command("rate-limit", "/search", "--rate", "1/d", "--burst", "1", "--for", "1m")
    assert passed(gateway, 3, target="/search") == 1
    assert passed(gateway, 3) == 3


def test_messages_of_a_websocket_do_not_count_and_its_handshake_does(start_gateway, address):
    echo = Echo()
    try:
        gateway = start_gateway(echo.address, rate_limits={"per_address": {**SLOW, "burst": 1}})
        with open_websocket(gateway, "/", address) as socket:
            for number in range(20):
                socket.send(str(number))
                assert socket.recv() == str(number)
        assert gateway.fetch(handshake("/"), address).status == 429
    finally:
        echo.close()


def test_a_login_counts_once_however_long_it_waits_for_its_place(start_gateway, backend, address):
    """It is decided anew when its body is whole, and when it has its place."""
    gateway = start_gateway(
        backend, rate_limits={"per_address": {**SLOW, "burst": 4}},
        routes=[{"path": "/", "upstream": "api", "auth": "none", "rate_limit": {"per": "route", **SLOW, "burst": 4}}])
    with gateway.connect(address) as client:
        for _ in range(4):
            login = request("POST", "/auth/login", body=b'{"user": "a"}')
            client.send(login[:-5])
            assert client.silent(0.05)
            client.send(login[-5:])
            assert client.read_response().status == 200
        assert client.ask(request("POST", "/auth/login", body=b"{}"), "POST").status == 429


def test_checks_of_another_proxy_count_as_the_clients(start_gateway, backend):
    gateway = start_gateway(
        backend, forward_auth={"listen": ["127.0.0.1:0"]},
        rate_limits={"per_address": {**SLOW, "burst": 2}})

    def check(client):
        return fetch(gateway.check_address, request("GET", "/verify", {
            "X-Forwarded-Method": "GET", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "gateway.test",
            "X-Forwarded-Uri": "/", "X-Forwarded-For": client}))

    assert [check("192.0.2.1").status for _ in range(3)] == [200, 200, 429]
    assert check("192.0.2.2").status == 200
    assert int(check("192.0.2.1").field("Retry-After")) > 1
