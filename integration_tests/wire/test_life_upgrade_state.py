"""A gateway whose upgrade has failed, while somebody else holds its state directory."""

import fcntl
import os
import signal

import pytest

from harness.backend import answer
from harness.client import Client, json_request, request
from harness.gateway import merged
from harness.heirs import Heirs
from harness.processes import wait_until


@pytest.mark.once
def test_it_starts_no_program_before_it_has_its_state_again(start_gateway, backend, directory, address):
    backend.handler = lambda exchange: answer(401 if exchange.request.target == "/auth/login" else 200)
    gateway = start_gateway(backend)
    sound, state = gateway.settings, directory / "gateway-0" / "state"
    # The new process has the state, and does not serve before it knows its store.
    gateway.write_config(merged(sound, {"redis": {"address": "127.0.0.1:1", "startup_wait": "10s"}}))
    gateway.signal(signal.SIGUSR2)
    new = gateway.wait_event("upgrade.started")["pid"]
    wait_until("the journal of the new one", (state / "redis.journal").exists)
    with (state / "ledger.lock").open() as lock:
        gateway.freeze()
        os.kill(new, signal.SIGKILL)
        fcntl.flock(lock, fcntl.LOCK_EX)
        gateway.signal(signal.SIGCONT)
        gateway.wait_event("ledger.unavailable")
        gateway.write_config(sound)
        gateway.signal(signal.SIGUSR2)
        refused = wait_until("the refusal", lambda: gateway.events("upgrade.failed")[1:])
        assert "the state directory cannot be opened again" in refused[0]["reason"]
        assert len(gateway.events("upgrade.started")) == 1
        assert gateway.get("/").status == 200, "it serves on"
    with Client(gateway.address, address) as client:
        assert client.ask(json_request("POST", "/auth/login", {"username": "a", "password": "b"})).status == 401
    gateway.command("upgrade")
    Heirs().of(gateway)
    with Client(gateway.address, address) as client:
        assert client.ask(request("GET", "/")).status == 200
