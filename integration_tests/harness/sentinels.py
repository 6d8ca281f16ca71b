"""A master, its replicas and three sentinels, all of them real."""

from collections.abc import Callable
from pathlib import Path

from .processes import Process, free_port, wait_until
from .redis import Redis

NAME = "mymaster"


class Sentinels:
    def __init__(
        self, directory: Path, start_redis: Callable[..., Redis], replicas: int = 1, password: str = "",
        down_after: int = 600,
    ) -> None:
        self.master = start_redis()
        self.replicas = [
            start_redis(options=["--replicaof", "127.0.0.1", str(self.master.port), "--repl-diskless-sync-delay", "0",
                                 "--replica-read-only", "no"])
            for _ in range(replicas)]
        for replica in self.replicas:
            wait_until("the replica is in step", lambda one=replica: "master_link_status:up" in one.cli("INFO", "replication"))
        self.ports = [free_port() for _ in range(3)]
        self.password = password
        self.processes: list[Process] = []
        for port in self.ports:
            path = directory / f"sentinel-{port}.conf"
            lines = [
                f"port {port}", "bind 127.0.0.1", f"dir {directory}",
                f"sentinel monitor {NAME} 127.0.0.1 {self.master.port} 2",
                f"sentinel down-after-milliseconds {NAME} {down_after}", f"sentinel failover-timeout {NAME} 5000",
            ]
            if password:
                lines += [f"requirepass {password}", f"sentinel sentinel-pass {password}"]
            path.write_text("\n".join(lines) + "\n")
            self.processes.append(Process(f"sentinel-{port}", ["redis-server", path, "--sentinel"], directory))
        for port in self.ports:
            wait_until("the sentinels know each other", lambda one=port: self._knows_all(one), 20)

    def _ask(self, port: int, *words: str) -> str:
        asked = Redis(Path("/"), port, cli_options=["-a", self.password, "--no-auth-warning"] if self.password else [])
        try:
            return asked.cli(*words)
        except Exception:  # It is not there yet.
            return ""

    def _knows_all(self, port: int) -> bool:
        words = self._ask(port, "SENTINEL", "MASTER", NAME).split("\n")
        facts = dict(zip(words[::2], words[1::2], strict=False))
        return facts.get("num-other-sentinels") == "2" and facts.get("num-slaves") == str(len(self.replicas))

    def named(self) -> int:
        """The port of the master, as the sentinels that live say it."""
        for port, process in zip(self.ports, self.processes, strict=True):
            if process.running:
                return int(self._ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME).split("\n")[1])
        raise AssertionError("no sentinel lives")

    def fail_over(self) -> None:
        """As soon as they find a replica good enough."""
        wait_until("a failover begins", lambda: self._ask(self.ports[0], "SENTINEL", "FAILOVER", NAME) == "OK", 30)

    def settings(self, **others) -> dict:
        return {"sentinels": [f"127.0.0.1:{port}" for port in self.ports], "sentinel_master": NAME,
                "startup_wait": "500ms", **others}

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
