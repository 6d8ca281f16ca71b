"""What a reader must know about the machine to compare numbers."""

import platform
import re
from pathlib import Path


def describe(peers):
    """Lines such as `CPU: AMD EPYC, 2 seen`: processor, kernel, and the version of every peer."""
    text = Path("/proc/cpuinfo").read_text()
    # x86 says "model name"; many ARM kernels name no model at all.
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    count = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    lines = [
        f"CPU: {model[1].strip() if model else platform.machine()}, {count} seen, one used",
        f"Kernel: {platform.system()} {platform.release()}",
    ]
    return lines + [f"{peer.name}: {peer.version()}" for peer in peers]
