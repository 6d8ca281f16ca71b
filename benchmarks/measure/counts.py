"""System calls and user instructions per request, of every peer."""

from . import counting
from .counters_command import ready_proxy

REQUESTS = 3200  # a multiple of 32: every connection gets as many
CALL_CONNECTIONS = (1, 32)


def measure(peers, case):
    """One round, because counts hardly vary."""
    counted = {}
    for peer in peers:
        if not peer.supports(case):
            continue
        with ready_proxy(peer.name, case) as proxy:
            values = {
                f"syscalls_{number}": sum(counting.syscalls(proxy, case, number, REQUESTS).values())
                for number in CALL_CONNECTIONS
            }
            if proxy.callgrind:
                values["instructions"] = counting.instructions(proxy, case, 1, REQUESTS)
            counted[peer.name] = values
    return [counted]
