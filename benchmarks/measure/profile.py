"""Reads what callgrind wrote: what each function cost by itself, and whom it called.

The format: https://valgrind.org/docs/manual/cl-format.html
"""

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass

NAME = re.compile(r"\((\d+)\)(?: (.*))?")


class Profile:
    """Sums of one run."""

    def __init__(self, text):
        # Instructions by function, the called ones' not included.
        self.own = Counter()
        # Calls, and the instructions spent in them, by caller and called.
        self.calls = Counter()
        self.spent = Counter()
        names = {}

        def name(reference):
            """Names are written once, then referred to by number."""
            number, text = NAME.match(reference).groups()
            if text is not None:
                names[number] = text
            return names[number]

        function = called = None
        for line in text.splitlines():
            if line.startswith("fn="):
                function = name(line[3:])
            elif line.startswith("cfn="):
                called = name(line[4:])
            elif line.startswith("calls="):
                self.calls[function, called] += int(line[6:].split()[0])
            elif line[:1] in "0123456789+-*" and line:
                cost = int((line.split() + ["0"])[1])
                if called is None:
                    self.own[function] += cost
                else:
                    self.spent[function, called] += cost
                    called = None


@dataclass
class Costs:
    """Per request."""

    own: dict[str, float]
    calls: dict[tuple[str, str], float]
    spent: dict[tuple[str, str], float]

    def total(self):
        return sum(self.own.values())

    def called(self, function):
        return sum(number for (_, called), number in self.calls.items() if called == function)

    def with_called(self, function):
        """Its own and what it called; for a function that calls itself this counts some twice."""
        return self.own.get(function, 0) + sum(cost for (caller, _), cost in self.spent.items() if caller == function)


def per_request(first, second, requests):
    """The difference of a run with N requests and one with 2N, divided by N."""

    def rates(one, two):
        differences = {key: (two[key] - one[key]) / requests for key in two.keys() | one.keys()}
        return {key: rate for key, rate in differences.items() if abs(rate) >= 0.005}

    return Costs(
        rates(first.own, second.own), rates(first.calls, second.calls), rates(first.spent, second.spent)
    )


def table(costs, top):
    """Lines of own instructions, with called ones, and calls per request, the dearest first."""
    functions = sorted(costs.own, key=lambda function: -costs.own[function])[:top]
    names = readable(functions)
    total = costs.total()
    yield f"{total:10,.0f}  user instructions per request"
    yield f"{'own':>10} {'share':>6} {'with called':>12} {'calls':>7}  function"
    for function in functions:
        own = costs.own[function]
        yield (
            f"{own:10,.0f} {own / total:6.1%} {costs.with_called(function):12,.0f} {costs.called(function):7.2f}"
            f"  {names[function]}"
        )


def callers(costs, text):
    """Lines of calls and their instructions per request by caller, for the functions whose names contain the text."""
    names = readable({function for pair in costs.calls for function in pair})
    found = [pair for pair in costs.calls if text in names[pair[1]]]
    yield f"{'calls':>7} {'spent':>10}  caller -> called"
    for pair in sorted(found, key=lambda pair: -costs.spent.get(pair, 0)):
        caller, called = pair
        yield f"{costs.calls[pair]:7.2f} {costs.spent.get(pair, 0):10,.0f}  {names[caller]} -> {names[called]}"


def readable(functions):
    """Swift's names as they stand in the source, where `swift` is there to tell."""
    functions = list(functions)
    swift = shutil.which("swift")
    if swift is None:
        return {function: function for function in functions}
    told = subprocess.run(
        [swift, "demangle", "--compact", "--simplified"],
        input="\n".join(functions), capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    return dict(zip(functions, told, strict=True))
