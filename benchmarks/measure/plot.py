"""The plot of docs/benchmarks.svg: CPU time per request of every proxy as a multiple of the gateway's.

Written as text, so that it needs no library and its diff can be read. A point is the median of the rounds' own ratios,
the line through it reaches from the lowest to the highest. The scale is logarithmic: half as much and twice as much
are equally far from the gateway.
"""

import math
from xml.sax.saxutils import escape

from . import rounds

ROW, TOP, LEFT, RIGHT, WIDTH = 24, 84, 300, 24, 860
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16)

# Readable on white and on black; the shapes tell them apart without colours.
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; }
.quiet { fill: #59636e; }
.grid { stroke: #d1d9e0; }
.one { stroke: #1f2328; stroke-width: 1.5; }
.p0 { fill: #0969da; stroke: #0969da; }
.p1 { fill: #1a7f37; stroke: #1a7f37; }
.p2 { fill: #bc4c00; stroke: #bc4c00; }
.p3 { fill: #8250df; stroke: #8250df; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .quiet { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .one { stroke: #f0f6fc; }
  .p0 { fill: #4493f8; stroke: #4493f8; }
  .p1 { fill: #3fb950; stroke: #3fb950; }
  .p2 { fill: #f0883e; stroke: #f0883e; }
  .p3 { fill: #ab7df8; stroke: #ab7df8; }
}"""


def draw(results, measures, subject):
    """The SVG; `results` maps names of measures to their tables of rounds. Only measures of CPU time have a row."""
    rows = []
    for name, measure in measures.items():
        table = results.get(name)
        if table and measure.section.ratio == "cpu_us" and subject in table[0]:
            others = {peer: rounds.ratio(table, peer, subject) for peer in table[0] if peer != subject}
            if others:
                rows.append((measure.title, others))
    peers = list(dict.fromkeys(peer for _, others in rows for peer in others))
    scale = Scale([value for _, others in rows for ratio in others.values() for value in (ratio.low, ratio.high)])
    height = TOP + ROW * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="CPU time per request as a multiple of that of {escape(subject)}">',
        f"<style>\n{STYLE}\n</style>",
        f'<text class="title" x="16" y="26">CPU time per request, as a multiple of that of the {escape(subject)}</text>',
        f'<text class="quiet" x="16" y="46">right of the line: more than the {escape(subject)} needs; lines reach from'
        " the lowest to the highest round</text>",
        *legend(peers),
        *scale.grid(height - 36),
    ]
    for number, (title, others) in enumerate(rows):
        y = TOP + ROW * number + ROW // 2
        parts.append(f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(title)}</text>')
        for peer, ratio in others.items():
            low, middle, high = (scale.x(value) for value in (ratio.low, ratio.median, ratio.high))
            style = peers.index(peer)
            parts.append(f'<line class="p{style}" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
            parts.append(mark(style, middle, y, f"{peer}: {ratio}"))
    return "\n".join([*parts, "</svg>"]) + "\n"


class Scale:
    """Ratios to pixels."""

    def __init__(self, values):
        low, high = min(values, default=1), max(values, default=1)
        self.low = max((tick for tick in TICKS if tick <= min(low, 0.5)), default=TICKS[0])
        self.high = min((tick for tick in TICKS if tick >= max(high, 2)), default=TICKS[-1])

    def x(self, value):
        inside = min(max(value, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def grid(self, bottom):
        for tick in TICKS:
            if self.low <= tick <= self.high:
                x = self.x(tick)
                yield f'<line class="{"one" if tick == 1 else "grid"}" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>'
                yield f'<text class="quiet" x="{x}" y="{bottom + 20}" text-anchor="middle">{tick:g}×</text>'


def legend(peers):
    x = LEFT
    for style, peer in enumerate(peers):
        yield mark(style, x, 66, peer)
        yield f'<text x="{x + 12}" y="70">{escape(peer)}</text>'
        x += 110


def mark(style, x, y, title):
    shapes = (
        f'<circle class="p0" cx="{x}" cy="{y}" r="5">',
        f'<rect class="p1" x="{x - 4.5}" y="{y - 4.5}" width="9" height="9">',
        f'<path class="p2" d="M{x} {y - 5.5}l5.5 9.5h-11z">',
        f'<path class="p3" d="M{x} {y - 6}l6 6l-6 6l-6 -6z">',
    )
    shape = shapes[style % len(shapes)]
    return f"{shape}<title>{escape(title)}</title></{shape[1:].split()[0]}>"
