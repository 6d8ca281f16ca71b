"""The Compose stack of docker/, with client containers beside it."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .gateway import ROOT
from .processes import wait_until

# Runs in a client container: sends the requests it is given, on one connection while the gateway keeps it open, and prints
# what came back.
_ASK = """
import http.client, json, sys
connection = http.client.HTTPConnection("gateway", 8080, timeout=15)
for method, target, fields, body in json.load(sys.stdin):
    connection.request(method, target, body=body, headers=fields)
    response = connection.getresponse()
    print(json.dumps([response.status, dict(response.getheaders()), response.read().decode()]))
"""

# Asks for the target over and over, on four connections, until its input ends; prints how often it saw what.
_LOAD = """
import collections, http.client, json, sys, threading
target, fields = json.loads(sys.stdin.readline())
seen, over = collections.Counter(), threading.Event()
def ask():
    connection = http.client.HTTPConnection("gateway", 8080, timeout=15)
    while not over.is_set():
        try:
            connection.request("GET", target, headers=fields)
            response = connection.getresponse()
            response.read()
            seen[str(response.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            seen[type(error).__name__] += 1
            connection.close()
        over.wait(0.005)
threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads: thread.start()
print("running", flush=True)
sys.stdin.read()
over.set()
for thread in threads: thread.join()
print(json.dumps(seen))
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
    """One project; `command` is what calls Compose here: `docker compose` or `docker-compose`. The images exist already."""

    def __init__(
        self, command: list[str], project: str, environment: dict[str, str], overlays: Sequence[Path] = (),
    ) -> None:
        files = [ROOT / "docker" / "compose.yaml", ROOT / "integration_tests" / "compose" / "clients.yaml", *overlays]
        self._command = [*command, "-p", project, *(word for file in files for word in ("-f", str(file)))]
        self._environment = {**os.environ, **environment}
        self._containers: dict[str, str] = {}

    def compose(self, *words: str, check: bool = True, stdin: str | None = None, timeout: float = 60) -> str:
        run = subprocess.run(
            [*self._command, *words], capture_output=True, text=True, timeout=timeout, input=stdin,
            env=self._environment, cwd=ROOT / "docker")
        if check and run.returncode:
            raise AssertionError(f"compose {' '.join(words)}: {run.returncode}\n{run.stdout[-2000:]}{run.stderr[-4000:]}")
        return run.stdout.rstrip("\n")

    def up(self) -> None:
        self._containers.clear()
        self.compose("up", "-d", timeout=200)
        wait_until("the gateway is healthy", lambda: self.health("gateway") == "healthy", 60, every=0.5)

    def down(self) -> None:
        self.compose("down", "-v", "--remove-orphans", "-t", "5", timeout=120)

    def container(self, service: str) -> str:
        if service not in self._containers:
            self._containers[service] = self.compose("ps", "-q", service)
        return self._containers[service]

    def docker(self, *words: str, stdin: str | None = None) -> str:
        run = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, input=stdin)
        if run.returncode:
            raise AssertionError(f"docker {' '.join(words)}: {run.returncode}\n{run.stdout[-2000:]}{run.stderr[-4000:]}")
        return run.stdout.strip()

    def inspect(self, service: str, template: str) -> str:
        return self.docker("inspect", "-f", template, self.container(service))

    def health(self, service: str) -> str:
        return self.inspect(service, "{{.State.Health.Status}}")

    def address(self, service: str) -> str:
        """The service's only address."""
        return self.inspect(service, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def bridge(self) -> str:
        """The address of Docker's own end of the network that the clients are in."""
        networks = json.loads(self.inspect("client-a", "{{json .NetworkSettings.Networks}}"))
        return next(iter(networks.values()))["Gateway"]

    def published_port(self) -> int:
        return int(self.compose("port", "gateway", "8080").rsplit(":", 1)[1])

    def redis(self, *words: str) -> str:
        return self.compose("exec", "-T", "redis", "redis-cli", *words)

    def gateway(self, *words: str) -> str:
        """A verb of the gateway's command line, in its container."""
        return self.compose("exec", "-T", "gateway", "gateway", *words)

    def shell(self, line: str) -> str:
        """A line with `$COMPOSE` in it, for what a runbook pipes."""
        script = f"COMPOSE='{' '.join(self._command)}'\n{line}"
        run = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=True, env=self._environment,
            cwd=ROOT / "docker", stdin=subprocess.DEVNULL)
        return run.stdout.rstrip("\n")

    def ask(self, client: str, *requests: tuple[str, str, dict[str, str], str | None]) -> list[Answer]:
        """The requests, one after the other, from the client's container."""
        # `docker exec`: docker-compose alone takes a second to start, and blocks expire meanwhile.
        printed = self.docker("exec", "-i", self.container(client), "python", "-c", _ASK, stdin=json.dumps(requests))
        return [Answer(*json.loads(line)) for line in printed.split("\n")]

    @contextmanager
    def load(self, client: str, target: str, fields: dict[str, str]) -> Iterator[dict[str, int]]:
        """Requests without pause while the block runs; at its end the dictionary says how often which status came."""
        seen: dict[str, int] = {}
        with subprocess.Popen(
            ["docker", "exec", "-i", self.container(client), "python", "-c", _LOAD], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        ) as process:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps([target, fields]) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "running\n"
            try:
                yield seen
            finally:
                seen.update(json.loads(process.communicate(timeout=30)[0]))

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail", "80", check=False)

