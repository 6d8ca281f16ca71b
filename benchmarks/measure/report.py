"""Tables for people: on the terminal, and in docs/performance.md between two markers."""

from . import rounds
from .workspace import stop_with

BEGIN = "<!-- begin: written by `benchmarks/run --write` -->"
END = "<!-- end: written by `benchmarks/run --write` -->"

TIMED = ["case", "proxy", "CPU µs/request", "requests/s", "p50 µs", "p99 µs", "CPU ratio, median (range)"]
CALL_CONNECTIONS = (1, 32)
CALLS = ["proxy", *(f"system calls/request, {number} conn." for number in CALL_CONNECTIONS)]
IDLE = ["proxy", "resident MB at rest", "bytes per idle connection", "ratio"]


def timed_rows(results, subject):
    """`results`: pairs of a case and its table of rounds. The ratio is `subject` over the proxy of the row."""
    rows = []
    for case, table in results:
        for name in table[0]:
            cells = [case.title, name, f"{rounds.median(table, name, 'cpu_us'):.2f}"]
            cells += [f"{rounds.median(table, name, field):,.0f}" for field in ("per_second", "p50_us", "p99_us")]
            compared = name != subject and subject in table[0]
            rows.append(cells + [str(rounds.ratio(table, subject, name)) if compared else ""])
    return rows


def call_rows(counted):
    """`counted` maps names to system calls per request by number of connections."""
    return [[name, *(f"{calls[number]:.2f}" for number in CALL_CONNECTIONS)] for name, calls in counted.items()]


def idle_rows(measured, subject):
    """`measured` maps names to `Idle`."""
    rows = []
    for name, idle in measured.items():
        row = [name, f"{idle.base / 1e6:.1f}", f"{idle.per_connection:,.0f}", ""]
        if name != subject and subject in measured and idle.per_connection > 0:
            row[-1] = f"{measured[subject].per_connection / idle.per_connection:.2f}"
        rows.append(row)
    return rows


def terminal(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows]]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def block(command, date, machine, tables):
    """The generated part of the page. `tables` are pairs of head and rows."""
    parts = [f"Measured {date} with `{command}`. " + "; ".join(machine) + "."]
    parts += [markdown(head, rows) for head, rows in tables if rows]
    return "\n\n".join(parts)


def replace_block(page, text):
    """`page` with what stands between the markers replaced; ends the program when they are not there, once each."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        stop_with("docs/performance.md lacks the two markers of the generated part")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"
