"""What a service manager hears (sd_notify(3)): the gateway is started with a datagram socket of the test's."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from harness import tracing
from harness.backend import answer
from harness.client import request
from harness.manager import Manager
from harness.processes import wait_until


@pytest.fixture(params=["path", "abstract"])
def manager(request, directory):
    made = Manager(str(directory / "notify") if request.param == "path" else f"@gateway-{os.getpid()}-{directory.name}")
    yield made
    made.close()


def test_start_reload_and_end_are_told_in_order(manager, start_gateway, backend):
    gateway = start_gateway(backend, environment={"NOTIFY_SOCKET": manager.name})
    wait_until("READY", lambda: manager.moments() == [{"READY": "1"}])
    host, port = gateway.address
    assert manager.heard("STATUS")[-1][1] == f"Serving on {host}:{port}"
    before = time.monotonic()
    gateway.signal(signal.SIGHUP)
    wait_until("the reload", lambda: len(manager.moments()) == 3)
    assert manager.moments()[1:] == [{"RELOADING": "1"}, {"READY": "1"}]
    at = int(manager.heard("MONOTONIC_USEC")[0][1]) / 1e6
    assert before <= at <= time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.child.wait(5) == 0
    wait_until("STOPPING", lambda: manager.moments()[-1] == {"STOPPING": "1"})
    assert len(manager.moments()) == 4


def test_a_reload_that_is_refused_is_over_all_the_same(manager, start_gateway, backend):
    gateway = start_gateway(backend, environment={"NOTIFY_SOCKET": manager.name})
    gateway.config_path.write_text("routes: [")
    gateway.signal(signal.SIGHUP)
    gateway.wait_event("gateway.reload_failed")
    wait_until("READY again", lambda: manager.moments() == [{"READY": "1"}, {"RELOADING": "1"}, {"READY": "1"}])


def test_a_manager_that_is_not_there_keeps_nobody_from_serving(start_gateway, backend, directory):
    gateway = start_gateway(backend, environment={"NOTIFY_SOCKET": str(directory / "nobody"), "WATCHDOG_USEC": "100000"})
    assert gateway.get("/").status == 200


def test_a_name_that_cannot_be_meant_is_reported(start_gateway, backend):
    gateway = start_gateway(backend, environment={"NOTIFY_SOCKET": "run/notify"})
    assert "neither" in gateway.wait_event("supervisor.unusable")["reason"]
    assert gateway.get("/").status == 200


def test_signs_of_life_come_at_half_the_time_that_is_allowed(manager, start_gateway, backend):
    start_gateway(backend, environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "400000"})
    wait_until("signs of life", lambda: len(manager.heard("WATCHDOG")) >= 6)
    times = [at for at, _ in manager.heard("WATCHDOG")]
    gaps = [later - earlier for earlier, later in zip(times[1:], times[2:])]
    assert max(gaps) < 0.4


def test_signs_of_life_of_another_process_are_not_given(manager, start_gateway, backend):
    gateway = start_gateway(
        backend, environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "50000", "WATCHDOG_PID": "1"})
    gateway.command("reload")
    wait_until("the reload", lambda: len(manager.moments()) == 3)
    assert manager.heard("WATCHDOG") == []


def test_there_is_no_sign_of_life_while_a_worker_stands_still(manager, start_gateway, backend):
    """A thread of the process is stopped by the debugger's call, as a loop that does not end would stop it."""
    gateway = start_gateway(backend, environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000000"})
    wait_until("signs of life", lambda: manager.heard("WATCHDOG"))
    tasks = Path(f"/proc/{gateway.child.pid}/task")
    worker = wait_until("the worker's name", lambda: next(
        (int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == "worker-1"), None))
    with tracing.held(worker):
        time.sleep(1.6)  # the limit of a second, and what was under way
        before = len(manager.heard("WATCHDOG"))
        time.sleep(1.5)
        assert len(manager.heard("WATCHDOG")) == before
    wait_until("signs of life again", lambda: len(manager.heard("WATCHDOG")) > before)
    assert gateway.get("/").status == 200


def test_a_drain_goes_on_showing_that_it_lives(manager, start_gateway, backend):
    gateway = start_gateway(
        backend, environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "400000"}, timeouts={"drain": "5s"})
    proceed = threading.Event()
    backend.handler = lambda exchange: (proceed.wait(10), answer())[1]
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        backend.wait_for(1)
        gateway.signal(signal.SIGTERM)
        wait_until("STOPPING", lambda: manager.heard("STOPPING"))
        before = len(manager.heard("WATCHDOG"))
        wait_until("signs of life", lambda: len(manager.heard("WATCHDOG")) >= before + 4)
        proceed.set()
        assert client.read_final().status == 200
    assert gateway.child.wait(5) == 0
