"""A scripted backend: it records the exact bytes of every request and answers what the test tells it to."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .processes import wait_until


@dataclass
class Request:
    """What arrived. `body` is decoded, `raw_body` is as it was framed; both are complete when `complete` is set."""

    head: bytes
    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    connection: int
    body: bytes = b""
    raw_body: bytes = b""
    complete: threading.Event = field(default_factory=threading.Event)

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.fields if other.lower() == name.lower()]

    def field(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def names(self) -> list[str]:
        return [name.lower() for name, _ in self.fields]


def answer(
    status: int = 200, body: bytes | str | dict[str, Any] = b"ok", fields: dict[str, str] | None = None,
) -> bytes:
    """A response with a Content-Length; a dict becomes JSON."""
    kind = {}
    if isinstance(body, dict):
        body, kind = json.dumps(body), {"Content-Type": "application/json"}
    data = body.encode() if isinstance(body, str) else body
    merged = {**kind, **(fields or {}), "Content-Length": str(len(data))}
    lines = [f"HTTP/1.1 {status} Scripted"] + [f"{name}: {value}" for name, value in merged.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


class Exchange:
    """One request while it is being answered. A handler may read the body when it likes, or not at all."""

    def __init__(self, request: Request, connection: "Connection") -> None:
        self.request = request
        self._connection = connection
        self.closed = False

    def read_body(self) -> bytes:
        if not self.request.complete.is_set():
            self._connection.read_body(self.request)
        return self.request.body

    def read_slowly(self, piece: int, pause: float) -> None:
        """From now on: `pause` seconds, then at most `piece` bytes, and again. The system takes little in advance, but
        some packets of the loopback's 64 KB: with less room TCP would send in fits and starts (RFC 9293 §3.8.6.2)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)
        self._connection.piece, self._connection.pause = piece, pause

    def send(self, data: bytes) -> None:
        self._connection.socket.sendall(data)

    @property
    def socket(self) -> socket.socket:
        """For a handler that moves bytes by itself."""
        return self._connection.socket

    def buffered(self) -> bytes:
        """Bytes that came with the head and were not read yet."""
        taken = bytes(self._connection.buffer)
        self._connection.buffer.clear()
        return taken

    def close(self) -> None:
        """No further request is read from this connection."""
        self.closed = True


Handler = Callable[[Exchange], bytes | None]


def _ok(exchange: Exchange) -> bytes:
    exchange.read_body()
    return answer()


class Connection:
    """The server's end of one connection, read request by request."""

    def __init__(self, accepted: socket.socket, number: int) -> None:
        self.socket = accepted
        self.number = number
        self.buffer = bytearray()
        self.piece, self.pause = 65_536, 0.0

    def _fill(self) -> bool:
        if self.pause:
            time.sleep(self.pause)
        piece = self.socket.recv(self.piece)
        self.buffer += piece
        return bool(piece)

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self._fill():
                raise EOFError
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def take_to(self, mark: bytes) -> bytes:
        while (found := self.buffer.find(mark)) < 0:
            if not self._fill():
                raise EOFError
        return self.take(found + len(mark))

    def read_request(self) -> Request:
        head = self.take_to(b"\r\n\r\n")
        first, *rest = head[:-4].decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        pairs = [(name, value.strip(" \t")) for name, value in (line.split(":", 1) for line in rest)]
        return Request(head, method, target, version, pairs, self.number)

    def read_body(self, request: Request) -> None:
        if (request.field("Transfer-Encoding") or "").lower() == "chunked":
            raw, body = bytearray(), bytearray()
            while True:
                line = self.take_to(b"\r\n")
                size = int(line.split(b";")[0], 16)
                piece = self.take_to(b"\r\n") if size == 0 else self.take(size + 2)
                while size == 0 and not (raw + line + piece).endswith(b"\r\n\r\n"):
                    piece += self.take_to(b"\r\n")
                raw += line + piece
                if size == 0:
                    break
                body += piece[:-2]
            request.raw_body, request.body = bytes(raw), bytes(body)
        else:
            request.raw_body = request.body = self.take(int(request.field("Content-Length") or 0))
        request.complete.set()


Welcome = Callable[[socket.socket], socket.socket]


class Backend:
    """Listens on a free port of 127.0.0.1, or on a Unix socket. `handler` may be replaced at any time and serves the
    requests that follow. With `tls` it speaks TLS; `welcome` does what comes before the first request otherwise."""

    def __init__(
        self, handler: Handler = _ok, port: int = 0, path: str | None = None, tls: ssl.SSLContext | None = None,
        welcome: Welcome | None = None,
    ) -> None:
        self.handler = handler
        self.tls = tls
        self.welcome = welcome
        self.path = path
        self.requests: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self.resumed = 0
        self.server_names: list[str | None] = []
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
            self.port = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(1024)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}" if self.path is None else f"unix:{self.path}"

    def answers(self, data: bytes) -> None:
        """Every request is read to its end and gets these bytes."""
        def handler(exchange: Exchange) -> bytes:
            exchange.read_body()
            return data
        self.handler = handler

    def only(self) -> Request:
        """The one request that arrived, complete."""
        assert len(self.requests) == 1, [request.head for request in self.requests]
        assert self.requests[0].complete.wait(10)
        return self.requests[0]

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Request]:
        return wait_until(
            f"{count} requests at the backend", lambda: len(self.requests) >= count and self.requests, timeout)

    def close(self) -> None:
        if self._listener.fileno() < 0:
            return
        # A blocked accept(2) survives close(2); shutdown(2) wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for accepted in self._sockets:
                try:
                    accepted.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            if self.path is None:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self.open_connections += 1
                self._sockets.add(accepted)
            threading.Thread(target=self._serve, args=(accepted, self.connections), daemon=True).start()

    def _serve(self, accepted: socket.socket, number: int) -> None:
        try:
            if self.welcome is not None:
                accepted = self.welcome(accepted)
            if self.tls is not None:
                accepted = self.tls.wrap_socket(accepted, server_side=True)
                self.resumed += accepted.session_reused
                with self._lock:
                    self._sockets.add(accepted)
            connection = Connection(accepted, number)
            while self._serve_one(connection):
                continue
        except (EOFError, OSError):
            pass
        finally:
            with self._lock:
                self.open_connections -= 1
                self._sockets.discard(accepted)
            accepted.close()

    def _serve_one(self, connection: Connection) -> bool:
        request = connection.read_request()
        with self._lock:
            self.requests.append(request)
        exchange = Exchange(request, connection)
        data = self.handler(exchange)
        if data is not None:
            exchange.send(data)
        if exchange.closed:
            return False
        exchange.read_body()
        return True
