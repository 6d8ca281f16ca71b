"""Many clients at once, each in a thread of its own."""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .client import Client, Response, request
from .processes import wait_until

# What may come of a request that fails: no connection, an end in its middle, or bytes that are no answer.
FAILURES = (OSError, AssertionError, ValueError)


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Runs `work(0…count-1)` in as many threads, released at the same moment; the results in order."""
    gate = threading.Barrier(count)

    def released(index: int) -> Any:
        gate.wait(30)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(released, range(count)))


@dataclass(frozen=True)
class Asked:
    """A request of a load, and the body that a 200 must have; None: any."""

    data: bytes
    body: bytes | None = None

    def fault(self, response: Response) -> str:
        """What is wrong with a 200; empty for nothing."""
        if response.status != 200 or self.body is None or response.body == self.body:
            return ""
        return f"another body, of {len(response.body)} bytes: {response.body[:40]!r}"

    @property
    def line(self) -> str:
        return self.data.split(b"\r\n", 1)[0].decode("latin-1")


def _askings(data: bytes | Sequence[Asked]) -> Sequence[Asked]:
    return [Asked(data)] if isinstance(data, bytes) else data


@dataclass(frozen=True)
class Sample:
    """One request of a load: monotonic seconds of its first byte and of its answer.

    Status 0: the connection ended or was not to be had, or the answer was not the one that was due; `fault` says which.
    """

    began: float
    ended: float
    status: int
    code: str | None
    fault: str = ""


class Load:
    """`connections` keep-alive clients that ask the same again and again until `stop`; several requests take turns.

    Whoever needs a new connection and gets none has a sample of it: that is a failed request, too.
    """

    def __init__(
        self, address: tuple[str, int], data: bytes | Sequence[Asked], connections: int, source: str | None = None,
        pause: float = 0.0, tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address, self._source, self._pause, self._tls = address, source, pause, tls
        self._askings = _askings(data)
        self._samples: list[list[Sample]] = [[] for _ in range(connections)]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(index, own), daemon=True)
            for index, own in enumerate(self._samples)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _run(self, turn: int, samples: list[Sample]) -> None:
        """The first turn of each client is another one."""
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                client = Client(
                    self._address, self._source, tls=self._tls, server_name="gateway.test" if self._tls else None)
            except OSError as problem:
                samples.append(Sample(began, time.monotonic(), 0, None, f"no connection: {problem!r}"))
                self._stopping.wait(0.01)
                continue
            with client:
                turn = self._ask_on(client, turn, samples)

    def _ask_on(self, client: Client, turn: int, samples: list[Sample]) -> int:
        """Returns whose turn is next, when the connection has ended."""
        before = "first of its connection"
        while not self._stopping.is_set():
            asked = self._askings[turn % len(self._askings)]
            turn += 1
            began = time.monotonic()
            try:
                response = client.ask(asked.data)
            except FAILURES as problem:
                samples.append(Sample(began, time.monotonic(), 0, None, f"{asked.line} ({before}): {problem!r}"))
                break
            fault = asked.fault(response)
            status = 0 if fault else response.status
            samples.append(Sample(began, time.monotonic(), status, response.code, fault and f"{asked.line}: {fault}"))
            if response.field("Connection") == "close":
                break
            before = f"behind {asked.line}"
            if self._pause:
                self._stopping.wait(self._pause)
        return turn

    def _end(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)

    def stop(self) -> list[Sample]:
        """Every sample by its beginning. Each client has some: a load that asked nothing shows nothing."""
        self._end()
        assert not any(thread.is_alive() for thread in self._threads), "a client of the load hangs"
        assert all(self._samples), "a client of the load has asked nothing"
        return sorted((sample for own in self._samples for sample in own), key=lambda sample: sample.began)


def failed(samples: list[Sample]) -> list[str]:
    """What became of those that are no 200 as it was due."""
    return [sample.fault or f"status {sample.status}" for sample in samples if sample.status != 200]


class NewConnections:
    """A load of `threads` clients that make a connection for each request, until `stop` or until they are refused."""

    def __init__(
        self, address: tuple[str, int], threads: int, data: bytes | Sequence[Asked] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address, self._tls = address, tls
        self._askings = _askings(data or request("GET", "/", {"Connection": "close"}))
        self._stopping = threading.Event()
        self.good, self.refused = [0] * threads, [0] * threads
        self.bad: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(index,), daemon=True) for index in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self, index: int) -> None:
        turn = index
        while not self._stopping.is_set():
            asked = self._askings[turn % len(self._askings)]
            turn += 1
            try:
                client = Client(self._address, tls=self._tls, server_name="gateway.test" if self._tls else None)
            except ConnectionRefusedError:
                self.refused[index] += 1
                return
            except OSError as problem:
                self.bad.append(f"no connection: {problem!r}")
                continue
            with client:
                try:
                    response = client.ask(asked.data)
                except FAILURES as problem:
                    self.bad.append(f"{asked.line}: {problem!r}")
                    continue
            fault = asked.fault(response) if response.status == 200 else f"status {response.status}"
            if fault:
                self.bad.append(f"{asked.line}: {fault}")
            else:
                self.good[index] += 1

    def stop(self) -> "NewConnections":
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)
        assert not any(thread.is_alive() for thread in self._threads), "a client of the load hangs"
        assert self.bad or all(map(sum, zip(self.good, self.refused))), "a client of the load has asked nothing"
        return self

    def wait_for_refusal(self) -> "NewConnections":
        """Until every thread was told that nobody listens there any more."""
        wait_until("the listener is gone", lambda: all(self.refused), 10)
        return self.stop()
