"""An authorization server with an introspection endpoint (RFC 7662), on loopback, whose answers a test scripts."""

import base64
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from .backend import Backend, Exchange, answer
from .gateway import Gateway
from .tokens import bearer

PATH = "/introspect"
CLIENT = "a client/1"
CLIENT_SECRET = "s3cret: of the tests&%"
OPAQUE = "2YotnFZFEjr1zCsicMWpAA~+/=="
# What a client is answered when the issuer does not say.
SILENT = (503, "SVC_001")


class Issuer:
    """`tokens` are those that are good, with what is said of them. `script` takes the place of the next answers."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.script: bytes | Callable[[Exchange], bytes | None] | None = None
        self.asked: Counter[str] = Counter()
        self.forms: list[dict[str, list[str]]] = []
        self.server = Backend(self._serve, port, tls=tls)
        self.url = f"{'https' if tls else 'http'}://{name}:{self.server.port}{PATH}"

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"url": self.url, "client_id": CLIENT, "client_secret": CLIENT_SECRET, **changes}

    def grant(self, token: str, user: str = "alice", **claims: Any) -> str:
        self.tokens[token] = {"sub": user, "exp": int(time.time()) + 600, **claims}
        return token

    def close(self) -> None:
        self.server.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        body = exchange.read_body().decode("ascii")
        form = parse_qs(body, keep_blank_values=True, strict_parsing=True)
        self.forms.append(form)
        [token] = form["token"]
        self.asked[token] += 1
        if self.script is not None:
            return self.script if isinstance(self.script, bytes) else self.script(exchange)
        if not self._knows(exchange.request.field("Authorization") or ""):
            return answer(401, b"who are you?")
        said = {"active": True, **self.tokens[token]} if token in self.tokens else {"active": False}
        return answer(200, said)

    @staticmethod
    def _knows(field: str) -> bool:
        scheme, _, credentials = field.partition(" ")
        return scheme == "Basic" and base64.b64decode(credentials).decode() == "a%20client%2F1:s3cret%3A%20of%20the%20tests%26%25"


def said(**members: Any) -> bytes:
    return answer(200, json.dumps(members), {"Content-Type": "application/json"})


def ask(gateway: Gateway, value: str, target: str = "/", source: str | None = None) -> tuple[int, str | None]:
    """Status and code of a request with this token."""
    response = gateway.get(target, source, bearer(value))
    return response.status, response.code
