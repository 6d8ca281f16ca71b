"""Logins of attackers, the webhook that is told of them, and how docs/threats.md checks its messages."""

import json
import re
import ssl
import subprocess
import threading
from typing import Any

from .backend import Backend, Exchange, Request
from .client import json_request
from .gateway import ADMIN_TOKEN, ROOT, Gateway
from .processes import wait_until

SECRET = "0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET = "fedcba9876543210fedcba9876543210"
PAGE = (ROOT / "docs" / "threats.md").read_text()
PATH = "/security/threats/metrics"
# Low, so that a test needs few logins. Numbers of accounts and networks are estimates: tests go well beyond them.
THRESHOLDS = {
    "account_failures": 50, "networks": 6, "spraying_accounts": 6, "stuffing_accounts": 20,
    "failures_before_success": 3}


class Receiver:
    """A webhook: keeps what it got, and answers 204, or what `replies` holds first."""

    def __init__(self, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> None:
        self.replies: list[bytes] = []
        self.stalled: threading.Event | None = None
        self.server = Backend(self._serve, tls=tls)
        origin = f"{'https' if tls else 'http'}://{name}:{self.server.port}"
        self.url = f"{origin}/secret-of-the-path?key=secret-of-the-webhook"

    def _serve(self, exchange: Exchange) -> bytes:
        exchange.read_body()
        exchange.close()
        if self.stalled:
            self.stalled.wait(20)
        return self.replies.pop(0) if self.replies else b"HTTP/1.1 204 No Content\r\n\r\n"

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"url": self.url, "secret": WEBHOOK_SECRET, "timeout": "500ms", **changes}

    @property
    def complete(self) -> list[Request]:
        return [one for one in self.server.requests if one.complete.is_set()]

    def messages(self, kind: str | None = None) -> list[dict[str, Any]]:
        found = [json.loads(one.body) for one in self.complete]
        return [one for one in found if kind in (None, one["type"])]

    def wait(self, kind: str, timeout: float = 8) -> dict[str, Any]:
        return wait_until(kind, lambda: self.messages(kind), timeout)[0]


def host(number: int) -> str:
    return f"127.94.{number >> 8}.{number & 255}"


def login(gateway: Gateway, source: str, name: str, password: str = "wrong") -> int:
    return gateway.fetch(json_request("POST", "/auth/login", {"username": name, "password": password}), source).status


def spraying(gateway: Gateway) -> None:
    for number in range(14):
        login(gateway, host(1), f"user-{number}")


def report(gateway: Gateway) -> dict[str, Any]:
    return gateway.ask_admin(PATH, ADMIN_TOKEN).json()


def genuine(one: Request) -> bool:
    """By the lines of Python that the page has."""
    space: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], space)
    return space["is_genuine"](WEBHOOK_SECRET.encode(), {name.title(): value for name, value in one.fields}, one.body)


def by_openssl(one: Request) -> str:
    """By the line of the shell that the page has."""
    line = next(line for line in PAGE.splitlines() if line.startswith("printf '%s.%s.%s'")).split("#")[0]
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "id": one.field("Webhook-Id"), "timestamp": one.field("Webhook-Timestamp"),
             "body": one.body.decode(), "secret": WEBHOOK_SECRET}).stdout.strip()
