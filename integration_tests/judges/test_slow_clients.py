"""slowhttptest holds connections open in its four ways; meanwhile another client gets all of its answers, and soon. It
asks at the door that is attacked: over TLS where the attack is."""

import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.backend import Backend, Exchange, answer
from harness.certificates import Authority
from harness.client import request
from harness.gateway import Gateway
from harness.load import Load
from harness.processes import wait_until
from harness.programs import needed

CONNECTIONS = 300
# Of the other client.
OTHERS = 2
SECONDS = 10
# How long the other client may wait for any of its answers, and how many it gets in a second at least.
PATIENCE = 2.0
RATE = 10

# What a careful operator sets: nobody honest takes longer over a head, or stands still for so long in a body.
TIMEOUTS = {"head": "3s", "body": "3s", "idle": "5s"}

HEADS = ["-H", "-i", "1", "-x", "12"]
BODIES = ["-B", "-i", "1", "-s", "8192", "-x", "10"]
READERS = ["-X", "-w", "16", "-y", "64", "-n", "1", "-z", "16"]
ATTACKS = {
    "slow heads": HEADS,
    "slow bodies": BODIES,
    "slow readers": READERS,
    "many ranges": ["-R", "-a", "5", "-b", "2000"],
    "slow heads over TLS": HEADS,
    "slow bodies over TLS": BODIES,
    "slow readers over TLS": READERS,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_second_client_is_served_during_the_attack(
    start_gateway: Callable[..., Gateway], start_backend: Callable[..., Backend], directory: Path, address: str,
    attack: str,
) -> None:
    program = needed("slowhttptest")
    large = answer(200, b"x" * 400_000)

    def serve(exchange: Exchange) -> bytes:
        exchange.read_body()
        return large if exchange.request.target == "/large" else answer()

    authority = Authority()
    chain, key = authority.issue("gateway.test").write(directory / "tls")
    gateway = start_gateway(
        start_backend(serve), timeouts=TIMEOUTS, logs={"access": "off"},
        tls={"listen": ["127.0.0.1:0"], "certificate_file": chain, "key_file": key})
    scheme, door, trust = "http", gateway.address, None
    if "TLS" in attack:
        scheme, door = "https", gateway.secure_address
        trust = ssl.create_default_context(cafile=authority.write(directory / "tls"))
    host, port = door
    with Load(door, request("GET", "/small"), OTHERS, address, pause=0.05, tls=trust) as load:
        wait_until("the second client is served", lambda: gateway.metrics()["gateway_client_connections"] == OTHERS)
        judge = subprocess.run(
            [program, *ATTACKS[attack], "-c", str(CONNECTIONS), "-r", "150", "-l", str(SECONDS), "-p", "2",
             "-u", f"{scheme}://{host}:{port}/large"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        metrics = gateway.metrics()
        samples = load.stop()
    said = re.sub(r"\x1b\[[0-9;]*m", "", judge.stdout + judge.stderr)
    assert metrics["gateway_client_connections_accepted_total"] >= CONNECTIONS, said
    # An attack whose handshakes fail would be none of what it is named for.
    secured = sum(metrics[f'gateway_tls_handshakes_total{{result="{result}"}}'] for result in ("full", "resumed"))
    assert secured >= CONNECTIONS + OTHERS if "TLS" in attack else secured == 0, said
    assert set(re.findall(r"service available:\s+(\w+)", said)) == {"YES"}, said
    assert len(samples) >= RATE * (samples[-1].ended - samples[0].began)
    assert {sample.status for sample in samples} == {200}
    assert max(sample.ended - sample.began for sample in samples) < PATIENCE
    wait_until("no connection stays behind", lambda: gateway.metrics()["gateway_client_connections"] == 0, 10)
