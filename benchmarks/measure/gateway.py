"""The gateway with everything on: access and audit log to files, metrics, the embedded ledger."""

import hashlib
import json
import shutil

from . import keys, load, routes
from .blocks import blocked_addresses, start_redis
from .cases import BLOCKED_ADDRESS, Case
from .proxy import Proxy, first_line
from .workspace import GATEWAY, stop_with

FAILURES = 5

# The block outlives any run; 127.0.0.1 itself is never counted out, because the load for the other cases comes from it.
CONFIGURATION = """\
listen: ["127.0.0.1:0"]
{tls}\
workers: {workers}
state_dir: {directory}/state
admin:
  listen: "127.0.0.1:0"
  socket: {directory}/admin.sock
limits: {{connections: {connections}}}
{redis}\
upstreams:
  api:
    servers: ["127.0.0.1:{backend}"]
    keep_alive: 512
routes:
  - path: /secure
    upstream: api
    auth: required
  - path: /
    upstream: api
    auth: none
{routes}\
login:
  endpoints: ["POST /auth/login"]
  limit: {failures}
  window: 1d
  block: 1d
  failure_statuses: [401]
tokens:
  keys:
    - {{id: main, {key}, algorithms: [{algorithm}]}}
identity:
  headers: {{X-User-ID: sub, X-User-Role: role, X-Authenticated: "@authenticated"}}
logs:
  access: {directory}/access.log
  audit: {directory}/audit.log
"""

ROUTE = "  - {{path: {path}, upstream: api, auth: none}}\n"


class Gateway(Proxy):
    name = "gateway"
    redis = None  # the socket of a Redis with blocks, where there are many

    def start(self, wrapper=(), environment=None):
        if not self.setup.blocked:
            return super().start(wrapper, environment)
        redis, self.redis = start_redis(self.directory, blocked_addresses(self.setup))
        try:
            service = super().start(wrapper, environment)
        except BaseException:
            redis.stop()
            raise
        service.companions.append(redis)
        return service

    def command(self):
        if not GATEWAY.exists():
            stop_with("there is no release build of the gateway: scripts/build-release")
        # A block survives a restart; each start of a measurement begins without one.
        shutil.rmtree(self.directory / "state", ignore_errors=True)
        algorithm = self.setup.algorithm or "HS256"
        text = CONFIGURATION.format(
            directory=self.directory,
            tls=self.tls(),
            workers=self.setup.workers,
            connections=self.setup.connections,
            redis=f"redis: {{address: 'unix:{self.redis}', startup_wait: 1m}}\n" if self.redis else "",
            routes="".join(ROUTE.format(path=path) for path in routes.prefixes(self.setup.routes)),
            backend=self.backend_port,
            key=self.key(algorithm),
            algorithm=algorithm,
            failures=FAILURES,
        )
        return [str(GATEWAY), "run", "--config", str(self.write("gateway.conf", text))]

    def tls(self):
        if not self.setup.tls:
            return ""
        certificate, key = keys.certificate()
        return f'tls: {{listen: ["127.0.0.1:0"], certificate_file: {certificate}, key_file: {key}}}\n'

    def key(self, algorithm):
        if algorithm == "HS256":
            # Mode 600: the gateway refuses a secret that others may read.
            return f"secret_file: {self.write('secret', keys.SECRET, mode=0o600)}"
        return f"pem_file: {keys.public_pem(algorithm)}"

    def is_ready(self, service):
        output = service.log.read_text(errors="replace")
        self.plain_port = ready_port(output)
        self.port = ready_port(output, "tls_listeners") if self.setup.tls else self.plain_port
        return self.port is not None

    def prepare(self):
        """Blocks the address of the 403 case the way an attacker earns it: failed logins that the backend answered."""
        if self.setup.blocked:
            return
        login = Case("login", "", "/auth/login", "POST", expect=401, length=None, source=BLOCKED_ADDRESS)
        load.loop(self.plain_port, login, requests=FAILURES, body="x")

    def tidy(self):
        for name in ("access.log", "audit.log"):
            path = self.directory / name
            if path.exists():
                path.open("r+b").truncate(0)

    @classmethod
    def version(cls):
        """With a digest of the program, so that results of two builds are not taken for those of one."""
        digest = hashlib.sha256(GATEWAY.read_bytes()).hexdigest()
        return f"{first_line([str(GATEWAY), 'version'])}, program {digest[:8]}"


def ready_port(output, kind="listeners"):
    """The port of the first listener in the line with which the gateway says that it serves; None before it came."""
    for line in output.splitlines():
        if '"gateway.ready"' in line and line.endswith("}"):
            return int(json.loads(line)[kind][0].rpartition(":")[2])
    return None
