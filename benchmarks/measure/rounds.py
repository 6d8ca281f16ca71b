"""The comparison itself: peers take turns within each round, and only ratios within a round are believed.

A virtual machine drifts by ten per cent within minutes; two measurements a few seconds apart drift together.
"""

import statistics
from dataclasses import dataclass

from . import load

WARM_UP_SECONDS = 0.3


@dataclass(frozen=True)
class Sample:
    """One peer in one round. `cpu_us` is user and system time of all the proxy's threads per finished request."""

    cpu_us: float
    per_second: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Ratio:
    median: float
    low: float
    high: float

    def __str__(self):
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def measure_once(proxy, service, case, connections, seconds, generator):
    """Warms up, then measures; the load is over when the second reading is taken, so no request is cut."""
    proxy.tidy()
    load.loop(proxy.port, case, connections=connections, seconds=WARM_UP_SECONDS)
    before = service.cpu_ns()
    seen = generator(proxy.port, case, connections=connections, seconds=seconds)
    spent = service.cpu_ns() - before
    return Sample(spent / 1e3 / seen.requests, seen.requests / seen.seconds, seen.p50_us, seen.p99_us)


def alternate(running, case, rounds, connections, seconds, generator):
    """`running` maps names to (proxy, service). Gives one dictionary of samples per round.

    The order turns by one in each round, so that nobody always stands behind the same neighbour.
    """
    names = [name for name, (proxy, _) in running.items() if proxy.supports(case)]
    table = []
    for number in range(rounds):
        turn = number % len(names)
        order = names[turn:] + names[:turn]
        samples = {name: measure_once(*running[name], case, connections, seconds, generator) for name in order}
        table.append({name: samples[name] for name in names})
    return table


def ratio(table, subject, peer):
    """CPU per request of `subject` over that of `peer`: median and range of the rounds' own ratios."""
    values = [samples[subject].cpu_us / samples[peer].cpu_us for samples in table]
    return Ratio(statistics.median(values), min(values), max(values))


def median(table, name, field):
    return statistics.median(getattr(samples[name], field) for samples in table)
