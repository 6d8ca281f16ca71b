"""Everything changes with every reload, ten times a second, while clients ask: none of them notices."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import bodies
from harness.backend import Backend
from harness.certificates import Authority
from harness.gateway import merged
from harness.load import Load, NewConnections, failed
from harness.processes import free_port, wait_until

from .edge import Edge

# The minute by GATEWAY_TEST_LONG=1.
SECONDS = 60.0 if os.environ.get("GATEWAY_TEST_LONG") else 10.0


def lead(link: Path, target: Path) -> None:
    """As a deployment swaps certificate and key in one step: another directory behind the same link."""
    draft = link.with_suffix(".draft")
    draft.symlink_to(target)
    draft.rename(link)


@pytest.mark.once
def test_reload_every_100_ms_with_certificates_changing_fails_no_request(
    start_edge: Callable[..., Edge], backend: Backend, start_backend: Callable[..., Backend], authority: Authority,
    directory: Path,
) -> None:
    """Certificates, routes, upstreams and listeners; kept connections and new ones, plain and with TLS; large bodies in
    both directions."""
    other = start_backend(bodies.serve)
    backend.handler = bodies.serve
    places = [directory / f"issue-{number}" for number in range(8)]
    for place in places:
        authority.issue("gateway.test").write(place)
    live = directory / "live"
    lead(live, places[0])
    edge = start_edge({"certificate_file": str(live / "server.pem"), "key_file": str(live / "server.key")})
    gateway = edge.gateway
    plain = gateway.settings
    ports = free_port(), free_port()
    more_tls = {"listen": [*plain["tls"]["listen"], f"127.0.0.1:{ports[1]}"]}
    variants = [
        plain,
        merged(plain, {"listen": ["127.0.0.1:0", f"127.0.0.1:{ports[0]}"], "upstreams": {"api": {"servers": [other.address]}}}),
        merged(plain, {"tls": more_tls, "routes": [*plain["routes"], {"path": "/more", "upstream": "api", "auth": "none"}]}),
        merged(plain, {"upstreams": {"api": {"servers": [backend.address, other.address]}}, "limits": {"fields": 50}}),
    ]
    context = edge.context()
    asked, asked_once = bodies.mixture(), bodies.mixture({"Connection": "close"})
    fresh = NewConnections(gateway.address, 2, asked_once)
    fresh_tls = NewConnections(gateway.secure_address, 2, asked_once, tls=context)
    served: set[bytes] = set()
    looking = threading.Event()

    def look() -> None:
        while not looking.wait(0.05):
            with edge.connect(context) as client:
                served.add(client.socket.getpeercert(binary_form=True))  # type: ignore[arg-type]

    watcher = threading.Thread(target=look)
    watcher.start()
    reloads = 0
    with Load(gateway.address, asked, 4, pause=0.001) as load, \
            Load(gateway.secure_address, asked, 4, pause=0.001, tls=context) as load_tls:
        end = time.monotonic() + SECONDS
        due = time.monotonic()
        while time.monotonic() < end:
            lead(live, places[reloads % len(places)])
            gateway.write_config(variants[reloads % len(variants)])
            gateway.signal(signal.SIGHUP)
            reloads += 1
            due += 0.1
            time.sleep(max(0, due - time.monotonic()))
        samples, samples_tls = load.stop(), load_tls.stop()
    looking.set()
    watcher.join(10)
    fresh.stop(), fresh_tls.stop()
    wait_until("the last reload", lambda: len(gateway.events("gateway.reloaded")) >= reloads * 0.8)
    refused = gateway.events("gateway.reload_failed")
    assert refused == []
    assert fresh.bad == [] and fresh_tls.bad == []
    assert sum(fresh.refused) == 0 and sum(fresh_tls.refused) == 0
    assert failed(samples) == [] and failed(samples_tls) == []
    assert min(len(samples), len(samples_tls), sum(fresh.good), sum(fresh_tls.good)) > 50
    assert len(served) == len(places), "each was served to somebody"
    assert backend.requests and other.requests
    print(f"{reloads} reloads; kept: {len(samples)} plain, {len(samples_tls)} TLS; new: {sum(fresh.good)} plain, "
          f"{sum(fresh_tls.good)} TLS; {len(served)} certificates; 0 failed")
