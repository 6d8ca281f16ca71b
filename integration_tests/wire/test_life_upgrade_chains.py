"""Upgrades one after another, with long exchanges open in each of the processes: one process is left, and no exchange
is ended before its time."""

import time

import pytest

from harness.backend import answer
from harness.bodies import digest
from harness.client import ConnectionEnded, json_request
from harness.heirs import Heirs, processes
from harness.long_exchanges import UPLOAD
from harness.processes import wait_until


def comes_to_an_end(client) -> bool:
    """Whatever it was, nothing more comes; a client that waits in vain fails here."""
    try:
        client.read_to_end()
    except (ConnectionResetError, ConnectionEnded):
        pass
    return True


def test_three_upgrades_with_everything_open_leave_one_process_and_nothing_hangs(start_house):
    house = start_house(drain="1500ms")
    clients, formers, began = [], [], []
    for _ in range(3):
        # None of these ends by itself.
        clients += [
            house.half_an_upload(), house.half_an_upload(secure=True), house.part_of_a_download(),
            house.an_event_stream(), house.a_websocket(), house.a_websocket(secure=True), house.a_poll()]
        began.append(time.monotonic())
        formers.append(house.upgrade())
        assert Heirs.runs(formers[-1]), "it still finishes"
    ended = {}

    def all_have_ended() -> bool:
        for former in formers:
            if former not in ended and not Heirs.runs(former):
                ended[former] = time.monotonic()
        return len(ended) == 3

    wait_until("the ends of the former ones", all_have_ended, 10)
    for former, start in zip(formers, began):
        assert 1.5 <= ended[former] - start < 1.5 + 4, "at its deadline, which is its own"
    assert processes(house.gateway) == [house.process]
    assert all(map(comes_to_an_end, clients))
    assert house.gateway.get("/").status == 200
    stopped = house.gateway.events("gateway.stopped")
    assert [line["cut_connections"] for line in stopped] == [7, 7, 7]


def test_a_second_upgrade_leaves_the_first_process_its_time(start_house):
    """The process between the two has nothing to finish, and stays to carry the first one's failed logins to the last."""
    house = start_house(drain="20s")
    first = house.gateway.child
    with house.half_an_upload() as client, house.an_event_stream() as stream:
        house.upgrade()
        second = house.upgrade()
        assert stream.silent(0.5), "it goes on"
        assert first.running and Heirs.runs(second)
        response = client.send(UPLOAD[len(UPLOAD) // 2:]).read_final()
        assert (response.status, response.body) == (200, digest(UPLOAD))
    assert first.wait(5) == 0
    wait_until("one process", lambda: processes(house.gateway) == [house.process])


@pytest.mark.parametrize("kind", ["embedded", "redis"])
def test_a_login_that_fails_in_the_first_of_three_processes_counts_in_the_last(start_house, request, address, kind):
    """The one between is still there, but has no ledger any more."""
    redis = request.getfixturevalue("redis") if kind == "redis" else None
    house = start_house(drain="20s", redis=redis, login={"limit": 2})
    service = house.service

    def refuses(exchange):
        if exchange.request.target != "/auth/login":
            return service(exchange)
        if exchange.request.field("X-Slow"):
            service.late.wait(10)
        return answer(401)

    house.backend.handler = refuses

    def login(fields=None):
        return json_request("POST", "/auth/login", {"username": "a", "password": "b"}, fields)

    with house.gateway.connect(address) as slow:
        slow.send(login({"X-Slow": "1"}))
        house.backend.wait_for(1)
        house.upgrade()
        with house.half_an_upload() as keeps_the_second:
            house.upgrade()
            assert house.gateway.fetch(login(), address).status == 401, "the first failure, at the last process"
            service.late.set()
            assert slow.read_final().status == 401, "the second, at the first process"
            assert house.gateway.fetch(login(), address).code == "AUTH_004", "it was counted, and blocked"
            keeps_the_second.send(UPLOAD[len(UPLOAD) // 2:]).read_final()
    wait_until("one process", lambda: processes(house.gateway) == [house.process])
