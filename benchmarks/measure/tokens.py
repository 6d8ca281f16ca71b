"""JSON Web Tokens of the usual size: one, or so many that no cache holds them."""

import base64
import hashlib
import hmac
import json
import os

from . import keys

EXPIRES = 4_102_444_800  # 2100-01-01, so that no run meets the end of it


def header(algorithm):
    """The Authorization field with the one token that is repeated."""
    return f"Authorization: Bearer {_token(algorithm, _signer(algorithm), 123_456_789)}"


def expired_header(algorithm):
    """Of a token that was good once."""
    return f"Authorization: Bearer {_token(algorithm, _signer(algorithm), 1, expires=1_700_000_001)}"


def forged_header(algorithm):
    """The same with another signature of the same length."""
    before, _, signature = header(algorithm).rpartition(".")
    return f"{before}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def headers(algorithm, count):
    """The path of a file with such fields of `count` tokens; kept beside the key that signed them."""
    path = keys.DIRECTORY / f"{algorithm.lower()}-{count}.headers"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sign = _signer(algorithm)
        lines = (f"Authorization: Bearer {_token(algorithm, sign, number)}\n" for number in range(count))
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text("".join(lines))
        fresh.rename(path)
    return path


def _token(algorithm, sign, number, expires=EXPIRES):
    """Subject, role, times, an identifier."""
    claims = {
        "sub": f"user-{number:010}",
        "role": "user",
        "iss": "https://id.example.org",
        "iat": 1_700_000_000,
        "exp": expires,
        "jti": f"0f8fad5b-d9cb-469f-a165-{number:012}",
    }
    signed = _part({"alg": algorithm, "typ": "JWT"}) + b"." + _part(claims)
    return (signed + b"." + _base64url(sign(signed))).decode()


def _signer(algorithm):
    """Bytes to signature, in the form that RFC 7518 §3 gives it."""
    if algorithm == "HS256":
        return lambda signed: hmac.digest(keys.SECRET.encode(), signed, hashlib.sha256)
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    key = keys.private_key(algorithm)
    if algorithm == "RS256":
        return lambda signed: key.sign(signed, padding.PKCS1v15(), hashes.SHA256())

    def es256(signed):
        r, s = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return es256


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _part(value):
    return _base64url(json.dumps(value, separators=(",", ":")).encode())
