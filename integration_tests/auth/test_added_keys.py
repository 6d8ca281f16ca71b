"""Keys that are added to running gateways: at once, on all replicas, sealed, over restarts and outages."""

import pytest

from harness.keys import BEHIND, NEW, OLD, keys, reconfigure, told, typed
from harness.processes import wait_until
from harness.tokens import claims, token

GOOD = (200, None)
UNKNOWN = (401, "AUTH_001")
OTHERS = 0.2
"""Seconds in which other replicas follow."""
RING = "the ring secret of all replicas, 0123456789abcdef"


@pytest.fixture
def start(start_gateway, backend):
    """A gateway with the key `old`."""
    def start(redis=None, ring=RING, **sections):
        tokens = {"keys": [OLD.setting], "leeway": "0s"} | ({"ring_secret": ring} if ring else {})
        return start_gateway(backend, redis, **{
            "routes": [{"path": "/", "upstream": "api", "auth": "required"}], "tokens": tokens, **sections})
    return start


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "new.secret"
    # As echo leaves it.
    path.write_text(NEW.secret + "\n")
    return path


def follows(what, probe):
    wait_until(what, probe, OTHERS, every=0.005)


def add(gateway, path, name="new", check=True):
    return typed(gateway, f"gateway keys add {name} --secret-file {path}", check)


def test_all_replicas_accept_it_at_once(start, redis, secret_file):
    first, second = start(redis), start(redis)
    assert told(first, NEW.token()) == UNKNOWN
    said = add(first, secret_file).stdout
    assert said.startswith("new is accepted, fingerprint ")
    assert told(first, NEW.token()) == GOOD
    follows("the other one accepts it", lambda: told(second, NEW.token()) == GOOD)
    assert keys(first)["new"]["fingerprint"] == keys(second)["new"]["fingerprint"] == said.split()[4].rstrip(";")
    assert "Added at run time, and not in the configuration: new.\n" in typed(second, "gateway keys list").stdout
    third = start(redis)
    assert told(third, NEW.token()) == GOOD
    typed(first, "gateway keys revoke old")
    typed(second, "gateway keys remove new --in-use")
    follows("nobody accepts it", lambda: told(first, NEW.token()) == told(third, NEW.token()) == UNKNOWN)


def test_nothing_of_the_secret_is_seen_anywhere(start, redis, secret_file):
    gateway = start(redis)
    outputs = [add(gateway, secret_file).stdout]
    assert told(gateway, NEW.token()) == GOOD
    outputs += [typed(gateway, line).stdout for line in ("gateway keys list", "gateway keys verify", "gateway status")]
    outputs.append(redis.shell("redis-cli GET keyring:new"))
    outputs += [path.read_bytes().decode("latin-1") for path in gateway.directory.rglob("*") if path.is_file()]
    assert len(outputs) > 8
    for output in outputs:
        assert NEW.secret not in output


def test_it_outlives_a_restart_without_redis(start, secret_file):
    gateway = start(ring=None)
    add(gateway, secret_file)
    gateway.child.kill()
    gateway.start()
    assert told(gateway, NEW.token()) == GOOD
    typed(gateway, "gateway keys remove new --in-use")
    gateway.child.kill()
    gateway.start()
    assert told(gateway, NEW.token()) == UNKNOWN


def test_it_outlives_a_restart_while_redis_is_away_and_reaches_the_others_afterwards(start, start_redis, secret_file):
    redis = start_redis()
    first, second = start(redis), start(redis)
    redis.kill()
    wait_until("the outage is noticed", lambda: all(one.get("/health").json()["status"] == "degraded" for one in (first, second)), 5)
    assert "Redis is away" in add(first, secret_file).stdout
    assert (told(first, NEW.token()), told(second, NEW.token())) == (GOOD, UNKNOWN)
    first.child.kill()
    first.start()
    assert told(first, NEW.token()) == GOOD
    redis.start()
    wait_until("the other one accepts it", lambda: told(second, NEW.token()) == GOOD, 10)


def test_flushall_does_not_take_it_away(start, redis, secret_file):
    gateway = start(redis)
    add(gateway, secret_file)
    redis.shell("redis-cli FLUSHALL")
    wait_until("it is put back", lambda: redis.shell("redis-cli EXISTS keyring:new") == "1", 5)
    assert told(gateway, NEW.token()) == GOOD


@pytest.mark.once
def test_whoever_can_write_to_redis_adds_no_key(start, redis, secret_file):
    gateway = start(redis)
    add(gateway, secret_file)
    sealed = redis.shell("redis-cli GET keyring:new")
    # Under another name, changed, and made up.
    changed = ("A" if sealed[20] != "A" else "B").join([sealed[:20], sealed[21:]])
    for name, value in (("other", sealed), ("third", changed), ("fourth", NEW.secret), ("fifth", "")):
        redis.shell(f"redis-cli SET keyring:{name} '{value}'")
        gateway.wait_event("keys.added_unreadable", key=name)
    redis.shell("redis-cli SET 'keyring:a/b' x")
    assert set(keys(gateway)) == {"old", "new"}
    redis.shell("redis-cli DEL keyring:new")
    follows("it is gone", lambda: told(gateway, NEW.token()) == UNKNOWN)


def test_a_replica_with_another_ring_secret_says_so_and_takes_nothing(start, redis, secret_file):
    first, second = start(redis), start(redis, ring="another ring secret, which is as long as it must be")
    add(first, secret_file)
    second.wait_event("keys.added_unreadable", key="new")
    assert (told(first, NEW.token()), told(second, NEW.token())) == (GOOD, UNKNOWN)


def test_the_configuration_goes_before_what_was_added_under_its_name(start, redis, secret_file):
    gateway = start(redis)
    add(gateway, secret_file)
    reconfigure([gateway], [OLD.setting, NEW.setting])
    assert told(gateway, NEW.token()) == GOOD
    assert "Added at run time, and in the configuration, too: new;" in typed(gateway, "gateway keys list").stdout
    said = typed(gateway, "gateway keys remove new --in-use").stdout
    assert said.startswith("new stays accepted here, from the configuration; replicas whose configuration lacks it refuse")
    assert told(gateway, NEW.token()) == GOOD
    assert "Added at run time" not in typed(gateway, "gateway keys list").stdout
    assert redis.shell("redis-cli EXISTS keyring:new") == "0"


def test_what_is_refused_and_why(start, redis, secret_file, tmp_path):
    gateway = start(redis)
    short, same, public = tmp_path / "short", tmp_path / "same", tmp_path / "public.pem"
    short.write_text("x")
    same.write_text(OLD.secret)
    public.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    add(gateway, secret_file)
    for line, code, message in (
        (f"gateway keys add third --secret-file {same}", 1, "it is the same key as old"),
        (f"gateway keys add third --secret-file {short}", 1, "the secret has 1 bytes, but 32 are needed"),
        (f"gateway keys add old --secret-file {secret_file}", 1, "there is a key called old already"),
        (f"gateway keys add new --secret-file {secret_file}", 1, "there is a key called new already"),
        (f"gateway keys add a/b --secret-file {secret_file}", 1, "id is 1 to 128 letters"),
        (f"gateway keys add third --pem-file {public}", 1, "algorithms is missing"),
        (f"gateway keys add third --pem-file {public} --algorithms RS256", 1, "the key cannot be decoded"),
        (f"gateway keys add third --secret-file {tmp_path}/none", 64, "No such file or directory"),
        ("gateway keys add third", 64, "either --secret-file or --pem-file holds the key"),
        ("gateway keys remove old", 1, "old was not added, it is in the configuration"),
        ("gateway keys remove none", 1, "no key is called \"none\""),
    ):
        done = typed(gateway, line, check=False)
        assert (done.returncode, message in done.stderr) == (code, True), (line, done.stderr)
    assert told(gateway, NEW.token()) == GOOD
    done = typed(gateway, "gateway keys remove new", check=False)
    assert done.returncode == 1 and "its tokens are accepted, and who uses them on other replicas" in done.stderr
    assert set(keys(gateway)) == {"old", "new"}
    typed(gateway, "gateway keys revoke new")
    typed(gateway, "gateway keys remove new")
    done = add(gateway, secret_file, check=False)
    assert done.returncode == 1 and "tokens of key new are refused since" in done.stderr, "the word is of the name"
    typed(gateway, "gateway unrevoke --key new")
    add(gateway, secret_file)
    assert told(gateway, NEW.token()) == GOOD


def test_replicas_need_a_ring_secret(start, redis, secret_file):
    done = add(start(redis, ring=None), secret_file, check=False)
    assert done.returncode == 1
    assert "sealed with tokens.ring_secret, and that is not set" in done.stderr


def test_a_rotation_from_end_to_end(start, redis, secret_file):
    """Add, switch, retire, gone: nobody is logged out before the old key's time."""
    replicas = [start(redis), start(redis)]
    add(replicas[0], secret_file)
    follows("both take both", lambda: all(told(one, key.token()) == GOOD for one in replicas for key in (OLD, NEW)))
    typed(replicas[1], "gateway keys retire old --in 1s")
    follows("both know", lambda: all(keys(one)["old"]["state"] == "retiring" for one in replicas))
    wait_until("the old one is over", lambda: all(told(one, OLD.token())[0] == 401 for one in replicas), 1.5 + BEHIND)
    assert all(told(one, NEW.token()) == GOOD for one in replicas)


def test_tokens_with_kids_of_their_own_survive_it(start, redis, secret_file):
    """Issuers write kids of theirs into tokens that are signed with a shared secret."""
    gateway = start(redis)
    foreign = [token(claims("alice"), key=key.secret, kid="2024-05") for key in (OLD, NEW)]
    assert told(gateway, foreign[0]) == GOOD
    add(gateway, secret_file)
    assert [told(gateway, value) for value in foreign] == [GOOD, GOOD]
