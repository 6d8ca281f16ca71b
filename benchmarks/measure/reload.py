"""What clients notice while a proxy is told again and again to read its configuration."""

import subprocess
import time

from . import load

INTERVAL_SECONDS = 0.2


def measure_once(proxy, service, case, connections, seconds):
    """A reload every fifth of a second under load. A connection that was closed without an answer is asked again."""
    proxy.tidy()
    load.loop(proxy.port, case, connections=connections, requests=3200)
    command = load.loop_command(proxy.port, case, connections=connections, seconds=seconds, tolerate=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as generator:
        while generator.poll() is None:
            proxy.reload(service)
            time.sleep(INTERVAL_SECONDS)
        output, errors = generator.communicate()
    seen = load.read_result(case, generator.returncode, output, errors)
    return {
        "per_second": seen["requests"] / seen["seconds"],
        "p50_us": seen["p50_us"],
        "p99_us": seen["p99_us"],
        "max_us": seen["max_us"],
        "closed": seen["reconnects"] + seen["broken"],
        "broken": seen["broken"],
    }
