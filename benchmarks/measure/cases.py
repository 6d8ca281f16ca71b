"""What is asked of every proxy. The load and the work behind it are the same for all."""

from dataclasses import dataclass

from .hs256 import token

# Not 127.0.0.1: that one is the gateway's own address, which no rule blocks.
BLOCKED_ADDRESS = "127.0.0.7"


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    path: str = "/100"
    expect: int = 200
    source: str | None = None
    headers: tuple[str, ...] = ()


CASES = {
    case.name: case
    for case in (
        Case("plain", "plain 100 B"),
        Case("plain-4k", "plain 4 KB", path="/4k"),
        Case("blocked", "blocked 403", expect=403, source=BLOCKED_ADDRESS),
        Case("hs256", "HS256, repeated token", path="/secure/100", headers=(f"Authorization: Bearer {token()}",)),
    )
}
