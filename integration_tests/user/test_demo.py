"""`make run` as a newcomer meets it: five wrong logins, the block, its end, a login and /me; and all of it a second time."""

import json
import os
import signal
from pathlib import Path

import pytest

from harness.client import fetch, json_request, request
from harness.gateway import ROOT, binary, run_binary
from harness.processes import NotReady, Process, answers, free_port, wait_until
from harness.programs import missing
from harness.tokens import bearer

WRONG = json_request("POST", "/auth/login", {"username": "alice", "password": "wrong"})
RIGHT = json_request("POST", "/auth/login", {"username": "alice", "password": "correct horse"})


def ready_line(demo: Process) -> dict | None:
    if not demo.running:
        raise NotReady(demo.log())
    lines = (json.loads(line) for line in demo.log().split("\n")[:-1] if line.startswith("{"))
    return next((line for line in lines if line.get("event") == "gateway.ready"), None)


def test_the_demo_runs_twice_and_leaves_nothing_behind(directory):
    if binary() != (ROOT / ".build" / "release" / "gateway").resolve():
        # Asked for, as by scripts/sanitize: nothing is missing then, in CI either.
        if "TESTED_GATEWAY" in os.environ:
            pytest.skip("the demo runs the release build, and TESTED_GATEWAY names another program")
        missing("there is no release build, which the demo runs: make release")
    for round_number in (1, 2):
        api_port = free_port()
        demo = Process(f"demo-{round_number}", [ROOT / "scripts" / "run-demo"], directory, {
            "DEMO_DIRECTORY": str(directory), "DEMO_API_PORT": str(api_port), "GATEWAY_PORT": "0",
            "GATEWAY_ADMIN__LISTEN": "127.0.0.1:0"})
        try:
            ready = wait_until("the demo is ready", lambda demo=demo: ready_line(demo), 30, every=0.05)
            gateway_port = int(ready["listeners"][0].rpartition(":")[2])
            newcomer(("127.0.0.1", gateway_port), ready["admin_socket"])
            if round_number == 2:
                # Another process serves then, which is no child of the script's; all that it needs stays.
                run_binary("upgrade", "--socket", ready["admin_socket"], check=True)
                wait_until("the former process has ended", lambda pid=ready["pid"]: not Path(f"/proc/{pid}").exists())
                newcomer(("127.0.0.1", gateway_port), ready["admin_socket"])
        finally:
            # Ctrl-C in a terminal reaches the whole process group.
            if demo.running:
                os.killpg(demo.pid, signal.SIGINT)
        assert demo.wait(30) == 0
        assert not answers(api_port) and not answers(gateway_port)


def newcomer(gateway: tuple[str, int], admin_socket: str) -> None:
    assert [fetch(gateway, WRONG).status for _ in range(5)] == [401] * 5
    assert fetch(gateway, WRONG).code == "AUTH_004"
    run_binary("unblock", "127.0.0.1", "--socket", admin_socket, check=True)
    session = wait_until("login works", lambda: fetch(gateway, RIGHT).status == 200 and fetch(gateway, RIGHT), 1)
    me = fetch(gateway, request("GET", "/me", bearer(session.json()["access_token"])))
    assert me.status == 200
    assert ["x-user-id", "alice"] in me.json()["gateway_fields"]
