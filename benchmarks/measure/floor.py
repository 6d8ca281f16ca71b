"""The floor that no proxy gets below on this machine: a relay that moves bytes and understands none."""

import json

from .proxy import Proxy
from .workspace import tool


class Floor(Proxy):
    name = "floor"

    def command(self):
        return [tool("relay"), str(self.backend_port)]

    def is_ready(self, service):
        line = service.log.read_text().splitlines()
        if line:
            self.port = json.loads(line[0])["port"]
        return bool(line)

    @classmethod
    def supports(cls, case):
        """What passes any proxy unchanged, over connections that stay."""
        wants = case.setup
        return case.expect == 200 and not (
            case.tokens or wants.tls or wants.routes or wants.blocked or wants.reloads or case.reconnect
            or wants.workers > 1
        )

    @classmethod
    def version(cls):
        return "benchmarks/tools/relay.c"
