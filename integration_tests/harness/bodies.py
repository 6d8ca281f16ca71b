"""Bodies whose every byte is known, and the backend that tells whether they came whole."""

import hashlib
import random

from .backend import Exchange, answer
from .client import request
from .load import Asked

# More than one read takes, in both directions.
LARGE = 200_000


def noise(size: int, seed: int = 1) -> bytes:
    """Recognisable at every place, so that a piece that is lost, doubled or moved shows."""
    return random.Random(seed).randbytes(size)


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112 §7.1); of no bytes it is the last one."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunked(body: bytes, size: int = 30_000) -> bytes:
    pieces = [body[start:start + size] for start in range(0, len(body), size)]
    return b"".join(map(chunk, [*pieces, b""]))


UP, DOWN = noise(LARGE, 1), noise(LARGE, 2)


def serve(exchange: Exchange) -> bytes:
    """`/down` is a large answer; any body is answered with its digest and then forgotten: a load sends thousands."""
    body = exchange.read_body()
    exchange.request.body = exchange.request.raw_body = b""
    if exchange.request.target == "/down":
        return answer(body=DOWN)
    return answer(body=digest(body) if body else b"ok")


def mixture(fields: dict[str, str] | None = None) -> list[Asked]:
    """What a load asks of `serve`: with large bodies and without, in both directions and both framings."""
    fields = fields or {}
    return [
        Asked(request("GET", "/", fields), b"ok"),
        Asked(request("POST", "/up", fields, UP), digest(UP)),
        Asked(request("GET", "/down", fields), DOWN),
        Asked(request("POST", "/up", {**fields, "Transfer-Encoding": "chunked"}) + chunked(UP), digest(UP)),
    ]
