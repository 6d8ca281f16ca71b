"""The Compose stack of docker/, with client containers beside it."""

import json
import os
import subprocess
from typing import Any

from .gateway import ROOT
from .processes import wait_until

# Runs in a client container: sends the requests it is given on one connection and prints what came back.
_ASK = """
import http.client, json, sys
connection = http.client.HTTPConnection("gateway", 8080, timeout=15)
for method, target, fields, body in json.load(sys.stdin):
    connection.request(method, target, body=body, headers=fields)
    response = connection.getresponse()
    print(json.dumps([response.status, dict(response.getheaders()), response.read().decode()]))
"""


class Answer:
    def __init__(self, status: int, fields: dict[str, str], text: str) -> None:
        self.status, self.fields, self.text = status, fields, text

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str | None:
        return self.json().get("code") if self.text.startswith("{") else None


class Stack:
    """One project; `command` is what calls Compose here: `docker compose` or `docker-compose`."""

    def __init__(self, command: list[str], project: str, environment: dict[str, str]) -> None:
        files = [ROOT / "docker" / "compose.yaml", ROOT / "integration_tests" / "compose" / "clients.yaml"]
        self._command = [*command, "-p", project, *(word for file in files for word in ("-f", str(file)))]
        self._environment = {**os.environ, **environment}

    def compose(self, *words: str, check: bool = True, stdin: str | None = None, timeout: float = 60) -> str:
        run = subprocess.run(
            [*self._command, *words], capture_output=True, text=True, timeout=timeout, input=stdin,
            env=self._environment, cwd=ROOT / "docker")
        if check and run.returncode:
            raise AssertionError(f"compose {' '.join(words)}: {run.returncode}\n{run.stdout[-2000:]}{run.stderr[-4000:]}")
        return run.stdout.rstrip("\n")

    def build(self) -> None:
        self.compose("build", timeout=1800)

    def up(self) -> None:
        self.compose("up", "-d", timeout=300)
        wait_until("the gateway is healthy", lambda: self.health("gateway") == "healthy", 60, every=0.5)

    def down(self) -> None:
        self.compose("down", "-v", "--remove-orphans", "-t", "5", timeout=120)

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service)

    def inspect(self, service: str, template: str) -> str:
        run = subprocess.run(
            ["docker", "inspect", "-f", template, self.container(service)], capture_output=True, text=True,
            timeout=30, check=True)
        return run.stdout.strip()

    def health(self, service: str) -> str:
        return self.inspect(service, "{{.State.Health.Status}}")

    def address(self, service: str) -> str:
        """The service's only address."""
        return self.inspect(service, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def published_port(self) -> int:
        return int(self.compose("port", "gateway", "8080").rsplit(":", 1)[1])

    def redis(self, *words: str) -> str:
        return self.compose("exec", "-T", "redis", "redis-cli", *words)

    def gateway(self, *words: str) -> str:
        """A verb of the gateway's command line, in its container."""
        return self.compose("exec", "-T", "gateway", "gateway", *words, "--socket", "/var/lib/gateway/admin.sock")

    def shell(self, line: str) -> str:
        """A line with `$COMPOSE` in it, for what a runbook pipes."""
        script = f"COMPOSE='{' '.join(self._command)}'\n{line}"
        run = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=True, env=self._environment,
            cwd=ROOT / "docker", stdin=subprocess.DEVNULL)
        return run.stdout.rstrip("\n")

    def ask(self, client: str, *requests: tuple[str, str, dict[str, str], str | None]) -> list[Answer]:
        """The requests, on one connection from the client's container."""
        printed = self.compose("exec", "-T", client, "python", "-c", _ASK, stdin=json.dumps(requests))
        return [Answer(*json.loads(line)) for line in printed.split("\n")]

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "80", check=False)

