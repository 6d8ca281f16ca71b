"""Keys in rotation: shared secrets of the configuration, commands as they are typed, and the traffic of users."""

import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .client import Client, Response, request
from .gateway import Gateway
from .load import FAILURES
from .processes import wait_until
from .tokens import bearer, claims, token

REVOKED = (401, "AUTH_003")
BEHIND = 0.005
"""Seconds that a worker's clock may be behind, never ahead: it counts whole milliseconds on from another clock."""


@dataclass(frozen=True)
class SharedKey:
    """An entry of `tokens.keys`, which signs tokens, too."""

    id: str
    secret: str

    @property
    def setting(self) -> dict[str, Any]:
        return {"id": self.id, "secret": self.secret, "algorithms": ["HS256"]}

    def token(self, subject: str = "alice", **changes: Any) -> str:
        return token(claims(subject, **changes), key=self.secret)


OLD = SharedKey("old", "the old secret of the rotation, 0123456789abcdef")
NEW = SharedKey("new", "the new secret of the rotation, fedcba9876543210")


def typed(gateway: Gateway, line: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command as it stands in a runbook: `gateway keys list`."""
    program, *words = shlex.split(line)
    assert program == "gateway", line
    return gateway.command(*words, check=check)


def keys(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What `gateway keys list` says of each key."""
    return {key["key"]: key for key in gateway.command_json("keys", "list")["keys"]}


def states(gateway: Gateway) -> dict[str, str]:
    return {name: key["state"] for name, key in keys(gateway).items()}


def told(gateway: Gateway, value: str, target: str = "/") -> tuple[int, str | None]:
    """Status and code of a request with this token."""
    response = gateway.get(target, fields=bearer(value))
    return response.status, response.code


def seconds(text: str) -> float:
    """Since 1970, of a time as the gateway writes it."""
    return datetime.fromisoformat(text).timestamp()


def reconfigure(gateways: Sequence[Gateway], entries: Sequence[dict[str, Any]]) -> None:
    """One after the other, as replicas are: other `tokens.keys`, and `gateway reload`."""
    for gateway in gateways:
        gateway.settings["tokens"]["keys"] = list(entries)
        gateway.write_config()
        typed(gateway, "gateway reload")


@dataclass(frozen=True)
class Judged:
    """A request of the traffic: seconds since 1970 of its first byte and of its answer, and what it was told."""

    began: float
    ended: float
    key: str
    gateway: int
    status: int
    code: str | None


class Traffic:
    """Keep-alive clients of several gateways that ask with the tokens in circulation, each in turn, until `stop`.

    `circulate` changes them for all clients at once: the issuer signs with another key.
    """

    def __init__(self, gateways: Sequence[Gateway], in_circulation: dict[str, list[str]], clients: int = 2) -> None:
        self._gateways = gateways
        self._asks: list[tuple[str, bytes]] = []
        self.circulate(in_circulation)
        self._stopping = threading.Event()
        self.faults: list[str] = []
        self._judged: list[list[Judged]] = [[] for _ in range(len(gateways) * clients)]
        self._threads = [
            threading.Thread(target=self._run, args=(index % len(gateways), own), daemon=True)
            for index, own in enumerate(self._judged)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Traffic":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)

    def circulate(self, tokens: dict[str, list[str]]) -> None:
        """Tokens by the key that signed them."""
        self._asks = [(key, request("GET", "/", bearer(value))) for key, own in tokens.items() for value in own]

    def _run(self, gateway: int, judged: list[Judged]) -> None:
        turn = 0
        while not self._stopping.is_set():
            with Client(self._gateways[gateway].address) as client:
                while not self._stopping.is_set():
                    asks = self._asks
                    key, data = asks[turn % len(asks)]
                    turn += 1
                    began = time.time()
                    try:
                        response = client.ask(data)
                    except FAILURES as problem:
                        self.faults.append(f"gateway {gateway}, a token of {key}: {problem!r}")
                        break
                    judged.append(self._sample(began, key, gateway, response))
                    # Steady, and not as fast as it can be: the gateways and their judges share the machine.
                    self._stopping.wait(0.002)

    @staticmethod
    def _sample(began: float, key: str, gateway: int, response: Response) -> Judged:
        return Judged(began, time.time(), key, gateway, response.status, response.code)

    def so_far(self) -> list[Judged]:
        return [sample for own in self._judged for sample in own[:]]

    def wait_for(self, what: str, wanted: Callable[[Judged], bool], count: int = 20) -> None:
        """Until every gateway has had that many of them."""
        def enough() -> bool:
            found = [sample.gateway for sample in self.so_far() if wanted(sample)]
            return all(found.count(index) >= count for index in range(len(self._gateways)))
        wait_until(what, enough, 10, every=0.02)

    def stop(self) -> list[Judged]:
        """All of them by their beginning. Connections that failed are told by `faults`."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"
        return sorted(self.so_far(), key=lambda sample: sample.began)
