"""A house of two chaos backends behind a gateway, and clients that ask through it and know what is theirs."""

import contextlib
import itertools
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from . import chaos_backend
from .certificates import Authority
from .chaos_backend import answer_size, content, upload_size
from .client import Client, ConnectionEnded, request
from .gateway import Gateway
from .processes import Process, answers, free_port, wait_until

CLIENTS = 6
REQUESTS = 50
MOST_REQUESTS = 5_000
BROKEN = ("half", "half-reset", "half-chunked")
REFUSED = ("half-head", "garbage", "reset", "close")
SOUND = ("sound", "chunked", "longer", "tail")
CODES = {502: ("SVC_001",), 503: ("SVC_001", "SVC_003"), 504: ("SVC_002",)}

# What is tested is what becomes of requests that reach a backend: none is spared, none is passed over.
NEITHER = {"circuit_breaker": {"failures": 0}, "ejection": {"failures": 0}}

# Everything on that spares backends, as it is by default, and health checks. One good check brings a server back
# (`healthy_after`, whose default is 1): with more the bound would be as many intervals.
INTERVAL = 1.0
GUARDED = {"health_check": {
    "path": "/sound/health", "interval": f"{INTERVAL:g}s", "timeout": "300ms",
    "unhealthy_after": 2, "healthy_after": 1}}
# An interval is a tenth more or less; the second is for the check itself, the trials of the circuit and a busy machine.
ONE_INTERVAL = INTERVAL * 1.1 + 1
# For tests that one interval is enough: two of these, a tenth less each, are longer than the bound.
LONG_INTERVAL = 4.0
UNHURRIED = {"health_check": {**GUARDED["health_check"], "interval": f"{LONG_INTERVAL:g}s"}}
ONE_LONG_INTERVAL = LONG_INTERVAL * 1.1 + 1

# For tests whose `house` is built with the fixture `over`.
PLAIN_AND_TLS = pytest.mark.parametrize("over", ["plain", "tls"], indirect=True)


def message(method: str, way: str, identity: str) -> bytes:
    """The whole request: a POST brings a body of its identity."""
    if method == "GET":
        return request(method, f"/{way}/{identity}")
    body = content(identity, upload_size(way))
    if way != "upload-chunked":
        return request(method, f"/{way}/{identity}", body=body)
    middle = len(body) // 3
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:middle], body[middle:], b""))
    return request(method, f"/{way}/{identity}", {"Transfer-Encoding": "chunked"}) + chunks


class House:
    def __init__(
        self, start_gateway: Callable[..., Gateway], directory: Path, upstream: dict[str, Any] = NEITHER,
        authority: Authority | None = None,
    ) -> None:
        """With an `authority` the backends speak TLS, by certificates of it."""
        self.directory = directory
        self.ports = [free_port(), free_port()]
        self.addresses = [f"127.0.0.1:{port}" for port in self.ports]
        self.certificate: tuple[str, ...] = ()
        if authority is not None:
            self.certificate = authority.issue("127.0.0.1").write(directory)
            upstream = {**upstream, "tls": {"enabled": True, "ca_file": authority.write(directory)}}
        self.backends = [self.start(number) for number in range(2)]
        self.gateway = start_gateway(
            "unused", upstreams={"api": {"servers": self.addresses, **upstream}},
            timeouts={"connect": "200ms", "response": "500ms", "body": "500ms"})
        # What each client was told, by identity: the method, and what `load` counts.
        self.told: dict[str, tuple[str, str]] = {}
        self._identities = itertools.count()

    def start(self, number: int) -> Process:
        words = ["-m", chaos_backend.__name__, str(self.ports[number]), str(self.directory), *self.certificate]
        process = Process(
            f"chaos-{number}", [sys.executable, *words], self.directory,
            working_directory=Path(chaos_backend.__file__).parents[1])
        wait_until("the backend listens", lambda: answers(self.ports[number]))
        return process

    def restart(self, number: int) -> None:
        self.backends[number].kill()
        self.backends[number] = self.start(number)

    def stop(self) -> None:
        for backend in self.backends:
            backend.stop()

    @contextlib.contextmanager
    def fault(self, *ways: str) -> Iterator[None]:
        """Both backends go one of these ways, whatever they are asked for and by whom."""
        draft, file = self.directory / "fault.draft", self.directory / "fault"
        draft.write_text(" ".join(ways))
        draft.rename(file)
        try:
            yield
        finally:
            file.unlink()

    def arrived(self) -> Counter[tuple[str, str, str]]:
        """How often the backends have seen what: method, identity, and `began`, then `whole`, `broken`, `spoiled`."""
        lines = (self.directory / "arrived").read_text().splitlines()
        return Counter(tuple(line.split(" ")) for line in lines)

    def checks(self) -> float:
        """Health checks that were made so far."""
        return sum(count for name, count in self.gateway.metrics().items()
                   if name.startswith("gateway_upstream_health_checks_total"))

    def identity(self) -> str:
        return f"id-{next(self._identities)}"

    def load(
        self, ways: tuple[str, ...], meanwhile: Callable[[], None] | None = None, requests: int = REQUESTS,
    ) -> Counter[tuple[str, str]]:
        """What became of the requests, by the way that was asked for: `sound`, `reset`, `POST sound`. Clients go on
        until `meanwhile` is over, too."""
        over = threading.Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._client, seed, ways, requests, over) for seed in range(CLIENTS)]
            try:
                if meanwhile:
                    meanwhile()
            finally:
                over.set()
            return sum((client.result(120) for client in clients), Counter())

    def _client(
        self, seed: int, ways: tuple[str, ...], requests: int, over: threading.Event,
    ) -> Counter[tuple[str, str]]:
        choice, seen, client = random.Random(seed), Counter(), None
        for number in range(MOST_REQUESTS):
            if number >= requests and over.is_set():
                break
            asked, identity = choice.choice(ways), self.identity()
            method, _, way = asked.rpartition(" ")
            client = client or self.gateway.connect()
            outcome, goes_on = self._ask(client, method or "GET", way, identity)
            seen[asked, outcome] += 1
            self.told[identity] = (method or "GET", outcome)
            if not goes_on:
                client.close()
                client = None
            if outcome == "503":
                # Who is refused at once does not ask again at once: it would do nothing else.
                over.wait(0.005)
        if client:
            client.close()
        return seen

    @staticmethod
    def _ask(client: Client, method: str, way: str, identity: str) -> tuple[str, bool]:
        """What came, and whether the connection may be used again. No answer at all is none of what may come."""
        try:
            unsent = client.offer(message(method, way, identity))
            response = client.read_head()
        except (ConnectionEnded, ConnectionError):
            return "unanswered", False
        try:
            client.read_body(response)
        except (ConnectionEnded, ConnectionError):
            return "cut", False
        goes_on = response.field("Connection") != "close" and not unsent
        if response.status != 200:
            assert response.code in CODES[response.status], (method, way, response)
            return str(response.status), goes_on
        assert response.field("X-Identity") == identity, (method, way, identity, response.head)
        assert response.body == content(identity, answer_size(way)), "not its own, or not all of it"
        return "sound", goes_on

    def recovers(self, within: float = 20) -> None:
        """Requests are served again by whoever is left, and not one request of a whole load fails."""
        wait_until("requests are served", lambda: all(
            self.gateway.get(f"/sound/probe-{number}").status == 200 for number in range(10)), timeout=within)
        assert set(self.load(SOUND[:2])) == {("sound", "sound"), ("chunked", "sound")}
