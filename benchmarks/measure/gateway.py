"""The gateway with everything on: access and audit log to files, metrics, the embedded ledger."""

import json
import shutil

from . import keys, load
from .cases import BLOCKED_ADDRESS, Case
from .proxy import Proxy, first_line
from .workspace import GATEWAY, stop_with

FAILURES = 5

# The block outlives any run; 127.0.0.1 itself is never counted out, because the load for the other cases comes from it.
CONFIGURATION = """\
listen: ["127.0.0.1:0"]
{tls}\
workers: 1
state_dir: {directory}/state
admin:
  listen: "127.0.0.1:0"
  socket: {directory}/admin.sock
limits: {{connections: 4000}}
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


class Gateway(Proxy):
    name = "gateway"

    def command(self):
        if not GATEWAY.exists():
            stop_with("there is no release build of the gateway: swift build -c release --product gateway")
        # A block survives a restart; each start of a measurement begins without one.
        shutil.rmtree(self.directory / "state", ignore_errors=True)
        algorithm = self.setup.algorithm or "HS256"
        text = CONFIGURATION.format(
            directory=self.directory,
            tls=self.tls(),
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

    def wait_until_ready(self, service):
        self.plain_port = service.wait_until(lambda: ready_port(service.log.read_text(errors="replace")))
        self.port = self.plain_port
        if self.setup.tls:
            self.port = ready_port(service.log.read_text(errors="replace"), "tls_listeners")

    def prepare(self):
        """Blocks the address of the 403 case the way an attacker earns it: failed logins that the backend answered."""
        login = Case("login", "", "/auth/login", "POST", expect=401, length=None, source=BLOCKED_ADDRESS)
        load.loop(self.plain_port, login, requests=FAILURES, body="x")

    def tidy(self):
        for name in ("access.log", "audit.log"):
            path = self.directory / name
            if path.exists():
                path.open("r+b").truncate(0)

    @classmethod
    def version(cls):
        return first_line([str(GATEWAY), "version"])


def ready_port(output, kind="listeners"):
    """The port of the first listener in the line with which the gateway says that it serves; None before it came."""
    for line in output.splitlines():
        if '"gateway.ready"' in line and line.endswith("}"):
            return int(json.loads(line)[kind][0].rpartition(":")[2])
    return None
