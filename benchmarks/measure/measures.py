"""Everything that `benchmarks/run` can measure, and in which table it is shown."""

from dataclasses import dataclass
from functools import partial
from typing import Callable

from . import counts, idle, load, rounds, running
from .cases import CASES


@dataclass(frozen=True)
class Column:
    field: str
    title: str
    digits: int = 0


CPU = Column("cpu_us", "CPU µs/request", 2)
PER_SECOND = Column("per_second", "requests/s")
P50, P99 = Column("p50_us", "p50 µs"), Column("p99_us", "p99 µs")


@dataclass(frozen=True)
class Section:
    """A table: its columns, and the one that the ratios are about."""

    title: str
    columns: tuple[Column, ...]
    ratio: str = "cpu_us"
    ratio_title: str = "CPU ratio"


REQUESTS = Section("Requests", (CPU, PER_SECOND, P50, P99))
BODIES = Section("Bodies", (*REQUESTS.columns, Column("mb_per_second", "MB/s")))
TLS = Section("TLS", REQUESTS.columns)
COUNTS = Section(
    "Counted per request",
    (
        Column("syscalls_1", "system calls, 1 connection", 2),
        Column("syscalls_32", "system calls, 32 connections", 2),
        Column("instructions", "user instructions"),
    ),
    "instructions",
    "ratio of instructions",
)
IDLE = Section(
    "Idle connections",
    (Column("base_mb", "resident MB at rest", 1), Column("per_connection", "bytes per connection")),
    "per_connection",
    "ratio of bytes",
)


@dataclass(frozen=True)
class Measure:
    """`run(options, peers)` gives a table, see `rounds`."""

    name: str
    title: str
    section: Section
    run: Callable


def timed(case, options, peers):
    connections = case.connections or options.connections
    generator = load.wrk if options.load == "wrk" else load.loop

    def once(proxy, service):
        return rounds.measure_once(proxy, service, case, connections, options.seconds, generator)

    with running.all_of(peers, case) as started:
        return rounds.alternate(started, options.rounds, once)


def counted(case, options, peers):
    del options
    return counts.measure(peers, case)


def resting(connections, options, peers):
    del options
    with running.all_of(peers, CASES["plain"]) as started:
        return [{name: idle.measure(*pair, connections) for name, pair in started.items()}]


def section_of(case):
    if case.setup.tls:
        return TLS
    return BODIES if case.setup.bodies else REQUESTS


def _all():
    for case in CASES.values():
        yield Measure(case.name, case.title, section_of(case), partial(timed, case))
    for name in ("plain", "blocked", "hs256"):
        yield Measure(f"count-{name}", CASES[name].title, COUNTS, partial(counted, CASES[name]))
    yield Measure("idle", "1,000 connections", IDLE, partial(resting, 1000))


MEASURES = {measure.name: measure for measure in _all()}
