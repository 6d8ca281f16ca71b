"""Many clients at once, each in a thread of its own."""

import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .client import Client, ConnectionEnded, request
from .processes import wait_until


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Runs `work(0…count-1)` in as many threads, released at the same moment; the results in order."""
    gate = threading.Barrier(count)

    def released(index: int) -> Any:
        gate.wait(30)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(released, range(count)))


@dataclass(frozen=True)
class Sample:
    """One request of a load: monotonic seconds of its first byte and of its answer. Status 0: the connection ended."""

    began: float
    ended: float
    status: int
    code: str | None


class Load:
    """`connections` keep-alive clients that ask the same thing again and again until `stop`."""

    def __init__(
        self, address: tuple[str, int], data: bytes, connections: int, source: str | None = None, pause: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address, self._data, self._source, self._pause, self._tls = address, data, source, pause, tls
        self._samples: list[list[Sample]] = [[] for _ in range(connections)]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(own,), daemon=True) for own in self._samples]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, samples: list[Sample]) -> None:
        while not self._stopping.is_set():
            try:
                with Client(
                    self._address, self._source, tls=self._tls, server_name="gateway.test" if self._tls else None,
                ) as client:
                    self._ask_on(client, samples)
            except OSError:
                self._stopping.wait(0.01)

    def _ask_on(self, client: Client, samples: list[Sample]) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                response = client.ask(self._data)
            except (ConnectionEnded, OSError):
                samples.append(Sample(began, time.monotonic(), 0, None))
                return
            samples.append(Sample(began, time.monotonic(), response.status, response.code))
            if response.field("Connection") == "close":
                return
            if self._pause:
                self._stopping.wait(self._pause)

    def stop(self) -> list[Sample]:
        """Every sample by its beginning."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)
        return sorted((sample for own in self._samples for sample in own), key=lambda sample: sample.began)


class NewConnections:
    """A load of `threads` clients that make a connection for each request, until `stop` or until they are refused."""

    def __init__(
        self, address: tuple[str, int], threads: int, data: bytes | None = None, tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address, self._data, self._tls = address, data or request("GET", "/", {"Connection": "close"}), tls
        self._stopping = threading.Event()
        self.good, self.refused = [0] * threads, [0] * threads
        self.bad: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(index,), daemon=True) for index in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self, index: int) -> None:
        while not self._stopping.is_set():
            try:
                client = Client(self._address, tls=self._tls, server_name="gateway.test" if self._tls else None)
            except ConnectionRefusedError:
                self.refused[index] += 1
                return
            except OSError as problem:
                self.bad.append(repr(problem))
                continue
            with client:
                try:
                    status = client.ask(self._data).status
                except (OSError, ConnectionEnded) as problem:
                    self.bad.append(repr(problem))
                    continue
            if status == 200:
                self.good[index] += 1
            else:
                self.bad.append(str(status))

    def stop(self) -> "NewConnections":
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)
        return self

    def wait_for_refusal(self) -> "NewConnections":
        """Until every thread was told that nobody listens there any more."""
        wait_until("the listener is gone", lambda: all(self.refused), 10)
        return self.stop()
