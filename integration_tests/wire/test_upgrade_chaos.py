"""Whatever both ends of many tunnels do at once, the gateway goes on and keeps nothing of them."""

import random
import signal
import socket
import threading
import time

from harness.backend import Exchange, answer
from harness.client import request
from harness.processes import wait_until
from harness.websocket import frame, handshake, switched

SECONDS = 6
RESET = b"\x01\0\0\0\0\0\0\0"


def misbehave(connection: socket.socket, dice: random.Random, masked: bool) -> None:
    """A few things that an end of a tunnel may do, good and bad, and then an end of it."""
    connection.settimeout(1)
    for _ in range(dice.randrange(6)):
        match dice.randrange(6):
            case 0: connection.sendall(frame(dice.randbytes(dice.randrange(200)), masked=masked))
            case 1: connection.sendall(frame(b"x" * dice.randrange(300_000), masked=masked))
            case 2: connection.sendall(dice.randbytes(dice.randrange(1, 40)))
            case 3: connection.sendall(frame(b"", opcode=8, masked=masked))
            case 4: connection.recv(65_536)
            case 5: time.sleep(dice.random() / 50)
    match dice.randrange(4):
        case 0: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        case 1: connection.shutdown(socket.SHUT_WR)
        case 2: connection.sendall(frame(b"half", masked=masked)[:3])
        case 3:
            while connection.recv(65_536):
                continue


def test_the_gateway_outlives_whatever_happens_in_its_tunnels(start_gateway, backend):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")

    def handler(exchange: Exchange) -> bytes | None:
        dice = random.Random(f"{seed} {exchange.request.target}")
        exchange.close()
        if dice.random() < 0.2:
            return dice.choice([answer(), answer(426), switched(key=None), b"HTTP/1.1 101 No\r\n\r\n", b"junk\r\n\r\n"])
        exchange.send(switched() + (frame(b"greeting") if dice.random() < 0.3 else b""))
        misbehave(exchange.socket, dice, masked=False)
        return None

    backend.handler = handler
    gateway = start_gateway(backend, timeouts={"body": "1s", "tunnel": "1s", "drain": "2s"})
    before = gateway.open_files("socket")
    ends_at = time.monotonic() + SECONDS

    def client(number: int) -> None:
        turn = 0
        while time.monotonic() < ends_at:
            turn += 1
            dice = random.Random(f"{seed} client {number} {turn}")
            try:
                with gateway.connect(f"127.210.0.{number + 1}", timeout=2) as connection:
                    early = frame(b"early", masked=True) if dice.random() < 0.2 else b""
                    connection.send(handshake(f"/{number}/{turn}") + early)
                    connection.read_head()
                    misbehave(connection.socket, dice, masked=True)
            except (OSError, AssertionError):
                continue

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(24)]
    for thread in threads:
        thread.start()
    dice = random.Random(seed)
    while time.monotonic() < ends_at:
        victim = f"127.210.0.{dice.randrange(1, 25)}"
        gateway.command("block", victim)
        if dice.random() < 0.3:
            gateway.signal(signal.SIGHUP)
        gateway.command("unblock", victim)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert gateway.child.running
    wait_until("the end of all tunnels", lambda: gateway.metrics()["gateway_tunnels"] == 0)
    wait_until("the end of all connections", lambda: gateway.open_files("socket") <= before + 2)
    metrics = gateway.metrics()
    opened = metrics['gateway_http_requests_total{route="/",method="GET",code="101"}']
    closed = sum(value for name, value in metrics.items() if name.startswith("gateway_tunnels_closed_total"))
    assert opened == closed > 50
    backend.answers(answer())
    assert gateway.fetch(request("GET", "/")).status == 200
