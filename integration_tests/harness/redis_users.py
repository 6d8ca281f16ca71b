"""The Redis user that docs/redis.md tells people to make, and what is asked of a gateway that has it."""

import re
from pathlib import Path

from .logins import block_by_burst, is_blocked
from .processes import wait_until

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "redis.md"
SECRET = "p@ss/wo:rd%"


def documented_rule() -> list[str]:
    """The words of the ACL user that docs/redis.md tells people to make, without its name and password."""
    line = re.search(r"^ACL SETUSER gateway on >PASSWORD (.*)$", DOCUMENTATION.read_text(), re.M)
    assert line
    return line[1].split()


def make_user(redis, *changes: str) -> None:
    assert redis.cli("ACL", "SETUSER", "gateway", "reset", "on", f">{SECRET}", *documented_rule(), *changes) == "OK"


def health(gateway) -> str:
    return gateway.get("/health").json()["status"]


def reason(gateway) -> str:
    return gateway.command_json("status")["ledger"]["reason"] or ""


def works(gateway, redis, address, other_address) -> None:
    wait_until("health is good", lambda: health(gateway) == "healthy")
    block_by_burst(gateway, address)
    wait_until("the block is in Redis", lambda: redis.blocked(address))
    redis.block(other_address)
    wait_until("a block by hand is in force", lambda: is_blocked(gateway, other_address), 1, every=0.005)
    assert SECRET not in gateway.child.log()
