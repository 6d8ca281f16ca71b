"""Tables for people: on the terminal, and in docs/performance.md between two markers."""

from . import rounds
from .workspace import stop_with

BEGIN = "<!-- begin: written by `benchmarks/run --write` -->"
END = "<!-- end: written by `benchmarks/run --write` -->"


def tables(results, measures, subject):
    """Triples of title, head and rows, one per section; `results` maps names of measures to their tables of rounds."""
    sections = {}
    for name, measure in measures.items():
        if name in results:
            sections.setdefault(measure.section, []).extend(rows(measure, results[name], subject))
    return [
        (section.title, ["case", "proxy", *(column.title for column in section.columns), section.ratio_title], lines)
        for section, lines in sections.items()
    ]


def rows(measure, table, subject):
    """One per proxy. The ratio is `subject` over the proxy of the row."""
    section = measure.section
    for name in table[0]:
        cells = [measure.title, name]
        for column in section.columns:
            there = column.field in table[0][name]
            cells.append(rounds.spread(table, name, column.field).show(column.digits) if there else "–")
        cells.append("")
        if name != subject and all(section.ratio in table[0].get(one, {}) for one in (subject, name)):
            # What a connection adds to the memory may be nothing at all.
            if all(measured[name][section.ratio] > 0 for measured in table):
                cells[-1] = str(rounds.ratio(table, subject, name, section.ratio))
        yield cells


def terminal(title, head, lines):
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *lines]]
    return "\n".join([f"\n{title}", "-" * len(texts[0]), *texts])


def markdown(title, head, lines):
    texts = ["| " + " | ".join(row) + " |" for row in [head, *lines]]
    return "\n".join([f"**{title}**", "", texts[0], "|" + "---|" * len(head), *texts[1:]])


def block(dates, machine, sections):
    """The generated part of the page. `sections` are what `tables` gives."""
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    parts = [f"Measured {when} with `make bench`. " + "; ".join(machine) + "."]
    return "\n\n".join(parts + [markdown(*section) for section in sections])


def replace_block(page, text):
    """`page` with what stands between the markers replaced; ends the program when they are not there, once each."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        stop_with("docs/performance.md lacks the two markers of the generated part")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"
