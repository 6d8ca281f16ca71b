"""SEC-010 in containers: the clients have addresses of their own, Redis is asked by `docker compose exec`."""

from harness.client import fetch, json_request, request
from harness.processes import wait_until

JSON = {"Content-Type": "application/json"}
WRONG = ("POST", "/auth/login", JSON, '{"username": "alice", "password": "wrong"}')
RIGHT = ("POST", "/api/v1/auth/login", JSON, '{"username": "alice", "password": "correct horse"}')
HEALTH = ("GET", "/health", {}, None)


def statuses(answers) -> list[int]:
    return [answer.status for answer in answers]


def is_blocked(stack, client: str) -> bool:
    return statuses(stack.ask(client, HEALTH)) == [403]


def test_the_runbook_from_a_client_with_its_own_address(stack):
    address = stack.address("client-a")
    # 5.1, 5.3
    assert stack.redis("--no-raw", "KEYS", "ip_block:*") == "(empty array)"
    assert stack.redis("--no-raw", "KEYS", "login_fail:*") == "(empty array)"

    answers = stack.ask("client-a", *[WRONG] * 6)
    assert statuses(answers) == [401] * 5 + [403]
    assert answers[5].code == "AUTH_004"
    assert statuses(stack.ask("client-a", RIGHT, HEALTH)) == [403, 403]
    assert statuses(stack.ask("client-b", RIGHT, HEALTH)) == [200, 200], "another address is another client"

    assert 0 < int(stack.redis("TTL", f"ip_block:{address}")) <= 15
    assert stack.redis("--scan", "--pattern", "ip_block:*") == f"ip_block:{address}"
    assert stack.redis("GET", f"login_fail:{address}") == "5"
    assert address in stack.gateway("blocks")

    wait_until("the block expires", lambda: statuses(stack.ask("client-a", RIGHT)) == [200], 30, every=0.3)


def test_an_operator_lifts_a_block_with_redis_cli_or_with_the_gateway(stack):
    address = stack.address("client-a")
    stack.ask("client-a", *[WRONG] * 5)
    assert stack.redis("DEL", f"ip_block:{address}", f"login_fail:{address}") == "2"
    assert statuses(stack.ask("client-a", *[WRONG] * 6)) == [401] * 5 + [403], "five guesses are free again"
    assert "no longer blocked" in stack.gateway("unblock", address, "--socket", "/var/lib/gateway/admin.sock")
    assert statuses(stack.ask("client-a", RIGHT)) == [200]
    assert stack.redis("EXISTS", f"ip_block:{address}", f"login_fail:{address}") == "0"


def test_a_block_by_hand_and_its_end(stack):
    address = stack.address("client-b")
    assert stack.redis("SET", f"ip_block:{address}", "1", "EX", "300") == "OK"
    assert is_blocked(stack, "client-b")
    assert stack.redis("DEL", f"ip_block:{address}", f"login_fail:{address}") == "1"
    assert not is_blocked(stack, "client-b")


def test_a_killed_redis_is_noticed_by_nobody_who_is_served(stack):
    blocked, other = stack.address("client-a"), stack.address("client-b")
    stack.redis("SET", f"ip_block:{blocked}", "1", "EX", "300")
    token = stack.ask("client-b", RIGHT)[0].json()["access_token"]
    with stack.load("client-b", "/me", {"Authorization": f"Bearer {token}"}) as seen:
        stack.compose("kill", "-s", "KILL", "redis")
        try:
            assert is_blocked(stack, "client-a")
            assert statuses(stack.ask("client-b", RIGHT, WRONG)) == [200, 401]
            assert stack.health("gateway") == "healthy", "a restart would not bring Redis back"
        finally:
            stack.compose("up", "-d", "redis")
        wait_until("Redis answers", lambda: stack.health("redis") == "healthy", 30, every=0.5)
        wait_until("the failure is in Redis", lambda: stack.redis("GET", f"login_fail:{other}") == "1", 10, every=0.3)
        assert is_blocked(stack, "client-a")
    assert seen.keys() == {"200"} and seen["200"] > 100, seen


def test_a_restarted_gateway_knows_the_blocks_even_while_redis_is_away(stack):
    stack.ask("client-a", *[WRONG] * 5)
    stack.redis("EXPIRE", f"ip_block:{stack.address('client-a')}", "300")
    stack.compose("kill", "-s", "KILL", "redis")
    try:
        stack.docker("restart", "--time", "25", stack.container("gateway"))
        # Its state is in a volume; it serves at once, and takes startup_wait to say how it stands.
        wait_until("the gateway answers", lambda: stack.ask("client-a", HEALTH), 10, every=0.2)
        assert is_blocked(stack, "client-a")
        wait_until("others are served", lambda: statuses(stack.ask("client-b", RIGHT)) == [200], 10, every=0.3)
    finally:
        stack.compose("up", "-d", "redis")
    wait_until("Redis answers", lambda: stack.health("redis") == "healthy", 30, every=0.5)
    assert is_blocked(stack, "client-a")


def test_through_the_published_port_this_machine_is_the_bridge(stack):
    """The runbook's remark on the Docker bridge, live."""
    published = ("127.0.0.1", stack.published_port())
    assert fetch(published, request("GET", "/health")).status == 200
    assert fetch(published, json_request("POST", "/auth/login", {
        "username": "alice", "password": "wrong"})).status == 401
    assert stack.redis("--scan", "--pattern", "login_fail:*") == f"login_fail:{stack.bridge()}"
