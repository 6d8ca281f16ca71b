"""Tokens, good and forged. Signed by PyJWT where it consents, by hand where a library refuses to be wrong."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt

SECRET = "an integration test secret of more than sixty-four bytes, so HS512 has enough"


def claims(subject: str = "alice", **changes: Any) -> dict[str, Any]:
    """Claims of the demo API; a None removes one."""
    now = int(time.time())
    full = {"sub": subject, "role": "user", "roles": ["user"], "iat": now, "exp": now + 300, "jti": "j-1", **changes}
    return {name: value for name, value in full.items() if value is not None}


def token(body: dict[str, Any] | None = None, key: Any = SECRET, alg: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims() if body is None else body, key, algorithm=alg, headers=header or None)


def by_hand(header: dict[str, Any], body: dict[str, Any], key: bytes | None) -> str:
    """Any header over any body, with an HMAC of `key`, or without a signature for None."""
    signed = b".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, body))
    signature = hmac.new(key, signed, hashlib.sha256).digest() if key is not None else b""
    return (signed + b"." + encode(signature)).decode()


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}
