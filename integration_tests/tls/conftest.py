"""Gateways with certificates of an authority of their own."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.backend import Backend
from harness.certificates import Authority, Identity
from harness.client import Client
from harness.gateway import Gateway

from .doors import Doors


class Edge:
    """A gateway that serves TLS with a certificate for gateway.test, and what its clients trust."""

    def __init__(self, gateway: Gateway, authority: Authority, server: Identity, directory: Path) -> None:
        self.gateway = gateway
        self.authority = authority
        self.server = server
        self.directory = directory

    def context(self, *, client: Identity | None = None, protocols: list[str] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.write(self.directory))
        if client is not None:
            context.load_cert_chain(*client.write(self.directory, f"client-{client.fingerprint[:8]}"))
        if protocols is not None:
            context.set_alpn_protocols(protocols)
        return context

    def connect(
        self, context: ssl.SSLContext | None = None, name: str = "gateway.test", session: ssl.SSLSession | None = None,
        source: str | None = None,
    ) -> Client:
        return Client(
            self.gateway.secure_address, source, tls=context or self.context(), server_name=name, session=session)


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
