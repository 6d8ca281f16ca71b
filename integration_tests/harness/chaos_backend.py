"""A backend in a process of its own, to be killed and stopped:
`python -m harness.chaos_backend PORT DIRECTORY [CHAIN KEY]`.

The target says how it answers, `/<way>/<identity>`; as long as DIRECTORY has a file `fault`, one of the ways named
there is gone instead, by everybody and by health checks, too. Bodies tell their identity at every place. Of each
request it writes to DIRECTORY's `arrived` what came, in one piece and before it answers: that outlives its own end.
"""

import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

from .backend import Connection, Request

SMALL, LARGE = 60, 300_000
# Of its own accord a large answer takes long enough to be hit by a kill.
PIECES, PAUSE = 6, 0.005


def content(identity: str, size: int) -> bytes:
    word = identity.encode() + b"/"
    return (word * (size // len(word) + 1))[:size]


def answer_size(way: str) -> int:
    return LARGE if way.startswith("large-") else SMALL


def upload_size(way: str) -> int:
    return LARGE if way.startswith("upload-") else SMALL


def sound(identity: str, size: int = SMALL, chunked: bool = False) -> bytes:
    body = content(identity, size)
    head = f"HTTP/1.1 200 OK\r\nX-Identity: {identity}\r\n".encode()
    if chunked:
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    return head + b"Content-Length: %d\r\n\r\n%s" % (size, body)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class House:
    """Where the backends find what they are to do, and leave what they saw."""

    def __init__(self, directory: Path) -> None:
        self.fault = directory / "fault"
        self.arrived = os.open(directory / "arrived", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def way(self, asked: str) -> str:
        try:
            return random.choice(self.fault.read_text().split())
        except FileNotFoundError:
            return asked

    def note(self, request: Request, identity: str, what: str) -> None:
        os.write(self.arrived, f"{request.method} {identity} {what}\n".encode())


def serve(house: House, connection: Connection) -> None:
    """Returns when the connection is to be closed."""
    peer = connection.socket
    while True:
        request = connection.read_request()
        _, asked, identity = request.target.split("/")
        house.note(request, identity, "began")
        way = house.way(asked)
        if way == "unread":
            return reset(peer)
        if way in ("upload-close", "upload-reset"):
            connection.take(LARGE // 2)
        else:
            try:
                connection.read_body(request)
            except (EOFError, OSError):
                house.note(request, identity, "broken")
                raise
            whole = request.body == content(identity, upload_size(asked))
            house.note(request, identity, "whole" if whole or request.method == "GET" else "spoiled")
        size = answer_size(way)
        whole, in_chunks = sound(identity, size), sound(identity, size, chunked=True)
        match way.removeprefix("large-").removeprefix("upload-"):
            case "sound": peer.sendall(whole)
            case "chunked": peer.sendall(in_chunks)
            case "slow":
                for start in range(0, len(whole), LARGE // PIECES):
                    peer.sendall(whole[start:start + LARGE // PIECES])
                    time.sleep(PAUSE)
            case "longer": peer.sendall(whole + sound("stolen"))
            case "tail": peer.sendall(whole + b"garbage")
            case "half": return peer.sendall(whole[:-size // 2])
            case "half-reset":
                peer.sendall(whole[:-size // 2])
                return reset(peer)
            case "half-chunked": return peer.sendall(in_chunks[:-5])
            case "half-head": return peer.sendall(whole[:30])
            case "garbage": return peer.sendall(b"\0\xff garbage\r\n\r\n" + whole)
            case "reset" | "no-handshake": return reset(peer)
            case "close": return None
            case _: raise ValueError(way)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256)
    house, tls = House(Path(sys.argv[2])), None
    if len(sys.argv) > 3:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[3], sys.argv[4])

    def run(connection: socket.socket) -> None:
        try:
            if tls is not None:
                if house.way("sound") == "no-handshake":
                    connection.recv(1)
                    return reset(connection)
                connection = tls.wrap_socket(connection, server_side=True)
            serve(house, Connection(connection, 0))
        except (EOFError, OSError):
            pass  # The gateway gives up connections; that is what the test is about.
        finally:
            connection.close()

    while True:
        accepted = listener.accept()[0]
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=run, args=(accepted,), daemon=True).start()


if __name__ == "__main__":
    main()
