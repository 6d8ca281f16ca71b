"""An OpenID provider on loopback, shaped like Keycloak's, whose keys and failures a test scripts."""

import json
import ssl
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from .backend import Backend, Exchange, answer
from .tokens import claims, token

REALM = "/realms/demo"
METADATA = f"{REALM}/.well-known/openid-configuration"
KEYS = f"{REALM}/protocol/openid-connect/certs"


class Provider:
    """`keys` are what it has now, by kid. `answers` takes the place of a document at a path: bytes, or a handler."""

    def __init__(self, *kids: str, port: int = 0, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> None:
        self.keys = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in kids}
        self.answers: dict[str, bytes | Callable[[Exchange], bytes | None]] = {}
        self.fields: dict[str, str] = {}
        self.server = Backend(self._serve, port, tls=tls)
        self.base = f"{'https' if tls else 'http'}://{name}:{self.server.port}"

    @property
    def issuer(self) -> str:
        return self.base + REALM

    @property
    def url(self) -> str:
        return self.base + KEYS

    def add(self, kid: str) -> None:
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def token(self, kid: str, **changes: Any) -> str:
        return token(claims(**{"iss": self.issuer, **changes}), key=self.keys[kid], alg="ES256", kid=kid)

    def fetches(self, path: str = KEYS) -> int:
        return sum(request.target == path for request in self.server.requests)

    def key_set(self) -> dict[str, Any]:
        return {"keys": [
            {"kid": kid, "use": "sig", "alg": "ES256", **jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), True)}
            for kid, key in self.keys.items()]}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/protocol/openid-connect/auth",
            "token_endpoint": f"{self.issuer}/protocol/openid-connect/token", "jwks_uri": self.url,
            "id_token_signing_alg_values_supported": ["ES256"], "subject_types_supported": ["public", "pairwise"]}

    def close(self) -> None:
        self.server.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        path = exchange.request.target
        scripted = self.answers.get(path)
        if scripted is not None:
            return scripted if isinstance(scripted, bytes) else scripted(exchange)
        document = {METADATA: self.metadata, KEYS: self.key_set}.get(path)
        if document is None:
            return answer(404, b"no such document")
        return answer(200, json.dumps(document()), {"Content-Type": "application/json", **self.fields})
