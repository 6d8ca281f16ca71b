"""Processes that took over from a gateway."""

from pathlib import Path

from .gateway import Gateway
from .processes import wait_until


class Heirs:
    """Knows the processes that took over, one after another, by the lines that they write when they serve."""

    def __init__(self) -> None:
        self._processes: list[int] = []

    @staticmethod
    def runs(process: int) -> bool:
        try:
            with open(f"/proc/{process}/stat") as facts:
                return facts.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def after(self, gateway: Gateway, former: int) -> int:
        """The process that takes over from `former`, when it serves and the former has ended."""
        process = self.of(gateway)
        wait_until("the end of the former", lambda: not self.runs(former), 15)
        return process

    def of(self, gateway: Gateway) -> int:
        """The next process that takes over; the former may still be finishing."""
        seen = {gateway.child.pid, *self._processes}
        ready = wait_until("the new process serves", lambda: [
            line["pid"] for line in gateway.events("gateway.ready") if line["pid"] not in seen], 20)
        self._processes.append(ready[0])
        return ready[0]


def processes(gateway: Gateway) -> list[int]:
    """All that run with this gateway's configuration."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"run" in words and str(gateway.config_path).encode() in words and Heirs.runs(int(place.name)):
            found.append(int(place.name))
    return sorted(found)
