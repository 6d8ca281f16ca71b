"""What an attack on a token is, and the parts that tokens are made of.

Nothing is made before a case is tried: dates are of that moment.
"""

import functools
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.client import request
from harness.tokens import bearer, claims, encode

from .signing import OURS, Parts, Sign, ecdsa_with

# MARK: Attacks


@dataclass(frozen=True)
class Raw:
    """A request that is no plain GET."""

    data: bytes


@dataclass(frozen=True)
class Attack:
    """`make` gets the running configuration (`World`) and gives a token, a list of fields, or a `Raw` request."""

    name: str
    why: str
    reason: str
    make: Callable[[Any], Any]
    against: str
    status: int = 401
    code: str = "AUTH_001"
    target: str = "/"

    def bytes(self, world: Any) -> bytes:
        """The request."""
        value = self.make(world)
        if isinstance(value, Raw):
            return value.data
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        return request("GET", self.target, bearer(value) if isinstance(value, str) else value)


@dataclass(frozen=True)
class Group:
    """Called once for each attack; `against` is the configuration, unless the attack names another one."""

    title: str
    about: str
    against: str
    attacks: list[Attack] = field(default_factory=list)

    def __call__(self, name: str, why: str, reason: str, make: Callable[[Any], Any], **more: Any) -> None:
        code = "AUTH_002" if reason == "token_expired" else "AUTH_001"
        self.attacks.append(Attack(name, why, reason, make, **{"against": self.against, "code": code, **more}))

    def each(
        self, name: str, reason: str, rows: Iterable[tuple[Any, ...]], make: Callable[..., Any], **more: Any,
    ) -> None:
        """An attack for every row: what it is, which `name` has a place for; why; and values that `make` gets, too."""
        for what, why, *values in rows:
            self(name.format(what), why, reason, lambda w, values=values: make(w, *values), **more)

    def alike(
        self, name: str, why: str, reason: str, rows: Mapping[str, Any], make: Callable[[Any, Any], Any], **more: Any,
    ) -> None:
        """An attack for every row, all for one reason why."""
        self.each(name, reason, [(what, why, value) for what, value in rows.items()], make, **more)


# MARK: Tokens

Value = Mapping[str, Any] | list[Any] | bytes | str


def part(value: Value) -> str:
    """base64url of bytes, of text as it is, or of the JSON of anything else."""
    if isinstance(value, str):
        value = value.encode()
    return encode(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()).decode()


def head(**members: Any) -> Parts:
    """A None removes one."""
    full = {"alg": "HS256", "typ": "JWT", **members}
    return {name: value for name, value in full.items() if value is not None}


def made(header: Value | None = None, body: Value | None = None, sign: Sign = OURS) -> str:
    """The compact serialisation, whatever the parts are."""
    signed = f"{part(head() if header is None else header)}.{part(claims() if body is None else body)}"
    return f"{signed}.{part(sign(signed.encode()))}"


def by(provider: Any, kid: str, issuer: Any, sign: Sign | None = None, name: str | None = None) -> str:
    """A token signed with the key `kid` of the provider. `name`: the kid that is written."""
    return made(head(alg="ES256", kid=name or kid), claims(iss=issuer), sign or ecdsa_with(provider.keys[kid]))


def signed(_: Any, alg: str, sign: Sign) -> str:
    """For tables whose rows are an algorithm and a signature that does not belong to it."""
    return made(head(alg=alg), sign=sign)


Respell = Callable[[str], str]


def respelled(
    header: Respell = str, payload: Respell = str, signature: Respell = str, body: Value | None = None,
) -> bytes:
    """Another spelling of the text of a part. It is signed as it is spelled, so only strictness stands in the way."""
    signed = f"{header(part(head()))}.{payload(part(claims() if body is None else body))}".encode()
    return signed + b"." + signature(part(OURS(signed))).encode()


def loose_bits(text: str) -> str:
    """Sets a bit behind the last byte (RFC 4648 §3.5)."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(text) % 4, "this text has no bits to spare"
    return text[:-1] + digits[digits.index(text[-1]) | 1]


def loose_signature(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    return f"{signed}.{loose_bits(signature)}"


def spliced(token: str, index: int, text: str) -> str:
    """A token with one part replaced."""
    parts = token.split(".")
    parts[index] = text
    return ".".join(parts)


def first(make: Callable[[int], Any]) -> Any:
    """The first of many that has what is wanted, and so is not empty."""
    return next(found for found in map(make, itertools.count()) if found)


# MARK: Claims

# Who issues and for whom, where the configuration asks for both.
ISSUER, AUDIENCE = "https://idp.test/realms/demo", "api"


def ours(**changes: Any) -> Parts:
    """Claims that `strict` accepts, and `policy` where a route demands no more."""
    return claims(**{"iss": ISSUER, "aud": AUDIENCE, **changes})


def member(text: str, **changes: Any) -> str:
    """Claims with a member written by hand behind them; the claim it replaces is None in `changes`."""
    return json.dumps(claims(**changes))[:-1] + f", {text}}}"


def now() -> int:
    return int(time.time())


def nested(depth: int) -> Any:
    return functools.reduce(lambda inner, _: [inner], range(depth), 1)
