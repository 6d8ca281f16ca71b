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
        # The program or library that a function is in.
        self.places = {}
        names = {}
        files = {}
        place = ""

        def name(reference, known=names):
            """Names are written once, then referred to by number."""
            number, text = NAME.match(reference).groups()
            if text is not None:
                known[number] = text
            return known[number]

        function = called = None
        for line in text.splitlines():
            if line.startswith(("ob=", "cob=")):
                found = name(line.partition("=")[2], files)
                place = place if line.startswith("c") else found
            elif line.startswith("fn="):
                function = name(line[3:])
                self.places[function] = place
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
    places: dict[str, str]

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
        rates(first.own, second.own), rates(first.calls, second.calls), rates(first.spent, second.spent), second.places
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


# What functions are for, by words in their names as they stand in the source; the first that fits.
AREAS = {
    "counting references": "swift_retain swift_release swift_bridgeObject outlined destroy initializeWith assignWith",
    "access log": "AccessLog LineWriter PendingAccess Fragments isPlain AccessChannel LineRing AccessFacts",
    "writing heads": "prepare ByteWriter RequestTrace Digits .write copyFields Gatekeeper.name IDGenerator TraceContext",
    "reading heads": "HeadParser FieldLine FieldTable Framing RequestTarget Authority CanonicalPath ResponseReader"
    " ResponseField ConnectionOptions Span< FieldClassifier knownClass Methods IPAddress",
    "deciding": "Gatekeeper RouteTable BlockTable TrustedNetworks LoginEndpoints Authenticator Token Credentials Claim",
    "connections, exchanges, pools": "Connection Exchange Upstream Server Outbox Stash Scratch Body Channel Socket Worker"
    " Record Metric Traffic EventLoop Watcher Instant WallTime Circuit Retry",
}

# The same by the library that a function is in.
LIBRARIES = {
    "libevent": "libevent",
    "libc.": "libc: copying, clocks, wrappers of system calls",
    "libcrypto": "OpenSSL",
    "libssl": "OpenSSL",
    "libswift": "Swift's runtime",
}


def areas(costs):
    """Lines of instructions per request by what they are for, the dearest first."""
    names = readable(costs.own)
    sums = Counter()
    for function, own in costs.own.items():
        sums[_area(names[function], costs.places.get(function, ""))] += own
    total = costs.total()
    for area, own in sums.most_common():
        yield f"{own:10,.0f} {own / total:6.1%}  {area}"
    yield f"{total:10,.0f}         user instructions per request"


def _area(name, place):
    for area, words in AREAS.items():
        if any(word in name for word in words.split()):
            return area
    return next((area for library, area in LIBRARIES.items() if library in place), "the rest")


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
