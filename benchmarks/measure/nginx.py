"""nginx for the same work. Its token check is nginx_tokens.lua, where the Lua module is installed."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from . import keys, routes
from .blocks import blocked_addresses
from .cases import BLOCKED_ADDRESS
from .processes import free_port
from .proxy import Proxy, first_line
from .workspace import need

# master_process off: the request path is the worker's, and there is one process to count. error_log at crit: a denied
# request would write a line, and the peers of this comparison log nothing. Buffers of 8 KB instead of 4: head and body
# of a 4 KB answer then come in one read, which spares nginx a tenth of its time there.
CONFIGURATION = """\
{modules}\
daemon off;
{user}\
master_process {master};
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr crit;

events {{
    worker_connections {descriptors};
}}

http {{
    access_log off;
    keepalive_timeout 65s;
    keepalive_requests 100000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;

    upstream api {{
        server 127.0.0.1:{backend};
        keepalive 512;
        keepalive_requests 100000000;
    }}
{shared}\

    server {{
        listen 127.0.0.1:{port}{tls}{reuseport} backlog=4096;
{blocked}\
{options}\
{forwarding}\

        location / {{
            proxy_pass http://api;
        }}
{locations}\
    }}
}}
"""

FORWARDING = """\
        proxy_http_version 1.1;
        proxy_buffer_size {buffer};
        proxy_buffers 8 {buffer};
        proxy_set_header Connection {connection};
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header Via "1.1 nginx";
"""

# Unbuffered is nginx's best: a body is never written to a file, nor kept until it is complete. Of 16, 128 and 512 KB
# for requests the largest was the best, of 64 and 128 KB for answers the smaller one.
BODIES = """
        client_max_body_size 0;
        proxy_buffering off;
        proxy_request_buffering off;
        client_body_buffer_size 512k;
"""

TLS = """
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
"""

MANY_BLOCKED = "        if ($blocked) { return 403; }\n"

WEBSOCKET = """
        location /ws {{
            proxy_pass http://api;
            proxy_set_header Upgrade $http_upgrade;
{forwarding}\
        }}
"""

TOKENS_SHARED = """
    init_by_lua_block {{
        check_token = dofile("{script}")("{algorithm}", "{key}")
    }}
"""

TOKENS_LOCATION = """
        location /secure/ {{
            set $user "";
            set $role "";
            proxy_pass http://api;
            access_by_lua_block {{ check_token() }}
            proxy_set_header X-User-ID $user;
            proxy_set_header X-User-Role $role;
            proxy_set_header X-Authenticated true;
{forwarding}\
        }}
"""


class Nginx(Proxy):
    name = "nginx"

    def command(self):
        self.port = free_port()
        several = self.setup.workers > 1
        shared, locations = self.tokens() if self.setup.algorithm else ("", "")
        text = CONFIGURATION.format(
            modules="".join(f"load_module {path};\n" for path in lua_modules()) if shared else "",
            # Workers of a master that is root would otherwise be nobody, who may not enter our directory.
            user="user root;\n" if os.geteuid() == 0 else "",
            master="on" if several or self.setup.reloads else "off",
            workers=self.setup.workers,
            descriptors=2 * self.setup.connections,
            directory=self.directory,
            backend=self.backend_port,
            port=self.port,
            tls=" ssl" if self.setup.tls else "",
            reuseport=" reuseport" if several else "",
            shared=shared + self.many_blocks(),
            blocked=MANY_BLOCKED if self.setup.blocked else f"        deny {BLOCKED_ADDRESS};\n",
            options=self.options(),
            forwarding=self.forwarding(),
            locations=locations + self.websocket() + self.routes(),
        )
        return [need("nginx"), "-e", "stderr", "-p", str(self.directory), "-c", str(self.write("nginx.conf", text))]

    def many_blocks(self):
        """A radix tree, because `deny` is a list that is looked through."""
        if not self.setup.blocked:
            return ""
        lines = "".join(f"{address} 1;\n" for address in blocked_addresses(self.setup))
        return f"    geo $blocked {{\n        default 0;\n        include {self.write('blocked', lines)};\n    }}\n"

    def routes(self):
        if not self.setup.routes:
            return ""
        prefixes = routes.prefixes(self.setup.routes)
        lines = "".join(f"location {path}/ {{ proxy_pass http://api; }}\n" for path in prefixes)
        return f"        include {self.write('routes', lines)};\n"

    def options(self):
        """What is added to the server."""
        certificate, key = keys.certificate() if self.setup.tls else ("", "")
        tls = TLS.format(certificate=certificate, key=key) if self.setup.tls else ""
        return tls + (BODIES if self.setup.bodies else "")

    def forwarding(self, connection='""'):
        return FORWARDING.format(buffer="64k" if self.setup.bodies else "8k", connection=connection)

    def websocket(self):
        return WEBSOCKET.format(forwarding=self.forwarding("upgrade")) if self.setup.websocket else ""

    def tokens(self):
        """What is added to the configuration for all requests, and the location that wants a token."""
        algorithm = self.setup.algorithm
        key = self.write("secret", keys.SECRET) if algorithm == "HS256" else keys.public_pem(algorithm)
        script = Path(__file__).with_name("nginx_tokens.lua")
        shared = TOKENS_SHARED.format(script=script, algorithm=algorithm, key=key)
        return shared, TOKENS_LOCATION.format(forwarding=self.forwarding())

    @classmethod
    def supports(cls, case):
        return not case.setup.algorithm or bool(lua_modules())

    @classmethod
    def version(cls):
        return first_line([need("nginx"), "-v"]).removeprefix("nginx version: ")


@cache
def lua_modules():
    """The module and what it needs, in the order of loading; nothing where one of them is not installed."""
    told = subprocess.run([need("nginx"), "-V"], capture_output=True, text=True).stderr
    found = re.search(r"--modules-path=(\S+)", told)
    paths = [Path(found[1]) / name for name in ("ndk_http_module.so", "ngx_http_lua_module.so")] if found else []
    return paths if all(path.exists() for path in paths) else []
