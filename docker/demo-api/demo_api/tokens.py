"""Access tokens: HS256 with the secret that the gateway verifies with."""

import time
import uuid

import jwt

from .settings import Settings
from .store import User


def mint(user: User, settings: Settings) -> str:
    now = int(time.time())
    claims: dict[str, object] = {
        "sub": user.name,
        "role": user.role,
        "roles": user.roles,
        "iat": now,
        "exp": now + settings.access_seconds,
        "jti": uuid.uuid4().hex,
    }
    if settings.issuer:
        claims["iss"] = settings.issuer
    if settings.audience:
        claims["aud"] = settings.audience
    return jwt.encode(claims, settings.jwt_secret, algorithm="HS256")


def claims_of(token: str, settings: Settings) -> dict[str, object]:
    """Raises `jwt.InvalidTokenError`. The API checks for itself too: the gateway is a second lock, not the only one."""
    return jwt.decode(
        token,
        settings.jwt_secret,
        algorithms=["HS256"],
        issuer=settings.issuer,
        audience=settings.audience,
        options={"require": ["sub", "exp"], "verify_aud": settings.audience is not None},
    )
