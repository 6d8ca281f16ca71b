"""The rule of the guard: which measured numbers are above the recorded ones. No processes here, so it can be tested."""

import json
from dataclasses import dataclass

# What is allowed above the recorded value, absolute and in per cent. System calls at one connection and allocations are
# exact; with 32 the number of requests per turn of the event loop varies a little; instructions, counted at one
# connection, repeat to 0.1 % on one machine and vary with the versions of libc and OpenSSL.
SLACK = {
    "syscalls_1": (0.05, 0),
    "syscalls_32": (0, 4),
    "allocations": (0.02, 0),
    "instructions": (0, 3),
}


@dataclass(frozen=True)
class Finding:
    case: str
    metric: str
    recorded: float | None
    measured: float | None
    allowed: float | None

    @property
    def verdict(self):
        """`missing` (one of the two numbers is not there) and `rose` fail; `fell` asks to record; `held` is fine."""
        if self.recorded is None or self.measured is None:
            return "missing"
        if self.measured > self.allowed:
            return "rose"
        # As far below as was allowed above: the recorded value would hide the next rise.
        return "fell" if self.measured < 2 * self.recorded - self.allowed else "held"

    @property
    def fails(self):
        return self.verdict in ("missing", "rose")


def allowed(metric, recorded):
    absolute, percent = SLACK[metric]
    return recorded + absolute + recorded * percent / 100


def compare(recorded, measured):
    """Both map case → metric → number. Every number of either side gives one finding."""
    findings = []
    for case in sorted(recorded.keys() | measured.keys()):
        old, new = recorded.get(case, {}), measured.get(case, {})
        for metric in sorted(old.keys() | new.keys()):
            limit = allowed(metric, old[metric]) if metric in old else None
            findings.append(Finding(case, metric, old.get(metric), new.get(metric), limit))
    return findings


def describe(findings):
    """A table, one line per finding; failures carry a mark that a search finds."""
    marks = {"rose": "FAIL: rose", "missing": "FAIL: not on both sides", "fell": "fell: record it", "held": "ok"}
    lines = [f"{'case':<10} {'per request':<14} {'recorded':>10} {'allowed':>10} {'measured':>10}"]
    for f in findings:
        numbers = ("-" if n is None else f"{n:,.2f}" for n in (f.recorded, f.allowed, f.measured))
        columns = " ".join(f"{number:>10}" for number in numbers)
        lines.append(f"{f.case:<10} {f.metric:<14} {columns}  {marks[f.verdict]}")
    return "\n".join(lines)


def read(path):
    return json.loads(path.read_text())


def write(path, measured):
    """Rounded to what is meaningful, so that recording again without a change changes nothing."""
    digits = {"instructions": -1}
    # + 0.0 turns a negative zero into zero.
    rounded = {
        case: {metric: round(value, digits.get(metric, 2)) + 0.0 for metric, value in sorted(metrics.items())}
        for case, metrics in sorted(measured.items())
    }
    path.write_text(json.dumps(rounded, indent=2) + "\n")
