"""PROXY headers (HAProxy's proxy-protocol.txt), sound and otherwise, and what a server reads of them."""

import ipaddress
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def line(client: str, server: str = "192.0.2.1", ports: tuple[int, int] = (41_000, 443)) -> bytes:
    kind = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {kind} {client} {server} {ports[0]} {ports[1]}\r\n".encode()


def block(
    client: str, server: str = "192.0.2.1", ports: tuple[int, int] = (41_000, 443), extensions: bytes = b"",
) -> bytes:
    ends = ipaddress.ip_address(client).packed + ipaddress.ip_address(server).packed + struct.pack("!HH", *ports)
    return raw_block(0x21, 0x21 if ":" in client else 0x11, ends + extensions)


def raw_block(command: int, family: int, payload: bytes = b"") -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


class Reader:
    """For `Backend(welcome=…)`: takes the header off each connection and remembers it."""

    def __init__(self) -> None:
        self.headers: list[bytes] = []

    def __call__(self, accepted: socket.socket) -> socket.socket:
        header = accepted.recv(5, socket.MSG_WAITALL)
        if header == b"PROXY":
            while not header.endswith(b"\r\n"):
                header += accepted.recv(1)
        else:
            header += accepted.recv(11, socket.MSG_WAITALL)
            header += accepted.recv(struct.unpack("!H", header[14:16])[0], socket.MSG_WAITALL)
        self.headers.append(header)
        return accepted
