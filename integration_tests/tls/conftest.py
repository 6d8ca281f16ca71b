"""Gateways and backends with certificates of an authority of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.backend import Backend
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.upstream_tls import Service

from .doors import Doors
from .edge import Edge


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def start_edge(
    start_gateway: Callable[..., Gateway], backend: Backend, authority: Authority, directory: Path,
) -> Callable[..., Edge]:
    """`start_edge(tls={…}, section={…})`: `tls` is merged into the section that names the certificate."""

    def start(tls: dict[str, Any] | None = None, **sections: Any) -> Edge:
        server = authority.issue("gateway.test")
        chain, key = server.write(directory / "tls")
        section = {"listen": ["127.0.0.1:0"], "certificate_file": chain, "key_file": key, **(tls or {})}
        return Edge(start_gateway(backend, tls=section, **sections), authority, server, directory / "tls")

    return start


@pytest.fixture
def edge(start_edge: Callable[..., Edge]) -> Edge:
    return start_edge()


@pytest.fixture
def doors(start_edge: Callable[..., Edge], directory: Path) -> Doors:
    return Doors(start_edge, Authority("Authority of clients"), directory)


@pytest.fixture
def service(
    start_gateway: Callable[..., Gateway], start_backend: Callable[..., Backend], authority: Authority, directory: Path,
) -> Service:
    return Service(start_gateway, start_backend, authority, directory)
