"""What a reader must know about the machine to compare numbers."""

import platform
import re
from pathlib import Path

TRACKED = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def tracks_connections():
    """Whether the kernel follows each connection through a table, as it does for good once a firewall or Docker has asked.

    That is work for every packet of every proxy, so all of them cost more and their ratios move towards 1. A network
    namespace of its own, which nobody has asked, is without: `unshare -n sh -c 'ip link set lo up; …'`.
    """
    return TRACKED.exists() and int(TRACKED.read_text()) > 0


def describe(peers):
    """Lines such as `CPU: AMD EPYC, 2 seen`: processor, kernel, and the version of every peer."""
    text = Path("/proc/cpuinfo").read_text()
    # x86 says "model name"; many ARM kernels name no model at all.
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    count = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    lines = [
        f"CPU: {model[1].strip() if model else platform.machine()}, {count} seen, one used",
        f"Kernel: {platform.system()} {platform.release()}{', connections tracked' if tracks_connections() else ''}",
    ]
    return lines + [f"{peer.name}: {peer.version()}" for peer in peers]
