"""A gateway that serves clients by itself and is asked by another proxy, both in front of one scripted backend: so that
the two ways can be compared."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.backend import Backend, Exchange, Request, answer
from harness.client import Client, ConnectionEnded, Response
from harness.fronts import FRONTS, Front
from harness.gateway import Gateway, config, merged
from harness.tokens import SECRET
from harness.websocket import switched

ORIGIN = "https://app.example.org"
AWAY = "https://away.test"

ROUTES = [
    {"path": "/open", "auth": "none"},
    {"path": "/health", "auth": "none"},
    {"path": "/maybe", "auth": "optional"},
    {"path": "/private", "auth": "required"},
    {"path": "/admin", "auth": "required", "roles": ["admin"]},
    {"path": "/gold", "auth": "required", "claims": {"tier": ["gold"]}},
    {"path": "/orders", "auth": "required", "scopes": ["orders.read"]},
    {"path": "/vault", "auth": "required", "step_up": {"acr": ["gold"]}},
    {"path": "/posted", "auth": "required", "methods": ["POST"]},
    {"path": "/cors", "auth": "required", "cors": {"origins": [ORIGIN]}},
    {"path": "/browser", "auth": "required", "cookie": "access_token"},
    {"path": "/still", "auth": "none", "upgrades": []},
    {"path": "/normal", "auth": "none", "paths": {"dot_segments": "normalise", "empty_segments": "normalise"}},
    {"path": "/of-host", "host": "only.example.org", "auth": "none"},
]

SETTINGS = {
    "routes": [{"upstream": "api", **route} for route in ROUTES],
    "tokens": {
        "max_bytes": 2048,
        "keys": [
            {"id": "main", "secret": SECRET, "algorithms": ["HS256"]},
            # Nobody answers there.
            {"id": "away", "jwks_url": "http://127.0.0.1:1/jwks.json", "allow_http": True, "issuer": AWAY},
        ],
    },
    "login": {"endpoints": ["POST /open/login"], "limit": 3},
    "forward_auth": {"listen": ["127.0.0.1:0"]},
}


def serve(exchange: Exchange) -> bytes:
    """Changes to a WebSocket where one is asked for, and says that a login failed."""
    exchange.read_body()
    if (exchange.request.field("Upgrade") or "").lower() == "websocket":
        exchange.close()
        return switched(key=exchange.request.field("Sec-WebSocket-Key"))
    return answer(401 if exchange.request.target == "/open/login" else 200, b"from the backend")


class World:
    """`front` is the proxy that asks."""

    def __init__(self, front: str, directory: Path, **sections: object) -> None:
        directory.mkdir(exist_ok=True)
        self.backend = Backend(serve)
        self.gateway = Gateway(directory, merged(config(self.backend.address, directory), merged(SETTINGS, sections)))
        self.front: Front | None = None
        try:
            self.gateway.start()
            self.front = Front(front, directory, self.gateway.check_address, ("127.0.0.1", self.backend.port))
        except BaseException:
            self.stop()
            raise
        self.backend.requests.clear()

    def stop(self) -> None:
        if self.front is not None:
            self.front.stop()
        self.gateway.stop()
        self.backend.close()

    def ask(self, data: bytes, source: str | None = None, inline: bool = False) -> tuple[Response | None, Request | None]:
        """The answer, and what the backend got; None for an answer where the connection was closed without one."""
        before = len(self.backend.requests)
        method = data.split(b" ", 1)[0].decode()
        with Client(self.gateway.address if inline else self.front.address, source) as client:
            try:
                response = client.send(data).read_response(method)
            except (ConnectionEnded, ConnectionResetError):
                response = None
        arrived = self.backend.requests[before:]
        assert len(arrived) <= 1, [request.head for request in arrived]
        return response, arrived[0] if arrived else None


@pytest.fixture(params=list(FRONTS), scope="package")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    made.stop()


@pytest.fixture(params=list(FRONTS))
def start_world(request: pytest.FixtureRequest, directory: Path) -> Iterator[Callable[..., World]]:
    """For tests that change or end something."""
    started: list[World] = []

    def start(**sections: object) -> World:
        started.append(World(request.param, directory / "world", **sections))
        return started[-1]

    yield start
    for world in started:
        world.stop()
