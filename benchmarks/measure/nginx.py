"""nginx for the same work. It has no token check of its own, so it is left out of those cases."""

from .cases import BLOCKED_ADDRESS
from .processes import free_port
from .proxy import Proxy, first_line
from .workspace import need

# master_process off: the request path is the worker's, and there is one process to count. error_log at crit: a denied
# request would write a line, and the peers of this comparison log nothing. Buffers of 8 KB instead of 4: head and body
# of a 4 KB answer then come in one read, which spares nginx a tenth of its time there.
CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;

events {{
    worker_connections 8000;
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

    server {{
        listen 127.0.0.1:{port} backlog=4096;
        deny {blocked};

        location / {{
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_buffer_size 8k;
            proxy_buffers 8 8k;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header Via "1.1 nginx";
        }}
    }}
}}
"""


class Nginx(Proxy):
    name = "nginx"

    def command(self):
        self.port = free_port()
        text = CONFIGURATION.format(
            port=self.port, directory=self.directory, backend=self.backend_port, blocked=BLOCKED_ADDRESS
        )
        return [need("nginx"), "-e", "stderr", "-p", str(self.directory), "-c", str(self.write("nginx.conf", text))]

    def supports(self, case):
        return case.name != "hs256"

    @classmethod
    def version(cls):
        return first_line([need("nginx"), "-v"]).removeprefix("nginx version: ")
