"""The binary upgrade: another process takes over, with the very sockets, the blocks and the counts."""

import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from harness import bodies
from harness.backend import answer
from harness.certificates import Authority
from harness.client import Client, fetch, json_request, request
from harness.gateway import binary, merged
from harness.manager import Manager
from harness.heirs import Heirs
from harness.load import Load, NewConnections, failed
from harness.processes import wait_until


@pytest.fixture
def heirs():
    return Heirs()


@pytest.fixture
def tls_gateway(start_gateway, backend, directory):
    """With a plain listener and one with TLS, and what its clients trust."""
    authority = Authority()
    chain, key = authority.issue("gateway.test").write(directory / "tls")
    gateway = start_gateway(
        backend, tls={"listen": ["127.0.0.1:0"], "certificate_file": chain, "key_file": key})
    return gateway, ssl.create_default_context(cafile=authority.write(directory / "tls"))


@pytest.fixture
def program(directory):
    """A path of the program's that a test may lead elsewhere."""
    path = directory / "program"
    path.symlink_to(binary())
    return path


def replace(program, text):
    """As a deployment replaces it: in one step."""
    draft = program.with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.rename(program)


def login(gateway_address, source, status=401):
    with Client(gateway_address, source) as client:
        return client.ask(json_request("POST", "/auth/login", {"username": "a", "password": "b"}))


def refuses(exchange):
    return answer(401 if exchange.request.target == "/auth/login" else 200)


def test_the_command_starts_the_program_anew_and_the_former_process_ends(start_gateway, backend, heirs):
    gateway = start_gateway(backend)
    before = gateway.address
    run = gateway.command("upgrade")
    heir = heirs.of(gateway)
    assert f"serves as process {heir}" in run.stdout
    assert gateway.child.wait(10) == 0
    assert gateway.events("gateway.ready", pid=heir)[0]["listeners"] == [f"{before[0]}:{before[1]}"], "port 0 stays"
    assert fetch(before, request("GET", "/")).status == 200
    assert gateway.command_json("status")["pid"] == heir, "the admin socket is the new one's"
    assert gateway.ask_admin("/ready").status == 200, "and so is the admin listener"
    assert [line["event"] for line in gateway.lines() if line.get("event", "").startswith("upgrade")] == [
        "upgrade.started", "upgrade.handed_over"]


def test_sigusr2_upgrades_again_and_again(start_gateway, backend, heirs):
    gateway = start_gateway(backend)
    process = gateway.child.pid
    for _ in range(3):
        os.kill(process, signal.SIGUSR2)
        process = heirs.after(gateway, process)
        assert gateway.get("/").status == 200
    os.kill(process, signal.SIGTERM)
    wait_until("the last one's end", lambda: not Heirs.runs(process))
    assert not os.path.exists(gateway.admin_socket), "whoever ends last removes the file"
    assert len(gateway.events("gateway.stopped")) == 4


@pytest.mark.once
def test_no_request_fails_over_five_upgrades_under_load(tls_gateway, backend, heirs):
    """Kept connections and new ones, plain and over TLS, with large bodies in both directions."""
    gateway, context = tls_gateway
    backend.handler = bodies.serve
    process = gateway.child.pid
    asked, asked_once = bodies.mixture(), bodies.mixture({"Connection": "close"})
    fresh = NewConnections(gateway.address, 4, asked_once)
    fresh_tls = NewConnections(gateway.secure_address, 2, asked_once, tls=context)
    with Load(gateway.address, asked, 6, pause=0.001) as load, \
            Load(gateway.secure_address, asked, 3, pause=0.001, tls=context) as load_tls:
        for _ in range(5):
            time.sleep(0.3)
            os.kill(process, signal.SIGUSR2)
            process = heirs.after(gateway, process)
        time.sleep(0.3)
        samples, samples_tls = load.stop(), load_tls.stop()
    fresh.stop(), fresh_tls.stop()
    assert fresh.bad == [] and fresh_tls.bad == []
    assert sum(fresh.refused) == 0 and sum(fresh_tls.refused) == 0
    assert failed(samples) == [] and failed(samples_tls) == []
    assert len(samples) > 200 and len(samples_tls) > 50 and sum(fresh.good) > 100 and sum(fresh_tls.good) > 30
    print(f"kept: {len(samples)} plain, {len(samples_tls)} TLS; new: {sum(fresh.good)}, {sum(fresh_tls.good)}")


def test_a_request_under_way_is_finished_by_the_former_process(start_gateway, backend, heirs):
    gateway = start_gateway(backend, timeouts={"drain": "10s"})
    proceed = threading.Event()

    def waits(exchange):
        if exchange.request.target == "/slow":
            proceed.wait(10)
        return answer(body=b"finished")

    backend.handler = waits
    with gateway.connect() as client:
        client.send(request("GET", "/slow"))
        backend.wait_for(1)
        gateway.command("upgrade")
        heirs.of(gateway)
        assert gateway.get("/").status == 200
        assert gateway.child.running
        proceed.set()
        response = client.read_final()
        assert response.body == b"finished" and response.field("Connection") == "close"
    assert gateway.child.wait(5) == 0


@pytest.mark.parametrize("kind", ["embedded", "redis"])
def test_blocks_and_counts_survive(start_gateway, backend, heirs, request, address, other_address, kind):
    backend.handler = refuses
    redis = request.getfixturevalue("redis") if kind == "redis" else None
    gateway = start_gateway(backend, redis=redis, routes=[{"path": "/", "upstream": "api", "auth": "none"}])
    for _ in range(5):
        assert login(gateway.address, address).status == 401
    for _ in range(3):
        assert login(gateway.address, other_address).status == 401
    gateway.command("block", "203.0.113.0/24", "--for", "1h")
    gateway.command("upgrade")
    heirs.of(gateway)
    assert login(gateway.address, address).status == 403
    assert {block["network"] for block in gateway.command_json("blocks")["blocks"]} == {address, "203.0.113.0/24"}
    assert [login(gateway.address, other_address).status for _ in range(3)] == [401, 401, 403]


@pytest.mark.once
@pytest.mark.parametrize("kind", ["embedded", "redis"])
def test_a_login_that_fails_in_the_former_process_counts_in_the_new_one(
    start_gateway, backend, heirs, request, address, kind,
):
    """The fifth 401 comes from the process that finishes; its block is in force in both before it is relayed."""
    proceed = threading.Event()

    def handler(exchange):
        if exchange.request.target == "/auth/login":
            if exchange.request.field("X-Slow"):
                proceed.wait(10)
            return answer(401)
        return answer()

    backend.handler = handler
    redis = request.getfixturevalue("redis") if kind == "redis" else None
    gateway = start_gateway(backend, redis=redis, timeouts={"drain": "10s"})
    for _ in range(3):
        assert login(gateway.address, address).status == 401
    with gateway.connect(address) as slow, gateway.connect(address) as late:
        slow.send(json_request("POST", "/auth/login", {"username": "a"}, {"X-Slow": "1"}))
        backend.wait_for(4)
        late.send(b"GET /late HTTP/1.1\r\nHost: gateway.test\r\n")
        gateway.command("upgrade")
        heirs.of(gateway)
        assert login(gateway.address, address).status == 401, "the fourth, at the new one"
        proceed.set()
        assert slow.read_final().status == 401, "the fifth, at the former"
        assert login(gateway.address, address).status == 403, "the new one knows"
        late.send(b"\r\n")
        assert late.read_final().status == 403, "and so does the former"
    assert gateway.child.wait(10) == 0
    audit = [line for line in gateway.lines() if line.get("event") == "security.block_set"]
    assert len(audit) == 1


@pytest.mark.once
def test_fifty_logins_at_once_during_an_upgrade_are_all_counted(start_gateway, backend, heirs, address):
    backend.handler = lambda exchange: (time.sleep(0.002), answer(401))[1]
    gateway = start_gateway(backend, login={"limit": 1000}, timeouts={"drain": "5s"})
    answers, stop = [], threading.Event()

    def fails():
        while not stop.is_set():
            answers.append(login(gateway.address, address).status)

    threads = [threading.Thread(target=fails) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until("some failures", lambda: len(answers) > 50)
    gateway.command("upgrade")
    heirs.of(gateway)
    wait_until("some more", lambda: len(answers) > 250)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert set(answers) == {401}
    assert gateway.child.wait(10) == 0

    def counted():
        return sorted(line["context"]["failed_attempts"] for line in gateway.events("security.auth_failure"))

    # Each once, by one of the two; the last lines take a moment.
    wait_until("each in its place", lambda: counted() == list(range(1, len(answers) + 1)), 5)


@pytest.mark.parametrize(("text", "reason"), [
    ("#!/bin/sh\nexit 3\n", "exit code 3"),
    ("#!/bin/sh\nkill -SEGV $$\n", "signal 11"),
    ("this is no program\n", "Exec format error"),
    ("#!/bin/sh\nsleep 60 & exec sleep 60\n", "did not serve within"),
])
def test_a_program_that_does_not_serve_changes_nothing(start_gateway, backend, program, text, reason):
    gateway = start_gateway(backend, program=program, timeouts={"upgrade": "1s"})
    replace(program, text)
    with gateway.connect() as kept:
        run = gateway.command("upgrade", check=False)
        assert run.returncode == 1
        assert reason in run.stderr and "goes on" in run.stderr
        assert kept.ask(request("GET", "/")).status == 200, "no connection is drained"
    assert reason in gateway.wait_event("upgrade.failed")["reason"]
    assert gateway.get("/").status == 200
    assert gateway.command_json("status")["pid"] == gateway.child.pid
    program.unlink()
    program.symlink_to(binary())
    gateway.command("upgrade")
    Heirs().of(gateway)


def test_a_broken_configuration_is_told_to_whoever_asked(start_gateway, backend):
    gateway = start_gateway(backend)
    gateway.config_path.write_text("routes: [")
    run = gateway.command("upgrade", check=False)
    assert run.returncode == 1
    assert re.search(r"gateway\.conf:\d:\d: error: not YAML", run.stderr) and "mistakes" in run.stderr
    assert gateway.get("/").status == 200


def test_an_address_that_cannot_be_had_is_told_and_the_state_stays(start_gateway, start_backend, backend, address):
    backend.handler = refuses
    gateway = start_gateway(backend)
    for _ in range(4):
        login(gateway.address, address)
    taken = start_backend().address
    gateway.write_config(merged(gateway.settings, {"listen": ["127.0.0.1:0", taken]}))
    run = gateway.command("upgrade", check=False)
    assert taken in run.stderr and "in use" in run.stderr
    assert [login(gateway.address, address).status for _ in range(2)] == [401, 403]


def test_a_program_that_dies_with_the_state_gives_it_back(start_gateway, backend, directory, address):
    """The last thing that can fail: the new process has the ledger, and its backend's name is not known yet."""
    backend.handler = refuses
    gateway = start_gateway(backend)
    for _ in range(3):
        assert login(gateway.address, address).status == 401
    gateway.write_config(merged(gateway.settings, {"redis": {"address": "127.0.0.1:1", "startup_wait": "10s"}}))
    outcome = {}
    asking = threading.Thread(target=lambda: outcome.update(run=gateway.command("upgrade", check=False)))
    asking.start()
    new = gateway.wait_event("upgrade.started")["pid"]
    wait_until("the journal of the new one", (directory / "gateway-0" / "state" / "redis.journal").exists)
    # It counts for both now: its answer is the former's.
    assert login(gateway.address, address).status == 401
    os.kill(new, signal.SIGKILL)
    asking.join(10)
    assert "signal 9" in outcome["run"].stderr
    assert gateway.command_json("status")["pid"] == gateway.child.pid
    # Counted in another ledger meanwhile, by the configuration that would have come: three are here.
    assert [login(gateway.address, address).status for _ in range(3)] == [401, 401, 403]


def test_a_failed_login_waits_for_the_state_when_the_new_program_is_stopped(start_gateway, backend, directory, address):
    backend.handler = refuses
    gateway = start_gateway(backend, timeouts={"upgrade": "2s"})
    gateway.write_config(merged(gateway.settings, {"redis": {"address": "127.0.0.1:1", "startup_wait": "10s"}}))
    asking = threading.Thread(target=lambda: gateway.command("upgrade", check=False))
    asking.start()
    new = gateway.wait_event("upgrade.started")["pid"]
    wait_until("the journal of the new one", (directory / "gateway-0" / "state" / "redis.journal").exists)
    os.kill(new, signal.SIGSTOP)
    assert login(gateway.address, address).status == 401, "counted when the time of the upgrade is over"
    asking.join(10)
    assert [login(gateway.address, address).status for _ in range(5)] == [401, 401, 401, 401, 403]


def test_only_one_at_a_time_and_reloads_wait(start_gateway, backend, program):
    gateway = start_gateway(backend, program=program, timeouts={"upgrade": "2s"})
    replace(program, "#!/bin/sh\nexec sleep 60\n")
    asking = threading.Thread(target=lambda: gateway.command("upgrade", check=False))
    asking.start()
    gateway.wait_event("upgrade.started")
    second = gateway.command("upgrade", check=False)
    assert second.returncode == 1 and "under way" in second.stderr
    changed = merged(gateway.settings, {"routes": [{"path": "/new", "upstream": "api", "auth": "none"}]})
    gateway.write_config(changed)
    gateway.signal(signal.SIGHUP)
    assert gateway.get("/").status == 200
    asking.join(10)
    wait_until("the reload behind it", lambda: gateway.get("/new").status == 200 and gateway.get("/").status == 404)


def test_an_upgrade_that_is_asked_for_during_a_reload_comes_behind_it(start_gateway, backend, heirs):
    gateway = start_gateway(backend)
    gateway.write_config(merged(gateway.settings, {"routes": [{"path": "/new", "upstream": "api", "auth": "none"}]}))
    process = gateway.child.pid
    for _ in range(20):
        gateway.signal(signal.SIGHUP)
    gateway.signal(signal.SIGUSR2)
    gateway.signal(signal.SIGHUP)
    heirs.after(gateway, process)
    assert gateway.get("/new").status == 200 and gateway.get("/").status == 404


def test_sigterm_during_an_upgrade_ends_the_whole_service(start_gateway, backend, program):
    gateway = start_gateway(backend, program=program)
    replace(program, "#!/bin/sh\nexec sleep 60\n")
    gateway.signal(signal.SIGUSR2)
    new = gateway.wait_event("upgrade.started")["pid"]
    gateway.signal(signal.SIGTERM)
    assert gateway.child.wait(10) == 0
    assert not Heirs.runs(new)
    assert gateway.wait_event("upgrade.failed")["reason"] == "this process was asked to end"


def test_sigterm_to_a_process_that_finishes_does_not_cut_it(start_gateway, backend, heirs):
    """A service manager that stops the service tells both."""
    proceed = threading.Event()
    backend.handler = lambda exchange: (proceed.wait(10), answer())[1]
    gateway = start_gateway(backend, timeouts={"drain": "10s"})
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        backend.wait_for(1)
        gateway.command("upgrade")
        heirs.of(gateway)
        gateway.signal(signal.SIGTERM)
        threading.Timer(0.3, proceed.set).start()
        assert client.read_final().status == 200
    assert gateway.child.wait(5) == 0


@pytest.mark.once
def test_listeners_and_workers_may_change_with_it(start_gateway, backend, heirs):
    gateway = start_gateway(backend, listen=["127.0.0.1:0", "127.0.0.2:0"], workers=3)
    kept, gone = (tuple(text.rsplit(":", 1)) for text in gateway.wait_event("gateway.ready")["listeners"])
    gone = (gone[0], int(gone[1]))
    fresh = NewConnections(gateway.address, 3)
    gateway.write_config(merged(gateway.settings, {"listen": ["127.0.0.1:0", "127.0.0.3:0"], "workers": 2}))
    gateway.command("upgrade")
    heir = heirs.of(gateway)
    ready = gateway.events("gateway.ready", pid=heir)[0]["listeners"]
    assert ready[0] == ":".join(kept)
    added = ready[1].rsplit(":", 1)
    assert fetch((added[0], int(added[1])), request("GET", "/")).status == 200
    wait_until("the end of the removed one", lambda: socket.socket().connect_ex(gone) != 0)
    for _ in range(100):
        assert gateway.get("/").status == 200
    fresh.stop()
    assert fresh.bad == [] and sum(fresh.refused) == 0


def test_sockets_of_a_service_manager_go_through_many_hands(start_gateway, backend, heirs):
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        given.listen(64)
        gateway = start_gateway(
            backend, environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "listen"}, descriptors=[given.fileno()],
            listen=["127.0.0.1:0"])
        process = gateway.child.pid
        for _ in range(2):
            os.kill(process, signal.SIGUSR2)
            process = heirs.after(gateway, process)
            assert fetch(given.getsockname(), request("GET", "/")).status == 200
        os.kill(process, signal.SIGTERM)
        wait_until("the end", lambda: not Heirs.runs(process))
        with socket.create_connection(given.getsockname()):
            pass  # the manager's socket lives on


def test_descriptors_do_not_grow_with_failed_upgrades(start_gateway, backend, program):
    gateway = start_gateway(backend, program=program, workers=1)
    assert gateway.get("/").status == 200, "the worker has all that it will have"
    replace(program, "#!/bin/sh\nexit 3\n")
    gateway.command("upgrade", check=False)
    before = gateway.open_files()
    for _ in range(10):
        gateway.command("upgrade", check=False)
    wait_until("no more", lambda: gateway.open_files() <= before)


def test_the_service_manager_follows_the_new_process(start_gateway, backend, heirs, directory):
    manager = Manager(str(directory / "notify"))
    gateway = start_gateway(
        backend, environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "600000", "WATCHDOG_PID": ""})
    gateway.command("upgrade")
    heir = heirs.of(gateway)
    wait_until("MAINPID", lambda: manager.moments()[-1] == {"MAINPID": str(heir), "READY": "1"})
    assert gateway.child.wait(10) == 0
    before = len(manager.heard("WATCHDOG"))
    wait_until("signs of the new one's life", lambda: len(manager.heard("WATCHDOG")) > before + 2)
    assert manager.moments() == [{"READY": "1"}, {"MAINPID": str(heir), "READY": "1"}], "the former is silent"
    os.kill(heir, signal.SIGTERM)
    wait_until("STOPPING", lambda: manager.moments()[-1] == {"STOPPING": "1"})
    manager.close()


def test_when_the_new_one_dies_the_former_counts_to_its_end(start_gateway, backend, heirs, address):
    proceed = threading.Event()

    def handler(exchange):
        if exchange.request.field("X-Slow"):
            proceed.wait(10)
        return answer(401)

    backend.handler = handler
    gateway = start_gateway(backend, timeouts={"drain": "10s"}, login={"limit": 1})
    with gateway.connect(address) as slow:
        slow.send(json_request("POST", "/auth/login", {"username": "a"}, {"X-Slow": "1"}))
        backend.wait_for(1)
        gateway.command("upgrade")
        heir = heirs.of(gateway)
        os.kill(heir, signal.SIGKILL)
        gateway.wait_event("upgrade.successor_lost")
        proceed.set()
        assert slow.read_final().status == 401
    assert gateway.child.wait(5) == 0
    assert gateway.events("security.block_set"), "it was counted, and blocked"
