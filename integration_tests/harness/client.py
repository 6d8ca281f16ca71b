"""A client that sends exactly the bytes it is given and reads answers to the byte (RFC 9112 framing, nothing repaired)."""

import contextlib
import json
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any


class ConnectionEnded(AssertionError):
    """The other side closed before the answer was complete."""


@dataclass
class Response:
    status: int
    reason: str
    version: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    head: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.fields if other.lower() == name.lower()]

    def field(self, name: str) -> str | None:
        """The one value of the field; more than one line of it is a failure."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The `code` of a refusal of the gateway itself; None for anything a backend said."""
        if self.field("Content-Type") != "application/problem+json":
            return None
        return self.json()["code"]


def request(
    method: str, target: str, fields: dict[str, str] | list[tuple[str, str]] | None = None, body: bytes | None = None,
    host: str = "gateway.test",
) -> bytes:
    """A well-formed HTTP/1.1 request. `fields` as pairs may repeat a name."""
    pairs = list(fields.items()) if isinstance(fields, dict) else list(fields or [])
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"] + [f"{name}: {value}" for name, value in pairs]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def json_request(method: str, target: str, value: Any, fields: dict[str, str] | None = None) -> bytes:
    body = json.dumps(value).encode()
    return request(method, target, {"Content-Type": "application/json", **(fields or {})}, body)


class Client:
    """One TCP connection, with TLS when a context is given. `source` is the address it comes from: any of 127.0.0.0/8 is ours to use."""

    def __init__(
        self, address: tuple[str, int], source: str | None = None, timeout: float = 10.0,
        receive_buffer: int | None = None, tls: ssl.SSLContext | None = None, server_name: str | None = None,
        session: ssl.SSLSession | None = None, preface: bytes = b"", segment: int | None = None,
    ) -> None:
        """`preface` is sent before everything else, TLS included. `segment`: the most bytes that a packet to us may bring,
        as 1,460 in an Ethernet; the loopback has 64 KB, and senders hold more for it."""
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.socket.sendall(preface)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name, session=session)
        self._buffer = bytearray()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data: bytes) -> "Client":
        self.socket.sendall(data)
        return self

    def send_slowly(self, data: bytes, pause: float, size: int = 1) -> None:
        for start in range(0, len(data), size):
            self.socket.sendall(data[start:start + size])
            time.sleep(pause)

    def ask(self, data: bytes, method: str | None = None) -> Response:
        """Sends one request and returns its final answer."""
        return self.send(data).read_final(method or data.split(b" ", 1)[0].decode("latin-1"))

    def ask_while_sending(self, data: bytes, method: str) -> Response:
        """Reads what comes while it sends: a body that comes back need not fit into anybody's buffers."""
        if unsent := self.offer(data):
            raise ConnectionEnded(f"ended with {unsent} bytes to be sent: {bytes(self._buffer[:200])!r}")
        return self.read_final(method)

    def offer(self, data: bytes) -> int:
        """Sends, and reads what comes meanwhile, until all is out or the other side has ended; the bytes that are left.

        One thread, because an SSLSocket of Python below 3.13 is not for two at once."""
        timeout = self.socket.gettimeout()
        self.socket.setblocking(False)
        waiting = memoryview(data)
        try:
            while waiting:
                with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    # The same bytes are offered again after a partial write, as OpenSSL asks for.
                    waiting = waiting[self.socket.send(waiting[:16_384]):]
                    continue
                with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    if not self._fill():
                        break
                    continue
                if select.select([self.socket], [self.socket], [], timeout) == ([], [], []):
                    raise TimeoutError(f"nothing moves, {len(waiting)} bytes are to be sent")
        except ConnectionError:
            pass  # What was said before that can still be read.
        finally:
            self.socket.settimeout(timeout)
        return len(waiting)

    def _fill(self) -> bool:
        piece = self.socket.recv(65_536)
        self._buffer += piece
        return bool(piece)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._fill():
                raise ConnectionEnded(f"ended after {len(self._buffer)} of {count} bytes: {bytes(self._buffer[:200])!r}")
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _take_to(self, mark: bytes) -> bytes:
        while (found := self._buffer.find(mark)) < 0:
            if not self._fill():
                raise ConnectionEnded(f"ended before {mark!r}: {bytes(self._buffer[:200])!r}")
        return self._take(found + len(mark))

    def read_head(self) -> Response:
        """A status line and its fields; the body stays unread."""
        head = self._take_to(b"\r\n\r\n")
        first, *rest = head[:-4].decode("latin-1").split("\r\n")
        version, status, *reason = first.split(" ", 2)
        return Response(int(status), reason[0] if reason else "", version, _pairs(rest), head=head)

    def read_response(self, method: str = "GET") -> Response:
        """The next answer, interim ones too, with its body decoded."""
        response = self.read_head()
        if method != "HEAD" and response.status >= 200 and response.status not in (204, 304):
            self.read_body(response)
        return response

    def read_body(self, response: Response) -> None:
        """The body behind a head that was just read."""
        if (response.field("Transfer-Encoding") or "").lower() == "chunked":
            response.body, response.trailers = self._read_chunks()
        elif (length := response.field("Content-Length")) is not None:
            response.body = self._take(int(length))
        else:
            response.body = self.read_to_end()

    def read_final(self, method: str = "GET") -> Response:
        while (response := self.read_response(method)).status < 200:
            continue
        return response

    def _read_chunks(self) -> tuple[bytes, list[tuple[str, str]]]:
        body = bytearray()
        while size := int(self._take_to(b"\r\n").split(b";")[0], 16):
            body += self._take(size)
            assert self._take(2) == b"\r\n", "a chunk must end with CRLF"
        trailers = []
        while (line := self._take_to(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2].decode("latin-1"))
        return bytes(body), _pairs(trailers)

    def buffered(self) -> bytes:
        """Takes what came behind the last thing read, for a test that goes on with the socket itself."""
        return self._take(len(self._buffer))

    def read_exactly(self, count: int) -> bytes:
        return self._take(count)

    def read_to_end(self) -> bytes:
        while self._fill():
            continue
        return self._take(len(self._buffer))

    def ended(self, timeout: float = 5.0) -> bool:
        """Whether the other side closes or resets the connection within the time, without another byte."""
        self.socket.settimeout(timeout)
        try:
            return not self._buffer and not self._fill()
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def silent(self, seconds: float) -> bool:
        """Whether nothing arrives for that long and the connection stays open."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self._fill()
            return False
        except TimeoutError:
            return not self._buffer
        finally:
            self.socket.settimeout(before)


def _pairs(lines: list[str]) -> list[tuple[str, str]]:
    return [(name, value.strip(" \t")) for name, value in (line.split(":", 1) for line in lines)]


def fetch(address: tuple[str, int], data: bytes, source: str | None = None, timeout: float = 10.0) -> Response:
    """One request on a connection of its own."""
    with Client(address, source, timeout) as client:
        return client.ask(data)


def breaks(connection: socket.socket) -> bool:
    """Whether the other side is gone: a byte cannot be sent any more."""
    try:
        connection.sendall(b"x")
    except OSError:
        return True
    return False
