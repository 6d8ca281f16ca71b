"""Backends with TLS, gateways that believe their authority, and what such a gateway answers and counts."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .backend import Backend
from .certificates import Authority, Identity
from .client import Response
from .gateway import Gateway

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Service:
    """Backends with TLS, and gateways that believe an authority of the test's own."""

    def __init__(
        self, start_gateway: Callable[..., Gateway], start_backend: Callable[..., Backend], authority: Authority,
        directory: Path,
    ) -> None:
        self.start_gateway = start_gateway
        self.start_backend = start_backend
        self.authority = authority
        self.directory = directory / "service"

    def context(self, identity: Identity | None = None) -> ssl.SSLContext:
        identity = identity or self.authority.issue("127.0.0.1", "api.test")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*identity.write(self.directory, f"backend-{identity.fingerprint[:8]}"))
        context.set_alpn_protocols(["http/1.1"])
        return context

    def backend(self, identity: Identity | None = None, **ways: Any) -> Backend:
        return self.start_backend(tls=self.context(identity), **ways)

    def tls(self, **settings: Any) -> dict[str, Any]:
        section = {"enabled": True, "ca_file": self.authority.write(self.directory), **settings}
        return {key: value for key, value in section.items() if value is not None}

    def gateway(self, backend: Backend | str, tls: dict[str, Any] | None = None, **sections: Any) -> Gateway:
        return self.start_gateway(backend, **{
            "workers": 1, "upstreams": {"api": {"tls": tls or self.tls()}}, **sections})


def handshakes(gateway: Gateway, result: str) -> float:
    return gateway.metrics()[f'gateway_upstream_tls_handshakes_total{{upstream="api",result="{result}"}}']


def refused(response: Response, error: str, code: str = "SVC_001", status: int = 502) -> None:
    assert (response.status, response.code) == (status, code), (response.status, response.code)
    assert response.field("Proxy-Status") == f"gateway; error={error}", response.field("Proxy-Status")
