"""HAProxy for the same work: the block list, the forwarding headers, the token check, no log."""

import os
import signal

from . import keys, routes
from .blocks import blocked_addresses
from .processes import free_port
from .proxy import Proxy, first_line
from .workspace import need

# http-reuse always and an unbounded pool: HAProxy's best for short requests to one server.
CONFIGURATION = """\
global
    nbthread {workers}
    maxconn {connections}
    no strict-limits
{tuning}
defaults
    mode http
    no log
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
{bodies}
frontend public
    bind 127.0.0.1:{port}{tls}{shards}
{reloads}\
    http-request deny deny_status 403 if {{ src -f {blocked} }}
{tokens}\
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request add-header Via "1.1 haproxy"
{routes}\
    default_backend api

backend api
    server one 127.0.0.1:{backend} pool-max-conn -1
"""

# For large bodies the best of 16, 64 and 128 KB of buffer, and of splice-auto and splice-request.
BUFFERS = "    tune.bufsize 65536\n"
SPLICING = "    option splice-request\n"

# Otherwise a reload ends every connection that waits for its next request, at once.
RELOADS = "    option idle-close-on-response\n"

# Its leanest (literal algorithm, no lookups) that still honours exp, as the gateway does on every request. The payload
# is decoded once for its three claims, which jwt_payload_query would do for each.
TOKENS = """\
    acl secure path_beg /secure/
    http-request set-var(txn.token) http_auth_bearer if secure
    http-request deny deny_status 401 if secure !{{ var(txn.token),jwt_verify("{algorithm}","{key}") -m int 1 }}
    http-request set-var(txn.claims) var(txn.token),field(2,.),ub64dec if secure
    http-request set-var(txn.now) date() if secure
    http-request set-var(txn.left) var(txn.claims),json_query('$.exp','int'),sub(txn.now) if secure
    http-request deny deny_status 401 if secure {{ var(txn.left) -m int le 0 }}
    http-request set-header X-User-ID %[var(txn.claims),json_query('$.sub')] if secure
    http-request set-header X-User-Role %[var(txn.claims),json_query('$.role')] if secure
    http-request set-header X-Authenticated true if secure
"""


class HAProxy(Proxy):
    name = "haproxy"

    def command(self):
        self.port = free_port()
        text = CONFIGURATION.format(
            workers=self.setup.workers,
            connections=self.setup.connections,
            port=self.port,
            tls=f" ssl crt {self.certificate()}" if self.setup.tls else "",
            shards=" shards by-thread" if self.setup.workers > 1 else "",
            reloads=RELOADS if self.setup.reloads else "",
            scheme="https" if self.setup.tls else "http",
            blocked=self.write("blocked.txt", "".join(f"{address}\n" for address in blocked_addresses(self.setup))),
            tokens=self.tokens(),
            routes=self.routes(),
            tuning=BUFFERS if self.setup.bodies else "",
            bodies=SPLICING if self.setup.bodies else "",
            backend=self.backend_port,
        )
        # -db: one process in the foreground, so that its threads are all there is to count. -W: a master that reloads.
        mode = "-W" if self.setup.reloads else "-db"
        return [need("haproxy"), mode, "-f", str(self.write("haproxy.cfg", text))]

    def reload(self, service):
        os.kill(service.pid, signal.SIGUSR2)

    def routes(self):
        """A tree of prefixes; all lead to the one backend."""
        if not self.setup.routes:
            return ""
        lines = "".join(f"{path} api\n" for path in routes.prefixes(self.setup.routes))
        return f"    use_backend %[path,map_beg({self.write('routes.map', lines)})]\n"

    def certificate(self):
        return self.write("certificate.pem", "".join(path.read_text() for path in keys.certificate()))

    def tokens(self):
        algorithm = self.setup.algorithm
        if not algorithm:
            return ""
        key = keys.SECRET if algorithm == "HS256" else keys.public_pem(algorithm)
        return TOKENS.format(algorithm=algorithm, key=key)

    @classmethod
    def version(cls):
        return first_line([need("haproxy"), "-v"]).split(" - ")[0]
