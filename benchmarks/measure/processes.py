"""Processes that are started, watched and always ended."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from .workspace import stop_with, tool

START_SECONDS = 60  # a proxy under callgrind needs several
STOP_SECONDS = 30
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class Service:
    """A child whose output goes to `log`; ended by SIGTERM when the `with` block ends."""

    def __init__(self, command, log, wrapper=(), environment=None):
        self.name = Path(command[0]).name
        self.companions = []  # services that it needs, ended with it
        # strace runs the program as its child; valgrind becomes it and keeps the pid.
        self.is_below = bool(wrapper) and Path(wrapper[0]).name == "strace"
        self.log = Path(log)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*wrapper, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited(), **(environment or {})},
            )

    @property
    def pid(self):
        """The program itself, also when strace stands before it."""
        below = children(self.process.pid) if self.is_below else []
        return below[0] if below else self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM to the program, then waits for whatever wraps it, so that its summary is complete."""
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for pid in {self.pid, self.process.pid}:
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()
                stop_with(f"{self.name} did not end within {STOP_SECONDS} s of SIGTERM")
        for companion in self.companions:
            companion.stop()

    def wait_until(self, ready, pause=0.02):
        """Polls `ready()` until it gives something; a child that ends before that ends the run with its last words."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := ready():
                return found
            if self.process.poll() is not None:
                break
            time.sleep(pause)
        self.process.kill()
        tail = self.log.read_text(errors="replace")[-2000:]
        return stop_with(f"{self.name} did not become ready:\n{tail}")

    def wait_for_port(self, port):
        self.wait_until(lambda: accepts(port))

    def cpu_ns(self):
        """CPU time, user and system, in nanoseconds, of all threads of it and its children (schedstat, first field)."""
        tasks = [task for pid in (self.pid, *children(self.pid)) for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def ticks(self):
        """The same in the kernel's ticks: those in which user code ran, and all. What they say of a second is rough."""
        user = both = 0
        for pid in (self.pid, *children(self.pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user += int(fields[11])
            both += int(fields[11]) + int(fields[12])
        return user, both

    def resident_bytes(self):
        """VmRSS."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return stop_with(f"{self.name} has no VmRSS")


def inherited():
    """The environment without what configures a proxy: a stray GATEWAY_ or REDIS_ variable would change the case."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def children(parent):
    """The pids whose parent is `parent`, by /proc/*/stat: the `children` file is not in every kernel."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may contain spaces; the parent is the second field behind it.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    """A port that nobody listens on at this moment, for programs that cannot tell which one they were given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_backend(directory):
    """The C backend; gives the service and its port."""
    port = free_port()
    service = Service([tool("backend"), str(port)], directory / "backend.log")
    service.wait_for_port(port)
    return service, port
