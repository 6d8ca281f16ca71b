"""A gateway that asks for a token in front of the scripted backend."""

import pytest

from harness.issuer import Issuer
from harness.long_exchanges import LongExchanges
from harness.tokens import SECRET

HS = {"id": "main", "secret": SECRET, "algorithms": ["HS256"]}

ROUTES = [
    {"path": "/", "upstream": "api", "auth": "required"},
    {"path": "/open", "upstream": "api", "auth": "none"},
    {"path": "/maybe", "upstream": "api", "auth": "optional"},
    {"path": "/browser", "upstream": "api", "auth": "required", "cookie": "access_token"},
    {"path": "/admin", "upstream": "api", "auth": "required", "roles": ["admin"]},
    {"path": "/gold", "upstream": "api", "auth": "required", "claims": {"tier": ["gold", "silver"]}},
    {"path": "/cors", "upstream": "api", "auth": "required", "cors": {"origins": ["https://app.example.org"]}},
]


@pytest.fixture
def start_guarded(start_gateway, backend):
    """`start_guarded(redis, tokens={…}, …)`: sections are merged into the configuration."""
    def start(redis=None, **sections):
        return start_gateway(backend, redis, **{
            "routes": ROUTES, **sections, "tokens": {"keys": [HS], **sections.get("tokens", {})}})
    return start


@pytest.fixture
def gateway(start_guarded):
    return start_guarded()


@pytest.fixture
def service(backend):
    """The backend's exchanges last."""
    backend.handler = handler = LongExchanges()
    yield handler
    handler.release()


@pytest.fixture
def start_issuer():
    started = []

    def start(**ways):
        started.append(Issuer(**ways))
        return started[-1]

    yield start
    for issuer in started:
        issuer.close()


@pytest.fixture
def issuer(start_issuer):
    return start_issuer()


@pytest.fixture
def start_asking(start_guarded):
    """A gateway that asks this issuer."""
    return lambda issuer, **changes: start_guarded(tokens={"introspection": issuer.settings(**changes)})
