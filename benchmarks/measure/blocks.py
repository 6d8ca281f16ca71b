"""Blocked addresses, a million where a case wants them; and a Redis that holds them for the gateway."""

import socket
import struct
import subprocess

from .cases import BLOCKED_ADDRESS
from .processes import Service
from .workspace import need, stop_with


def blocked_addresses(setup):
    """Sixteen apart, so that no list can be packed into a few networks; none of them asks for anything."""
    (first,) = struct.unpack("!I", socket.inet_aton("10.0.0.1"))
    others = (first + 16 * number for number in range(setup.blocked))
    return [BLOCKED_ADDRESS, *(socket.inet_ntoa(struct.pack("!I", address)) for address in others)]


def start_redis(directory, addresses):
    """Redis on a Unix socket, with a block of a day for each address; gives the service and the socket's path."""
    path = directory / "redis.sock"
    command = [need("redis-server"), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(directory)]
    service = Service(command, directory / "redis.log")
    service.wait_until(path.exists)
    commands = "".join(f"SET ip_block:{address} 1 EX 86400\n" for address in addresses)
    client = [need("redis-cli", "redis-tools"), "-s", str(path), "--pipe"]
    ran = subprocess.run(client, input=commands, capture_output=True, text=True)
    if ran.returncode != 0 or f"replies: {len(addresses)}" not in ran.stdout:
        service.stop()
        stop_with(f"Redis did not take the blocks:\n{ran.stdout}{ran.stderr}")
    return service, path
