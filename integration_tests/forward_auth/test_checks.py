"""The listener that proxies ask at: who may, what a check must say, and what becomes of it in logs and metrics."""

import json
import socket
import threading

import pytest

from harness.client import Client, fetch, request
from harness.gateway import merged
from harness.processes import answers, free_port, wait_until
from harness.tokens import SECRET, bearer, claims, token

ROUTES = [
    {"path": "/open", "upstream": "api", "auth": "none"},
    {"path": "/private", "upstream": "api", "auth": "required"},
]
KEYS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]}


@pytest.fixture
def start_asked(start_gateway, backend):
    """`start_asked(trusted=[…])`: one that is asked."""
    def start(**settings):
        return start_gateway(
            backend, routes=ROUTES, tokens=KEYS, forward_auth={"listen": ["127.0.0.1:0"], **settings})
    return start


@pytest.fixture
def gateway(start_asked):
    return start_asked()


def description(target="/private", client="192.0.2.9", **changes):
    """What a proxy says; a None leaves a part out."""
    parts = {
        "Method": "GET", "Uri": target, "Host": "api.test", "Proto": "https", "For": client, **changes}
    return [(f"X-Forwarded-{name}", value) for name, value in parts.items() if value is not None]


def check(*fields, path="/verify", method="GET", body=None, **changes):
    return request(method, path, [*description(**changes), *fields], body, host="gateway")


def authorization(text=None):
    return ("Authorization", bearer(text or token())["Authorization"])


def ask(gateway, data, source=None):
    return fetch(gateway.check_address, data, source)


@pytest.mark.parametrize("path", ["/verify", "/nginx"])
def test_a_check_is_answered_with_the_identity(gateway, backend, path):
    answer = ask(gateway, check(authorization(), path=path))
    assert (answer.status, answer.body) == (200, b"")
    assert (answer.field("X-User-ID"), answer.field("X-User-Role")) == ("alice", "user")
    assert answer.field("X-Authenticated") == "true"
    assert answer.field("X-Envoy-Auth-Headers-To-Remove") is None
    assert len(answer.field("X-Request-Id")) == 32
    answer = ask(gateway, check(path=path, target="/open"))
    assert answer.status == 200
    assert not {"x-user-id", "x-user-role", "x-authenticated"} & {name.lower() for name, _ in answer.fields}
    assert backend.requests == []


def test_a_refusal_for_nginx_is_told_in_words_that_it_knows(gateway):
    plain = ask(gateway, check(target="/nowhere"))
    assert (plain.status, plain.code, plain.field("X-Auth-Status")) == (404, "REQ_003", None)
    answer = ask(gateway, check(path="/nginx", target="/nowhere"))
    assert (answer.status, answer.field("X-Auth-Status")) == (403, "404")
    problem = json.loads(answer.field("X-Auth-Problem"))
    assert (problem["status"], problem["code"]) == (404, "REQ_003")
    answer = ask(gateway, check(path="/nginx"))
    assert (answer.status, answer.field("X-Auth-Status")) == (401, "401")
    assert answer.field("WWW-Authenticate") == 'Bearer realm="gateway"'


@pytest.mark.parametrize("path", ["/verify", "/nginx"])
@pytest.mark.parametrize("part", ["Method", "Uri", "Host", "Proto", "For"])
def test_a_check_that_says_too_little_or_too_much_lets_nobody_pass(gateway, path, part):
    missing = check(authorization(), path=path, target="/open", **{part: None})
    doubled = check(authorization(), (f"x-forwarded-{part.lower()}", "/open"), path=path, target="/open")
    for data in (missing, doubled):
        answer = ask(gateway, data)
        assert answer.status == (400 if path == "/verify" else 403)
        assert answer.json()["code"] == "REQ_001"
        assert answer.field("X-User-ID") is None
    told = gateway.wait_event("forward_auth.misdescribed")
    assert told["reason"] in (f"X-Forwarded-{part} is missing", f"X-Forwarded-{part} is there more than once")
    assert told["address"] == "127.0.0.1"
    assert sum(gateway.metrics()[f'gateway_forward_auth_checks_total{{result="{result}"}}'] for result in (
        "allowed", "refused")) == 0


def test_misdescriptions_are_counted_all_and_told_now_and_then(start_gateway, backend):
    gateway = start_gateway(
        backend, workers=1, routes=ROUTES, tokens=KEYS, forward_auth={"listen": ["127.0.0.1:0"]})
    for _ in range(20):
        assert ask(gateway, request("GET", "/verify")).status == 400
    assert gateway.metrics()['gateway_forward_auth_checks_total{result="misdescribed"}'] == 20
    assert len(gateway.events("forward_auth.misdescribed")) == 1


@pytest.mark.parametrize("target", ["/", "/open", "/verify/x", "/metrics", "/envoy", "/envoyopen"])
def test_nothing_else_is_served_there(gateway, backend, target):
    assert ask(gateway, check(authorization(), path=target, target="/open")).status == 400
    assert backend.requests == []


def test_a_probe_is_answered(gateway):
    answer = ask(gateway, request("GET", "/health"))
    assert (answer.status, answer.json()["status"]) == (200, "healthy")
    assert ask(gateway, request("HEAD", "/health")).status == 200
    # What a client of the proxy asks for is another matter.
    assert ask(gateway, check(target="/health")).status == 404


def test_strangers_are_told_nothing(start_asked, address, other_address):
    gateway = start_asked(trusted=[address])
    assert ask(gateway, check(target="/open"), address).status == 200
    for _ in range(3):
        with Client(gateway.check_address, other_address) as client:
            assert client.ended()
    assert gateway.wait_event("forward_auth.stranger")["address"] == other_address
    assert gateway.metrics()['gateway_forward_auth_checks_total{result="stranger"}'] == 3
    assert gateway.get("/open", other_address).status == 200, "as a client it is served"


def test_only_this_host_may_ask_unless_others_are_named(gateway):
    assert ask(gateway, check(target="/open"), "127.9.9.9").status == 200
    assert gateway.settings["forward_auth"].get("trusted") is None


def test_who_may_ask_changes_with_a_reload_for_open_connections_too(start_asked, address, other_address):
    gateway = start_asked(trusted=[address])
    with Client(gateway.check_address, address) as client:
        assert client.ask(check(target="/open")).status == 200
        gateway.write_config(merged(gateway.settings, {"forward_auth": {"trusted": [other_address]}}))
        gateway.command("reload")
        assert client.send(check(target="/open")).ended()
    assert ask(gateway, check(target="/open"), other_address).status == 200


def test_the_listener_comes_and_goes_with_a_reload(start_gateway, backend):
    port = free_port()
    gateway = start_gateway(backend, routes=ROUTES, tokens=KEYS)
    assert "forward_auth_listeners" not in gateway.events("gateway.ready")[0]
    without = gateway.settings
    gateway.write_config(merged(without, {"forward_auth": {"listen": [f"127.0.0.1:{port}"]}}))
    gateway.command("reload")
    wait_until("the listener", lambda: answers(port))
    assert fetch(("127.0.0.1", port), check(target="/open")).status == 200
    assert f"127.0.0.1:{port} (forward-auth)" in gateway.command("status").stdout
    gateway.write_config(without)
    gateway.command("reload")
    wait_until("its end", lambda: not answers(port))


def test_the_listener_goes_to_a_new_program(gateway):
    assert ask(gateway, check(target="/open")).status == 200
    gateway.command("upgrade")
    pid = gateway.child.pid
    ready = wait_until(
        "the new program", lambda: [line for line in gateway.events("gateway.ready") if line["pid"] != pid])[-1]
    assert ready["forward_auth_listeners"] == gateway.events("gateway.ready")[0]["forward_auth_listeners"]
    assert ask(gateway, check(target="/open")).status == 200


def test_a_connection_serves_check_after_check_whatever_they_come_to(gateway):
    """A request that would end a client's connection does not end the proxy's."""
    with Client(gateway.check_address) as client:
        for target, status in [("/open", 200), ("/open//a", 400), ("/private", 401), ("/open", 200)]:
            assert client.ask(check(target=target)).status == status
        assert client.ask(check(target="/open", Proto=None)).status == 400
        assert client.ask(check(target="/open", Method="TRACE")).status == 501
        assert client.ask(check(target="/open", body=b"a body")).status == 200
        client.send(check(target="/open") + check() + check(authorization()))
        assert [client.read_response().status for _ in range(3)] == [200, 401, 200]


def test_a_check_that_arrives_in_pieces_is_one(gateway):
    with Client(gateway.check_address) as client:
        client.send_slowly(check(authorization()), 0.0005, 7)
        assert client.read_response().status == 200


def test_a_check_with_an_unknown_end_is_the_last(gateway):
    with Client(gateway.check_address) as client:
        client.send(check(("Transfer-Encoding", "chunked"), target="/open") + check(target="/open"))
        answer = client.read_response()
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert client.ended()
    with Client(gateway.check_address) as client:
        client.send(check(("Transfer-Encoding", "chunked"), ("Content-Length", "5"), target="/open"))
        assert client.read_response().status == 400
        assert client.ended()


@pytest.mark.parametrize(("data", "status"), [
    (request("HEAD", "/envoy/open", description()[3:]), 200),
    (request("HEAD", "/envoy/private", description()[3:]), 401),
    (check(Method="HEAD"), 401),
    (check(Method="HEAD", target="/open"), 200),
])
def test_an_answer_is_framed_for_who_asks(gateway, data, status):
    """HEAD of the check has no body; HEAD of the request that it is about has one."""
    with Client(gateway.check_address) as client:
        for _ in range(2):
            answer = client.ask(data)
            assert answer.status == status
        assert (answer.body != b"") == (status == 401 and data.startswith(b"GET"))


def test_the_description_is_judged_and_not_the_check(gateway):
    with Client(gateway.check_address) as client:
        assert client.ask(check(Host="a b", target="/open")).status == 400
        assert client.ask(check(target="/open?" + "a" * 9_000)).status == 414
        assert client.ask(check(("Cookie", "a" * 40_000), target="/open")).status == 431
        assert client.ask(check(("Cookie", "a" * 31_000), target="/open?" + "a" * 1_000)).status in (200, 431)


def test_logs_and_metrics_tell_of_it(start_gateway, backend, address):
    # One worker, so that the lines have the order of the checks.
    gateway = start_gateway(
        backend, workers=1, routes=ROUTES, tokens=KEYS, forward_auth={"listen": ["127.0.0.1:0"]})
    gateway.command("block", "192.0.2.66")
    for client, fields, target in [
        ("192.0.2.9", [authorization()], "/private/a?secret=1"), ("192.0.2.9", [], "/private"),
        ("192.0.2.66", [], "/open"), ("192.0.2.9", [authorization(token(claims("bob", role="admin")))], "/private"),
    ]:
        ask(gateway, check(*fields, client=client, target=target), address)
    lines = wait_until("four lines", lambda: (
        found if len(found := gateway.events("http.request", via="forward_auth")) == 4 else None))
    assert [line["status"] for line in lines] == [200, 401, 403, 200]
    for line in lines:
        assert (line["peer_ip"], line["host"]) == (address, "api.test")
        assert "upstream" not in line and "client_port" not in line
    assert (lines[0]["client_ip"], lines[0]["path"], lines[0]["route"]) == ("192.0.2.9", "/private/a", "/private")
    assert lines[3]["user_id"] == "bob"
    assert (lines[2]["client_ip"], lines[2]["code"]) == ("192.0.2.66", "AUTH_004")
    blocked = gateway.wait_event("security.blocked_request")
    assert (blocked["client_ip"], blocked["peer_ip"], blocked["via"]) == ("192.0.2.66", address, "forward_auth")
    refused = gateway.wait_event("security.auth_failure")
    assert (refused["via"], refused["context"]["failure_reason"]) == ("forward_auth", "missing_token")
    assert gateway.wait_event("security.auth_success")["via"] == "forward_auth"
    metrics = gateway.metrics()
    assert metrics['gateway_forward_auth_checks_total{result="allowed"}'] == 2
    assert metrics['gateway_forward_auth_checks_total{result="refused"}'] == 2
    assert metrics['gateway_http_requests_total{route="/private",method="GET",code="401"}'] == 1
    assert metrics['gateway_auth_failures_total{failure_reason="ip_blocked"}'] == 1
    # Requests of clients say nothing of it.
    gateway.get("/open", address)
    assert wait_until("its line", lambda: [line for line in gateway.events("http.request") if "via" not in line])


def test_the_proxy_itself_may_be_blocked_as_a_client(gateway, address):
    """It is one of its own clients then, and asks on for the others."""
    gateway.command("block", address)
    assert ask(gateway, check(target="/open"), address).status == 200
    assert ask(gateway, check(target="/open", client=address), address).status == 403


def test_a_route_that_is_closed_is_closed_to_the_clients_of_a_proxy(gateway, backend):
    gateway.command("lockdown", "/private", "--for", "10m", "--allow", "192.0.2.9")
    assert ask(gateway, check(authorization())).status == 200
    answer = ask(gateway, check(authorization(), client="192.0.2.10"))
    assert (answer.status, answer.code) == (503, "SVC_001")
    assert 590 <= int(answer.field("Retry-After")) <= 600
    answer = ask(gateway, check(authorization(), path="/nginx", client="192.0.2.10"))
    assert (answer.status, answer.field("X-Auth-Status")) == (403, "503")
    assert answer.field("X-User-ID") is None
    assert ask(gateway, check(target="/open", client="192.0.2.10")).status == 200


def test_the_limit_of_connections_of_an_address_is_not_for_proxies(start_gateway, backend, address):
    gateway = start_gateway(
        backend, routes=ROUTES, tokens=KEYS, limits={"connections_per_address": 2},
        forward_auth={"listen": ["127.0.0.1:0"]})
    clients = [Client(gateway.check_address, address) for _ in range(5)]
    for client in clients:
        assert client.ask(check(target="/open")).status == 200
        client.close()


def test_connections_are_ended_by_a_drain(gateway):
    with Client(gateway.check_address) as client:
        assert client.ask(check(target="/open")).status == 200
        gateway.child.stop()
        assert client.ended()
    with pytest.raises(OSError), socket.create_connection(gateway.check_address, 1):
        pass


def test_who_cannot_ask_lets_nobody_in(start_world, address):
    """The gateway is gone: each program refuses, by its own words."""
    world = start_world()
    assert world.ask(request("GET", "/open"), address)[0].status == 200
    world.gateway.stop()
    response, arrived = world.ask(request("GET", "/open"), address)
    assert arrived is None
    assert response.status in (500, 502, 503)


@pytest.mark.once
def test_nobody_gets_the_identity_of_another_while_configurations_come_and_go(gateway):
    over = threading.Event()
    wrong = []

    def ask_on(user: str) -> None:
        known = authorization(token(claims(user)))
        with Client(gateway.check_address) as client:
            while not over.is_set():
                answer = client.ask(check(known, path="/nginx"))
                if (answer.status, answer.field("X-User-ID")) != (200, user):
                    wrong.append((user, answer))
                answer = client.ask(check(path="/nginx"))
                if (answer.status, answer.field("X-User-ID")) != (401, None):
                    wrong.append((user, answer))

    threads = [threading.Thread(target=ask_on, args=(f"user-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        gateway.command("reload")
    over.set()
    for thread in threads:
        thread.join(10)
    assert wrong == []
    checks = gateway.metrics()
    assert checks['gateway_forward_auth_checks_total{result="allowed"}'] > 100
    assert checks['gateway_forward_auth_checks_total{result="misdescribed"}'] == 0
