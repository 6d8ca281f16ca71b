"""The comparison itself: peers take turns within each round, and only ratios within a round are believed.

A virtual machine drifts by ten per cent within minutes; two measurements a few seconds apart drift together. A table is
a list of rounds, a round maps the names of proxies to what was measured: numbers by name.
"""

import statistics
from dataclasses import dataclass

from . import load

WARM_UP_SECONDS = 0.3


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float

    def show(self, digits):
        """`0.85 (0.80–0.90)`; of a single round the one number."""
        texts = [f"{value:,.{digits}f}" for value in (self.median, self.low, self.high)]
        return texts[0] if texts[1] == texts[2] else f"{texts[0]} ({texts[1]}–{texts[2]})"

    def __str__(self):
        return self.show(2)


def measure_once(proxy, service, case, connections, seconds, generator, **more):
    """Warms up, then measures; the load is over when the second reading is taken, so no request is cut.

    `more` is for the generator, such as the rate of requests.
    """
    proxy.tidy()
    generator(proxy.port, case, connections=connections, seconds=WARM_UP_SECONDS, **more)
    ticks, before = service.ticks(), service.cpu_ns()
    seen = generator(proxy.port, case, connections=connections, seconds=seconds, **more)
    # User and system time of all the proxy's threads per finished request.
    values = {"cpu_us": (service.cpu_ns() - before) / 1e3 / seen.requests}
    user, both = (now - then for now, then in zip(service.ticks(), ticks))
    values["user_us"] = values["cpu_us"] * user / max(1, both)
    values |= {"per_second": seen.requests / seen.seconds, "p50_us": seen.p50_us, "p99_us": seen.p99_us}
    if case.body_bytes or case.length and case.length >= 1 << 20:
        moved = seen.requests * (case.body_bytes + (case.length or 0))
        values["mb_per_second"] = moved / 1e6 / seen.seconds
    return values


def alternate(running, rounds, once):
    """`running` maps names to (proxy, service); `once(proxy, service)` measures one of them. Gives the table.

    The order turns by one in each round, so that nobody always stands behind the same neighbour.
    """
    names = list(running)
    table = []
    for number in range(rounds):
        turn = number % max(1, len(names))
        measured = {name: once(*running[name]) for name in names[turn:] + names[:turn]}
        table.append({name: measured[name] for name in names})
    return table


def ratio(table, subject, peer, field="cpu_us"):
    """`field` of `subject` over that of `peer`: median and range of the rounds' own ratios."""
    return _spread(measured[subject][field] / measured[peer][field] for measured in table)


def spread(table, name, field):
    return _spread(measured[name][field] for measured in table)


def _spread(values):
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))
