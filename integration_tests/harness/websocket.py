"""WebSockets: handshakes and frames to the byte, and real peers at both ends."""

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from .backend import Exchange
from .client import request
from .gateway import Gateway
from .processes import wait_until

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
}


def handshake(target: str = "/", fields: dict[str, str] | None = None) -> bytes:
    return request("GET", target, {**HANDSHAKE, **(fields or {})})


def switched(protocol: str = "websocket", key: str | None = KEY, fields: str = "") -> bytes:
    """A 101 that agrees; without a key for protocols that have no proof."""
    head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{fields}"
    if key is not None:
        proof = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        head += f"Sec-WebSocket-Accept: {base64.b64encode(proof).decode()}\r\n"
    return (head + "\r\n").encode()


def frame(payload: bytes, opcode: int = 1, final: bool = True, masked: bool = False) -> bytes:
    """RFC 6455 §5.2; masked with zeros, so that the payload can be read in a dump."""
    first, mask = (0x80 if final else 0) | opcode, 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes([first, mask | len(payload)])
    elif len(payload) < 65_536:
        head = bytes([first, mask | 126]) + struct.pack("!H", len(payload))
    else:
        head = bytes([first, mask | 127]) + struct.pack("!Q", len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload


def closing(data: bytes) -> tuple[int, str]:
    """Code and reason of the one Close frame that `data` is, masked or not."""
    assert data[0] == 0x88, data
    size = data[1] & 0x7f
    payload = data[2:]
    if data[1] & 0x80:
        mask, payload = payload[:4], payload[4:]
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    assert len(payload) == size, data
    return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


class Switching:
    """A backend's handler that agrees to an upgrade, says `greeting` with the 101, and gives the test the connection."""

    def __init__(self, head: bytes, greeting: bytes = b"") -> None:
        self._answer = head + greeting
        self.sockets: list[socket.socket] = []
        self.early: list[bytes] = []
        self._over = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        exchange.close()
        self.early.append(exchange.buffered())
        exchange.send(self._answer)
        exchange.socket.settimeout(10)
        self.sockets.append(exchange.socket)
        self._over.wait(60)

    def socket(self) -> socket.socket:
        return wait_until("the backend's side of the tunnel", lambda: self.sockets)[-1]

    def read(self, count: int) -> bytes:
        """So many bytes, those that came with the request among them."""
        taken, connection = self.early[-1] if self.early else b"", self.socket()
        self.early[-1:] = [b""]
        while len(taken) < count:
            piece = connection.recv(count - len(taken))
            assert piece, taken
            taken += piece
        return taken

    def release(self) -> None:
        self._over.set()


class Echo:
    """A WebSocket server that sends back every message; `ended` holds the code that each connection ended with."""

    def __init__(self, handler: Callable[[ServerConnection], None] | None = None) -> None:
        self.open: list[ServerConnection] = []
        self.ended: list[int | None] = []
        self._handler = handler or self._echo
        self._server = serve(self._serve, "127.0.0.1", 0, max_size=None, ping_interval=None)
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _serve(self, connection: ServerConnection) -> None:
        self.open.append(connection)
        try:
            self._handler(connection)
        finally:
            connection.close()
            self.open.remove(connection)
            self.ended.append(connection.close_code)

    @staticmethod
    def _echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    def close(self) -> None:
        self._server.shutdown()


def open_websocket(
    gateway: Gateway, target: str = "/", source: str | None = None, fields: dict[str, str] | None = None, **options: Any,
) -> ClientConnection:
    """A real client; `source` is the address it comes from."""
    plain = socket.socket()
    if source is not None:
        plain.bind((source, 0))
    plain.settimeout(10)
    plain.connect(gateway.address)
    return connect(
        f"ws://gateway.test{target}", sock=plain, proxy=None, additional_headers=fields, max_size=None,
        ping_interval=None, legacy=True, **options)
