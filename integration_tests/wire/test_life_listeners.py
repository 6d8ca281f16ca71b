"""Listeners that come and go with a reload, and storms of reloads under load."""

import os
import signal
import time

import pytest

from harness.client import Client, request
from harness.gateway import merged
from harness.load import Load, NewConnections, failed
from harness.processes import answers, free_port, wait_until

# The full length by GATEWAY_TEST_LONG=1.
SECONDS = 60.0 if os.environ.get("GATEWAY_TEST_LONG") else 6.0


def reload(gateway, settings=None):
    gateway.write_config(settings)
    return gateway.command_json("reload")


def test_a_new_listener_serves_after_a_reload_and_the_others_go_on(gateway):
    port = free_port()
    with gateway.connect() as kept:
        assert kept.ask(request("GET", "/")).status == 200
        reload(gateway, merged(gateway.settings, {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]}))
        wait_until("the new listener", lambda: answers(port))
        with Client(("127.0.0.1", port)) as client:
            assert client.ask(request("GET", "/")).status == 200
        assert kept.ask(request("GET", "/")).status == 200, "a connection of before is served on"
    assert gateway.get("/").status == 200, "port 0 kept the port that the system chose"
    assert f"127.0.0.1:{port}" in gateway.events("gateway.reloaded")[-1]["listeners"]


@pytest.mark.once
def test_a_removed_listener_answers_everyone_who_reached_it(start_gateway, backend):
    """Thousands of connections, one for each request, while it is added and removed: none is reset, all who come after
    its end are refused."""
    port = free_port()
    gateway = start_gateway(backend)
    without = gateway.settings
    both = merged(without, {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]})
    served = 0
    for _ in range(5):
        reload(gateway, both)
        wait_until("the listener", lambda: answers(port))
        load = NewConnections(("127.0.0.1", port), 8)
        wait_until("the load", lambda: sum(load.good) > 200)
        reload(gateway, without)
        load.wait_for_refusal()
        assert load.bad == []
        served += sum(load.good)
    assert served > 1000
    assert gateway.get("/").status == 200


def test_connections_of_a_removed_listener_are_served_on(gateway):
    port = free_port()
    without = gateway.settings
    reload(gateway, merged(without, {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]}))
    wait_until("the listener", lambda: answers(port))
    with Client(("127.0.0.1", port)) as client:
        assert client.ask(request("GET", "/")).status == 200
        reload(gateway, without)
        wait_until("its end", lambda: not answers(port))
        assert client.ask(request("GET", "/")).status == 200


def test_a_listener_may_come_back(gateway):
    port = free_port()
    without = gateway.settings
    both = merged(without, {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]})
    for _ in range(3):
        reload(gateway, both)
        wait_until("the listener", lambda: answers(port))
        reload(gateway, without)
        wait_until("its end", lambda: not answers(port))


def test_a_listener_that_cannot_be_opened_refuses_the_whole_reload(gateway, start_backend):
    taken = start_backend().address
    before = gateway.ask_admin("/health/detailed").json()
    gateway.write_config(merged(gateway.settings, {
        "listen": ["127.0.0.1:0", taken], "routes": [{"path": "/only", "upstream": "api", "auth": "none"}]}))
    run = gateway.command("reload", check=False)
    assert run.returncode == 1
    assert "listen" in run.stderr and taken in run.stderr and "in use" in run.stderr
    assert ".conf:" in run.stderr, "with the place in the file"
    refused = gateway.wait_event("gateway.reload_failed")
    assert taken in "".join(refused["diagnostics"])
    assert gateway.get("/").status == 200, "the old routes are in force"
    after = gateway.ask_admin("/health/detailed").json()
    assert after["configuration"]["generation"] == before["configuration"]["generation"]
    assert after["listeners"] == before["listeners"]


@pytest.mark.once
def test_reload_every_100_ms_under_load_fails_no_request(start_gateway, backend):
    """Routes, limits and listeners change with every reload; connections are kept alive, and made for each request."""
    gateway = start_gateway(backend)
    port = free_port()
    plain = gateway.settings
    variants = [
        plain,
        merged(plain, {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"], "limits": {"fields": 50}}),
        merged(plain, {"routes": [*plain["routes"], {"path": "/more", "upstream": "api", "auth": "none"}]}),
    ]
    fresh = NewConnections(gateway.address, 4)
    reloads = 0
    with Load(gateway.address, request("GET", "/"), 8, pause=0.001) as load:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            gateway.write_config(variants[reloads % len(variants)])
            gateway.signal(signal.SIGHUP)
            reloads += 1
            time.sleep(0.1)
        samples = load.stop()
    fresh.stop()
    wait_until("the last reload", lambda: len(gateway.events("gateway.reloaded")) >= reloads * 0.8)
    assert gateway.events("gateway.reload_failed") == []
    assert fresh.bad == [] and sum(fresh.refused) == 0
    assert failed(samples) == [] and sum(fresh.good) > 50
    print(f"{reloads} reloads, {len(samples)} requests on kept connections, {sum(fresh.good)} on new ones, 0 failed")


def test_two_hundred_reloads_leave_no_memory_and_no_descriptors_behind(start_gateway, backend):
    gateway = start_gateway(backend)
    port = free_port()
    variants = [gateway.settings, merged(gateway.settings, {"listen": ["127.0.0.1:0", f"127.0.0.1:{port}"]})]

    def reload_times(count):
        for number in range(count):
            reload(gateway, variants[number % 2])
        wait_until("the removed listener's end", lambda: gateway.open_files("socket") <= sockets + 4)

    sockets = gateway.open_files("socket")
    reload_times(50)
    before, files = gateway.child.resident(), gateway.open_files()
    reload_times(200)
    # A generation with its metrics and routes is some 100 KiB; a leak of each would be 20 MiB.
    assert gateway.child.resident() - before < 6 << 20
    wait_until("no descriptor more", lambda: gateway.open_files() <= files + 2)


def test_a_storm_of_signals_is_served_by_few_reloads_and_the_last_file_wins(gateway):
    changed = merged(gateway.settings, {"routes": [{"path": "/last", "upstream": "api", "auth": "none"}]})
    for _ in range(300):
        gateway.signal(signal.SIGHUP)
    gateway.write_config(changed)
    gateway.signal(signal.SIGHUP)
    wait_until("the last file", lambda: gateway.get("/last").status == 200 and gateway.get("/").status == 404)
    assert len(gateway.events("gateway.reloaded")) < 100
