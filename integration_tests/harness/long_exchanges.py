"""Exchanges that last, in the test's hand: uploads and downloads in their middle, streams, WebSockets, long polls."""

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from .backend import Backend, Exchange, answer
from .bodies import digest, noise
from .certificates import Authority
from .client import Client, request
from .event_streams import Events
from .gateway import Gateway, merged
from .heirs import Heirs
from .processes import wait_until
from .websocket import Switching, frame, handshake, switched

# More than all buffers on the way take, so that a download whose client does not read stands still.
DOWNLOAD = noise(24 << 20, 1)
UPLOAD = noise(2 << 20, 2)


class LongExchanges:
    """A backend's handler: `/upload`, `/download`, `/events`, `/chat` (a WebSocket), `/poll`; all else is quick."""

    def __init__(self) -> None:
        self.events = Events()
        self.chat = Switching(switched())
        self.late = threading.Event()
        self.sent = threading.Event()
        self._ways = {
            "/upload": self._upload, "/download": self._download, "/events": self.events, "/chat": self.chat,
            "/poll": self._poll,
        }

    def __call__(self, exchange: Exchange) -> bytes | None:
        way = self._ways.get(exchange.request.target)
        return way(exchange) if way else answer()

    @staticmethod
    def _upload(exchange: Exchange) -> bytes:
        return answer(body=digest(exchange.read_body()))

    def _download(self, exchange: Exchange) -> None:
        exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        exchange.send(answer(body=DOWNLOAD))
        self.sent.set()

    def _poll(self, exchange: Exchange) -> bytes:
        self.late.wait(60)
        return answer(body="at last")

    def release(self) -> None:
        self.late.set()
        self.events.release()
        self.chat.release()


class House:
    """A gateway with two plain and two secure doors; everything is opened by the second of each."""

    def __init__(self, gateway: Gateway, backend: Backend, service: LongExchanges, context: ssl.SSLContext) -> None:
        self.gateway, self.backend, self.service, self._context = gateway, backend, service, context
        self.heirs = Heirs()
        self.process = gateway.child.pid
        ready = gateway.wait_event("gateway.ready")
        self._doors = [_pair(ready[which][1]) for which in ("listeners", "tls_listeners")]

    @staticmethod
    def settings(authority: Authority, directory: Path) -> dict[str, Any]:
        chain, key = authority.issue("gateway.test").write(directory / "tls")
        return {
            "listen": ["127.0.0.1:0", "127.0.0.2:0"],
            "tls": {"listen": ["127.0.0.1:0", "127.0.0.2:0"], "certificate_file": chain, "key_file": key},
        }

    # What is open

    def connect(
        self, secure: bool = False, receive_buffer: int | None = None, segment: int | None = None,
    ) -> Client:
        return Client(
            self._doors[secure], receive_buffer=receive_buffer, tls=self._context if secure else None,
            server_name="gateway.test" if secure else None, segment=segment)

    def _arrives(self, client: Client, data: bytes) -> Client:
        """Sends it, and returns when the backend has its head."""
        before = len(self.backend.requests)
        client.send(data)
        self.backend.wait_for(before + 1)
        return client

    def half_an_upload(self, secure: bool = False, fields: dict[str, str] | None = None) -> Client:
        head = request("PUT", "/upload", fields or {"Content-Length": str(len(UPLOAD))})
        return self._arrives(self.connect(secure), head).send(UPLOAD[:len(UPLOAD) // 2])

    def part_of_a_download(self) -> Client:
        client = self._arrives(self.connect(receive_buffer=16_384), request("GET", "/download"))
        assert client.read_head().status == 200
        assert client.read_exactly(100_000) == DOWNLOAD[:100_000]
        return client

    def an_event_stream(self) -> Client:
        client = self._arrives(self.connect(), request("GET", "/events"))
        assert client.read_head().status == 200
        return client

    def a_websocket(self, secure: bool = False, receive_buffer: int | None = None) -> Client:
        client = self._arrives(self.connect(secure, receive_buffer), handshake("/chat"))
        assert client.read_head().status == 101
        return client

    def a_poll(self) -> Client:
        return self._arrives(self.connect(), request("GET", "/poll"))

    def talks(self, client: Client) -> bool:
        """Whether a message passes each way through the newest WebSocket, `client`'s."""
        chat, ping, pong = self.service.chat, frame(b"ping", masked=True), frame(b"pong")
        client.send(ping)
        assert chat.read(len(ping)) == ping
        chat.socket().sendall(pong)
        return client.read_exactly(len(pong)) == pong

    # What befalls them

    def upgrade(self) -> int:
        """Another process takes over, and the former has begun to finish. Returns the former."""
        former, drains = self.process, len(self.gateway.events("gateway.draining"))
        self.gateway.command("upgrade")
        self.process = self.heirs.of(self.gateway)
        wait_until("the drain", lambda: len(self.gateway.events("gateway.draining")) > drains)
        return former

    def take_away(self) -> None:
        """A reload after which neither the door, the route nor the upstream is there."""
        changed = merged(self.gateway.settings, {
            "listen": ["127.0.0.1:0"], "tls": {"listen": ["127.0.0.1:0"]},
            "upstreams": {"api": None, "other": {"servers": [self.backend.address]}},
            "routes": [{"path": "/only", "upstream": "other", "auth": "none"}],
        })
        self.gateway.write_config(changed)
        self.gateway.command("reload")
        wait_until("the doors are closed", lambda: all(map(_refuses, self._doors)))
        assert self.gateway.get("/upload").status == 404

    def befall(self, what: str) -> None:
        self.upgrade() if what == "upgrade" else self.take_away()


CHANGES = ["upgrade", "reload"]


def _pair(text: str) -> tuple[str, int]:
    host, port = text.rsplit(":", 1)
    return host, int(port)


def _refuses(door: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(door) != 0
