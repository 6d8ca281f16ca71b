"""What can be counted exactly: system calls, user instructions and allocations per proxied request.

Each number is the difference of two runs, one with N requests and one with 2N, divided by N: whatever happens once
(start, connections, first verification of a token, end) is in both and falls out.
"""

import mmap
import struct
import time
from collections import Counter

from . import load
from .workspace import need, stop_with, tool

# Two rounds of the loop's own connections must have been closed by the proxy before the counters are read.
SETTLE_SECONDS = 0.1


def syscalls(proxy, case, connections, requests, environment=None):
    """System calls per request by name; `sum(values())` is their number. All threads count (strace -f)."""
    totals = []
    for amount in (requests, 2 * requests):
        summary = proxy.directory / "strace.txt"
        wrapper = [need("strace"), "-f", "-c", "-qq", "-o", str(summary)]
        with proxy.start(wrapper, environment):
            load.generator(case)(proxy.port, case, connections=connections, requests=amount)
        totals.append(read_strace(summary.read_text()))
    return per_request(*totals, requests)


def per_request(first, second, requests):
    """Differences by name, without the names that one run had a few more of by chance (fewer than 1 in 200)."""
    rates = {name: (second[name] - first[name]) / requests for name in second.keys() | first.keys()}
    return {name: rate for name, rate in sorted(rates.items(), key=lambda pair: -pair[1]) if abs(rate) >= 0.005}


def read_strace(text):
    """Calls by name from the table of `strace -c`; its `errors` column is empty for most rows."""
    calls = Counter()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total":
            calls[fields[-1]] += int(fields[3])
    if not calls:
        stop_with(f"strace gave no table:\n{text[-500:]}")
    return calls


def instructions(proxy, case, connections, requests, environment=None):
    """User-mode instructions per request (callgrind). Its CPU has no SHA-NI or AVX-512: crypto counts come out high."""
    first, second = map(read_callgrind, callgrind_runs(proxy, case, connections, requests, environment))
    return (second - first) / requests


def callgrind_runs(proxy, case, connections, requests, environment=None):
    """What callgrind wrote about the run with N requests, and about the one with 2N."""
    for amount in (requests, 2 * requests):
        profile = proxy.directory / "callgrind.out"
        wrapper = [need("valgrind"), "--tool=callgrind", "-q", f"--callgrind-out-file={profile}"]
        with proxy.start(wrapper, environment):
            load.generator(case)(proxy.port, case, connections=connections, requests=amount)
        yield profile.read_text(errors="replace")


def read_callgrind(text):
    """Instructions of the whole run."""
    for line in text.splitlines():
        if line.startswith(("totals:", "summary:")):
            return int(line.split()[1])
    return stop_with("callgrind wrote no total")


def allocations(proxy, case, connections, requests, environment=None, preload=()):
    """Heap allocations per request after a warm-up, of one process: the counters are read while it runs."""
    counters = proxy.directory / "allocations"
    counters.write_bytes(bytes(8))
    surroundings = {
        **(environment or {}),
        "LD_PRELOAD": " ".join([*preload, tool("allocations.so")]),
        "BENCH_ALLOCATIONS": str(counters),
    }
    with counters.open("r+b") as file, mmap.mmap(file.fileno(), 8) as page:
        with proxy.start(environment=surroundings):
            readings = []
            for amount in (requests, requests, 2 * requests):
                load.generator(case)(proxy.port, case, connections=connections, requests=amount)
                time.sleep(SETTLE_SECONDS)
                readings.append(struct.unpack("Q", page[:])[0])
    warm, first, second = readings
    if warm == 0:
        stop_with(f"{proxy.name} made no allocation at all: the counting library was not loaded")
    return ((second - first) - (first - warm)) / requests
