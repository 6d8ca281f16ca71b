"""The provider of a CAPTCHA (siteverify), on loopback, whose answers a test scripts."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from .backend import Backend, Exchange, answer

PATH = "/siteverify"
SECRET = "the secret of a site&%"
SITE_KEY = "6Lc_site-key"


class Captcha:
    """`solved` are the tokens of those who have solved it; each is good once. `script` takes the place of answers."""

    def __init__(self, port: int = 0) -> None:
        self.solved: set[str] = set()
        self.script: bytes | Callable[[Exchange], bytes | None] | None = None
        self.asked: Counter[str] = Counter()
        self.forms: list[dict[str, list[str]]] = []
        self.server = Backend(self._serve, port)
        self.url = f"http://127.0.0.1:{self.server.port}{PATH}"

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"url": self.url, "site_key": SITE_KEY, "secret": SECRET, "provider": "turnstile", **changes}

    def solve(self, token: str) -> str:
        self.solved.add(token)
        return token

    def close(self) -> None:
        self.server.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        form = parse_qs(exchange.read_body().decode("ascii"), keep_blank_values=True, strict_parsing=True)
        self.forms.append(form)
        [token] = form["response"]
        self.asked[token] += 1
        if self.script is not None:
            return self.script if isinstance(self.script, bytes) else self.script(exchange)
        if form["secret"] != [SECRET]:
            return said(success=False, **{"error-codes": ["invalid-input-secret"]})
        if token not in self.solved:
            return said(success=False, **{"error-codes": ["timeout-or-duplicate"]})
        self.solved.remove(token)
        return said(success=True, hostname="www.example.org", **{"error-codes": []})


def said(**members: Any) -> bytes:
    return answer(200, json.dumps(members), {"Content-Type": "application/json; charset=utf-8"})
