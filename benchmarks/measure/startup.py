"""How long a proxy takes from its start to the first answer, what it then holds in memory, and how big it is."""

import http.client
import os
import subprocess
import time
from functools import cache
from pathlib import Path

from . import workspace
from .processes import Service, start_backend
from .workspace import need, stop_with

POLL_SECONDS = 0.0005
SETTLE_SECONDS = 0.5


# Where root tells Linux to drop what it keeps of files.
CACHES = Path("/proc/sys/vm/drop_caches")


def can_forget_files():
    return os.access(CACHES, os.W_OK)


def forget_files():
    """As after a boot: every page of programs and libraries that nobody uses is read from the disk again."""
    os.sync()
    CACHES.write_text("3")


def forget_nothing():
    """The files were read a moment ago."""


def measure(peer, forget):
    """One start of a plainly configured proxy."""
    with workspace.scratch_directory() as directory:
        backend, port = start_backend(directory)
        with backend:
            proxy = peer(directory, port)
            command = proxy.command()
            forget()
            began = time.monotonic()
            with Service(command, proxy.directory / "output.log") as service:
                service.wait_until(lambda: proxy.is_ready(service), POLL_SECONDS)
                ask(proxy)
                elapsed = time.monotonic() - began
                time.sleep(SETTLE_SECONDS)
                return {
                    "startup_ms": elapsed * 1e3,
                    "resident_mb": service.resident_bytes() / 1e6,
                    "program_mb": sum(stripped_bytes(part) for part in parts(service.pid)) / 1e6,
                }


def ask(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    connection.request("GET", "/100")
    answer = connection.getresponse()
    if answer.status != 200 or len(answer.read()) != 100:
        stop_with(f"{proxy.name} answered {answer.status}")
    connection.close()


def parts(pid):
    """The program and the libraries that nobody else on a server has: those of Swift, but not those of the system."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    libraries = {line.split()[-1] for line in lines if ".so" in line.split()[-1]}
    own = (library for library in libraries if not library.startswith(("/lib", "/usr/lib")))
    return [Path(f"/proc/{pid}/exe").readlink(), *map(Path, own)]


@cache
def stripped_bytes(part):
    """Without symbols, as packages ship it."""
    with workspace.scratch_directory() as directory:
        copy = directory / "stripped"
        subprocess.run([need("strip", "binutils"), "-o", str(copy), str(part)], check=True)
        return copy.stat().st_size
