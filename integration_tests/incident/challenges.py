"""What the tests of challenges (docs/challenge.md) have in common."""

import re
from pathlib import Path

from harness.client import json_request
from harness.logins import WRONG

SECRET = "0123456789abcdef0123456789abcdef"
WORK = {"kind": "proof_of_work", "difficulty": 8, "secret": SECRET}
CHALLENGED = (403, "AUTH_007")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "challenge.md"


def _solver():
    """The program of the page is what is used here."""
    [text] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {}
    exec(text, names)
    return names["solve"]


solve = _solver()


def starter(start_gateway, login_backend):
    """`start(challenge, redis, backend, login={…}, section={…})`: a gateway that challenges logins."""
    def start(challenge=None, redis=None, backend=None, login=None, **sections):
        return start_gateway(
            backend or login_backend, redis, login={"challenge": challenge or WORK, **(login or {})}, **sections)
    return start


def login(password: str = "wrong", solution: str | None = None, **fields: str) -> bytes:
    more = {"Gateway-Challenge": solution} if solution is not None else {}
    return json_request("POST", "/auth/login", {"username": "alice", "password": password}, {**more, **fields})


def ask(gateway, address, data: bytes = WRONG):
    response = gateway.fetch(data, address, timeout=30)
    return response.status, response.code


def challenge(gateway, address, data: bytes = WRONG) -> dict:
    """The challenge that a login without a solution is answered with."""
    refused = gateway.fetch(data, address)
    assert (refused.status, refused.code) == CHALLENGED, refused.body
    return refused.json()["challenge"]


def solution(gateway, address) -> str:
    posed = challenge(gateway, address)
    return solve(posed["nonce"], posed["difficulty"])


def failed(gateway, address, count: int = 3) -> None:
    with gateway.connect(address) as client:
        assert [client.ask(WRONG).status for _ in range(count)] == [401] * count


def count(gateway, result, kind="proof_of_work"):
    return gateway.metrics()[f'gateway_login_challenges_total{{kind="{kind}",result="{result}"}}']


HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def page_of(gateway, address) -> str:
    refused = gateway.fetch(login(**HTML), address)
    assert refused.status == 403 and refused.field("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'none'; script-src 'sha256-" in refused.field("Content-Security-Policy")
    assert refused.field("Cache-Control") == "no-store"
    return refused.body.decode()
