"""Event streams: a backend that sends events when a test says so, and how a client reads them."""

import threading

from .backend import Exchange
from .client import Client, ConnectionEnded
from .processes import wait_until


class Events:
    """A backend's handler that begins an event stream and sends what the test tells it to."""

    def __init__(self, kind: str = "text/event-stream") -> None:
        self._kind = kind
        self._streams: list[Exchange] = []
        self._over = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        exchange.close()
        # Before the head is out: whoever has read it may go on to `send`.
        self._streams.append(exchange)
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Type: {self._kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        self._over.wait(60)

    def send(self, text: str) -> None:
        stream = wait_until("the stream", lambda: self._streams)[-1]
        stream.send(f"{len(text):x}\r\n{text}\r\n".encode())

    def cut_off(self) -> bool:
        """Whether the gateway has ended the newest stream."""
        connection = wait_until("the stream", lambda: self._streams)[-1].socket
        connection.settimeout(5)
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True

    def release(self) -> None:
        self._over.set()


def read_event(client: Client) -> bytes:
    size = int(client._take_to(b"\r\n"), 16)
    event = client.read_exactly(size)
    assert client.read_exactly(2) == b"\r\n"
    return event


def is_cut(client: Client) -> bool:
    """Ended without the last chunk, so that the client sees that it was not the stream's own end."""
    try:
        return client.read_to_end() == b""
    except (ConnectionResetError, ConnectionEnded):
        return True
