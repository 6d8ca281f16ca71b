"""Keys that go while the former process of an upgrade still carries what their tokens have opened."""

import pytest

from harness.client import request
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.keys import NEW, OLD, typed
from harness.revocations import lives
from harness.tokens import SECRET, bearer, claims, token


@pytest.fixture
def upgraded(start_guarded, service, tmp_path):
    """A gateway, and event streams of its former process: by a token of an added key, of one of the configuration, and of one
    that stays."""
    main = {"id": "main", "secret": SECRET, "algorithms": ["HS256"]}
    gateway = start_guarded(tokens={"keys": [main, OLD.setting]}, timeouts={"drain": "30s"})
    path = tmp_path / "new.secret"
    path.write_text(NEW.secret)
    typed(gateway, f"gateway keys add new --secret-file {path}")
    streams = []
    for value in (NEW.token(), OLD.token(), token(claims("alice"), SECRET)):
        streams.append(gateway.connect().send(request("GET", "/events", bearer(value))))
        assert streams[-1].read_head().status == 200
    heirs = Heirs()
    gateway.command("upgrade")
    heirs.of(gateway)
    gateway.wait_event("gateway.draining")
    assert all(stream.silent(0.1) for stream in streams)
    yield gateway, heirs, streams
    service.events.release()


def test_one_that_is_removed_takes_its_streams_with_it(upgraded):
    gateway, _, (added, old, kept) = upgraded
    typed(gateway, "gateway keys remove new --in-use")
    assert is_cut(added)
    assert gateway.child.running, "the former is still there for whoever may stay"
    assert lives(old) and lives(kept)


def test_so_does_one_that_a_reload_of_the_new_process_takes_out(upgraded):
    gateway, _, (added, old, kept) = upgraded
    gateway.settings["tokens"]["keys"] = [key for key in gateway.settings["tokens"]["keys"] if key["id"] != "old"]
    gateway.write_config()
    gateway.command("reload")
    assert is_cut(old)
    assert gateway.child.running
    assert lives(added) and lives(kept)


def test_the_first_of_three_processes_hears_of_it_too(upgraded):
    gateway, heirs, (added, old, kept) = upgraded
    gateway.command("upgrade")
    heirs.of(gateway)
    assert lives(added)
    typed(gateway, "gateway keys remove new --in-use")
    assert is_cut(added)
    assert lives(old) and lives(kept)
