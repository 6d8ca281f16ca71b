"""Tokens that are good and must not be (docs/revocation.md): refused everywhere, at once, and what they opened is closed."""

import threading
import time

import pytest

from harness.client import request
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.load import Asked, Load, failed
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, by_hand, claims, token
from harness.websocket import closing, frame, handshake

REVOKED = (401, "AUTH_003")
PASSES = (200, None)
TOKEN_REVOKED = (1008, "token revoked")
# A Close without a mask: two bytes of head, two of code.
CLOSE = 2 + 2 + len("token revoked")
KEY = {"id": "main", "secret": SECRET, "algorithms": ["HS256"]}
OTHER_KEY = {**KEY, "id": "old", "secret": "another integration test secret that is long enough for it"}


@pytest.fixture
def start(start_guarded):
    """`start(redis, …)`: one more replica in front of the same backend."""
    return lambda redis=None, **sections: start_guarded(redis=redis, **sections)


@pytest.fixture
def service(backend):
    backend.handler = handler = LongExchanges()
    yield handler
    handler.release()


def of(user: str, key: str = SECRET, **changes) -> str:
    return token(claims(user, **{"jti": f"j-{user}", **changes}), key)


def ask(gateway, value: str, target: str = "/") -> tuple[int, str | None]:
    response = gateway.get(target, fields=bearer(value))
    return response.status, response.code


def soon(what: str, probe) -> None:
    """Within 100 ms, which is 200 where a busy machine counts them."""
    wait_until(what, probe, 0.2, every=0.005)


def refused_soon(gateways, value: str) -> None:
    soon("all refuse", lambda: all(ask(gateway, value) == REVOKED for gateway in gateways))


def open_chat(gateway, value: str, source: str | None = None):
    client = gateway.connect(source).send(handshake("/chat", bearer(value)))
    assert client.read_head().status == 101
    return client


def open_events(gateway, value: str):
    client = gateway.connect().send(request("GET", "/events", bearer(value)))
    assert client.read_head().status == 200
    return client


def told(client) -> tuple[int, str]:
    """What the Close says that a WebSocket ends with."""
    return closing(client.read_exactly(CLOSE))


def lives(client) -> bool:
    return client.silent(0.1)


# What is refused

KINDS = [
    ("sub", "mallory", {}), ("jti", "j-mallory", {}), ("role", "staff", {"roles": ["user", "staff"]}),
    ("key", "main", {}), ("iss", "https://idp.example.org", {"iss": "https://idp.example.org"}), ("sub", "7", {"sub": 7}),
    ("sub", "caf\u00e9 \U0001f511/\"%?", {"sub": "caf\u00e9 \U0001f511/\"%?"}), ("sub", "\u0301x", {"sub": "\u0301x"}),
]


@pytest.mark.parametrize("where", ["embedded", "redis"])
def test_a_token_is_refused_by_each_of_its_names_and_accepted_again(start, redis, backend, where):
    gateway = start(redis if where == "redis" else None)
    for kind, name, changes in KINDS:
        # By hand, because PyJWT takes no number for a user; some issuers do.
        value = by_hand({"alg": "HS256"}, {**claims("mallory", jti="j-mallory"), **changes}, SECRET.encode())
        other = of("alice")
        assert ask(gateway, value) == PASSES, (kind, name)
        before = len(backend.requests)
        report = gateway.command("revoke", f"--{kind}", name).stdout
        assert "is refused from now on" in report
        for target in ("/", "/maybe"):
            assert ask(gateway, value, target) == REVOKED, (kind, name)
        assert len(backend.requests) == before, "nothing of it goes on"
        assert ask(gateway, value, "/open") == PASSES, "where no token is asked for none is looked at"
        assert ask(gateway, other) == (REVOKED if kind == "key" else PASSES)
        assert gateway.command_json("revocations")["count"] == 1
        assert "is accepted again" in gateway.command("unrevoke", f"--{kind}", name).stdout
        assert ask(gateway, value) == PASSES
        assert gateway.command_json("revocations")["count"] == 0
    if where == "redis":
        assert redis.cli("--scan", "--pattern", "revoked:*") == ""


def test_the_answer_and_the_audit_log_say_why(start):
    gateway = start()
    value = of("mallory", iat=1_700_000_000)
    gateway.command("revoke", "--sub", "mallory", "--reason", "stolen laptop", "--for", "1h")
    response = gateway.get("/", fields=bearer(value))
    assert (response.status, response.code) == REVOKED
    challenge = response.field("WWW-Authenticate")
    assert challenge.startswith("Bearer") and 'error="invalid_token"' in challenge
    refusal = gateway.wait_event("security.auth_failure")
    assert refusal["context"]["failure_reason"] == "revoked"
    assert "mallory" in str(refusal)
    assert gateway.wait_event("http.request", status=401)["reason"] == "revoked"
    operation = gateway.wait_event("operation", action="tokens_revoked")
    assert "tokens of sub mallory: stolen laptop, until 20" in operation["message"]
    assert (operation["context"]["target"], operation["context"]["trigger"]) == ("sub mallory", "stolen laptop")
    assert operation["context"]["expires_at"] in operation["message"]
    gateway.command("unrevoke", "--sub", "mallory")
    lifted = gateway.wait_event("operation", action="revocation_lifted")
    assert "tokens of sub mallory" in lifted["message"]
    assert (lifted["context"]["target"], lifted["context"]["trigger"]) == ("sub mallory", "command")
    samples = gateway.metrics()
    assert samples['gateway_revocations_set_total{cause="operator"}'] == 1
    assert samples["gateway_revocations_lifted_total"] == 1
    assert samples["gateway_revocations"] == 0


def test_what_is_issued_afterwards_passes(start):
    gateway = start()
    old = of("mallory", iat=int(time.time()) - 1)
    without_date = of("mallory", iat=None)
    gateway.command("revoke", "--sub", "mallory", "--issued-before", "now")
    assert ask(gateway, old) == REVOKED
    assert ask(gateway, without_date) == REVOKED
    assert ask(gateway, of("mallory", iat=int(time.time()) + 1)) == PASSES


def test_a_token_that_was_found_is_revoked_from_its_file_for_as_long_as_it_would_live(start, directory):
    gateway = start()
    value, lost = of("mallory"), directory / "stolen.txt"
    lost.write_text(f"Bearer {value}\n")
    answer = gateway.command_json("revoke", "--token-file", str(lost))
    assert answer["revocation"]["name"] == "j-mallory"
    assert 300 + 400 < answer["revocation"]["ttl_seconds"] <= 300 + 421
    assert ask(gateway, value) == REVOKED
    # What never ends, as it says, and what is in milliseconds.
    lost.write_text(of("eve", exp=1_900_000_000_000))
    assert gateway.command_json("revoke", "--token-file", str(lost))["revocation"]["ttl_seconds"] is None
    wrong = gateway.command("revoke", "--token-file", value, check=False)
    assert wrong.returncode == 64
    assert value not in wrong.stdout + wrong.stderr


def test_the_next_request_of_a_connection_meets_it_on_every_worker(start):
    gateway = start(workers=2)
    bad, good = of("mallory"), of("alice")
    clients = [gateway.connect() for _ in range(16)]
    assert all(client.ask(request("GET", "/", bearer(bad))).status == 200 for client in clients)
    gateway.command("revoke", "--sub", "mallory")
    # No waiting: the command answers when it is in force here.
    assert [client.ask(request("GET", "/", bearer(bad))).code for client in clients] == ["AUTH_003"] * 16
    assert all(client.ask(request("GET", "/", bearer(good))).status == 200 for client in clients), "and it stays open"


# On all replicas

@pytest.mark.parametrize("replicas", [2, 3])
def test_all_replicas_refuse_it_and_accept_it_again(start, redis, replicas):
    gateways = [start(redis) for _ in range(replicas)]
    bad, good = of("mallory"), of("alice")
    for gateway in gateways:
        assert ask(gateway, bad) == PASSES
    for turn, gateway in enumerate(gateways):
        gateway.command("revoke", "--sub", "mallory", "--for", "1h")
        assert ask(gateway, bad) == REVOKED
        refused_soon(gateways, bad)
        assert all(ask(one, good) == PASSES for one in gateways)
        other = gateways[turn - 1]
        other.command("unrevoke", "--sub", "mallory")
        assert ask(other, bad) == PASSES
        soon("all accept", lambda: all(ask(one, bad) == PASSES for one in gateways))
    assert [gateway.command_json("revocations")["count"] for gateway in gateways] == [0] * replicas


def test_by_redis_cli_as_the_runbook_says(start, redis):
    gateways = [start(redis) for _ in range(2)]
    old, new = of("mallory", iat=int(time.time()) - 5), of("mallory", iat=int(time.time()) + 5)
    for line, undo, values in [
        ("redis-cli SET revoked:sub:mallory $(date +%s)", "redis-cli DEL revoked:sub:mallory", [old]),
        ("redis-cli SET revoked:sub:mallory 1", "redis-cli DEL revoked:sub:mallory", [old, new]),
        ("redis-cli SET revoked:jti:j-mallory 1 EX 3600", "redis-cli DEL revoked:jti:j-mallory", [old, new]),
        ("redis-cli SET revoked:role:user 1", "redis-cli DEL revoked:role:user", [old, new]),
        ("redis-cli LPUSH revoked:key:main oops", "redis-cli DEL revoked:key:main", [old, new]),
    ]:
        redis.shell(line)
        for value in values:
            refused_soon(gateways, value)
        if new not in values:
            assert ask(gateways[0], new) == PASSES
        redis.shell(undo)
        soon("accepted", lambda: all(ask(gateway, value) == PASSES for gateway in gateways for value in (old, new)))
    redis.shell("redis-cli SET revoked:user:mallory 1")
    gateways[0].wait_event("revocation.unparsable_key", key="revoked:user:mallory")
    assert ask(gateways[0], old) == PASSES


def test_it_ends_by_itself(start, redis):
    gateways = [start(redis), start(redis)]
    value = of("mallory")
    gateways[0].command("revoke", "--sub", "mallory", "--for", "1s")
    refused_soon(gateways, value)
    wait_until("its time is over", lambda: all(ask(gateway, value) == PASSES for gateway in gateways), 3)


# Over restarts and outages

def test_it_outlives_a_restart(start):
    gateway = start()
    value = of("mallory")
    gateway.command("revoke", "--sub", "mallory")
    gateway.child.kill()
    gateway.start()
    assert ask(gateway, value) == REVOKED
    assert ask(gateway, of("alice")) == PASSES


def test_it_outlives_a_restart_while_redis_is_away_and_reaches_the_others_when_it_is_back(start, start_redis):
    redis = start_redis(durable=True)
    first, second = start(redis), start(redis)
    known, late, back = of("mallory"), of("eve"), of("trudy")
    for user in ("mallory", "trudy"):
        first.command("revoke", "--sub", user)
    refused_soon([first, second], back)
    redis.kill()
    wait_until("Redis is missed", lambda: first.get("/health").json()["status"] == "degraded")
    assert "other replicas follow when it is back" in first.command("revoke", "--sub", "eve").stdout
    assert "other replicas follow when it is back" in first.command("unrevoke", "--sub", "trudy").stdout
    for _ in range(2):
        assert [ask(first, value) for value in (known, late, back)] == [REVOKED, REVOKED, PASSES]
        first.stop()
        first.start()
    assert [ask(second, value) for value in (known, late, back)] == [REVOKED, PASSES, REVOKED]
    redis.start()
    wait_until("the other hears of it", lambda: [ask(second, value) for value in (known, late, back)]
               == [REVOKED, REVOKED, PASSES], 10)
    assert [ask(first, value) for value in (known, late, back)] == [REVOKED, REVOKED, PASSES]


@pytest.mark.once
def test_flushall_gives_no_stolen_token_back(start, redis):
    gateways = [start(redis), start(redis)]
    bad, worse = of("mallory"), of("eve")
    gateways[0].command("revoke", "--sub", "mallory")
    redis.cli("SET", "revoked:sub:eve", "1")
    refused_soon(gateways, bad)
    refused_soon(gateways, worse)
    asked = [Asked(request("GET", "/", bearer(value))) for value in (bad, worse)]
    with Load(gateways[0].address, asked, 2, pause=0.001) as load:
        redis.cli("FLUSHALL")
        gateways[1].wait_event("ledger.flush_detected")
        wait_until("they are back", lambda: redis.cli("EXISTS", "revoked:sub:mallory", "revoked:sub:eve") == "2")
        assert {sample.code for sample in load.stop()} == {"AUTH_003"}
    refused_soon(gateways, worse)
    gateways[0].command("unrevoke", "--sub", "eve")
    soon("taken back", lambda: all(ask(gateway, worse) == PASSES for gateway in gateways))


# What was opened with it

def test_websockets_and_event_streams_are_closed_on_all_replicas(start, redis, service):
    gateways = [start(redis), start(redis)]
    bad, good = of("mallory"), of("alice")
    chats = [open_chat(gateway, bad) for gateway in gateways for _ in range(3)]
    events = [open_events(gateway, bad) for gateway in gateways for _ in range(3)]
    spared = [open_chat(gateways[0], good), open_events(gateways[1], good)]
    gateways[0].command("revoke", "--sub", "mallory")
    began = time.monotonic()
    assert [told(client) for client in chats] == [TOKEN_REVOKED] * 6
    assert all(map(is_cut, events))
    assert time.monotonic() - began < 1
    assert all(map(lives, spared))
    for gateway in gateways:
        for path in ("/chat", "/events"):
            wait_until("the log lines", lambda one=gateway, of=path: len(
                one.events("http.request", path=of, ended_by="token_revoked")) == 3, 15)
    assert gateways[0].metrics()['gateway_tunnels_closed_total{reason="token_revoked"}'] == 3


def test_one_inside_of_a_frame_ends_without_a_word(start, service):
    gateway = start()
    client = open_chat(gateway, of("mallory"))
    service.chat.socket().sendall(frame(b"never to be finished")[:9])
    assert client.read_exactly(9) == frame(b"never to be finished")[:9]
    gateway.command("revoke", "--sub", "mallory")
    assert is_cut(client)


def test_nothing_passes_through_a_websocket_any_more(start, service):
    """A client that does not answer the Close has two seconds, however many revocations follow."""
    gateway = start()
    client = open_chat(gateway, of("mallory"))
    gateway.command("revoke", "--sub", "mallory")
    assert told(client) == TOKEN_REVOKED
    began = time.monotonic()
    ended = threading.Event()

    def logouts():
        for number in range(1_000):
            if ended.wait(0.1):
                return
            gateway.command("revoke", "--jti", f"other-{number}", "--for", "1m")

    others = threading.Thread(target=logouts)
    others.start()
    try:
        client.send(frame(b"still here", masked=True))
        gateway.wait_event("http.request", path="/chat", ended_by="token_revoked", timeout=5)
        assert 1.5 < time.monotonic() - began < 5
    finally:
        ended.set()
        others.join(10)
    assert b"still here" not in service.chat.read(2 + 4 + 2 + len("token revoked"))


def test_one_that_is_revoked_between_the_request_and_the_101_is_closed_at_once(start, backend, service):
    gateway = start()
    agrees = threading.Event()

    def later(exchange):
        agrees.wait(10)
        return (service.chat if exchange.request.target == "/chat" else service.events)(exchange)

    backend.handler = later
    value = bearer(of("mallory"))
    chat = gateway.connect().send(handshake("/chat", value))
    events = gateway.connect().send(request("GET", "/events", value))
    backend.wait_for(2)
    gateway.command("revoke", "--sub", "mallory")
    agrees.set()
    assert chat.read_head().status == 101
    assert told(chat) == TOKEN_REVOKED
    assert events.read_head().status == 200
    assert is_cut(events)


def test_a_key_that_a_reload_removes_takes_its_tunnels_with_it(start, service):
    gateway = start(tokens={"keys": [KEY, OTHER_KEY]})
    gone, kept = of("mallory", OTHER_KEY["secret"]), of("mallory")
    chat, events, spared = open_chat(gateway, gone), open_events(gateway, gone), open_chat(gateway, kept)
    gateway.settings["tokens"] = {"keys": [KEY]}
    gateway.write_config()
    gateway.command("reload")
    assert told(chat) == TOKEN_REVOKED
    assert is_cut(events)
    assert lives(spared)
    assert ask(gateway, gone) == (401, "AUTH_001")
    assert ask(gateway, kept) == PASSES


def test_what_the_former_process_of_an_upgrade_still_serves_is_closed(start, service):
    gateway = start(timeouts={"drain": "30s"})
    bad, good = of("mallory"), of("alice")
    events, spared = open_events(gateway, bad), open_events(gateway, good)
    # Inside of a frame it cannot be told that the process is going away, and goes on.
    chat = open_chat(gateway, bad)
    service.chat.socket().sendall(frame(b"never to be finished")[:9])
    assert chat.read_exactly(9)
    gateway.command("upgrade")
    Heirs().of(gateway)
    gateway.wait_event("gateway.draining")
    assert lives(events) and lives(chat)
    gateway.command("revoke", "--sub", "mallory")
    began = time.monotonic()
    assert is_cut(events)
    assert is_cut(chat)
    assert time.monotonic() - began < 2
    assert gateway.child.running, "the former is still there for whoever may stay"
    assert lives(spared)
    service.events.release()


# Under load

@pytest.mark.once
def test_of_two_users_under_load_only_the_revoked_one_is_refused_and_that_at_once(start, redis):
    first, second = start(redis), start(redis)
    bad, good = request("GET", "/", bearer(of("mallory"))), request("GET", "/", bearer(of("alice")))
    with Load(first.address, bad, 4, pause=0.002) as revoked, Load(second.address, bad, 2, pause=0.002) as elsewhere, \
            Load(first.address, good, 4, pause=0.002) as valid, Load(second.address, good, 2, pause=0.002) as other:
        time.sleep(1.5)
        first.command("revoke", "--sub", "mallory")
        done = time.monotonic()
        time.sleep(3.5)
        here, there, kept = revoked.stop(), elsewhere.stop(), valid.stop() + other.stop()
    assert failed(kept) == []
    before = [sample for sample in here + there if sample.ended < done - 1]
    assert before and failed(before) == []
    assert {sample.code for sample in here if sample.began > done} == {"AUTH_003"}
    late = [sample for sample in there if sample.began > done and sample.code != "AUTH_003"]
    assert all(sample.began < done + 0.2 for sample in late)
    assert {sample.status for sample in here + there} == {200, 401}


@pytest.mark.once
def test_a_flood_of_logouts_disturbs_nobody(start, redis, service):
    gateway = start(redis)
    value = of("alice")
    spared = [open_chat(gateway, value) for _ in range(300)]
    with Load(gateway.address, request("GET", "/", bearer(value)), 4, pause=0.002) as load:
        redis.shell("seq 1 2000 | sed 's/.*/SET revoked:jti:out-& 1 EX 300/' | redis-cli > /dev/null")
        wait_until("all are known", lambda: gateway.metrics()["gateway_revocations"] == 2_000, 10)
        samples = load.stop()
    assert failed(samples) == []
    assert sorted(sample.ended - sample.began for sample in samples)[len(samples) * 99 // 100] < 0.2
    assert ask(gateway, token(claims("x", jti="out-2000"))) == REVOKED
    assert ask(gateway, token(claims("x", jti="out-2001"))) == PASSES
    assert all(map(lives, spared[:3]))


def test_one_that_would_give_something_back_is_refused(start, redis):
    gateway = start(redis)
    value = of("mallory", iat=int(time.time()) - 10)
    gateway.command("revoke", "--sub", "mallory")
    for words in (["--issued-before", "2020-01-01T00:00:00Z"], ["--for", "1s"], ["--issued-before", "now"]):
        done = gateway.command("revoke", "--sub", "mallory", *words, check=False)
        assert done.returncode == 1
        assert "tokens of sub mallory are refused already" in done.stderr
        assert ask(gateway, value) == REVOKED
    gateway.command("unrevoke", "--sub", "mallory")
    gateway.command("revoke", "--sub", "mallory", "--issued-before", "2020-01-01T00:00:00Z")
    assert ask(gateway, value) == PASSES
    gateway.command("revoke", "--sub", "mallory", "--issued-before", "now")
    assert ask(gateway, value) == REVOKED


@pytest.mark.once
def test_a_replica_that_restarts_after_the_loss_gives_nothing_back(start, start_redis):
    """Another one came first to the empty store, and knew nothing."""
    redis = start_redis()
    first = start(redis)
    value = of("mallory")
    first.command("revoke", "--sub", "mallory")
    first.stop()
    redis.kill()
    redis.start()
    second = start(redis)
    assert ask(second, value) == PASSES
    first.start()
    assert ask(first, value) == REVOKED
    wait_until("the other one hears of it", lambda: ask(second, value) == REVOKED, 5)
    assert redis.shell("redis-cli EXISTS revoked:sub:mallory") == "1"


@pytest.mark.once
def test_a_restart_of_redis_from_an_older_snapshot_gives_nothing_back(start, start_redis):
    redis = start_redis()
    gateways = [start(redis), start(redis)]
    bad, back = of("mallory"), of("eve")
    gateways[0].command("revoke", "--sub", "eve")
    refused_soon(gateways, back)
    # What `save 3600 1` does by itself.
    assert redis.cli("SAVE") == "OK"
    gateways[0].command("revoke", "--sub", "mallory")
    gateways[0].command("unrevoke", "--sub", "eve")
    refused_soon(gateways, bad)
    soon("taken back", lambda: all(ask(gateway, back) == PASSES for gateway in gateways))
    redis.kill()
    redis.start()
    for gateway in gateways:
        wait_until("it is in step", lambda one=gateway: one.get("/health").json()["status"] == "healthy", 20)
    wait_until("all is as it was", lambda: redis.cli("EXISTS", "revoked:sub:mallory") == "1" and
               redis.cli("EXISTS", "revoked:sub:eve") == "0", 10)
    wait_until("both know", lambda: [ask(gateway, value) for gateway in gateways for value in (bad, back)]
               == [REVOKED, PASSES] * 2, 5)
    assert redis.cli("GET", "gateway:epoch").endswith(" older")


@pytest.mark.once
def test_what_redis_refuses_to_take_back_is_brought_again(start, redis):
    gateway = start(redis)
    gateway.command("revoke", "--sub", "mallory")
    redis.shell("redis-cli CONFIG SET maxmemory 1")
    redis.shell("redis-cli FLUSHALL")
    wait_until("it is refused", lambda: gateway.get("/health").json()["status"] == "degraded")
    redis.shell("redis-cli CONFIG SET maxmemory 0")
    wait_until("it is there again", lambda: redis.shell("redis-cli EXISTS revoked:sub:mallory") == "1", 10)
    assert ask(gateway, of("mallory")) == REVOKED
