"""A client that waits for nothing: a process of its own writes the same requests over and over, and counts the answers.

Python's threads would share one processor with the test that measures."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

MARK = b"HTTP/1.1 "


@dataclass(frozen=True)
class Flooded:
    """Answers by status, and how long it took to get them."""

    statuses: dict[str, int]
    seconds: float

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds


class Flood:
    """One connection to `address` for so many seconds. `requests` are all sent before an answer is read."""

    def __init__(self, address: tuple[str, int], requests: list[bytes], seconds: float) -> None:
        self._child = subprocess.Popen(
            [sys.executable, __file__, address[0], str(address[1]), str(len(requests)), str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._child.stdin is not None
        self._child.stdin.write(b"".join(requests))
        self._child.stdin.close()
        self._child.stdin = None

    def wait(self) -> Flooded:
        out, faults = self._child.communicate(timeout=60)
        assert self._child.returncode == 0, faults.decode()
        return Flooded(**json.loads(out))


def _main(host: str, port: int, count: int, seconds: float) -> None:
    data = sys.stdin.buffer.read()
    statuses: dict[str, int] = {}
    with socket.create_connection((host, port), timeout=20) as connection:
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            connection.sendall(data)
            received, start = bytearray(), 0
            for _ in range(count):
                while (place := received.find(MARK, start)) < 0 or len(received) < place + 12:
                    piece = connection.recv(1 << 18)
                    assert piece, f"closed after {statuses}"
                    received += piece
                status = received[place + 9:place + 12].decode()
                statuses[status] = statuses.get(status, 0) + 1
                start = place + 12
        print(json.dumps({"statuses": statuses, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
