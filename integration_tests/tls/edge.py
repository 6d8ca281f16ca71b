"""A gateway behind TLS, as tests speak to it."""

import ssl
from pathlib import Path

from harness.certificates import Authority, Identity
from harness.client import Client
from harness.gateway import Gateway


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
