"""The load generators: our own loop, exact to the request, and wrk, known to everybody."""

import json
import re
import subprocess
from dataclasses import dataclass

from .workspace import need, stop_with, tool

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}

# By port, the number of requests so far: tokens go on where they stopped, so that none comes again too soon.
_asked = {}


@dataclass(frozen=True)
class Load:
    """What a generator saw: finished requests, seconds, quantiles of the latency in microseconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float


def loop_command(port, case, connections=1, **more):
    """`more` is `requests=N` or `seconds=S`, or `hold=True`: one request per connection, then keep them open."""
    options = {"port": port, **case.options, "connections": connections, **more}
    if case.tokens > 1:
        options["first"] = _asked.get(port, 0)
    command = [tool("loop")]
    for option, value in options.items():
        if value is True:
            command.append(f"--{option}")
            continue
        for one in value if isinstance(value, list) else [value]:
            command += [f"--{option}", str(one)]
    return command


def loop(port, case, **options):
    """Runs the loop to its end; any answer but the expected one ends the program."""
    seen = _result(case, loop_command(port, case, **options))
    _asked[port] = _asked.get(port, 0) + seen["requests"]
    if seen["reconnects"]:
        stop_with(f"case '{case.title}': {seen['reconnects']} connections were closed; the case measures kept ones")
    return Load(seen["requests"], seen["seconds"], seen["p50_us"], seen["p99_us"])


def generator(case):
    """What drives a case: `loop`, or `websocket`."""
    return websocket if case.setup.websocket else loop


def websocket(port, case, **options):
    """Messages that came back over established WebSockets."""
    command = [tool("websocket")]
    for option, value in {"port": port, **case.options, **options}.items():
        command += [f"--{option}", str(value)]
    seen = _result(case, command)
    return Load(seen["requests"], seen["seconds"], seen["p50_us"], seen["p99_us"])


def _result(case, command):
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return read_result(case, ran.returncode, ran.stdout, ran.stderr)


def read_result(case, code, output, errors):
    """The line of a generator; one that ended with an error ends the program."""
    if code != 0:
        stop_with(f"case '{case.title}': {errors.strip()}")
    return json.loads(output)


def wrk(port, case, connections, seconds):
    """Runs wrk, for what it can do: it cannot choose its source address, and asks the same again and again."""
    if set(case.options) - {"path", "method", "expect", "length", "header"}:
        return loop(port, case, connections=connections, seconds=seconds)
    headers = [word for header in case.options.get("header", []) for word in ("-H", header)]
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
