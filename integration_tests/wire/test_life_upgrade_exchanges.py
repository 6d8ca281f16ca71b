"""Long exchanges that are open while another process takes over, or while a reload takes away the way they came by."""

import socket
import time

import pytest

from harness.bodies import chunk, digest
from harness.client import request
from harness.event_streams import is_cut, read_event
from harness.long_exchanges import CHANGES, DOWNLOAD, UPLOAD

HALF = len(UPLOAD) // 2
WAYS = {"argnames": "secure", "argvalues": [False, True], "ids": ["plain", "tls"]}


def is_left_to_itself(house, change: str) -> None:
    """The exchange was the last thing that the former process waited for, and nobody else noticed."""
    if change == "upgrade":
        assert house.gateway.child.wait(5) == 0
        assert house.gateway.get("/").status == 200
    else:
        assert house.gateway.events("gateway.draining") == []
        assert house.gateway.child.running and house.gateway.get("/only").status == 200


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(**WAYS)
def test_an_upload_in_its_middle_is_finished_and_arrives_whole(start_house, change, secure):
    house = start_house(drain="20s")
    with house.half_an_upload(secure) as client:
        house.befall(change)
        assert house.gateway.child.running
        response = client.send(UPLOAD[HALF:]).read_final()
        assert (response.status, response.body) == (200, digest(UPLOAD))
        assert response.field("Connection") == ("close" if change == "upgrade" else None)
    is_left_to_itself(house, change)


@pytest.mark.parametrize("change", CHANGES)
def test_so_is_one_in_chunks(start_house, change):
    house = start_house(drain="20s")
    with house.connect() as client:
        client.send(request("PUT", "/upload", {"Transfer-Encoding": "chunked"}) + chunk(UPLOAD[:HALF]))
        house.backend.wait_for(1)
        house.befall(change)
        assert client.send(chunk(UPLOAD[HALF:]) + chunk(b"")).read_final().body == digest(UPLOAD)
    is_left_to_itself(house, change)


@pytest.mark.parametrize("change", CHANGES)
def test_a_download_in_its_middle_comes_whole_to_a_slow_reader(start_house, change):
    house = start_house(drain="30s")
    with house.part_of_a_download() as client:
        house.befall(change)
        assert not house.service.sent.is_set(), "the backend has more to send"
        assert house.gateway.child.running
        assert client.read_exactly(len(DOWNLOAD) - 100_000) == DOWNLOAD[100_000:]
    is_left_to_itself(house, change)


@pytest.mark.parametrize("change", CHANGES)
def test_a_long_poll_gets_its_late_answer(start_house, change):
    house = start_house(drain="20s")
    with house.a_poll() as client:
        house.befall(change)
        assert client.silent(0.3)
        house.service.late.set()
        assert client.read_final().body == b"at last"
    is_left_to_itself(house, change)


def test_an_event_stream_goes_on_until_the_drain_deadline_and_is_cut_there(start_house):
    house = start_house(drain="2s")
    client = house.an_event_stream()
    before = time.monotonic()
    house.upgrade()
    began = time.monotonic()
    number = 0
    while time.monotonic() < began + 1:
        house.service.events.send(f"data: {number}\n\n")
        assert read_event(client) == f"data: {number}\n\n".encode()
        number += 1
        time.sleep(0.05)
    assert number > 3
    assert is_cut(client)
    assert time.monotonic() - before >= 2, "not before its time"
    assert time.monotonic() - began < 2 + 3, "and not for longer"
    assert house.service.events.cut_off(), "the backend learns it, too"
    assert house.gateway.child.wait(5) == 0


def test_a_stream_that_is_opened_meanwhile_belongs_to_the_new_process(start_house):
    """Nothing of the former one's end is seen in it."""
    house = start_house(drain="500ms")
    former, house_before = house.an_event_stream(), house.gateway.child
    house.upgrade()
    client = house.an_event_stream()
    assert house_before.running, "the former one still finishes"
    assert is_cut(former)
    assert house_before.wait(5) == 0
    house.service.events.send("data: still here\n\n")
    assert read_event(client) == b"data: still here\n\n"


def test_a_reload_ends_neither_a_stream_nor_a_websocket_whose_way_it_takes_away(start_house):
    """They outlive `timeouts.drain` as well: nothing drains."""
    house = start_house(drain="300ms")
    stream, websocket, secure = house.an_event_stream(), house.a_websocket(), house.a_websocket(secure=True)
    house.take_away()
    assert stream.silent(0.8), "longer than a drain"
    house.service.events.send("data: still here\n\n")
    assert read_event(stream) == b"data: still here\n\n"
    assert house.talks(secure)
    websocket.send(b"\x89\x80\0\0\0\0")
    earlier = house.service.chat.sockets[0]
    assert earlier.recv(100) == b"\x89\x80\0\0\0\0"
    earlier.sendall(b"\x8a\0")
    assert websocket.read_exactly(2) == b"\x8a\0"


def test_an_answer_that_did_not_say_that_it_is_the_last_is_not_the_last(start_house):
    """Its head was out before the drain began, and the client may have its next request under way: a POST that nobody
    may send again (RFC 9110 §9.2.2). A connection ends behind an answer that says so (RFC 9112 §9.6), or quietly."""
    house = start_house(drain="20s")
    with house.part_of_a_download() as client:
        house.upgrade()
        assert client.read_exactly(len(DOWNLOAD) - 100_000) == DOWNLOAD[100_000:]
        response = client.ask(request("POST", "/next", body=b"once"))
        assert (response.status, response.field("Connection")) == (200, "close")
    assert house.gateway.child.wait(5) == 0


def test_a_client_that_never_finishes_holds_the_former_process_to_its_deadline(start_house):
    house = start_house(drain="1s")
    upload, download, poll = house.half_an_upload(), house.part_of_a_download(), house.a_poll()
    before = time.monotonic()
    house.upgrade()
    assert house.gateway.child.wait(6) == 0
    assert time.monotonic() - before >= 1
    assert house.gateway.wait_event("gateway.stopped")["cut_connections"] == 3
    for client in (upload, poll):
        assert client.ended()
    download.socket.settimeout(5)
    with pytest.raises((AssertionError, ConnectionResetError, BrokenPipeError)):
        download.read_exactly(len(DOWNLOAD))
    assert socket.create_connection(house.gateway.address), "the new one serves"
