"""Many connections that misbehave, driven by one thread, and the honest client beside them."""

import itertools
import select
import socket
import threading
import time
from collections.abc import Iterator

from .client import Client, ConnectionEnded, request
from .gateway import Gateway
from .processes import wait_until

Address = tuple[str, int]


def sources(network: int, count: int = 8) -> Iterator[str]:
    """Addresses 127.<network>.0.1 and up, in turn."""
    return itertools.cycle(f"127.{network}.0.{number}" for number in range(1, count + 1))


def knock(address: Address, source: str, receive_buffer: int | None = None) -> socket.socket:
    """A connected socket that does not block, from an address of its own."""
    client = socket.socket()
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    # Connections from many addresses need not have ports of their own.
    client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    client.bind((source, 0))
    client.settimeout(10)
    client.connect(address)
    client.setblocking(False)
    return client


class Attack:
    """Keeps `count` connections open: what the gateway ends is opened again. Each sends `first`, then one `drip` whenever
    `pause` seconds have passed. Without `reads` it takes nothing of what it is answered. At most `rate` connections are
    opened in a second, so that an attack on places or memory does not become one on the processor."""

    def __init__(
        self, address: Address, count: int, first: bytes = b"", drip: bytes = b"", pause: float = 0.5, network: int = 77,
        receive_buffer: int | None = None, reads: bool = True, rate: float = 5_000,
    ) -> None:
        names = sources(network)
        self._make = lambda: knock(address, next(names), receive_buffer)
        self._first, self._drip, self._pause, self._reads, self._rate = first, drip, pause, reads, rate
        self.opened = self.ended = 0
        self._count = count
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Attack":
        self._thread.start()
        wait_until("the attack has opened all its connections once", lambda: self.opened >= self._count, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(20)
        for client in self._sockets.values():
            client.close()
        self._poll.close()

    def _open(self) -> None:
        client = self._make()
        self.opened += 1
        self._sockets[client.fileno()] = client
        # Errors and the end of both sides are always told.
        self._poll.register(client, select.EPOLLIN | select.EPOLLRDHUP if self._reads else 0)
        self._send(client, self._first)

    def _send(self, client: socket.socket, data: bytes) -> None:
        try:
            if data:
                client.send(data)
        except OSError:
            return

    def _run(self) -> None:
        missing = self._count
        due = last = time.monotonic()
        allowed = 0.0
        while not self._stopping.is_set():
            over = [client for client, events in self._events() if self._is_over(client, events)]
            for client in over:
                self._poll.unregister(client)
                del self._sockets[client.fileno()]
                client.close()
            self.ended += len(over)
            missing += len(over)
            now = time.monotonic()
            allowed = min(allowed + (now - last) * self._rate, 0.1 * self._rate)
            last = now
            for _ in range(min(missing, int(allowed))):
                self._open()
                missing -= 1
                allowed -= 1
            if now >= due:
                due += self._pause
                for client in self._sockets.values():
                    self._send(client, self._drip)

    def _events(self) -> list[tuple[socket.socket, int]]:
        return [(self._sockets[number], events) for number, events in self._poll.poll(0.02)]

    def _is_over(self, client: socket.socket, events: int) -> bool:
        if events & (select.EPOLLERR | select.EPOLLHUP):
            return True
        try:
            return client.recv(65_536) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


class Honest:
    """A client of its own address that asks on a fresh connection, again and again, beside an attack."""

    def __init__(self, address: Address, source: str, data: bytes = request("GET", "/")) -> None:
        self._address, self._source, self._data = address, source, data
        self.statuses: list[int] = []
        self.slowest = 0.0

    def ask(self, seconds: float, pause: float = 0.01) -> list[int]:
        """The statuses of all requests of that time; 0 for one that got no answer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                with Client(self._address, self._source, timeout=10) as client:
                    self.statuses.append(client.ask(self._data).status)
            except (ConnectionEnded, OSError):
                self.statuses.append(0)
            self.slowest = max(self.slowest, time.monotonic() - began)
            time.sleep(pause)
        return self.statuses


def all_served(honest: Honest, seconds: float, at_least: int, lost: float = 0) -> None:
    """Every request of the honest client was answered 200, and there were enough of them to mean something.

    `lost`: the share of requests that may end unanswered or with 503, where the attack takes every place at once: on a
    machine that is slow to read a new connection its place may be gone before its request is seen, and one that is slow to
    serve the attackers may not know yet which of them is slow.
    """
    statuses = honest.ask(seconds)
    counts = {status: statuses.count(status) for status in set(statuses)}
    assert counts.keys() <= {200, 0, 503} and len(statuses) - counts.get(200, 0) <= lost * len(statuses), counts
    assert len(statuses) >= at_least, len(statuses)


def recovers(gateway: Gateway, timeout: float = 15.0) -> None:
    """Nothing of the attack is left: no connections, no buffers worth mentioning, and the next client is served."""
    wait_until("the attack's connections are gone", lambda: gateway.metrics()["gateway_client_connections"] == 0, timeout)
    # Each worker keeps up to 256 buffers of 16 KiB for the exchanges to come.
    wait_until("its buffers, too", lambda: gateway.metrics()["gateway_buffered_bytes"] <= 2 * 256 * 16_384 + 131_072)
    assert gateway.get("/").status == 200
