"""A backend in a process of its own, to be killed and stopped: `python chaos_backend.py PORT`. The target says how it
answers, `/<way>/<id>`, and every sound answer repeats the id in a field and in its body."""

import socket
import struct
import sys
import threading


def sound(identity: bytes, chunked: bool = False) -> bytes:
    body = b"<" + identity + b">" * 40
    head = b"HTTP/1.1 200 OK\r\nX-Identity: " + identity + b"\r\n"
    if chunked:
        return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def serve(connection: socket.socket) -> None:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            piece = connection.recv(65_536)
            if not piece:
                return
            buffer += piece
        head, buffer = buffer.split(b"\r\n\r\n", 1)
        _, way, identity = head.split(b" ")[1].split(b"/")
        whole = sound(identity)
        match way:
            case b"sound": connection.sendall(whole)
            case b"chunked": connection.sendall(sound(identity, chunked=True))
            case b"longer": connection.sendall(whole + sound(b"stolen"))
            case b"tail": connection.sendall(whole + b"garbage")
            case b"half": return connection.sendall(whole[:-20])
            case b"half-chunked": return connection.sendall(sound(identity, chunked=True)[:-5])
            case b"half-head": return connection.sendall(whole[:30])
            case b"garbage": return connection.sendall(b"\0\xff garbage\r\n\r\n" + whole)
            case b"reset": return reset(connection)
            case b"close": return None
            case _: raise ValueError(way)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256)

    def run(connection: socket.socket) -> None:
        try:
            serve(connection)
        except OSError:
            pass  # The gateway gives up connections; that is what the test is about.
        finally:
            connection.close()

    while True:
        threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
