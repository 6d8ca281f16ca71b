"""Other proxies in front of a backend, which ask the gateway about each request: the real programs, with the very
configurations of deploy/forward-auth, in which only the three addresses are put in."""

import getpass
import json
from collections.abc import Callable
from pathlib import Path

from . import programs
from .client import Client, Response, fetch, request
from .gateway import ROOT
from .processes import NotReady, Process, answers, free_port, wait_until

TEMPLATES = ROOT / "deploy" / "forward-auth"
Pair = tuple[str, int]


class Front:
    """One program; `name` is a key of `FRONTS`. It serves when `/open` leads to the backend."""

    def __init__(self, name: str, directory: Path, gateway: Pair, backend: Pair) -> None:
        self.name = name
        self.directory = directory / name
        self.directory.mkdir()
        self.address = ("127.0.0.1", free_port())
        ports = {"9090": gateway[1], "9000": backend[1], "8000": self.address[1]}
        self.process = Process(name, FRONTS[name](self, ports), self.directory)

        def serves() -> bool:
            if not self.process.running:
                raise NotReady(f"{name} ended:\n{self.process.log()[-3000:]}")
            # It may listen before it has read what to serve.
            return answers(self.address[1]) and self.get("/open").status == 200

        try:
            wait_until(f"{name} serves", serves, 30)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.stop()

    def fetch(self, data: bytes, source: str | None = None) -> Response:
        return fetch(self.address, data, source)

    def get(self, target: str, source: str | None = None, fields: dict[str, str] | None = None) -> Response:
        return self.fetch(request("GET", target, fields), source)

    def connect(self, source: str | None = None) -> Client:
        return Client(self.address, source)

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def template(self, name: str, ports: dict[str, int], form: str = ":{}") -> str:
        text = (TEMPLATES / name).read_text()
        for port, actual in ports.items():
            assert form.format(port) in text, f"{name} has no {form.format(port)}"
            text = text.replace(form.format(port), form.format(actual))
        return text


def _nginx(front: Front, ports: dict[str, int]) -> list[str | Path]:
    own = "".join(
        f"    {kind}_temp_path {front.directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = front.write("nginx.conf", (
        f"daemon off;\nuser {getpass.getuser()};\nworker_processes 1;\npid {front.directory}/pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{own}    include {front.directory}/site.conf;\n}}\n"))
    front.write("site.conf", front.template("nginx.conf", ports))
    return [programs.needed("nginx"), "-p", front.directory, "-c", path, "-e", "stderr"]


def _traefik(front: Front, ports: dict[str, int]) -> list[str | Path]:
    entry = ports.pop("8000")
    dynamic = front.write("dynamic.yaml", front.template("traefik.yaml", ports))
    path = front.write("traefik.yaml", json.dumps({
        "entryPoints": {"web": {"address": f"127.0.0.1:{entry}"}},
        "providers": {"file": {"filename": str(dynamic)}},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO"},
    }))
    return [programs.packaged("traefik"), f"--configFile={path}"]


def _caddy(front: Front, ports: dict[str, int]) -> list[str | Path]:
    text = front.template("Caddyfile", ports)
    path = front.write("Caddyfile", "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n" + text)
    return [programs.packaged("caddy"), "run", "--config", path, "--adapter", "caddyfile"]


def _envoy(front: Front, ports: dict[str, int]) -> list[str | Path]:
    path = front.write("envoy.yaml", front.template("envoy.yaml", ports, "port_value: {}"))
    return [
        programs.packaged("envoy"), "--config-path", path, "--disable-hot-restart", "--concurrency", "1",
        "--log-level", "warning"]


FRONTS: dict[str, Callable[[Front, dict[str, int]], list[str | Path]]] = {
    "nginx": _nginx, "traefik": _traefik, "caddy": _caddy, "envoy": _envoy,
}
