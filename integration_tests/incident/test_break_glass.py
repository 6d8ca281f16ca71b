"""Routes that some networks may use without a good token for a while (docs/break-glass.md)."""

import pytest

from harness.client import request
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token
from harness.websocket import closing, handshake

INSIDE = "127.0.0.2"
OUTSIDE = "127.0.0.3"
# The name that the test's clients ask for.
HOST = "gateway.test"
ROUTES = [
    {"path": "/", "upstream": "api", "auth": "none"},
    {"path": "/admin", "host": HOST, "upstream": "api", "auth": "required", "roles": ["admin"], "break_glass": "10m"},
    {"path": "/closed", "upstream": "api", "auth": "required"},
    {"path": "/chat", "host": HOST, "upstream": "api", "auth": "required", "break_glass": "10m"},
    {"path": "/events", "host": HOST, "upstream": "api", "auth": "required", "break_glass": "10m"},
]
TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}], "roles_claim": "roles"}
REQUIRED = (401, "AUTH_001")
WHY = ("--reason", "keys are lost")
CLOSE = 2 + 2 + len("a token is required")


@pytest.fixture
def gateway(start_gateway, backend):
    return start_gateway(backend, routes=ROUTES, tokens=TOKENS)


@pytest.fixture
def service(backend):
    backend.handler = handler = LongExchanges()
    yield handler
    handler.release()


def ask(gateway, target: str = "/admin", source: str = INSIDE, fields: dict[str, str] | None = None):
    response = gateway.get(target, source, fields)
    return response.status, response.code


def open_route(gateway, route: str = "/admin", time: str = "5m", allow: str = INSIDE) -> str:
    return gateway.command("break-glass", route, "--for", time, "--allow", allow, *WHY).stdout


def test_a_route_is_opened_to_its_networks_and_closed_again(gateway, backend):
    assert ask(gateway) == REQUIRED
    report = open_route(gateway)
    assert report.startswith(f"/admin is OPEN WITHOUT A GOOD TOKEN to {INSIDE} for 5m, until ")
    forged = token(claims(roles=["admin"]), key="another secret, just as long as the first one")
    for fields in ({}, bearer(forged), {"Authorization": f"JWT {forged}"}, {"X-User-ID": "root", "X-Break-Glass": "false", "X_Break_Glass": "1"}):
        assert ask(gateway, fields=fields) == (200, None)
        seen = backend.requests[-1]
        assert seen.field("X-Break-Glass") == "true"
        assert seen.field("Authorization") is None and seen.field("X-User-ID") is None
        assert seen.field("X_Break_Glass") is None
        assert ask(gateway, source=OUTSIDE, fields=fields) == REQUIRED
    assert ask(gateway, "/closed") == REQUIRED
    assert ask(gateway, fields={"Origin": "https://evil.example"}) == REQUIRED

    assert gateway.metrics()["gateway_break_glass"] == 1
    assert gateway.metrics()['gateway_break_glass_requests_total{failure_reason="missing_token"}'] == 3
    assert gateway.metrics()['gateway_break_glass_requests_total{failure_reason="invalid_signature"}'] == 1
    assert "BREAK-GLASS /admin" in gateway.command("status").stdout
    listed = gateway.command_json("break-glass")["break_glass"]
    assert [(one["route"], one["allow"], one["reason"]) for one in listed] == [("/admin", [INSIDE], "keys are lost")]

    assert gateway.command("break-glass", "/admin", "--end").stdout == "/admin asks for tokens again\n"
    assert ask(gateway) == REQUIRED
    misspelt = gateway.command("break-glass", "/admim", "--end", check=False)
    assert misspelt.returncode == 1 and '"/admim" was not open; no route is open' in misspelt.stderr
    assert gateway.metrics()["gateway_break_glass"] == 0


def test_each_request_that_gets_through_so_is_on_record(gateway):
    open_route(gateway)
    began = gateway.wait_event("break_glass.began", level="ERROR", route="/admin")
    assert (began["allow"], began["reason"], began["ttl_seconds"]) == ([INSIDE], "keys are lost", 300)
    opened = gateway.wait_event("operation", action="break_glass_opened")
    assert INSIDE in opened["message"] and "keys are lost" in opened["message"]
    ask(gateway, "/admin/orders")
    ask(gateway, "/admin/orders", fields=bearer(token(claims("mallory"), key="another secret, just as long as ours is")))
    records = wait_until("two records", lambda: (
        lambda found: found if len(found) == 2 else None)(gateway.events("security.break_glass")))
    assert [(one["level"], one["context"]["endpoint"], one["context"]["ip_address"], one["context"]["trigger"])
            for one in records] == [
        ("ERROR", "/admin/orders", INSIDE, "missing_token"), ("ERROR", "/admin/orders", INSIDE, "invalid_signature")]
    assert records[1]["context"]["claimed_user_id"] == "mallory"
    wait_until("two lines", lambda: len(gateway.events("http.request", break_glass=True)) == 2)
    assert gateway.metrics()['gateway_auth_failures_total{failure_reason="missing_token"}'] == 0


def test_a_good_token_is_a_good_token(gateway, backend):
    open_route(gateway)
    assert ask(gateway, fields=bearer(token(claims("alice", roles=["admin"])))) == (200, None)
    assert backend.requests[-1].field("X-User-ID") == "alice"
    assert backend.requests[-1].field("X-Break-Glass") is None
    assert ask(gateway, fields=bearer(token(claims("alice")))) == (403, "PERM_002")
    assert sum(value for name, value in gateway.metrics().items() if "break_glass_requests" in name) == 0


def test_what_an_operator_has_refused_stays_refused(gateway):
    open_route(gateway)
    gateway.command("revoke", "--sub", "alice")
    assert ask(gateway, fields=bearer(token(claims("alice", roles=["admin"])))) == (401, "AUTH_003")
    gateway.command("block", INSIDE)
    assert ask(gateway) == (403, "AUTH_004")
    gateway.command("unblock", INSIDE)
    gateway.command("lockdown", "/admin", "--for", "5m")
    assert ask(gateway) == (503, "SVC_001")


@pytest.mark.parametrize(("words", "what"), [
    (("/closed", "--for", "5m", "--allow", INSIDE, *WHY), "does not allow break-glass"),
    (("/admin", "--for", "11m", "--allow", INSIDE, *WHY), "to be opened for 600 seconds"),
    (("/nowhere", "--for", "5m", "--allow", INSIDE, *WHY), "no route is called"),
    (("/admin", "--for", "5m", "--allow", "0.0.0.0/0", *WHY), "too wide"),
    (("/admin", "--for", "5m", "--allow", INSIDE), "--reason says why"),
    (("/admin", "--for", "5m", *WHY), "--allow says who"),
    (("/admin", "--allow", INSIDE, *WHY), "--for says how long"),
])
def test_nothing_else_opens_a_route(gateway, words, what):
    result = gateway.command("break-glass", *words, check=False)
    assert result.returncode != 0
    assert what in result.stderr
    assert ask(gateway) == REQUIRED and ask(gateway, "/closed") == REQUIRED
    assert gateway.metrics()["gateway_break_glass"] == 0


def test_the_proxy_itself_is_nobody(start_gateway, backend):
    gateway = start_gateway(backend, routes=ROUTES, tokens=TOKENS, trusted_proxies=[OUTSIDE])
    open_route(gateway, allow="127.0.0.0/24")
    assert ask(gateway, source=OUTSIDE, fields={"X-Forwarded-For": INSIDE}) == (200, None)
    for fields in ({}, {"X-Forwarded-For": "unknown"}, {"X-Forwarded-For": "192.0.2.9"}):
        assert ask(gateway, source=OUTSIDE, fields=fields) == REQUIRED


def test_a_longer_order_is_good_for_what_is_open(gateway, service):
    open_route(gateway, "/events", "2s")
    with gateway.connect(INSIDE) as events:
        events.send(request("GET", "/events"))
        assert events.read_head().status == 200
        open_route(gateway, "/events", "5m")
        assert events.silent(2.5)
        gateway.command("break-glass", "/events", "--end")
        assert is_cut(events)


def test_it_ends_by_itself(gateway):
    open_route(gateway, time="1s")
    assert ask(gateway) == (200, None)
    ended = gateway.wait_event("break_glass.ended", route="/admin")
    assert ended["cause"] == "its time is over"
    assert ask(gateway) == REQUIRED


def test_what_was_opened_so_ends_with_it(gateway, service):
    open_route(gateway, "/chat")
    open_route(gateway, "/events")
    with gateway.connect(INSIDE) as chat, gateway.connect(INSIDE) as events, gateway.connect(INSIDE) as known:
        chat.send(handshake("/chat"))
        assert chat.read_head().status == 101
        known.send(handshake("/chat", bearer(token())))
        assert known.read_head().status == 101
        events.send(request("GET", "/events"))
        assert events.read_head().status == 200
        gateway.command("break-glass", "/chat", "--end")
        assert closing(chat.read_exactly(CLOSE)) == (1008, "a token is required")
        gateway.command("break-glass", "/events", "--end")
        assert is_cut(events)
        gateway.wait_event("http.request", path="/chat", ended_by="break_glass_over")
        assert [one for one in gateway.events("http.request", path="/chat") if "break_glass" not in one] == [], \
            "what a good token has opened goes on"


def test_a_reload_ends_what_is_no_longer_allowed(gateway):
    open_route(gateway)
    open_route(gateway, "/chat")
    open_route(gateway, "/events")
    routes = [dict(route) for route in ROUTES]
    del routes[1]["break_glass"]
    routes[4]["break_glass"] = "1m"
    gateway.settings["routes"] = routes
    gateway.write_config()
    gateway.command("reload")
    assert gateway.wait_event("break_glass.ended", route="/admin")["cause"] == "the configuration no longer allows it"
    assert gateway.wait_event("break_glass.ended", route="/events")["cause"] == "the route is another one now"
    assert ask(gateway) == REQUIRED
    assert ask(gateway, "/chat") == (200, None)


def test_nothing_is_open_after_a_restart_or_on_another_replica(start_gateway, backend, redis):
    one = start_gateway(backend, redis=redis, routes=ROUTES, tokens=TOKENS)
    other = start_gateway(backend, redis=redis, routes=ROUTES, tokens=TOKENS)
    open_route(one)
    assert ask(one) == (200, None)
    assert ask(other) == REQUIRED
    assert redis.cli("KEYS", "*glass*") == ""
    one.stop()
    one.start()
    assert ask(one) == REQUIRED
    assert one.command_json("break-glass")["break_glass"] == []


def test_an_upgrade_ends_it_in_both_processes(start_gateway, backend, service):
    gateway = start_gateway(backend, routes=ROUTES, tokens=TOKENS, timeouts={"drain": "30s"})
    open_route(gateway)
    open_route(gateway, "/events")
    client = gateway.connect(INSIDE).send(request("GET", "/events"))
    assert client.read_head().status == 200
    gateway.command("upgrade")
    Heirs().of(gateway)
    assert ask(gateway) == REQUIRED
    assert is_cut(client)
