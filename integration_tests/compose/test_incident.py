"""SEC-010 in containers: the clients have addresses of their own, Redis is asked by `docker compose exec`."""

import time

from harness.client import fetch, json_request, request
from harness.processes import wait_until

JSON = {"Content-Type": "application/json"}
WRONG = ("POST", "/auth/login", JSON, '{"username": "alice", "password": "wrong"}')
RIGHT = ("POST", "/api/v1/auth/login", JSON, '{"username": "alice", "password": "correct horse"}')
HEALTH = ("GET", "/health", {}, None)


def statuses(answers) -> list[int]:
    return [answer.status for answer in answers]


def test_the_runbook_from_a_client_with_its_own_address(stack):
    address = stack.address("client-a")
    # 5.1, 5.3
    assert stack.redis("--no-raw", "KEYS", "ip_block:*") == "(empty array)"
    assert stack.redis("--no-raw", "KEYS", "login_fail:*") == "(empty array)"

    answers = stack.ask("client-a", *[WRONG] * 6)
    assert statuses(answers) == [401] * 5 + [403]
    assert answers[5].code == "AUTH_004"
    assert stack.redis("GET", f"login_fail:{address}") == "5"
    assert 0 < int(stack.redis("TTL", f"ip_block:{address}")) <= 6

    assert statuses(stack.ask("client-a", RIGHT, HEALTH)) == [403, 403]
    assert statuses(stack.ask("client-b", RIGHT, HEALTH)) == [200, 200], "another address is another client"
    assert address in stack.gateway("blocks")

    wait_until("the block expires", lambda: statuses(stack.ask("client-a", RIGHT)) == [200], 10, every=0.3)


def test_a_block_by_hand_and_its_end(stack):
    address = stack.address("client-b")
    assert stack.redis("SET", f"ip_block:{address}", "1", "EX", "300") == "OK"
    time.sleep(0.1)
    assert statuses(stack.ask("client-b", HEALTH)) == [403]
    assert stack.redis("DEL", f"ip_block:{address}", f"login_fail:{address}") == "1"
    time.sleep(0.1)
    assert statuses(stack.ask("client-b", HEALTH)) == [200]


def test_a_killed_redis_changes_nothing_for_those_who_are_blocked(stack):
    address = stack.address("client-a")
    stack.redis("SET", f"ip_block:{address}", "1", "EX", "300")
    time.sleep(0.1)
    stack.compose("kill", "-s", "KILL", "redis")
    try:
        assert statuses(stack.ask("client-a", HEALTH)) == [403]
        assert statuses(stack.ask("client-b", HEALTH, RIGHT, WRONG)) == [200, 200, 401]
    finally:
        stack.compose("up", "-d", "redis")
    wait_until("Redis answers", lambda: stack.health("redis") == "healthy", 30, every=0.5)
    other = stack.address("client-b")
    wait_until("the failure is in Redis", lambda: stack.redis("GET", f"login_fail:{other}") == "1", 10, every=0.3)
    assert statuses(stack.ask("client-a", HEALTH)) == [403]


def test_a_restarted_gateway_still_knows_the_blocks(stack):
    address = stack.address("client-a")
    stack.redis("SET", f"ip_block:{address}", "1", "EX", "300")
    began = time.monotonic()
    stack.compose("restart", "gateway")
    assert time.monotonic() - began < 15, "SIGTERM reaches the gateway, nobody waits for SIGKILL"
    wait_until("the gateway is healthy", lambda: stack.health("gateway") == "healthy", 30, every=0.5)
    assert statuses(stack.ask("client-a", HEALTH)) == [403]


def test_through_the_published_port_everybody_is_the_bridge(stack):
    """The runbook's remark on the Docker bridge, live: the address counted is not one of this machine's clients."""
    answer = fetch(("127.0.0.1", stack.published_port()), json_request("POST", "/auth/login", {
        "username": "alice", "password": "wrong"}))
    assert answer.status == 401
    counted = stack.redis("--scan", "--pattern", "login_fail:*")
    assert counted.startswith("login_fail:") and counted != "login_fail:127.0.0.1"
    assert fetch(("127.0.0.1", stack.published_port()), request("GET", "/health")).status == 200


def test_the_image_runs_without_privileges(stack):
    assert stack.compose("exec", "-T", "gateway", "id", "-u") == "10001"
    assert stack.inspect("gateway", "{{.HostConfig.ReadonlyRootfs}}") == "true"
