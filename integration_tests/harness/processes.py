"""Child processes that a test starts: their log goes to a file, and they are ended by their own process id."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


class NotReady(AssertionError):
    """Something did not happen in the time it was given."""


LOOKS = 50
PATIENCE = 5.0


def wait_until(what: str, probe: Callable[[], Any], timeout: float = 10.0, every: float = 0.01) -> Any:
    """Returns the first true result of `probe`; raises `NotReady` that names `what` after `timeout` seconds.

    On a busy machine a short time may be over after a single look. So it is looked at least `LOOKS` times, as long as that
    takes no more than `PATIENCE` seconds.
    """
    began = time.monotonic()
    for looks in itertools.count(1):
        if value := probe():
            return value
        passed = time.monotonic() - began
        if passed > timeout and (looks >= LOOKS or passed > PATIENCE):
            raise NotReady(f"{what}: not within {timeout} s, {looks} looks")
        time.sleep(every)


def descriptors(pid: int) -> list[str]:
    """What the descriptors of a process are; some may be closed while it is looked at."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(descriptor))
    return found


def free_port() -> int:
    """A port that was free a moment ago; for servers that cannot choose one by themselves.

    Below those that the system gives to clients: a connection of the test's own load may be given any of them, and who
    listens there again and again, as in a reload, would find it taken."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(lowest // 3, lowest)))
            return probe.getsockname()[1]
    raise NotReady("no port is free")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def surroundings() -> dict[str, str]:
    """What a child gets of the developer's environment: GATEWAY_… and REDIS_… would change what is tested."""
    kept = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "SWIFT_BACKTRACE")
    return {key: os.environ[key] for key in kept if key in os.environ}


# Puts the descriptors it was given at 3 and the numbers behind it, as a service manager does, and becomes the program.
# First out of the way of each other: a target may be the number of another one.
_ACTIVATE = """
import fcntl, os, sys
given = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in sys.argv[1].split(",")]
os.closerange(3, 100)
for place, number in enumerate(given, 3):
    os.dup2(number, place)
os.closerange(100, 200)
os.environ["LISTEN_PID"] = os.environ.get("LISTEN_PID") or str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Process:
    """One child with its standard output and error in `<directory>/<name>.log`. `descriptors` are given to it as by
    socket activation (sd_listen_fds(3)); LISTEN_FDS and names are the caller's to set."""

    def __init__(
        self, name: str, command: Sequence[str | Path], directory: Path, environment: Mapping[str, str] | None = None,
        working_directory: Path | None = None, descriptors: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log_path = directory / f"{name}.log"
        words = [str(word) for word in command]
        if descriptors:
            words = [sys.executable, "-c", _ACTIVATE, ",".join(map(str, descriptors)), *words]
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=descriptors,
                cwd=working_directory, env={**surroundings(), **(environment or {})}, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit status; negative for a signal, as subprocess has it."""
        return self._child.wait(timeout)

    def kill(self) -> None:
        """SIGKILL: nothing is said goodbye to."""
        self._child.kill()
        self._child.wait(10)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for one that does not listen (or was stopped by SIGSTOP)."""
        if not self.running:
            return
        self._child.send_signal(signal.SIGCONT)
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def resident_peak(self) -> int:
        """Bytes of VmHWM: the highest resident size since the start or since `reset_resident_peak`."""
        return self._status_bytes("VmHWM")

    def resident(self) -> int:
        return self._status_bytes("VmRSS")

    def reset_resident_peak(self) -> None:
        # proc(5): writing 5 sets the peak to the present value.
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status_bytes(self, field: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise NotReady(f"{self.name} has no {field}: did it end?")
