"""All peers side by side, each set up for the same case, before one backend."""

import contextlib

from . import load, tokens, workspace
from .cases import BLOCKED_ADDRESS, Case
from .processes import start_backend


@contextlib.contextmanager
def all_of(peers, case):
    """Gives a dictionary of (proxy, service) by name, of the peers that can do the case."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(workspace.cpus(case.setup.workers))
        directory = stack.enter_context(workspace.scratch_directory())
        backend, port = start_backend(directory)
        stack.enter_context(backend)
        running = {}
        for peer in peers:
            if peer.supports(case):
                proxy = peer(directory, port, case.setup)
                running[peer.name] = (proxy, stack.enter_context(proxy.start()))
                check_refusals(proxy)
        yield running


def check_refusals(proxy):
    """A proxy that lets everybody through would be the fastest of all."""
    if proxy.setup.algorithm:
        forged = Case("forged", f"forged token to {proxy.name}", "/secure/100", expect=401, length=None)
        load.loop(proxy.port, forged, requests=1, header=tokens.forged_header(proxy.setup.algorithm))
    if proxy.setup.blocked:
        blocked = Case("blocked", f"{proxy.name} blocks", expect=403, length=None, source=BLOCKED_ADDRESS)
        load.loop(proxy.port, blocked, requests=1)
