"""Runbooks 2 and 3, rotation of JWT_SECRET and emergency invalidation: the gateway's part, as docs/keys.md has it.

The runbook updates a variable and restarts; with the gateway nothing is restarted, and nobody logged out without need.
"""

import json
import subprocess
import time

import pytest
from websockets.exceptions import ConnectionClosed

from harness.gateway import run_binary
from harness.keys import BEHIND, REVOKED, SharedKey, keys, reconfigure, seconds, states, told, typed
from harness.processes import wait_until
from harness.tokens import bearer
from harness.websocket import Echo, open_websocket

GOOD = (200, None)
NOBODY_S = (401, "AUTH_001")
"""Signed by a key that is none of ours."""


def strong_secret():
    """Pre-rotation check 1: generate a new strong secret."""
    return subprocess.run(["openssl", "rand", "-hex", "32"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def old():
    return SharedKey("2026-05", strong_secret())


@pytest.fixture
def new():
    return SharedKey("2026-11", strong_secret())


@pytest.fixture
def start(start_gateway, backend, redis):
    """Replicas that ask for a token on `/auth/me`."""
    def start(*entries, environment=None, **sections):
        tokens = {"keys": list(entries)} if entries else {}
        return start_gateway(backend, redis, environment, **{
            "routes": [
                {"path": "/", "upstream": "api", "auth": "none"},
                {"path": "/auth/me", "upstream": "api", "auth": "required"}],
            "tokens": {**tokens, "leeway": "0s"}, **sections})
    return start


def me(gateway, value):
    return told(gateway, value, "/auth/me")


def token_file(directory, key):
    path = directory / f"{key.id}.jwt"
    path.write_text(key.token() + "\n")
    return path


def test_a_scheduled_rotation_and_its_end(start, old, new, directory):
    gateways = [start(old.setting), start(old.setting)]
    before = old.token("alice")
    assert [me(gateway, before) for gateway in gateways] == [GOOD] * 2

    # Pre-rotation check 2: the deployment path. The new file is checked before it is loaded.
    gateways[0].settings["tokens"]["keys"] = [old.setting, new.setting]
    gateways[0].write_config()
    assert run_binary("check", "--config", gateways[0].config_path).returncode == 0

    # docs/keys.md 1: the new key beside the old one on every replica, and the fingerprints are the same.
    reconfigure(gateways, [old.setting, new.setting])
    listed = [typed(gateway, "gateway keys list").stdout for gateway in gateways]
    prints = [[line.split()[3] for line in text.splitlines()[1:3]] for text in listed]
    assert prints[0] == prints[1] and len(set(prints[0])) == 2
    assert [me(gateway, before) for gateway in gateways] == [GOOD] * 2, "nobody is logged out"

    # Rotation steps 3 and 4: auth endpoints, and tokens that are issued with the new key.
    assert "NOT AS EXPECTED" not in typed(gateways[0], "gateway keys verify").stdout
    after = new.token("bob")
    assert [me(gateway, after) for gateway in gateways] == [GOOD] * 2

    # docs/keys.md 2: requests move to the new key.
    wait_until("both are in use", lambda: states(gateways[0]) == {old.id: "active", new.id: "active"})

    # docs/keys.md 3: whom it would cut off, then the deadline. Post-rotation behaviour: old tokens become invalid.
    dry = typed(gateways[0], f"gateway keys retire {old.id} --in 1s --dry-run").stdout
    assert "1 token of 1 user seen here is cut off before it expires" in dry
    step = gateways[0].command_json("keys", "retire", old.id, "--in", "1s")
    assert (step["users_cut"], step["other_keys"]) == (1, [new.id])
    assert me(gateways[1], before) == GOOD
    end = seconds(step["refused_from"])
    wait_until("its time", lambda: time.time() > end + BEHIND, 3)
    assert [me(gateway, before) for gateway in gateways] == [REVOKED] * 2
    assert [me(gateway, after) for gateway in gateways] == [GOOD] * 2
    for gateway in gateways:
        assert states(gateway)[old.id] == "revoked"
        typed(gateway, f"gateway keys verify --token-file {token_file(directory, old)} --expect refused")
        typed(gateway, f"gateway keys verify --token-file {token_file(directory, new)}")

    # docs/keys.md 4: out of the configuration.
    reconfigure(gateways, [new.setting])
    assert [list(keys(gateway)) for gateway in gateways] == [[new.id]] * 2
    assert [(me(gateway, before), me(gateway, after)) for gateway in gateways] == [(NOBODY_S, GOOD)] * 2


@pytest.mark.parametrize("step", ["retire {} --in 1h", "revoke {}"])
def test_a_rollback_lets_the_old_tokens_in_again(start, old, new, step):
    gateways = [start(old.setting, new.setting), start(old.setting, new.setting)]
    before, after = old.token(), new.token()
    typed(gateways[0], f"gateway keys {step.format(old.id)}")
    if step.startswith("revoke"):
        wait_until("both refuse", lambda: all(me(gateway, before) == REVOKED for gateway in gateways), 0.2, every=0.005)

    # Rollback 1 and 2: the former key is in force again; nothing is restarted.
    typed(gateways[1], f"gateway keys rollback {old.id}")
    wait_until("both accept", lambda: [me(gateway, before) for gateway in gateways] == [GOOD] * 2, 0.2, every=0.005)
    # Rollback 3: validate again.
    assert [states(gateway)[old.id] for gateway in gateways] == ["active"] * 2
    assert [typed(gateway, "gateway keys verify").returncode for gateway in gateways] == [0, 0]
    assert [me(gateway, after) for gateway in gateways] == [GOOD] * 2


@pytest.mark.parametrize("is_new_key_there", [True, False])
def test_an_emergency_invalidation(start, old, new, directory, is_new_key_there):
    entries = [old.setting, new.setting] if is_new_key_there else [old.setting]
    gateways = [start(*entries), start(*entries)]
    stolen, forged = old.token("alice"), old.token("admin", roles=["admin"], exp=int(time.time()) + 10 ** 8)
    assert [me(gateway, value) for gateway in gateways for value in (stolen, forged)] == [GOOD] * 4

    # The primary control, in place of "rotate JWT_SECRET". When the new key is not there yet: revoke all the same.
    typed(gateways[0], f"gateway keys revoke {old.id} --reason 'secret found in a log'")
    wait_until("both refuse", lambda: [me(gateway, stolen) for gateway in gateways] == [REVOKED] * 2, 0.1, every=0.002)

    # Execution checklist 2 to 4: redeploy, old tokens fail and new ones succeed, endpoints say what they should.
    if not is_new_key_there:
        reconfigure(gateways, [old.setting, new.setting])
    for gateway in gateways:
        assert me(gateway, forged) == me(gateway, old.token("carol")) == REVOKED
        assert me(gateway, new.token()) == GOOD
        assert gateway.get("/auth/me").code == "AUTH_001"
        assert gateway.get("/auth/token").status == 200, "who logs in needs no token"
        typed(gateway, "gateway keys verify")
        typed(gateway, f"gateway keys verify --token-file {token_file(directory, old)} --expect refused")

    # Incident artifacts: a timeline in UTC, who did what, validation outputs, and no secret in plain text.
    [record] = gateways[0].events(service="audit", action="tokens_revoked")
    assert record["timestamp"].endswith("Z") and record["context"]["actor"].startswith("uid:")
    assert old.id in record["message"] and "secret found in a log" in record["message"]
    artifacts = [
        gateway.child.log() + gateway.command("status", "--json").stdout + json.dumps(keys(gateway))
        for gateway in gateways]
    assert not any(key.secret in text for key in (old, new) for text in artifacts)


def test_the_variable_of_the_runbook_and_a_restart(start, old, new):
    """Rotation steps 1 and 2 to the letter: the variable is updated, the service restarted. So is the rollback."""
    gateway = start(environment={"JWT_SECRET": old.secret})
    assert (me(gateway, old.token()), me(gateway, new.token())) == (GOOD, NOBODY_S)
    prints = {}
    for secret, expected in ((new.secret, (NOBODY_S, GOOD)), (old.secret, (GOOD, NOBODY_S))):
        gateway.stop()
        gateway.environment["JWT_SECRET"] = secret
        gateway.start()
        assert (me(gateway, old.token()), me(gateway, new.token())) == expected
        assert typed(gateway, "gateway keys verify").returncode == 0
        prints[secret] = keys(gateway)["JWT_SECRET"]["fingerprint"]
    assert len(set(prints.values())) == 2, "what is in force can be told from outside"


def test_a_secret_that_is_replaced_in_its_file_is_another_key(start, old, new, directory):
    """No restart: a reload reads the file. What the old secret has opened is closed with it."""
    echo = Echo()
    path = directory / "jwt.secret"
    path.write_text(old.secret)
    path.chmod(0o600)
    gateway = start(
        environment={"JWT_SECRET_FILE": str(path)}, upstreams={"api": {"servers": [echo.address]}})
    client = open_websocket(gateway, "/auth/me", fields=bearer(old.token()))
    path.write_text(new.secret)
    typed(gateway, "gateway reload")
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=2)
    assert (client.close_code, client.close_reason) == (1_008, "token revoked")
    assert me(gateway, old.token()) == NOBODY_S
    with open_websocket(gateway, "/auth/me", fields=bearer(new.token())) as client:
        client.send("hello")
        assert client.recv(timeout=5) == "hello"
    echo.close()


def test_the_recipe_that_loses_the_old_secret_is_refused(start, old, new):
    """A recipe that copies the new secret over the old one before that is saved leaves two keys of one secret."""
    gateway = start(old.setting)
    gateway.settings["tokens"]["keys"] = [{**new.setting, "id": old.id}, new.setting]
    gateway.write_config()
    refused = typed(gateway, "gateway reload", check=False)
    assert refused.returncode == 1 and "CONF_001" in refused.stderr
    assert old.id in refused.stderr and new.secret not in refused.stderr
    assert me(gateway, old.token()) == GOOD, "what was in force stays"
