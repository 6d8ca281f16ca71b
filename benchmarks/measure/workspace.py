"""Where things are, and what must be built before anything can be measured."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "benchmarks" / "tools"
BUILD = ROOT / ".build" / "bench"
GATEWAY = Path(os.environ.get("TESTED_GATEWAY") or ROOT / ".build" / "release" / "gateway")

CPUS = os.sched_getaffinity(0)

C_FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror"]
LIBRARIES = {"loop": ["-lssl", "-lcrypto"], "websocket": ["-lssl", "-lcrypto"]}


def stop_with(message):
    """Ends the program with a sentence and exit code 2: it could not measure. Exit code 1 is a verdict."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


def need(program, package=None, advice=None):
    """The path of an installed program; ends the program when it is missing."""
    beside = ROOT / ".venv" / "bin"
    found = next(filter(None, (shutil.which(program, path=path) for path in (None, "/usr/sbin:/sbin", beside))), None)
    if not found:
        advice = advice or f"on Debian or Ubuntu: apt-get install {package or program}"
        stop_with(f"{program} is not installed; {advice}")
    return found


def tool(name):
    """The path of a compiled C tool (`loop`, `backend`, or `NAME.so`); compiled when a source is newer."""
    source = TOOLS / (name.removesuffix(".so") + ".c")
    target = BUILD / name
    newest = max(path.stat().st_mtime for path in [source, *TOOLS.glob("*.h")])
    if not target.exists() or target.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        shared = ["-shared", "-fPIC"] if name.endswith(".so") else []
        # By rename, so that two runs side by side never execute half a file.
        fresh = target.with_suffix(f".{os.getpid()}")
        command = [need("cc", "gcc"), *C_FLAGS, *shared, "-o", fresh, source, *LIBRARIES.get(name, [])]
        subprocess.run(command, check=True)
        fresh.rename(target)
    return str(target)


def use_environment():
    """Goes on in .venv's Python where there is one: tokens and certificates need the package cryptography."""
    python = ROOT / ".venv" / "bin" / "python"
    if python.exists() and Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execv(python, [str(python), *sys.argv])


def build_gateway():
    """Builds the release gateway; SwiftPM does nothing when it is up to date."""
    need("swift")
    command = [ROOT / "scripts" / "build-release"]
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode != 0:
        stop_with("the release build failed")


@contextlib.contextmanager
def scratch_directory():
    """A directory for configurations and logs, in memory where the system has /dev/shm, removed at the end."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=parent) as path:
        yield Path(path)


def settle_down(cpu):
    """Pins this process, and so everything it starts, to one CPU, and makes its own end an orderly one.

    One CPU for proxy, backend and generator gives the quietest ratios: no migrations, no waiting for another core.
    """
    os.sched_setaffinity(0, {cpu})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A SystemExit runs every `with`, so that no proxy outlives the run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def last_cpu():
    """The highest CPU this process may use: the lowest ones tend to serve the interrupts."""
    return max(CPUS)


@contextlib.contextmanager
def cpus(count):
    """What is started meanwhile may use the last CPUs, `count` of them; one is what everything is pinned to anyway."""
    before = os.sched_getaffinity(0)
    if count > 1:
        os.sched_setaffinity(0, sorted(CPUS)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
