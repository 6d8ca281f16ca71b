"""What says it is a node of a Redis Cluster, and answers as a test wants: not even a session may hang or run wild for it."""

import hashlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable

# Given a command, what is answered; None: as a healthy node without keys would.
Say = Callable[[list[str]], bytes | None]


def error(text: str) -> bytes:
    return f"-{text}\r\n".encode()


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


def array(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def _now() -> int:
    return time.time_ns() // 1_000_000


class LyingNode:
    """Has all slots, on a free port of 127.0.0.1."""

    def __init__(self, say: Say = lambda words: None) -> None:
        self.say = say
        self.heard: list[str] = []
        self.counted = 0
        node = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        length = int(self.rfile.readline()[1:])
                        words.append(self.rfile.read(length + 2)[:-2].decode(errors="replace"))
                    node.heard.append(words[0])
                    try:
                        self.wfile.write(node.say(words) or node.healthy(words))
                    except OSError:
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Conversation)
        self._server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def slots(self, first: int = 0, last: int = 16_383, host: str = "127.0.0.1") -> bytes:
        node = array(bulk(host), b":%d\r\n" % self.port, bulk("id"))
        return array(array(b":%d\r\n" % first, b":%d\r\n" % last, node))

    def healthy(self, words: list[str]) -> bytes:
        match words:
            case ["PING"]: return b"+PONG\r\n"
            case ["HELLO", *_]: return array(bulk("role"), bulk("master"))
            case ["CLUSTER", *_]: return self.slots()
            case ["CLIENT", "ID"]: return b":1\r\n"
            case ["SUBSCRIBE", channel]: return array(bulk("subscribe"), bulk(channel), b":1\r\n")
            case ["SCRIPT", _, text]: return bulk(hashlib.sha1(text.encode()).hexdigest())
            case ["EVALSHA", _, "3", *rest]: return self._of_counter(rest)
            case ["EVALSHA", _, "1", *_]: return array(b":1\r\n", b":300000\r\n", bulk(""), b":%d\r\n" % (_now() + 300_000), b":0\r\n")
            case ["EVALSHA", *_]: return b":1\r\n"
            case ["SCAN", *_]: return array(bulk("0"), array())
            case ["GET" | "GETRANGE", *_]: return b"$-1\r\n"
            case ["PTTL", *_]: return b":-2\r\n"
            case _: return b"+OK\r\n"

    def _of_counter(self, words: list[str]) -> bytes:
        """A place is always free; what is told is counted."""
        if len(words) == 6:
            return array(b":1\r\n", b":%d\r\n" % self.counted, b":86400000\r\n", b":%d\r\n" % _now())
        self.counted += 1
        return array(b":%d\r\n" % self.counted, b":86400000\r\n", b":%d\r\n" % _now(), b":0\r\n")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
