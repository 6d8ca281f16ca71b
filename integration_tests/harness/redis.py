"""A Redis server of a test's own, spoken to as an operator does: with redis-cli."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .processes import Process, answers, free_port, wait_until


class Redis:
    """Keeps its port over `kill` and `start`, so that what depends on it finds it again."""

    def __init__(
        self, directory: Path, port: int | None = None, durable: bool = False, options: Sequence[str] = (),
        cli_options: Sequence[str] = (), tls: bool = False,
    ) -> None:
        """`durable`: every write is on disk before it is answered, so that a kill loses nothing. `options` are those of
        redis-server; `cli_options` are what redis-cli needs then. `tls`: the port speaks nothing else."""
        self.port = port or free_port()
        self._directory = directory
        self._durable = durable
        self.options = list(options)
        self.cli_options = list(cli_options)
        self._tls = tls
        self.process: Process | None = None

    def start(self) -> "Redis":
        self.process = Process(f"redis-{self.port}", [
            "redis-server", *(["--port", "0", "--tls-port"] if self._tls else ["--port"]), str(self.port), "--bind", "127.0.0.1", "--dir", self._directory,
            "--save", "", "--appendonly", "yes" if self._durable else "no", "--appendfsync", "always",
            *self.options,
        ], self._directory)
        # It accepts before it has read what it kept, and answers LOADING until then.
        wait_until("Redis answers", lambda: answers(self.port) and self.cli("PING") == "PONG")
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def cli(self, *words: str) -> str:
        """What `redis-cli WORDS` prints, without the last newline."""
        run = subprocess.run(
            ["redis-cli", "-p", str(self.port), *self.cli_options, *words], capture_output=True, text=True, timeout=20, check=True)
        return run.stdout.rstrip("\n")

    def shell(self, line: str) -> str:
        """A line of a runbook as an operator types it; `redis-cli` in it reaches this server."""
        tools = self._directory / f"tools-{self.port}"
        wrapper = tools / "redis-cli"
        if not wrapper.exists():
            tools.mkdir()
            wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p {self.port} "$@"\n')
            wrapper.chmod(0o755)
        path = f"{tools}:{os.environ['PATH']}"
        run = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=20, check=True, env={"PATH": path})
        return run.stdout.rstrip("\n")

    def integer(self, *words: str) -> int:
        return int(self.cli(*words) or 0)

    def block(self, address: str, seconds: int = 300) -> None:
        assert self.cli("SET", f"ip_block:{address}", "1", "EX", str(seconds)) == "OK"

    def failures(self, address: str) -> int:
        """The counter of failed logins; 0 when there is none."""
        return self.integer("GET", f"login_fail:{address}")

    def blocked(self, address: str) -> bool:
        return self.cli("EXISTS", f"ip_block:{address}") == "1"
