"""The two load generators: our own closed loop, exact to the request, and wrk, known to everybody."""

import json
import re
import subprocess
from dataclasses import dataclass

from .workspace import need, stop_with, tool

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True)
class Load:
    """What a generator saw: finished requests, seconds, quantiles of the latency in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float


def loop_command(port, case, connections=1, method="GET", body="", **amount):
    """`amount` is `requests=N` or `seconds=S`, or `hold=True`: one request per connection, then keep them open."""
    command = [tool("loop"), "--port", str(port), "--path", case.path, "--expect", str(case.expect)]
    command += ["--connections", str(connections), "--method", method]
    command += ["--source", case.source] if case.source else []
    command += ["--body", body] if body else []
    for header in case.headers:
        command += ["--header", header]
    for option, value in amount.items():
        command += [f"--{option}"] if value is True else [f"--{option}", str(value)]
    return command


def loop(port, case, **options):
    """Runs the closed loop to its end; any answer but the expected one ends the program."""
    ran = subprocess.run(loop_command(port, case, **options), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ran.returncode != 0:
        stop_with(f"case '{case.title}': {ran.stderr.strip()}")
    seen = json.loads(ran.stdout)
    if seen["reconnects"]:
        stop_with(f"case '{case.title}': {seen['reconnects']} connections were closed; the case measures kept ones")
    return Load(seen["requests"], seen["seconds"], seen["p50_us"], seen["p99_us"])


def wrk(port, case, connections, seconds):
    """Runs wrk; it cannot choose its source address, so cases that need one are not for it."""
    if case.source:
        return loop(port, case, connections=connections, seconds=seconds)
    headers = [word for header in case.headers for word in ("-H", header)]
    command = [need("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", *headers]
    text = subprocess.run([*command, f"http://127.0.0.1:{port}{case.path}"], capture_output=True, text=True).stdout
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    if not total or "Non-2xx" in text or "Socket errors" in text:
        stop_with(f"case '{case.title}': wrk reports errors:\n{text}")
    return Load(
        int(total[1]), float(total[2]) * UNITS[total[3]] / 1e6, _quantile(text, "50%"), _quantile(text, "99%")
    )


def _quantile(text, name):
    found = re.search(rf"{name}\s+([\d.]+)(us|ms|s)", text)
    return float(found[1]) * UNITS[found[2]] if found else 0.0
