"""Prints docs/jwt-attacks.md."""

import textwrap

from . import ATTACKS, CONFIGURATIONS, GROUPS
from .case import Attack

INTRODUCTION = """# Attacks on tokens

What has been tried on JSON Web Tokens elsewhere is tried here on every run: {count} attacks, each against a running
gateway. Each must be refused with the status, the code and the reason of this page, the reason as the audit record
tells it ([errors.md](errors.md#reasons)); nothing may reach the backend; and the same gateway must accept good tokens
afterwards.

The page is printed from the tables that the tests go through, `integration_tests/auth/attacks/`, and a test compares
the two. Whoever adds an attack there prints it anew, in `integration_tests`:

```
python -m auth.attacks.page > ../docs/jwt-attacks.md
```

A refusal is 401 `AUTH_001` where nothing else is said. An attack is tried against one of these configurations:

{configurations}

No attacks, and accepted: the other signature that ECDSA has for a message (s and n − s), since JOSE does not forbid
it; an unknown `kid` where a single secret or PEM key could be meant; header members that are not understood and not
critical (RFC 7515 §4); a Bearer scheme in any case (RFC 9110 §11.1).
"""


def refusal(attack: Attack) -> str:
    reason = f"`{attack.reason}`" if attack.reason else "no reason"
    usual = (attack.status, attack.code) == (401, "AUTH_001")
    return reason if usual else f"{reason}, {attack.status} `{attack.code}`"


def page() -> str:
    configurations = "\n".join(f"- `{name}`: {one.about}" for name, one in CONFIGURATIONS.items())
    lines = [INTRODUCTION.format(count=len(ATTACKS), configurations=configurations)]
    for group in GROUPS:
        lines += [
            f"## {group.title}\n", textwrap.fill(group.about, 120, break_long_words=False, break_on_hyphens=False), "",
            "| Attack | Why it is tried | Against | Refused with |", "|---|---|---|---|"]
        lines += [f"| {one.name} | {one.why} | `{one.against}` | {refusal(one)} |" for one in group.attacks]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(page(), end="")
