"""Memory of an idle keep-alive connection."""

import json
import resource
import subprocess
import time

from . import load
from .cases import CASES
from .workspace import stop_with

SETTLE_SECONDS = 1.0


def many():
    """10,000 connections, or what there is room for: the gateway sees to it that each client could have an upstream
    connection, and takes no more than half as many clients as the process may open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 10_000 if files == resource.RLIM_INFINITY or files >= 24_000 else files * 9 // 20


def measure(proxy, service, connections):
    """Resident memory after a warm-up with no client connected, and what each connection adds to it.

    The connections are opened one after the other, one request each, because a thousand requests at once would count
    the upstream connections they need too.
    """
    case = CASES["plain"]
    load.loop(proxy.port, case, connections=32, requests=3200)
    time.sleep(SETTLE_SECONDS)
    base = service.resident_bytes()
    command = load.loop_command(proxy.port, case, connections=connections, hold=True)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        # Its one line comes when the last connection has had its answer; it ends when its input does.
        line = holder.stdout.readline()
        time.sleep(SETTLE_SECONDS)
        grown = service.resident_bytes()
        holder.stdin.close()
    if not line or json.loads(line)["requests"] != connections:
        stop_with(f"{proxy.name}: not every idle connection was served")
    return {"base_mb": base / 1e6, "per_connection": (grown - base) / connections}
