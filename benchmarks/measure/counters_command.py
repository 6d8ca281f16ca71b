"""The command line that `syscalls`, `instructions` and `allocations` share."""

import argparse
import contextlib
import json
import sys

from . import peers, workspace
from .cases import CASES
from .processes import start_backend


@contextlib.contextmanager
def ready_proxy(name, case):
    """A proxy set up for the case, not yet started, with a running backend behind it."""
    (peer,) = peers.named(name)
    if not peer.supports(case):
        workspace.stop_with(f"{name} cannot do the case '{case.name}'")
    with workspace.scratch_directory() as directory:
        backend, port = start_backend(directory)
        with backend:
            yield peer(directory, port, case.setup)


def run(description, connections, requests, count):
    """`count(proxy, case, connections, requests)` gives a dictionary for the JSON line and a sentence for people."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--peer", choices=list(peers.PEERS), default="gateway")
    parser.add_argument("--case", choices=list(CASES), default="plain")
    parser.add_argument("--connections", type=int, nargs="+", default=connections)
    parser.add_argument("--requests", type=int, default=requests, help="N; the two runs have N and 2N")
    options = parser.parse_args()
    case = CASES[options.case]
    workspace.settle_down(workspace.last_cpu())
    with ready_proxy(options.peer, case) as proxy:
        for number in options.connections:
            values, sentence = count(proxy, case, number, options.requests)
            line = {"peer": options.peer, "case": case.name, "connections": number, **values}
            print(json.dumps(line), flush=True)
            plural = "" if number == 1 else "s"
            print(f"{options.peer}, {case.title}, {number} connection{plural}: {sentence}", file=sys.stderr)
