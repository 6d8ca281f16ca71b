"""Users and refresh tokens in SQLite. Passwords are kept as argon2id hashes, refresh tokens as SHA-256 digests."""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# The smaller of OWASP's equivalent argon2id settings: a login costs some 20 ms, and a burst of them stays within memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

# An unknown user is checked against this hash, so that the time of an answer does not tell which names exist.
_nobody = _hasher.hash(secrets.token_urlsafe(16))

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest TEXT PRIMARY KEY,
    user_name TEXT NOT NULL REFERENCES users (name),
    expires_at INTEGER NOT NULL
) STRICT;
"""


class NameTaken(Exception):
    """Another user has the name already."""


@dataclass(frozen=True)
class User:
    name: str
    role: str

    @property
    def roles(self) -> list[str]:
        return ["user", "admin"] if self.role == "admin" else ["user"]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Store:
    """One SQLite file; every method opens its own connection, so any thread may call it."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._open() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=10)
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA foreign_keys = ON")
        try:
            with database:
                yield database
        finally:
            database.close()

    def add_user(self, name: str, password: str, role: str = "user") -> User:
        """Raises `NameTaken`."""
        try:
            with self._open() as database:
                database.execute("INSERT INTO users VALUES (?, ?, ?)", (name, _hasher.hash(password), role))
        except sqlite3.IntegrityError as error:
            raise NameTaken(name) from error
        return User(name, role)

    def user(self, name: str) -> User | None:
        with self._open() as database:
            row = database.execute("SELECT name, role FROM users WHERE name = ?", (name,)).fetchone()
        return User(row["name"], row["role"]) if row else None

    def users(self) -> list[User]:
        with self._open() as database:
            return [User(row["name"], row["role"]) for row in database.execute("SELECT * FROM users ORDER BY name")]

    def user_with_password(self, name: str, password: str) -> User | None:
        """`None` for an unknown name and for a wrong password alike, after the same work."""
        with self._open() as database:
            row = database.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
        try:
            _hasher.verify(row["password_hash"] if row else _nobody, password)
        except VerifyMismatchError:
            return None
        return User(row["name"], row["role"]) if row else None

    def issue_refresh_token(self, user: User, expires_at: int) -> str:
        token = secrets.token_urlsafe(32)
        with self._open() as database:
            database.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?)", (_digest(token), user.name, expires_at))
        return token

    def take_refresh_token(self, token: str, now: int) -> User | None:
        """Spends the token: a second use of the same one finds nothing (RFC 9700 §4.14.2)."""
        with self._open() as database:
            row = database.execute(
                "DELETE FROM refresh_tokens WHERE digest = ? RETURNING user_name, expires_at", (_digest(token),)
            ).fetchone()
        return self.user(row["user_name"]) if row and row["expires_at"] > now else None

    def drop_refresh_tokens(self, user: User) -> None:
        with self._open() as database:
            database.execute("DELETE FROM refresh_tokens WHERE user_name = ?", (user.name,))
