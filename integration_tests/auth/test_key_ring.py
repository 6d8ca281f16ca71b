"""The key ring as operators use it: every command as it is typed, on one gateway and on replicas, over restarts."""

import base64
import json
import re
import time

import pytest
from websockets.exceptions import ConnectionClosed

from harness.gateway import ADMIN_TOKEN
from harness.keys import BEHIND, NEW, OLD, REVOKED, keys, seconds, states, told, typed
from harness.processes import wait_until
from harness.provider import Provider
from harness.tokens import bearer
from harness.websocket import Echo, open_websocket

GOOD = (200, None)
OTHERS = 0.2
"""Seconds in which other replicas follow."""


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def start_ring(start_gateway, backend, echo):
    """A gateway with the keys `old` and `new`: `/` goes to the backend, `/ws` to WebSockets."""
    def start(redis=None, entries=(OLD.setting, NEW.setting), **sections):
        return start_gateway(backend, redis, **{
            "upstreams": {"sockets": {"servers": [echo.address]}},
            "routes": [
                {"path": "/", "upstream": "api", "auth": "required"},
                {"path": "/ws", "upstream": "sockets", "auth": "required"}],
            "tokens": {"keys": list(entries), "leeway": "0s"}, **sections})
    return start


@pytest.fixture(params=["embedded", "redis"])
def store(request):
    return request.getfixturevalue("redis") if request.param == "redis" else None


@pytest.fixture
def replicas(start_ring, redis):
    return [start_ring(redis), start_ring(redis)]


def follows(what, probe):
    wait_until(what, probe, OTHERS, every=0.005)


def test_a_key_goes_through_its_states(start_ring, store):
    gateway = start_ring(store)
    assert states(gateway) == {"old": "verify-only", "new": "verify-only"}
    assert told(gateway, OLD.token()) == told(gateway, OLD.token("bob")) == GOOD
    old = keys(gateway)["old"]
    assert (old["state"], old["requests"], old["tokens"], old["users"]) == ("active", 2, 2, 2)
    assert states(gateway)["new"] == "verify-only"

    dry = typed(gateway, "gateway keys retire old --in 1h --dry-run").stdout
    assert dry.startswith("old would be refused from ") and dry.endswith("still accepted: new\n")
    assert states(gateway)["old"] == "active"
    assert "no token that was seen here is cut off" in dry, "they expire within 300 s"
    cut = typed(gateway, "gateway keys revoke old --dry-run").stdout
    assert "; 2 tokens of 2 users seen here are cut off before they expire" in cut
    assert told(gateway, OLD.token()) == GOOD

    assert typed(gateway, "gateway keys retire old --in 1h").stdout.startswith("old is refused from ")
    assert "retiring until " in typed(gateway, "gateway keys list").stdout
    assert told(gateway, OLD.token("carol")) == GOOD
    assert typed(gateway, "gateway keys rollback old").stdout == "old is accepted again\n"
    assert states(gateway)["old"] == "active"

    typed(gateway, "gateway keys revoke old --reason 'it leaked'")
    assert told(gateway, OLD.token()) == told(gateway, OLD.token("dave")) == REVOKED
    assert told(gateway, NEW.token()) == GOOD
    assert states(gateway) == {"old": "revoked", "new": "active"}
    assert keys(gateway)["old"]["tokens"] == 0
    typed(gateway, "gateway keys rollback old")
    assert told(gateway, OLD.token()) == GOOD


@pytest.mark.once
def test_a_retiring_key_is_refused_at_its_time_and_never_before(start_ring, store):
    """To some milliseconds: both have the clock of this machine."""
    gateway = start_ring(store)
    value = OLD.token()
    end = seconds(gateway.command_json("keys", "retire", "old", "--in", "1s")["refused_from"])
    statuses = set()
    with gateway.connect() as client:
        ask = f"GET / HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {value}\r\n\r\n".encode()
        while (began := time.time()) < end + 0.3:
            status, ended = client.ask(ask).status, time.time()
            if ended < end:
                assert status == 200, f"refused {end - ended:.6f} s too early"
            elif began > end + BEHIND:
                assert status == 401, f"accepted {began - end:.6f} s too late"
            statuses.add(status)
    assert statuses == {200, 401}
    assert states(gateway)["old"] == "revoked"
    assert told(gateway, NEW.token()) == GOOD


@pytest.mark.once
def test_what_was_opened_with_a_retiring_key_is_closed_at_its_time(replicas):
    """While others keep the workers busy: whoever looks at the clock first must not be the only one to know."""
    opened = [open_websocket(gateway, "/ws", fields=bearer(OLD.token())) for gateway in replicas for _ in range(6)]
    lasting = [open_websocket(gateway, "/ws", fields=bearer(NEW.token())) for gateway in replicas for _ in range(4)]
    end = seconds(replicas[0].command_json("keys", "retire", "old", "--in", "1s")["refused_from"])
    value = NEW.token()
    while time.time() < end + 1:
        for gateway in replicas:
            assert told(gateway, value) == GOOD
        if time.time() < end - 0.1:
            opened[0].send("still here")
            assert opened[0].recv(timeout=5) == "still here"
    for client in opened:
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=1)
        assert (client.close_code, client.close_reason) == (1_008, "token revoked")
    for client in lasting:
        client.send("still here")
        assert client.recv(timeout=5) == "still here"
        client.close()


@pytest.mark.once
def test_the_other_replica_follows(replicas):
    one, other = replicas
    old, new = OLD.token(), NEW.token()
    assert all(told(gateway, value) == GOOD for gateway in replicas for value in (old, new))
    prints = [{name: key["fingerprint"] for name, key in keys(gateway).items()} for gateway in replicas]
    assert prints[0] == prints[1] and len(set(prints[0].values())) == 2

    end = one.command_json("keys", "retire", "old", "--in", "1h")["refused_from"]
    follows("it is retiring", lambda: (keys(other)["old"]["state"], keys(other)["old"]["until"]) == ("retiring", end))
    typed(other, "gateway keys rollback old")
    follows("it is rolled back", lambda: states(one)["old"] == "active")
    typed(one, "gateway keys revoke old")
    follows("it is revoked", lambda: told(other, old) == REVOKED)
    assert states(one) == states(other) == {"old": "revoked", "new": "active"}
    typed(other, "gateway keys rollback old")
    follows("it is accepted again", lambda: told(one, old) == GOOD)
    assert all(told(gateway, new) == GOOD for gateway in replicas)


def test_the_states_survive_a_restart(start_ring, store):
    gateway = start_ring(store, [OLD.setting, NEW.setting, {**NEW.setting, "id": "third", "secret": "x" * 40}])
    end = gateway.command_json("keys", "retire", "old", "--in", "1h")["refused_from"]
    typed(gateway, "gateway keys revoke third")
    gateway.stop()
    gateway.start()
    assert states(gateway) == {"old": "retiring", "new": "verify-only", "third": "revoked"}
    assert keys(gateway)["old"]["until"] == end
    assert told(gateway, OLD.token()) == GOOD
    assert told(gateway, OLD.token(), "/ws")[0] != 401

    # One whose time comes while nobody is there is refused from the first request on.
    end = seconds(gateway.command_json("keys", "retire", "old", "--in", "1s")["refused_from"])
    gateway.stop()
    wait_until("its time", lambda: time.time() > end, 3)
    gateway.start()
    assert told(gateway, OLD.token()) == REVOKED
    typed(gateway, "gateway keys rollback old")
    assert told(gateway, OLD.token()) == GOOD


def test_the_word_stands_in_redis_and_may_be_said_there(start_ring, redis):
    gateway = start_ring(redis)
    end = gateway.command_json("keys", "retire", "old", "--in", "1h", "--reason", "the plan")["refused_from"]
    word = json.loads(redis.cli("GET", "revoked:key:old"))
    assert word["reason"] == "the plan" and word["by"].startswith("uid:")
    assert redis.integer("TTL", "revoked:key:old") == -1, "it outlives the time of the key"
    redis.cli("DEL", "revoked:key:old")
    follows("it is accepted for good", lambda: keys(gateway)["old"]["until"] is None)
    redis.cli("SET", "revoked:key:old", "1")
    follows("it is revoked", lambda: told(gateway, OLD.token()) == REVOKED)
    assert states(gateway)["old"] == "revoked"
    typed(gateway, "gateway keys rollback old")
    assert redis.integer("EXISTS", "revoked:key:old") == 0
    assert told(gateway, OLD.token()) == GOOD
    assert seconds(end) > time.time()


def test_without_redis_a_step_holds_here_and_reaches_the_others_later(start_ring, start_redis):
    redis = start_redis()
    one, other = start_ring(redis), start_ring(redis)
    redis.kill()
    wait_until("both know", lambda: all(
        gateway.command_json("status")["ledger"]["state"] == "degraded" for gateway in (one, other)))
    said = typed(one, "gateway keys revoke old").stdout
    assert said.endswith("(Redis is away: other replicas follow when it is back)\n")
    assert told(one, OLD.token()) == REVOKED
    assert told(other, OLD.token()) == GOOD
    redis.start()
    wait_until("the other follows", lambda: told(other, OLD.token()) == REVOKED)


def test_an_entry_means_all_its_keys_also_those_to_come(start_ring, directory):
    issuer = Provider("one", "two")
    path = directory / "idp.json"

    def publish():
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(issuer.key_set()))
        draft.rename(path)

    publish()
    gateway = start_ring(entries=[{"id": "idp", "jwks_file": str(path)}, NEW.setting])
    assert [told(gateway, issuer.token(kid)) for kid in ("one", "two")] == [GOOD] * 2
    typed(gateway, "gateway keys revoke idp/one")
    assert [told(gateway, issuer.token(kid)) for kid in ("one", "two")] == [REVOKED, GOOD]
    typed(gateway, "gateway keys revoke idp")
    issuer.add("three")
    publish()
    wait_until("the new key", lambda: "idp/three" in keys(gateway), 5)
    assert [told(gateway, issuer.token(kid)) for kid in ("one", "two", "three")] == [REVOKED] * 3
    assert "stands and falls with idp" in typed(gateway, "gateway keys rollback idp/one", check=False).stderr
    said = typed(gateway, "gateway keys rollback idp").stdout
    assert said == "idp is accepted again\nnot taken back, since it was said of them alone: idp/one\n"
    assert [told(gateway, issuer.token(kid)) for kid in ("one", "two", "three")] == [REVOKED, GOOD, GOOD]
    assert "not tried: only its issuer can sign" in typed(gateway, "gateway keys verify").stdout
    issuer.close()


def test_older_tokens_that_are_revoked_are_not_given_back_by_retiring_their_key(start_ring):
    gateway = start_ring()
    stolen = OLD.token(iat=int(time.time()) - 60)
    typed(gateway, "gateway revoke --key old --issued-before now")
    assert told(gateway, stolen) == REVOKED
    refused = typed(gateway, "gateway keys retire old --in 24h", check=False)
    assert refused.returncode == 1 and "gateway unrevoke --key old" in refused.stderr
    assert told(gateway, stolen) == REVOKED


def test_each_command_ends_with_a_code_that_scripts_can_use(start_ring, directory):
    gateway = start_ring(tokens={
        "keys": [OLD.setting, NEW.setting], "issuers": ["https://a.example"], "leeway": "0s"})
    old = directory / "old.jwt"
    old.write_text(OLD.token(iss="https://a.example") + "\n")

    def ends(line, code, said=""):
        run = typed(gateway, line, check=False)
        assert run.returncode == code, (line, run)
        assert said in run.stdout + run.stderr, (line, run)

    ends("gateway keys list", 0, "REQUESTS")
    ends("gateway keys verify", 0, "accepted")
    ends(f"gateway keys verify --token-file {old}", 0, "the token is accepted, key old, user alice, expires ")
    ends(f"gateway keys verify --token-file {old} --expect refused", 1, "the token is accepted")
    ends(f"gateway keys verify --token-file {old} --expect refused --json", 1)
    ends("gateway keys retire old", 64, "say when: --in TIME or --at TIME")
    ends("gateway keys retire old --in soon", 64, '"soon" is no time')
    ends("gateway keys retire old --at soon", 64, "write 2026-11-29T07:00:00Z, in UTC")
    ends("gateway keys retire old --at 2020-01-01T00:00:00Z", 1, "is over; gateway keys revoke refuses it at once")
    ends("gateway keys retire old --at 0000-01-01T00:00:00Z", 1, "is over")
    ends("gateway keys retire old --at 9999-12-31T23:59:59Z", 0, "old is refused from 9999-12-31 23:59:59Z on")
    ends("gateway keys rollback old", 0)
    ends("gateway keys revoke odl", 1, 'no key is called "odl"; there are old, new')
    ends("gateway keys rollback old", 1, "nothing was said of old that could be taken back")
    ends("gateway keys revoke new", 0)
    ends("gateway keys retire new --in 1h", 1, "new is revoked; gateway keys rollback takes that back")
    ends("gateway keys retire old --in 1h", 1, "no other key would be accepted then")
    ends("gateway keys retire old --in 1h --last", 0, "no other key is accepted then")
    ends("gateway keys revoke old", 0)
    ends("gateway keys verify", 0, "refused (revoked)")
    ends(f"gateway keys verify --token-file {old} --expect refused", 0, "the token is refused: revoked, key old")
    ends(f"gateway keys verify --token-file {old}", 1)
    ends("gateway keys rollback old", 0)
    # Its tokens are refused for another reason than its state.
    ends("gateway revoke --iss https://a.example", 0)
    ends("gateway keys verify", 1, "NOT AS EXPECTED")
    ends("gateway keys verify --json", 1, '"as_expected":false')


def test_who_did_what_to_which_key_is_in_the_audit_log(start_ring, store):
    gateway = start_ring(store)
    typed(gateway, "gateway keys retire old --in 1h --reason 'the plan'")
    typed(gateway, "gateway keys revoke old --reason 'it leaked'")
    typed(gateway, "gateway keys rollback old")
    wait_until("the records", lambda: gateway.events(service="audit", action="revocation_lifted"))
    lifted = gateway.events(service="audit", action="revocation_lifted")
    retired, revoked = gateway.events(service="audit", action="tokens_revoked")
    assert retired["message"].endswith(": the plan") and revoked["message"].endswith(": it leaked")
    for line in (retired, revoked, *lifted):
        assert "tokens of key old" in line["message"] and line["context"]["actor"].startswith("uid:")


@pytest.mark.once
def test_no_secret_and_no_token_is_ever_shown(start_ring, redis, directory):
    gateway = start_ring(redis, logs={"level": "debug"})
    stolen = directory / "stolen.jwt"
    stolen.write_text(OLD.token())
    shown = []
    for line in (
        "gateway keys list", "gateway keys retire old --in 1h --dry-run", "gateway keys retire old --in 1h",
        "gateway keys verify", f"gateway keys verify --token-file {stolen}", "gateway keys revoke new",
        "gateway keys rollback new", "gateway keys retire nothing --in 1h", "gateway keys revoke old",
        "gateway keys verify", f"gateway keys verify --token-file {stolen}", "gateway status", "gateway revocations",
        "gateway reload",
    ):
        told(gateway, OLD.token())
        told(gateway, NEW.token())
        for run in (typed(gateway, line, check=False), typed(gateway, f"{line} --json", check=False)):
            shown += [run.stdout, run.stderr]
    for path in ("/metrics", "/health/detailed", "/api/v1/keys", "/api/v1/status", "/api/v1/revocations"):
        response = gateway.ask_admin(path, ADMIN_TOKEN)
        assert response.status == 200
        shown.append(response.body.decode())
    for name in redis.cli("--scan").splitlines():
        shown += [name, redis.cli("GET", name)]
    gateway.stop()
    shown.append(gateway.child.log())
    files = [path for path in (gateway.directory / "state").rglob("*") if path.is_file()]
    shown += [path.read_bytes().decode(errors="replace") for path in files]
    everything = "\n".join(shown)
    assert "fingerprint" in everything and "tokens of key old" in everything
    for key in (OLD, NEW):
        data = key.secret.encode()
        for form in (key.secret, data.hex(), base64.b64encode(data).decode(), str(list(data))):
            assert form.rstrip("=") not in everything
    # A record of a refusal has the first six characters of the token.
    assert re.search(r"eyJ[\w-]{8}", everything) is None, "no client's token, and none that was made for a proof"
