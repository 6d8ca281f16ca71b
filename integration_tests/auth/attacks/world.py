"""A running gateway with one of the configurations, and who is around it."""

import json
from pathlib import Path
from typing import Any

from harness.backend import Backend, answer
from harness.client import request
from harness.gateway import Gateway, config, merged
from harness.processes import wait_until
from harness.provider import KEYS, Provider
from harness.tokens import bearer, claims

from .case import by, head, made
from .configurations import CONFIGURATIONS
from .signing import ecdsa_with

JSON = {"Content-Type": "application/json"}


class World:
    """All attacks on one configuration share it. `backend` is the attacker's as well; `a` and `b` are providers."""

    def __init__(self, name: str, directory: Path) -> None:
        self.configuration = CONFIGURATIONS[name]
        self.directory = directory
        self.backend = Backend()
        self.providers: list[Provider] = []
        if self.configuration.published:
            self.a, self.b = self.providers = [Provider("a", "shared", "gone"), Provider("b", "shared")]
            self.a.answers[KEYS] = lambda exchange: answer(200, json.dumps(self.key_set()), JSON)
        # One worker, so that a token that was accepted is remembered by whoever judges the next one.
        base = merged(config(self.backend.address, directory), {"workers": 1})
        self.gateway = Gateway(directory, merged(base, self.configuration.settings(self))).start()
        self._offset = 0
        self._records: dict[str, list[dict]] = {}

    def settle(self) -> None:
        """Keys are here; and one of them is taken away again, after it was used."""
        if not self.providers:
            return
        for provider, kid in ((self.a, "a"), (self.b, "b")):
            wait_until("the keys are here", lambda one=provider, name=kid: self.ask(
                "/", by(one, name, one.issuer)) == 200)
        self._gone = self.a.keys["gone"]
        self.gone_before = self.gone_token(claims("before"))
        assert self.ask("/", self.gone_before) == 200
        del self.a.keys["gone"]
        # A kid that nobody knows brings the next fetch forward.
        assert self.ask("/", by(self.a, "a", self.a.issuer, name="unheard of")) == 401
        wait_until("the key is gone", lambda: self.ask("/", self.gone_before) == 401)

    def key_set(self) -> dict[str, Any]:
        """What a publishes."""
        return {"keys": [*self.a.key_set()["keys"], *self.configuration.published()]}

    def write(self, name: str, data: bytes) -> str:
        """A file that only we can read."""
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(0o600)
        return str(path)

    def stop(self) -> None:
        self.gateway.stop()
        self.backend.close()
        for provider in self.providers:
            provider.close()

    def ask(self, path: str, token: str | list[tuple[str, str]]) -> int:
        fields = bearer(token) if isinstance(token, str) else token
        return self.gateway.fetch(request("GET", path, fields)).status

    def good(self) -> list[tuple[str, str | list[tuple[str, str]]]]:
        return self.configuration.good(self)

    def remembered(self) -> str:
        """A good token that was accepted a moment ago."""
        token = made()
        assert self.ask("/", token) == 200
        return token

    def gone_token(self, body: dict[str, Any]) -> str:
        """Of the key that was taken away."""
        return made(head(alg="ES256", kid="gone"), {**body, "iss": self.a.issuer}, ecdsa_with(self._gone))

    def reason(self, request_id: str, status: int) -> str:
        """Of the audit record; of the access line where no token was looked at, so that nothing is audited."""
        def found() -> list[str]:
            lines = self._told(request_id)
            if status in (401, 403):
                return [line["context"]["failure_reason"] for line in lines if line["event"] == "security.auth_failure"]
            return [line.get("reason", "") for line in lines if line["event"] == "http.request"]
        return wait_until("the record of the request", found, 5)[0]

    def _told(self, request_id: str) -> list[dict]:
        """Log lines of a request; only what is new of the log is read."""
        with self.gateway.child.log_path.open("rb") as log:
            log.seek(self._offset)
            new = log.read()
        whole = new[:new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            if line.startswith(b"{"):
                record = json.loads(line)
                identity = record.get("context", record).get("request_id")
                self._records.setdefault(identity, []).append(record)
        return self._records.get(request_id, [])
