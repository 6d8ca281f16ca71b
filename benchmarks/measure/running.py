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
                check_work(proxy)
        yield running


def check_work(proxy):
    """A proxy that lets everybody through would be the fastest of all."""
    algorithm = proxy.setup.algorithm
    if algorithm:
        for name, header in (
            ("no token", "X-No: token"),
            ("a forged token", tokens.forged_header(algorithm)),
            ("an expired token", tokens.expired_header(algorithm)),
        ):
            refused = Case("refused", f"{name} to {proxy.name}", "/secure/100", expect=401, length=None)
            load.loop(proxy.port, refused, requests=1, header=header)
        # The backend refuses a request without the identity. The second one is answered from a cache of tokens.
        passed = Case("passed", f"the identity behind {proxy.name}", "/secure/who")
        load.loop(proxy.port, passed, requests=2, header=tokens.header(algorithm))
    if proxy.setup.blocked:
        blocked = Case("blocked", f"{proxy.name} blocks", expect=403, length=None, source=BLOCKED_ADDRESS)
        load.loop(proxy.port, blocked, requests=1)
