"""Everything that `benchmarks/run` can measure, and in which table it is shown."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Callable

from . import counts, idle, load, reload, rounds, running, startup
from .cases import CASES, Setup


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


USER = Column("user_us", "of these in user code", 1)
REQUESTS = Section("Requests", (CPU, USER, PER_SECOND, P50, P99))
BODIES = Section("Bodies", (*REQUESTS.columns, Column("mb_per_second", "MB/s")))
TLS = Section("TLS", REQUESTS.columns)
WEBSOCKET = Section("WebSocket", (Column("cpu_us", "CPU µs/message", 2), Column("per_second", "messages/s"), P50, P99))
SCALE = Section("Scale", REQUESTS.columns)
RATE = Section("Latency at a fixed rate", (PER_SECOND, CPU, P50, P99), "p99_us", "ratio of p99")
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
    (Column("base_mb", "resident MB after a warm-up", 1), Column("per_connection", "bytes per connection")),
    "per_connection",
    "ratio of bytes",
)


RELOAD = Section(
    "While the configuration is read again",
    (
        PER_SECOND,
        P50,
        P99,
        Column("max_us", "longest µs"),
        Column("closed", "connections closed"),
        Column("broken", "of these without an answer"),
    ),
    "p99_us",
    "ratio of p99",
)


STARTUP = Section(
    "Start, and size",
    (
        Column("startup_ms", "ms to the first answer", 1),
        Column("resident_mb", "resident MB at rest", 1),
        Column("program_mb", "MB of the program and its own libraries", 1),
    ),
    "startup_ms",
    "ratio of time",
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
    generator = load.generator(case)
    if options.load == "wrk" and generator is load.loop:
        generator = load.wrk

    def once(proxy, service):
        return rounds.measure_once(proxy, service, case, connections, options.seconds, generator)

    with running.all_of(peers, case) as started:
        return rounds.alternate(started, options.rounds, once)


def counted(case, options, peers):
    del options
    return counts.measure(peers, case)


def resting(connections, options, peers):
    del options
    case = replace(CASES["plain"], setup=Setup(connections=connections + 1000))
    with running.all_of(peers, case) as started:
        return [{name: idle.measure(*pair, connections) for name, pair in started.items()}]


def section_of(case):
    if case.setup.tls:
        return TLS
    if case.setup.websocket:
        return WEBSOCKET
    if case.setup.blocked or case.setup.routes or case.setup.workers > 1:
        return SCALE
    return BODIES if case.setup.bodies else REQUESTS


def at_fixed_rate(case, options, peers):
    """Half of what the slowest serves in a closed loop: a rate that all of them keep up with."""
    with running.all_of(peers, case) as started:
        amount = {"connections": options.connections, "seconds": 1}
        most = [load.loop(proxy.port, case, **amount) for proxy, _ in started.values()]
        rate = round(min(one.requests / one.seconds for one in most) / 2)

        def once(proxy, service):
            amount = (options.connections, options.seconds)
            return rounds.measure_once(proxy, service, case, *amount, load.loop, rate=rate)

        return rounds.alternate(started, options.rounds, once)


def starting(forget, options, peers):
    """The same turns as everywhere, but nothing stays running between them."""
    named = {peer.name: (peer, forget) for peer in peers}
    return rounds.alternate(named, options.rounds, startup.measure)


def reloading(options, peers):
    case = replace(CASES["plain"], setup=Setup(reloads=True))

    def once(proxy, service):
        return reload.measure_once(proxy, service, case, options.connections, options.seconds)

    with running.all_of(peers, case) as started:
        return rounds.alternate(started, options.rounds, once)


def _all():
    for case in CASES.values():
        yield Measure(case.name, case.title, section_of(case), partial(timed, case))
    for name in ("plain", "hs256"):
        yield Measure(f"rate-{name}", CASES[name].title, RATE, partial(at_fixed_rate, CASES[name]))
    for name in ("plain", "blocked", "hs256"):
        yield Measure(f"count-{name}", CASES[name].title, COUNTS, partial(counted, CASES[name]))
    for name, connections in (("idle", 1000), ("idle-many", idle.many())):
        yield Measure(name, f"{connections:,} connections", IDLE, partial(resting, connections))
    yield Measure("startup", "usual configuration", STARTUP, partial(starting, startup.forget_nothing))
    if startup.can_forget_files():
        title = "usual configuration, files not in memory"
        yield Measure("startup-cold", title, STARTUP, partial(starting, startup.forget_files))
    yield Measure("reload", "plain 100 B, 5 reloads a second", RELOAD, reloading)


MEASURES = {measure.name: measure for measure in _all()}
