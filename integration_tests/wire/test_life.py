"""Start, reload, drain and stop, as operators and supervisors see them."""

import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from harness.backend import Exchange, answer
from harness.client import ConnectionEnded, request
from harness.gateway import Gateway, config, merged, run_binary
from harness.load import Load
from harness.processes import Process, free_port, wait_until


def test_the_ready_line_names_what_was_bound(gateway):
    ready = gateway.wait_event("gateway.ready")
    assert ready["pid"] == gateway.child.pid
    assert gateway.address[1] > 0 and gateway.admin[1] > 0
    assert gateway.get("/").status == 200


def test_sigterm_lets_a_request_under_way_finish_and_exits_0(gateway, backend):
    proceed = threading.Event()

    def waits(exchange: Exchange) -> bytes:
        proceed.wait(10)
        return answer(body=b"finished")

    backend.handler = waits
    with gateway.connect() as client, gateway.connect() as idle:
        client.send(request("GET", "/"))
        backend.wait_for(1)
        gateway.signal(signal.SIGTERM)
        assert idle.ended(5), "a connection without a request is closed soon"
        proceed.set()
        response = client.read_response()
        assert response.body == b"finished"
        assert response.field("Connection") == "close"
    assert gateway.child.wait(5) == 0
    assert gateway.events("gateway.stopped")


def test_a_connection_made_while_draining_begins_is_refused_or_closed_and_never_left_hanging(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"drain": "5s"})

    def slow(exchange: Exchange) -> bytes:
        if exchange.request.target == "/slow":
            time.sleep(2)
        return answer()

    backend.handler = slow
    with gateway.connect() as busy:
        busy.send(request("GET", "/slow"))
        backend.wait_for(1)
        gateway.signal(signal.SIGTERM)
        for _ in range(30):
            began = time.monotonic()
            try:
                with gateway.connect() as late:
                    late.ask(request("GET", "/late"))
            except (OSError, ConnectionEnded):
                pass
            # A SYN that falls into the listener's last moments is dropped; the client's system repeats it after 1 s.
            assert time.monotonic() - began < 4
        assert busy.read_response().status == 200


def test_sigterm_cuts_what_does_not_finish_by_the_deadline(start_gateway, backend):
    gateway = start_gateway(backend, timeouts={"drain": "1s"})

    def never(exchange: Exchange) -> bytes:
        time.sleep(8)
        return answer()

    backend.handler = never
    with gateway.connect() as client:
        client.send(request("GET", "/"))
        backend.wait_for(1)
        began = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert gateway.child.wait(6) == 0
        assert 0.8 <= time.monotonic() - began <= 4


def test_sigterm_without_connections_ends_within_a_second(gateway):
    gateway.signal(signal.SIGTERM)
    assert gateway.child.wait(5) == 0
    assert gateway.events("gateway.stopped")[-1]["took_ms"] < 1_000


@pytest.mark.once
def test_sighup_under_load_drops_nothing_and_takes_the_new_routes(gateway, backend):
    changed = merged(gateway.settings, {"routes": [
        *gateway.settings["routes"], {"path": "/closed", "upstream": "api", "auth": "required"}],
        "tokens": {"keys": [{"id": "main", "secret": "s" * 32, "algorithms": ["HS256"]}]}})
    assert gateway.get("/closed").status == 200
    with Load(gateway.address, request("GET", "/"), 16, pause=0.001) as load:
        for round_number in range(6):
            time.sleep(0.15)
            gateway.write_config(changed)
            gateway.signal(signal.SIGHUP)
            wait_until("the reload", lambda done=round_number: len(gateway.events("gateway.reloaded")) > done)
        samples = load.stop()
    assert {sample.status for sample in samples} == {200}
    assert gateway.get("/closed").status == 401


def signals_wait(process: Process, *names: str) -> bool:
    """Whether each of the signals is blocked or handled."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    masks = [int(mask, 16) for mask in re.findall(r"^Sig(?:Blk|Cgt):\s*(\w+)", status, re.MULTILINE)]
    return all((masks[0] | masks[1]) >> (getattr(signal, name) - 1) & 1 for name in names)


def test_signals_before_it_serves_end_nothing_and_a_reload_is_made_up_for(directory, backend):
    early = ("SIGHUP", "SIGUSR1", "SIGUSR2")
    # A Redis that accepts and says nothing: until `startup_wait` is over nobody is served.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gateway = Gateway(directory, merged(config(backend.address, directory), {
            "redis": {"address": f"127.0.0.1:{silent.getsockname()[1]}", "startup_wait": "2s"}}))
        starter = threading.Thread(target=gateway.start)
        starter.start()
        try:
            process = wait_until("the process", lambda: gateway.process)
            wait_until("signals wait", lambda: signals_wait(process, *early))
            assert gateway.events("gateway.ready") == []
            for name in early:
                process.signal(getattr(signal, name))
            refused = gateway.wait_event("upgrade.failed")
            assert refused["reason"] == "this process does not serve yet"
            gateway.wait_event("gateway.reloaded", 15)
            assert process.running and gateway.get("/").status == 200
        finally:
            starter.join(20)
            gateway.stop()


@pytest.mark.parametrize("broken", ["routes: [", '{"listne": []}'])
def test_sighup_with_a_bad_file_keeps_the_old_one_and_says_why(gateway, broken):
    gateway.config_path.write_text(broken)
    gateway.signal(signal.SIGHUP)
    refused = gateway.wait_event("gateway.reload_failed")
    assert re.search(r"gateway\.conf:[12]:\d", "".join(refused["diagnostics"]))
    assert gateway.get("/").status == 200
    assert gateway.child.running


def test_sigusr1_reopens_the_logs(start_gateway, backend, directory):
    path = directory / "access.json"
    gateway = start_gateway(backend, logs={"access": str(path)})
    gateway.get("/before")
    wait_until("the line", lambda: path.exists() and "/before" in path.read_text())
    rotated = path.rename(directory / "access.json.1")
    gateway.signal(signal.SIGUSR1)
    wait_until("the new file", path.exists)
    gateway.get("/after")
    wait_until("the line in the new file", lambda: "/after" in path.read_text())
    assert "/after" not in rotated.read_text()


def test_a_second_gateway_on_the_port_fails_with_an_exit_code(gateway, start_gateway, backend, directory):
    port = gateway.address[1]
    taken = directory / "taken.conf"
    taken.write_text(gateway.config_path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1).replace(
        "/state", "/other"))
    taken.chmod(0o600)
    run = run_binary("run", "--config", taken)
    assert run.returncode == 71
    assert str(port) in run.stderr + run.stdout


def test_a_mistake_in_the_configuration_exits_78_and_points_at_it(directory):
    path = directory / "gateway.conf"
    path.write_text("upstreams:\n  api: {servers: [127.0.0.1:9]}\nroutes:\n  - {path: /, upstraem: api}\n")
    for verb in ("run", "check"):
        run = run_binary(verb, "--config", path)
        assert run.returncode == 78
        assert "gateway.conf:4:" in run.stderr
        assert "did you mean" in run.stderr and "upstream" in run.stderr


def test_check_accepts_the_configuration_that_runs(gateway):
    run = run_binary("check", "--config", gateway.config_path)
    assert run.returncode == 0, run.stderr


def test_the_environment_overrides_the_file(start_gateway, backend):
    port = free_port()
    gateway = start_gateway(backend, environment={"GATEWAY_PORT": str(port), "GATEWAY_HOST": "127.0.0.1"})
    assert gateway.address == ("127.0.0.1", port)


def test_health_on_the_public_listener_and_in_detail_for_operators(gateway):
    public = gateway.get("/health")
    assert public.status == 200
    assert public.json()["status"] == "healthy"
    detailed = gateway.ask_admin("/health/detailed")
    assert detailed.status == 200 and detailed.json()["status"] == public.json()["status"]


def test_status_and_version_on_the_command_line(gateway):
    assert gateway.command("version").stdout.strip()
    assert gateway.command_json("status")
