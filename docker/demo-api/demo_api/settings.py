"""What the demo API is told by its environment."""

import os
from dataclasses import dataclass
from pathlib import Path

# RFC 7518 §3.2: a key for HS256 is at least as long as the hash.
MINIMUM_SECRET_BYTES = 32


@dataclass(frozen=True)
class Settings:
    """Immutable; times are in seconds."""

    jwt_secret: str
    issuer: str | None
    audience: str | None
    database: str
    access_seconds: int
    refresh_seconds: int


def settings_from_environment() -> Settings:
    """Raises `SystemExit` with one sentence when the secret is missing or too short to sign with."""
    secret_file = os.environ.get("JWT_SECRET_FILE")
    secret = Path(secret_file).read_text().rstrip("\n") if secret_file else os.environ.get("JWT_SECRET", "")
    if len(secret.encode()) < MINIMUM_SECRET_BYTES:
        raise SystemExit(f"JWT_SECRET must have at least {MINIMUM_SECRET_BYTES} bytes.")
    return Settings(
        jwt_secret=secret,
        issuer=os.environ.get("JWT_ISSUER") or None,
        audience=os.environ.get("JWT_AUDIENCE") or None,
        database=os.environ.get("DEMO_DATABASE", "demo.sqlite3"),
        access_seconds=int(os.environ.get("ACCESS_TOKEN_SECONDS", "900")),
        refresh_seconds=int(os.environ.get("REFRESH_TOKEN_SECONDS", "86400")),
    )
