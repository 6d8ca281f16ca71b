"""One replica is cut off from Redis, and what its operator says of tokens and keys is older than what another one says."""

import pytest

from harness.cable import Cable
from harness.keys import NEW, OLD, told, typed
from harness.processes import wait_until
from harness.tokens import SECRET, claims, token

REVOKED = (401, "AUTH_003")
UNKNOWN = (401, "AUTH_001")
PASSES = (200, None)
RING = "the ring secret of all replicas, 0123456789abcdef"


@pytest.fixture
def cable(redis):
    cable = Cable(redis.port)
    yield cable
    cable.close()


@pytest.fixture
def replicas(start_guarded, redis, cable):
    """The one that can be cut off, and the other."""
    return tuple(start_guarded(redis=where, tokens={"ring_secret": RING}) for where in (cable.setting, redis))


def of(user: str) -> str:
    return token(claims(user), SECRET)


def all_are(replicas, wanted, value: str) -> None:
    wait_until(f"all say {wanted}", lambda: all(told(gateway, value) == wanted for gateway in replicas), 5)


def state(gateway) -> str:
    return gateway.get("/health").json()["status"]


def test_the_later_word_on_a_user_counts(replicas, cable):
    here, there = replicas
    users = {user: of(user) for user in ("alice", "bob", "carol", "dave")}
    for user in ("alice", "bob", "dave"):
        typed(here, f"gateway revoke --sub {user}")
        all_are(replicas, REVOKED, users[user])
    cable.cut()
    wait_until("the outage is noticed", lambda: state(here) == "degraded", 10)
    typed(there, "gateway revoke --sub dave --reason first")
    typed(here, "gateway unrevoke --sub alice")
    typed(here, "gateway unrevoke --sub dave")
    typed(here, "gateway unrevoke --sub bob")
    typed(here, "gateway revoke --sub bob --issued-before 2020-01-01T00:00:00Z")
    typed(here, "gateway revoke --sub carol")
    assert [told(here, value) for value in users.values()] == [PASSES, PASSES, REVOKED, PASSES], "as it was told"
    typed(there, "gateway revoke --sub alice --reason again")
    typed(there, "gateway revoke --sub bob --reason again")
    typed(there, "gateway unrevoke --sub carol")
    cable.mend()
    wait_until("it is over", lambda: state(here) == "healthy", 10)
    for user, wanted in {"alice": REVOKED, "bob": REVOKED, "carol": PASSES, "dave": PASSES}.items():
        all_are(replicas, wanted, users[user])
    assert {line["key"] for line in here.events("ledger.word_overtaken")} == {
        f"revoked:sub:{user}" for user in ("alice", "bob", "carol")}


def test_the_later_word_on_an_added_key_counts(replicas, cable, tmp_path):
    here, there = replicas
    path, other_path = tmp_path / "new.secret", tmp_path / "old.secret"
    path.write_text(NEW.secret)
    other_path.write_text(OLD.secret)
    typed(here, f"gateway keys add new --secret-file {path}")
    all_are(replicas, PASSES, NEW.token())
    cable.cut()
    wait_until("the outage is noticed", lambda: state(here) == "degraded", 10)
    typed(here, f"gateway keys add late --secret-file {other_path}")
    typed(there, f"gateway keys add late --secret-file {other_path}")
    typed(there, "gateway keys remove late --in-use")
    typed(here, "gateway keys remove new --in-use")
    assert (told(here, NEW.token()), told(there, NEW.token())) == (UNKNOWN, PASSES)
    assert (told(here, OLD.token()), told(there, OLD.token())) == (PASSES, UNKNOWN)
    cable.mend()
    # Nobody has said anything of it later.
    all_are(replicas, UNKNOWN, NEW.token())
    # The other one has taken it out again.
    all_are(replicas, UNKNOWN, OLD.token())
