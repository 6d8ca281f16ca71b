"""A service manager's ear (sd_notify(3))."""

import socket
import threading
import time


class Manager:
    """Listens where NOTIFY_SOCKET says; keeps every message in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages: list[tuple[float, dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.settimeout(0.1)
        self._ended = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended:
            try:
                text = self._socket.recv(4_096).decode()
            except TimeoutError:
                continue
            self.messages.append((time.monotonic(), dict(line.split("=", 1) for line in text.split("\n"))))

    def close(self) -> None:
        self._ended = True
        self._thread.join(5)
        self._socket.close()

    def moments(self) -> list[dict[str, str]]:
        """The messages that the manager acts on, without signs of life."""
        kinds = ("READY", "RELOADING", "STOPPING", "MAINPID")
        return [{key: value for key, value in message.items() if key in kinds}
                for _, message in list(self.messages) if any(key in message for key in kinds)]

    def heard(self, key: str) -> list[tuple[float, str]]:
        return [(at, message[key]) for at, message in list(self.messages) if key in message]
