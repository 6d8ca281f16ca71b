"""A route that is closed for a while (docs/lockdown.md): for whom, where, until when, and what is told of it."""

import math
import time

import pytest

from harness.client import request
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until
from harness.websocket import closing, handshake

CLOSED = (503, "SVC_001")
PASSES = (200, None)
CLOSE = 2 + 2 + len("closed for a while")
ROUTES = [
    {"path": "/", "upstream": "api", "auth": "none"},
    {"path": "/admin", "upstream": "api", "auth": "none"},
    {"path": "/chat", "upstream": "api", "auth": "none", "name": "live"},
    {"path": "/events", "upstream": "api", "auth": "none", "name": "live"},
]


@pytest.fixture
def start(start_gateway, backend):
    """`start(redis, …)`: one more replica in front of the same backend."""
    def start(redis=None, **sections):
        return start_gateway(backend, redis=redis, **{"routes": ROUTES, **sections})
    return start


@pytest.fixture
def service(backend):
    backend.handler = handler = LongExchanges()
    yield handler
    handler.release()


def ask(gateway, target: str = "/admin", source: str | None = None) -> tuple[int, str | None]:
    response = gateway.get(target, source)
    return response.status, response.code


def soon(what: str, probe) -> None:
    """Within 100 ms, which is 200 where a busy machine counts them."""
    wait_until(what, probe, 0.2, every=0.005)


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_a_route_is_closed_by_command_and_opened_again(start, redis, backend, where):
    gateway = start(redis if where == "redis" else None)
    assert ask(gateway) == PASSES
    before = len(backend.requests)
    report = gateway.command("lockdown", "/admin", "--for", "30m", "--reason", "leak of orders").stdout
    assert report.startswith("/admin is closed to everybody for 30m, until ")
    response = gateway.get("/admin/users?all")
    assert (response.status, response.code) == CLOSED
    assert response.json()["title"] == "The route is closed for a while"
    assert 1790 <= int(response.field("Retry-After")) <= 1800
    assert response.field("Proxy-Status") == "gateway; error=http_request_denied"
    assert len(backend.requests) == before, "nothing of it goes on"
    assert ask(gateway, "/") == PASSES
    assert gateway.get("/health").status == 200
    gateway.wait_event("http.request", path="/admin/users", status=503, stage="route", reason="locked_down")

    one = gateway.command_json("lockdowns")["lockdowns"]
    assert [(each["route"], each["reason"], each["allow"], each["origin"]) for each in one] == [
        ("/admin", "leak of orders", [], "command")]
    assert "closed /admin" in gateway.command("status").stdout
    assert gateway.metrics()["gateway_lockdowns"] == 1
    began = gateway.wait_event("lockdown.began", level="WARNING", route="/admin", restored=False)
    assert began["reason"] == "leak of orders"
    record = gateway.wait_event("operation", action="route_locked_down")
    assert "leak of orders" in record["message"]
    assert (record["context"]["target"], record["context"]["trigger"]) == ("/admin", "leak of orders")
    assert record["context"]["expires_at"] in record["message"]

    assert gateway.command("unlock-route", "/admin").stdout == "/admin is open again\n"
    assert ask(gateway) == PASSES
    assert gateway.command("unlock-route", "/admin").stdout == "/admin was not closed\n"
    gateway.wait_event("lockdown.ended", route="/admin", cause="command")
    gateway.wait_event("operation", action="route_reopened", message="/admin is open again: command")
    assert gateway.metrics()["gateway_lockdowns"] == 0
    assert gateway.command("lockdowns").stdout == "no route is closed\n"


def test_those_who_are_let_through_are_let_through_and_nobody_else(start, address, other_address):
    gateway = start()
    gateway.command("lockdown", "/admin", "--for", "1m", "--allow", f"{address},192.0.2.0/24")
    assert ask(gateway, source=address) == PASSES
    assert ask(gateway, source=other_address) == CLOSED
    spoofed = gateway.get("/admin", other_address, {"X-Forwarded-For": address})
    assert (spoofed.status, spoofed.code) == CLOSED


def test_it_opens_by_itself_at_its_end(start, redis):
    gateways = [start(redis), start(redis)]
    began = time.time()
    gateways[0].command("lockdown", "/admin", "--for", "2s")
    soon("all are closed", lambda: all(ask(one) == CLOSED for one in gateways))
    until = math.inf
    while ask(gateways[1]) == CLOSED:
        until = time.time()
        assert until < began + 10
    assert until - began > 1.8, "as long as it was said, less what the command took"
    assert ask(gateways[0]) == PASSES
    for gateway in gateways:
        gateway.wait_event("operation", action="route_reopened", message="/admin is open again: its time is over")
        gateway.wait_event("lockdown.ended", cause="its time is over")


def test_by_hand_in_redis(start, redis, address):
    gateways = [start(redis), start(redis)]
    redis.cli("SET", "lockdown:/admin", "1", "EX", "1800")
    soon("closed", lambda: all(ask(one) == CLOSED for one in gateways))
    for gateway in gateways:
        gateway.wait_event("operation", action="route_locked_down")
    redis.cli("SET", "lockdown:/admin", f'{{"allow":["{address}"]}}', "EX", "1800")
    soon("let through", lambda: ask(gateways[0], source=address) == PASSES)
    assert ask(gateways[0]) == CLOSED
    redis.cli("DEL", "lockdown:/admin")
    soon("open", lambda: all(ask(one) == PASSES for one in gateways))
    gateways[0].wait_event("lockdown.ended", cause="the key was deleted")
    redis.cli("SET", "lockdown:/admin", "1")
    soon("closed", lambda: ask(gateways[0]) == CLOSED)
    gateways[0].wait_event("lockdown.endless", level="ERROR", route="/admin")
    redis.cli("SET", "lockdown:admin", "1", "EX", "1800")
    gateways[0].wait_event("lockdown.unknown_route", level="ERROR", route="admin")
    wait_until("it is listed", lambda: len(gateways[0].command_json("lockdowns")["lockdowns"]) == 2)
    assert {one["route"]: one["route_exists"] for one in gateways[0].command_json("lockdowns")["lockdowns"]} == {
        "/admin": True, "admin": False}
    assert "admin (no such route: nothing is closed)" in gateways[0].command("lockdowns").stdout
    assert "nothing, there is no such route" in gateways[0].command("status").stdout
    assert gateways[0].metrics()["gateway_lockdowns"] == 1
    assert [event for event in gateways[0].events("operation") if "there is no such route" in event["message"]]


def test_it_survives_restarts_outages_and_flushes(start, redis):
    gateway = start(redis)
    gateway.command("lockdown", "/admin", "--for", "30m")
    redis.cli("FLUSHALL")
    wait_until("it is back", lambda: redis.cli("EXISTS", "lockdown:/admin") == "1")
    assert 1700 < redis.integer("TTL", "lockdown:/admin") <= 1800
    assert ask(gateway) == CLOSED
    redis.kill()
    assert ask(gateway) == CLOSED
    gateway.stop()
    gateway.start()
    assert ask(gateway) == CLOSED
    gateway.wait_event("lockdown.began", restored=True)
    assert len(gateway.events("operation", action="route_locked_down")) == 1
    assert "Redis is away" in gateway.command("unlock-route", "/admin").stdout
    assert ask(gateway) == PASSES


def test_it_survives_a_restart_without_redis_and_a_reload(start):
    gateway = start()
    gateway.command("lockdown", "/admin", "--for", "30m")
    gateway.command("reload")
    assert ask(gateway) == CLOSED
    gateway.stop()
    gateway.start()
    assert ask(gateway) == CLOSED
    left = gateway.command_json("lockdowns")["lockdowns"][0]["ttl_seconds"]
    assert 1700 < left <= 1800


def test_websockets_and_event_streams_are_closed_but_not_of_the_allowed(start, redis, service, address):
    gateways = [start(redis), start(redis)]

    def chat(gateway, source=None):
        client = gateway.connect(source).send(handshake("/chat"))
        assert client.read_head().status == 101
        return client

    def events(gateway, source=None):
        client = gateway.connect(source).send(request("GET", "/events"))
        assert client.read_head().status == 200
        return client

    chats = [chat(gateway) for gateway in gateways for _ in range(3)]
    streams = [events(gateway) for gateway in gateways for _ in range(3)]
    spared = [chat(gateways[0], address), events(gateways[1], address)]
    gateways[0].command("lockdown", "live", "--for", "1m", "--allow", address)
    assert [closing(client.read_exactly(CLOSE)) for client in chats] == [(1001, "closed for a while")] * 6
    assert all(map(is_cut, streams))
    assert all(client.silent(0.1) for client in spared)
    for gateway in gateways:
        for path in ("/chat", "/events"):
            wait_until("the log lines", lambda one=gateway, of=path: len(
                one.events("http.request", path=of, ended_by="locked_down")) == 3, 15)
    assert gateways[0].metrics()['gateway_tunnels_closed_total{reason="locked_down"}'] == 3


def test_what_makes_no_sense_closes_nothing(start):
    gateway = start()
    unknown = gateway.command("lockdown", "/admim", "--for", "1m", check=False)
    assert unknown.returncode == 1
    assert 'no route is called "/admim"; there are /, /admin, live' in unknown.stderr
    assert gateway.command("lockdown", "/admin", check=False).returncode == 64
    assert gateway.command("lockdown", "/admin", "--for", "8d", check=False).returncode == 64
    assert gateway.command("lockdowns").stdout == "no route is closed\n"
    assert ask(gateway) == PASSES


def test_an_upgrade_takes_it_along_and_the_former_process_hears_of_new_ones(start, service):
    gateway = start(timeouts={"drain": "30s"})
    gateway.command("lockdown", "/admin", "--for", "30m")
    client = gateway.connect().send(request("GET", "/events"))
    assert client.read_head().status == 200
    gateway.command("upgrade")
    Heirs().of(gateway)
    assert ask(gateway) == CLOSED
    assert client.silent(0.1)
    gateway.command("lockdown", "live", "--for", "1m")
    assert is_cut(client), "the former process had it"
