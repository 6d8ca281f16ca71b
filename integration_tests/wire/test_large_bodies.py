"""Bodies of 2 GB, with a side that stops reading now and then: the gateway's memory must not notice."""

import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from harness.backend import Exchange, answer
from harness.client import request

SIZE = int(os.environ.get("LARGE_BODY_BYTES", 2 * 1024**3))
PIECE = memoryview(bytes(262_144))
ALLOWED_GROWTH = 10 * 1024**2
PAUSE = 1.5


def send_all(outgoing: socket.socket, size: int, slow: bool) -> None:
    left = size
    while left:
        if slow and pauses_at(size - left):
            time.sleep(PAUSE)
        piece = PIECE[:min(left, len(PIECE))]
        outgoing.sendall(piece)
        left -= len(piece)


def receive_all(receive: Callable[[memoryview], int], size: int, slow: bool) -> int:
    """Bytes received; stops at `size` or at the end of the connection."""
    buffer = memoryview(bytearray(1 << 20))
    received, next_pause = 0, 0
    while received < size:
        if slow and received >= next_pause:
            time.sleep(PAUSE)
            next_pause += SIZE // 3
        count = receive(buffer[:min(len(buffer), size - received)])
        if count == 0:
            break
        received += count
    return received


def pauses_at(position: int) -> bool:
    return position % (SIZE // 3 // len(PIECE) * len(PIECE)) == 0


def growth_during(gateway, work: Callable[[], None]) -> int:
    """By how many bytes the gateway's resident memory rose above its start, at its highest."""
    for _ in range(4):
        gateway.get("/warm")
    gateway.child.reset_resident_peak()
    before = gateway.child.resident()
    work()
    return gateway.child.resident_peak() - before


@pytest.mark.parametrize("slow", ["client", "backend", "neither"])
def test_an_upload(gateway, backend, slow, record_property):
    received = []

    def swallow(exchange: Exchange) -> bytes:
        if exchange.request.method == "GET":
            return answer()
        first = len(exchange.buffered())
        received.append(first + receive_all(exchange.socket.recv_into, SIZE - first, slow == "backend"))
        exchange.request.complete.set()
        return answer(201, b"stored")

    backend.handler = swallow

    def upload() -> None:
        with gateway.connect(timeout=60) as client:
            client.send(request("PUT", "/large", {"Content-Length": str(SIZE)}))
            send_all(client.socket, SIZE, slow == "client")
            assert client.read_final().status == 201

    growth = growth_during(gateway, upload)
    record_property("resident_growth_bytes", growth)
    assert received == [SIZE]
    assert growth < ALLOWED_GROWTH


@pytest.mark.parametrize("slow", ["client", "backend", "neither"])
def test_a_download(gateway, backend, slow, record_property):
    def pour(exchange: Exchange) -> bytes | None:
        if exchange.request.target == "/warm":
            return answer()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        send_all(exchange.socket, SIZE, slow == "backend")
        return None

    backend.handler = pour
    received = []

    def download() -> None:
        with gateway.connect(timeout=60) as client:
            head = client.send(request("GET", "/large")).read_head()
            assert head.field("Content-Length") == str(SIZE)
            first = len(client.buffered())
            received.append(first + receive_all(client.socket.recv_into, SIZE - first, slow == "client"))

    growth = growth_during(gateway, download)
    record_property("resident_growth_bytes", growth)
    assert received == [SIZE]
    assert growth < ALLOWED_GROWTH


def test_fifty_uploads_to_a_backend_that_does_not_read_hold_little_memory(gateway, backend):
    release = threading.Event()

    def stuck(exchange: Exchange) -> bytes:
        if exchange.request.method == "PUT":
            release.wait(30)
            exchange.close()
        return answer()

    backend.handler = stuck

    def upload() -> None:
        clients = [gateway.connect() for _ in range(50)]
        for client in clients:
            client.send(request("PUT", "/large", {"Content-Length": str(SIZE)}))
            client.socket.setblocking(False)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for client in clients:
                try:
                    client.socket.send(PIECE)
                except BlockingIOError:
                    continue
            time.sleep(0.02)
        release.set()
        for client in clients:
            client.close()

    assert growth_during(gateway, upload) < 2 * ALLOWED_GROWTH


def test_large_uploads_do_not_starve_a_small_request(gateway, backend):
    backend.handler = lambda exchange: answer(body=str(len(exchange.read_body())).encode())
    uploads = [gateway.connect(timeout=60) for _ in range(8)]
    size = 64 * 1024**2
    body = bytes(size)
    threads = [
        threading.Thread(target=client.send, args=(request("PUT", "/large", body=body),)) for client in uploads]
    for thread in threads:
        thread.start()
    slowest = 0.0
    for _ in range(50):
        began = time.monotonic()
        assert gateway.get("/small").status == 200
        slowest = max(slowest, time.monotonic() - began)
    for thread, client in zip(threads, uploads, strict=True):
        thread.join()
        assert client.read_final().body == str(size).encode()
        client.close()
    assert slowest < 2
