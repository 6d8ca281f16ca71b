"""HAProxy and nginx as guards of a login, each with the best that its configuration offers against guesses: instances
beside each other, before one backend."""

import getpass
import re
import shutil
import socket
from pathlib import Path

import pytest

from .client import Response, fetch
from .processes import NotReady, Process, answers, free_port, wait_until

LIMIT = 5


class Guard:
    """`count` instances of one program; `addresses` are theirs."""

    name = ""
    # In a few words what it counts, and where.
    way = ""

    def __init__(self, directory: Path, backend: int, count: int) -> None:
        self.directory = directory / re.sub(r"\W+", "-", self.name)
        self.directory.mkdir()
        self.backend, self.count = backend, count
        self.ports = [free_port() for _ in range(count)]
        self.addresses = [("127.0.0.1", port) for port in self.ports]
        self.processes: list[Process] = []
        try:
            for number in range(count):
                self.processes.append(Process(f"guard-{number}", self.command(number), self.directory))
            for number, process in enumerate(self.processes):
                wait_until(f"{self.name} serves", lambda n=number, p=process: self._serves(n, p), 20)
            self.in_step()
        except BaseException:
            self.stop()
            raise

    def _serves(self, number: int, process: Process) -> bool:
        if not process.running:
            raise NotReady(f"{self.name} ended:\n{process.log()[-3000:]}")
        return answers(self.ports[number])

    def fetch(self, index: int, data: bytes, source: str, timeout: float = 60) -> Response:
        return fetch(self.addresses[index % self.count], data, source, timeout)

    def command(self, number: int) -> list[str | Path]:
        raise NotImplementedError

    def in_step(self) -> None:
        """Returns when the instances know each other, where they do at all."""

    def stop(self) -> None:
        for process in self.processes:
            process.stop()

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


class HAProxy(Guard):
    """A stick table of failed logins; instances tell each other of theirs. A request is judged by what is counted when
    it arrives, and no counter of version 2.6 can be lowered, so tables have no way to count those under way."""

    name = "haproxy"
    way = "stick table of 401s, shared by peers"

    CONFIGURATION = """\
global
    nbthread 2
    no strict-limits
    tune.lua.session-timeout 60s
    stats socket {directory}/stats-{number} level admin
{shared}\
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
peers replicas
{peers}
backend guesses
    stick-table type ipv6 size 1m expire 1d store gpc0 peers replicas
frontend public
    bind 127.0.0.1:{port}
    http-request set-var(txn.login) bool(true) if METH_POST {{ path /auth/login }}
{guard}\
    default_backend api
backend api
    server one 127.0.0.1:{backend} pool-max-conn -1
"""
    guard = f"""\
    http-request track-sc0 src table guesses if {{ var(txn.login) -m bool }}
    http-request deny deny_status 403 if {{ var(txn.login) -m bool }} {{ sc0_get_gpc0 ge {LIMIT} }}
    http-response sc-inc-gpc0(0) if {{ var(txn.login) -m bool }} {{ status 401 }}
"""
    script = ""

    def __init__(self, directory: Path, backend: int, count: int) -> None:
        self.peers = [free_port() for _ in range(count)]
        super().__init__(directory, backend, count)

    def command(self, number: int) -> list[str | Path]:
        peers = "\n".join(f"    peer replica-{other} 127.0.0.1:{port}" for other, port in enumerate(self.peers))
        path = self.write(f"{number}.cfg", self.CONFIGURATION.format(
            directory=self.directory, number=number, peers=peers, port=self.ports[number], guard=self.guard,
            shared=f"    lua-load {self.write('guard.lua', self.script)}\n" if self.script else "",
            backend=self.backend))
        return ["haproxy", "-db", "-L", f"replica-{number}", "-f", path]

    def in_step(self) -> None:
        def connected(number: int) -> bool:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.settimeout(10)
                admin.connect(f"{self.directory}/stats-{number}")
                admin.sendall(b"show peers\n")
                told = b"".join(iter(lambda: admin.recv(65_536), b""))
            return told.count(b"last_status=ESTA") >= self.count - 1

        if self.count > 1:
            wait_until("the peers know each other", lambda: all(map(connected, range(self.count))), 20)


class HAProxyLua(HAProxy):
    """With places in tables of a script, as the gateway has them: failures and logins under way never exceed the limit,
    and whoever finds no place waits for one. All threads take turns in the script."""

    name = "haproxy lua"
    way = "places and 401s, in one instance"
    guard = """\
    http-request lua.guess if { var(txn.login) -m bool }
    http-request deny deny_status 403 if { var(txn.refused) -m int 403 }
    http-request deny deny_status 429 if { var(txn.refused) -m int 429 }
    http-response lua.verdict if { var(txn.taken) -m found }
"""
    script = """\
local taken, failed = {}, {}
core.register_action("guess", { "http-req" }, function(txn)
    local client = txn.f:src()
    for _ = 1, 1000 do
        if (failed[client] or 0) >= LIMIT then return txn:set_var("txn.refused", 403) end
        if (taken[client] or 0) < LIMIT then
            taken[client] = (taken[client] or 0) + 1
            return txn:set_var("txn.taken", client)
        end
        core.msleep(10)
    end
    txn:set_var("txn.refused", 429)
end)
core.register_action("verdict", { "http-res" }, function(txn)
    local client = txn:get_var("txn.taken")
    if txn.f:status() == 401 then
        failed[client] = (failed[client] or 0) + 1
    else
        taken[client] = taken[client] - 1
    end
end)
""".replace("LIMIT", str(LIMIT))


class Nginx(Guard):
    CONFIGURATION = """\
{modules}\
daemon off;
user {user};
worker_processes 2;
pid {directory}/{number}.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {directory}/body-{number};
    proxy_temp_path {directory}/proxy-{number};
    fastcgi_temp_path {directory}/fastcgi-{number};
    uwsgi_temp_path {directory}/uwsgi-{number};
    scgi_temp_path {directory}/scgi-{number};
    upstream api {{ server 127.0.0.1:{backend}; keepalive 512; }}
{shared}\
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://api; }}
        location = /auth/login {{
            proxy_pass http://api;
{guard}\
        }}
    }}
}}
"""
    modules: list[Path] = []
    shared = guard = ""

    def command(self, number: int) -> list[str | Path]:
        path = self.write(f"{number}.conf", self.CONFIGURATION.format(
            modules="".join(f"load_module {module};\n" for module in self.modules), user=getpass.getuser(),
            directory=self.directory, number=number, backend=self.backend, port=self.ports[number], shared=self.shared,
            guard=self.guard))
        return ["nginx", "-p", self.directory, "-c", path, "-e", "stderr"]


class NginxAttempts(Nginx):
    """Without modules: each attempt counts, whatever comes of it. One a minute is the slowest that can be said."""

    name = "nginx limit_req"
    way = "attempts, right or wrong, in one instance"
    shared = "    limit_req_zone $binary_remote_addr zone=logins:10m rate=1r/m;\n"
    guard = f"            limit_req zone=logins burst={LIMIT - 1} nodelay;\n            limit_req_status 429;\n"


class NginxLua(Nginx):
    """With places in a shared dictionary, as the gateway has them: failures and logins under way never exceed the
    limit, and whoever finds no place waits for one."""

    name = "nginx lua"
    way = "places and 401s, in one instance"
    modules = [Path("/usr/lib/nginx/modules") / name for name in ("ndk_http_module.so", "ngx_http_lua_module.so")]
    shared = "    lua_shared_dict guesses 10m;\n"
    guard = """\
            access_by_lua_block {
                local guesses, client = ngx.shared.guesses, ngx.var.binary_remote_addr
                for _ = 1, 1000 do
                    if (guesses:get("failed" .. client) or 0) >= LIMIT then return ngx.exit(403) end
                    if guesses:incr("taken" .. client, 1, 0, 86400) <= LIMIT then
                        ngx.ctx.taken = client
                        return
                    end
                    guesses:incr("taken" .. client, -1)
                    ngx.sleep(0.01)
                end
                return ngx.exit(429)
            }
            header_filter_by_lua_block {
                local guesses, client = ngx.shared.guesses, ngx.ctx.taken
                if not client then return end
                ngx.ctx.taken = nil
                if ngx.status == 401 then
                    guesses:incr("failed" .. client, 1, 0, 86400)
                else
                    guesses:incr("taken" .. client, -1)
                end
            }
""".replace("LIMIT", str(LIMIT))


GUARDS: list[type[Guard]] = [HAProxy, HAProxyLua, NginxLua, NginxAttempts]


def needed() -> None:
    """CI does without them, as without other benchmarks."""
    missing = [program for program in ("haproxy", "nginx") if shutil.which(program) is None]
    missing += [str(path) for path in NginxLua.modules if not path.exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing: `scripts/bootstrap bench` installs what to compare with")
