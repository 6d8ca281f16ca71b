"""The one token of the benchmark. The key is public and worth nothing."""

import base64
import hashlib
import hmac
import json

SECRET = "benchmark-key-benchmark-key-benchmark-key-benchmark-key"
SUBJECT = "user-0123456789"
EXPIRES = 4_102_444_800  # 2100-01-01, so that no run meets the end of it


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _part(value):
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def token():
    """A signed HS256 token of the usual size: subject, role, times, an identifier."""
    header = {"alg": "HS256", "typ": "JWT"}
    claims = {
        "sub": SUBJECT,
        "role": "user",
        "iss": "https://id.example.org",
        "iat": 1_700_000_000,
        "exp": EXPIRES,
        "jti": "0f8fad5b-d9cb-469f-a165-70867728950e",
    }
    signed = _part(header) + b"." + _part(claims)
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + _base64url(signature)).decode()
