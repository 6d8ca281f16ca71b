"""Memory of an idle keep-alive connection."""

import json
import subprocess
import time
from dataclasses import dataclass

from . import load
from .cases import CASES
from .workspace import stop_with

CONNECTIONS = 1000
SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Idle:
    """`base` bytes resident after a warm-up with no client connected, and bytes per connection on top of that."""

    base: int
    per_connection: float


def measure(proxy, service, connections=CONNECTIONS):
    """Opens the connections one after the other, one request each, and reads the resident memory before and after.

    One after the other, because a thousand requests at once would count the upstream connections they need too.
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
    return Idle(base, (grown - base) / connections)
