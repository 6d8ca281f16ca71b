"""Users whose tokens are revoked, how soon that shows, and what such tokens have open."""

from collections.abc import Callable, Sequence

from .client import Client, request
from .gateway import Gateway
from .issuer import ask
from .keys import REVOKED
from .processes import wait_until
from .tokens import SECRET, bearer, claims, token
from .websocket import handshake

PASSES = (200, None)


def of(user: str, key: str = SECRET, **changes: object) -> str:
    return token(claims(user, **{"jti": f"j-{user}", **changes}), key)


def soon(what: str, probe: Callable[[], object]) -> None:
    """Within 100 ms, which is 200 where a busy machine counts them."""
    wait_until(what, probe, 0.2, every=0.005)


def refused_soon(gateways: Sequence[Gateway], value: str) -> None:
    soon("all refuse", lambda: all(ask(gateway, value) == REVOKED for gateway in gateways))


def open_chat(gateway: Gateway, value: str) -> Client:
    client = gateway.connect().send(handshake("/chat", bearer(value)))
    assert client.read_head().status == 101
    return client


def open_events(gateway: Gateway, value: str) -> Client:
    client = gateway.connect().send(request("GET", "/events", bearer(value)))
    assert client.read_head().status == 200
    return client


def lives(client: Client) -> bool:
    return client.silent(0.1)
