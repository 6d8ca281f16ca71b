"""The gateway as a child process: its configuration, its ready line, its log, its command line and its admin listener."""

import copy
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .client import Client, Response, fetch, request
from .processes import NotReady, Process, descriptors, surroundings, wait_until

ROOT = Path(__file__).resolve().parents[2]
ADMIN_TOKEN = "an admin token for the tests, long enough"

Config = dict[str, Any]


def binary() -> Path:
    """TESTED_GATEWAY, or the release build, or the debug build."""
    named = os.environ.get("TESTED_GATEWAY")
    candidates = [Path(named)] if named else [ROOT / ".build" / kind / "gateway" for kind in ("release", "debug")]
    for candidate in candidates:
        if candidate.exists():
            return candidate.resolve()
    raise NotReady("there is no gateway to test: run `make release` first")


def run_binary(*words: str | Path, check: bool = False, timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    """A verb of the gateway's command line, with nothing of the developer's environment that could change it."""
    return subprocess.run(
        [str(word) for word in (binary(), *words)], capture_output=True, text=True, timeout=timeout, check=check,
        env=surroundings())


def merged(base: Config, changes: Mapping[str, Any]) -> Config:
    """Maps are merged key by key; lists and scalars are replaced; a None removes the key."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def config(upstream: str, directory: Path) -> Config:
    """One open route to `upstream`; everything that has a port takes a free one."""
    return {
        "listen": ["127.0.0.1:0"],
        "workers": 2,
        "state_dir": str(directory / "state"),
        "admin": {"listen": "127.0.0.1:0", "token": ADMIN_TOKEN},
        "timeouts": {"drain": "2s"},
        "upstreams": {"api": {"servers": [upstream]}},
        "routes": [{"path": "/", "upstream": "api", "auth": "none"}],
        "logs": {"access": "stdout", "audit": "stdout", "level": "info"},
    }


class Gateway:
    """Started by `start`; the same object may be started again on the same state and log."""

    def __init__(
        self, directory: Path, settings: Config, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = (),
    ) -> None:
        """`prefix`: words before the program's own, such as `prlimit` and its options."""
        self.prefix = prefix
        self.directory = directory
        self.settings = settings
        self.environment = dict(environment or {})
        self.config_path = directory / "gateway.conf"
        self.descriptors: list[int] = []
        self.program = binary()
        self.process: Process | None = None
        self._ready: dict[str, Any] = {}

    def write_config(self, settings: Config | None = None) -> None:
        """JSON is YAML; the file is replaced in one step, as a deployment does it."""
        if settings is not None:
            self.settings = settings
        draft = self.config_path.with_suffix(".draft")
        draft.write_text(json.dumps(self.settings, indent=2) + "\n")
        draft.chmod(0o600)
        draft.rename(self.config_path)

    def start(self, timeout: float = 15.0) -> "Gateway":
        self.write_config()
        self.process = Process(
            "gateway", [*self.prefix, self.program, "run", "--config", self.config_path], self.directory,
            self.environment, descriptors=self.descriptors)
        # After a restart the log still has the earlier ready line: the pid tells them apart.
        pid = self.process.pid

        def ready() -> dict[str, Any] | None:
            if not self.child.running:
                raise NotReady(f"the gateway ended with {self.child.wait()}:\n{self.child.log()[-3000:]}")
            return next((line for line in self.events("gateway.ready") if line["pid"] == pid), None)

        self._ready = wait_until("gateway.ready", ready, timeout)
        return self

    @property
    def child(self) -> Process:
        assert self.process is not None, "the gateway was not started"
        return self.process

    def stop(self) -> None:
        """Ends it, and processes that took over from it: those are no children of ours and not known by anybody else."""
        if self.process is None:
            return
        self.process.stop()
        for pid in {line["pid"] for line in self.events() if line.get("event") in ("gateway.ready", "upgrade.started")}:
            if pid != self.process.pid and str(self.config_path).encode() in _command_line(pid):
                os.kill(pid, signal.SIGTERM)
                try:
                    wait_until("its end", lambda one=pid: not _command_line(one), 10)
                except NotReady:
                    os.kill(pid, signal.SIGKILL)

    @property
    def address(self) -> tuple[str, int]:
        return _pair(self._ready["listeners"][0])

    @property
    def secure_address(self) -> tuple[str, int]:
        return _pair(self._ready["tls_listeners"][0])

    @property
    def check_address(self) -> tuple[str, int]:
        """Where proxies ask."""
        return _pair(self._ready["forward_auth_listeners"][0])

    @property
    def admin(self) -> tuple[str, int]:
        return _pair(self._ready["admin"])

    @property
    def admin_socket(self) -> str:
        return self._ready["admin_socket"]

    def open_files(self, kind: str = "") -> int:
        """Its descriptors now, of all kinds or of one (`socket`). The loops of the workers come a moment after it is ready."""
        return sum(what.startswith(kind) for what in descriptors(self.child.pid))

    def connect(self, source: str | None = None, timeout: float = 10.0, receive_buffer: int | None = None) -> Client:
        return Client(self.address, source, timeout, receive_buffer)

    def fetch(self, data: bytes, source: str | None = None, timeout: float = 10.0) -> Response:
        return fetch(self.address, data, source, timeout)

    def get(self, target: str, source: str | None = None, fields: dict[str, str] | None = None) -> Response:
        return self.fetch(request("GET", target, fields), source)

    def ask_admin(self, target: str, token: str | None = None) -> Response:
        fields = {"Authorization": f"Bearer {token}"} if token else {}
        return fetch(self.admin, request("GET", target, fields))

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its full name with labels."""
        samples = {}
        for line in self.ask_admin("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A verb of the command line, through the admin socket."""
        return run_binary(*words, "--socket", self.admin_socket, check=check)

    def command_json(self, *words: str) -> Any:
        return json.loads(self.command(*words, "--json").stdout)

    def lines(self) -> list[dict[str, Any]]:
        """Every complete JSON line of the log, oldest first."""
        found = []
        for line in self.child.log().split("\n")[:-1]:
            if line.startswith("{"):
                found.append(json.loads(line))
        return found

    def events(self, name: str | None = None, **members: Any) -> list[dict[str, Any]]:
        """Log lines with this `event` and these members."""
        wanted = {**({"event": name} if name else {}), **members}
        return [line for line in self.lines() if all(line.get(key) == value for key, value in wanted.items())]

    def wait_event(self, name: str | None = None, timeout: float = 5.0, **members: Any) -> dict[str, Any]:
        return wait_until(f"log line {name} {members}", lambda: self.events(name, **members), timeout)[-1]

    def signal(self, number: signal.Signals) -> None:
        self.child.signal(number)

    def freeze(self) -> None:
        """Stops every thread, and returns when they have stopped: SIGSTOP alone is on its way for a moment."""
        self.signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.child.pid}/task")
        wait_until("every thread stands", lambda: all(_state(task) == "T" for task in tasks.iterdir()))


def _state(task: Path) -> str:
    """The letter of proc(5); the name before it may hold anything but ends with the last parenthesis."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def _command_line(pid: int) -> bytes:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def _pair(text: str) -> tuple[str, int]:
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)
