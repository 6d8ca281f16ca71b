"""How soon a block that is set by hand is in force, and what very many of them cost: the numbers in docs/redis.md.

`GATEWAY_TEST_LONG=1 integration_tests/run_all_tests.sh incident -k redis_million -s` repeats them with a million keys.
"""

import os
import socket
import subprocess
import threading
import time

from harness.client import request
from harness.logins import RIGHT, is_blocked
from harness.processes import wait_until
from harness.redis_users import health

LONG = bool(os.environ.get("GATEWAY_TEST_LONG"))
KEYS = 1_000_000 if LONG else 20_000
TRIALS = 200 if LONG else 20
ASK = request("GET", "/health")


def fill(redis) -> None:
    """Blocks of a day, sixteen addresses apart, so that no list of them can be packed into a few networks."""
    numbers = (0x0A000001 + 16 * number for number in range(KEYS))
    commands = "".join(f"SET ip_block:{socket.inet_ntoa(number.to_bytes(4, 'big'))} 1 EX 86400\n" for number in numbers)
    ran = subprocess.run(["redis-cli", "-p", str(redis.port), "--pipe"], input=commands, capture_output=True, text=True,
                         timeout=120, check=True)
    assert f"replies: {KEYS}" in ran.stdout


def blocks(gateway) -> int:
    return gateway.command_json("status")["blocks"]["in_force"]


class Typist:
    """An operator whose redis-cli is open already: what is measured is the way, not the start of a program."""

    def __init__(self, redis) -> None:
        self.socket = socket.create_connection(("127.0.0.1", redis.port))

    def type(self, *lines: str) -> None:
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())
        answers = b""
        while answers.count(b"\r\n") < len(lines):
            answers += self.socket.recv(4_096)
        assert b"-" not in answers, answers


def test_a_block_by_hand_is_in_force_on_three_replicas_within_a_tenth_of_a_second(start_gateway, login_backend, redis):
    fill(redis)
    gateways = [start_gateway(login_backend, redis) for _ in range(3)]
    for gateway in gateways:
        wait_until("it knows all of them", lambda one=gateway: health(one) == "healthy" and blocks(one) == KEYS, 120, every=0.1)
    typist = Typist(redis)
    times = []
    for trial in range(TRIALS):
        source = f"127.111.{trial // 250}.{trial % 250 + 1}"
        clients = [gateway.connect(source) for gateway in gateways]
        assert [client.ask(ASK).status for client in clients] == [200] * 3
        typist.type(f"SET ip_block:{source} 1 EX 300")
        began = time.monotonic()
        for client in clients:
            while client.ask(ASK).status != 403:
                assert time.monotonic() - began < 5
        times.append(time.monotonic() - began)
        for client in clients:
            client.close()
    times.sort()
    p99 = times[-1 - len(times) // 100]
    print(f"{KEYS} keys, {TRIALS} trials on 3 replicas: median {times[len(times) // 2] * 1e3:.1f} ms, "
          f"p99 {p99 * 1e3:.1f} ms, longest {times[-1] * 1e3:.1f} ms")
    assert p99 < 0.1


def test_a_start_and_a_new_look_at_everything_hold_up_no_login(start_gateway, login_backend, redis, address, other_address):
    gateway = start_gateway(login_backend, redis)
    wait_until("health is good", lambda: health(gateway) == "healthy")
    empty = gateway.child.resident()
    gateway.stop()
    fill(redis)
    redis.block(other_address)
    began = time.monotonic()
    gateway = start_gateway(login_backend, redis)
    wait_until("it knows all of them", lambda: health(gateway) == "healthy", 120)
    took = time.monotonic() - began
    assert blocks(gateway) == KEYS + 1
    full = gateway.child.resident()
    print(f"{KEYS} keys: in step {took:.2f} s after the start, {(full - empty) / 2**20:.0f} MiB more than without")

    logins: list[float] = []
    is_over = threading.Event()

    def log_in() -> None:
        with gateway.connect(address) as client:
            while not is_over.is_set():
                start = time.monotonic()
                assert client.ask(RIGHT).status == 200
                logins.append(time.monotonic() - start)

    thread = threading.Thread(target=log_in)
    thread.start()
    try:
        wait_until("logins go through", lambda: len(logins) > 20)
        quiet = max(logins)
        # What is deleted while nobody tells of it is noticed at the end of the next look at everything.
        began = time.monotonic()
        Typist(redis).type("CLIENT KILL TYPE pubsub", f"DEL ip_block:{other_address}")
        before = len(logins)
        wait_until("the look is over", lambda: not is_blocked(gateway, other_address), 120)
        scan = time.monotonic() - began
        during = logins[before:]
    finally:
        is_over.set()
        thread.join()
    print(f"a new look took {scan:.2f} s; the longest of {len(during)} logins meanwhile {max(during) * 1e3:.1f} ms, "
          f"before {quiet * 1e3:.1f} ms")
    assert blocks(gateway) == KEYS
    # None was left to the local ledger for want of an answer in time.
    assert max(during) < 0.25
