"""Logins, right and wrong, and the question that a blocked client would ask."""

import threading

from .backend import Exchange, answer
from .client import json_request
from .gateway import Gateway

WRONG = json_request("POST", "/auth/login", {"username": "alice", "password": "wrong"})
RIGHT = json_request("POST", "/auth/login", {"username": "alice", "password": "correct horse"})
DETAIL = {"detail": "No active account found with the given credentials"}


def wrong_is_401(exchange: Exchange) -> bytes:
    """A login backend without the cost of hashing: the password `wrong` is wrong."""
    body = exchange.read_body()
    return answer(401, DETAIL) if b'"wrong"' in body else answer(200, {"status": "ok"})


class Gate:
    """A login backend that answers nothing until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, exchange: Exchange) -> bytes:
        said = wrong_is_401(exchange)
        self.opened.wait(30)
        return said


def fail(gateway: Gateway, address: str, count: int) -> list[int]:
    """That many wrong logins on one connection; their statuses."""
    with gateway.connect(address) as client:
        return [client.ask(WRONG).status for _ in range(count)]


def block_by_burst(gateway: Gateway, address: str) -> None:
    """Five wrong logins, and the sixth meets the block."""
    assert fail(gateway, address, 6) == [401] * 5 + [403]


def is_blocked(gateway: Gateway, address: str) -> bool:
    """Asks for something harmless, as a blocked client would notice."""
    response = gateway.get("/health", address)
    assert response.code == ("AUTH_004" if response.status == 403 else None)
    return response.status == 403
