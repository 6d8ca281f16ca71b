"""A reload gives an upstream other servers, with rules for them: what the former rules decided must not meet them."""

import contextlib
import socket
import threading

import pytest

from harness.backend import Exchange, answer
from harness.client import request
from harness.gateway import merged

CLIENT_HELLO = b"\x16\x03"
KEYS = {"keys": [{"id": "main", "secret": "s" * 32, "algorithms": ["HS256"]}]}


@pytest.mark.once
@pytest.mark.parametrize("change", ["the route asks for a token", "the server speaks TLS"])
def test_what_the_former_rules_let_through_does_not_reach_the_servers_of_their_successors(
        start_gateway, start_backend, change):
    """The server of a request that is under way goes away without an answer, so another attempt is due."""
    goes = threading.Event()

    def leaves(exchange: Exchange) -> None:
        goes.wait(20)
        exchange.close()

    seen: list[bytes] = []

    def listens(accepted: socket.socket) -> socket.socket:
        with contextlib.suppress(OSError):
            seen.append(accepted.recv(4_096, socket.MSG_PEEK))
        if seen[-1:] and seen[-1].startswith(CLIENT_HELLO):
            raise OSError("nobody speaks TLS here")
        return accepted

    over_tls = change == "the server speaks TLS"
    former, successor = start_backend(leaves), start_backend(welcome=listens)
    gateway = start_gateway(former, tokens=KEYS)
    with gateway.connect() as client:
        client.send(request("GET", "/held", {"Authorization": "Bearer of-the-client"} if over_tls else None))
        former.wait_for(1)
        upstream = {"servers": [successor.address], **({"tls": {"enabled": True}} if over_tls else {})}
        route = {"path": "/", "upstream": "api", "auth": "none" if over_tls else "required"}
        gateway.write_config(merged(gateway.settings, {"upstreams": {"api": upstream}, "routes": [route]}))
        gateway.command("reload")
        assert gateway.get("/new").status == (502 if over_tls else 401)
        goes.set()
        assert client.read_final().status == 502
    former.wait_for(2)
    assert [head for head in seen if b"/held" in head] == []


def test_a_reload_keeps_servers_in_service_and_new_ones_get_what_comes(start_gateway, start_backend):
    former, successor = start_backend(), start_backend()
    successor.answers(answer(body="new"))
    gateway = start_gateway(former, workers=4)
    assert gateway.get("/").body == b"ok"
    gateway.write_config(merged(gateway.settings, {"upstreams": {"api": {"servers": [successor.address]}}}))
    gateway.command("reload")
    assert {gateway.get("/").body for _ in range(20)} == {b"new"}
    assert len(former.requests) == 1
