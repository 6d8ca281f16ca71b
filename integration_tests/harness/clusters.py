"""A Redis Cluster of three masters, with a replica of each if it should be, all of them real."""

from collections.abc import Callable, Iterator
from pathlib import Path

from .gateway import Gateway
from .processes import free_port, wait_until
from .redis import Redis
from .redis_users import health

SLOTS = 16_384


class Cluster:
    def __init__(
        self, directory: Path, start_redis: Callable[..., Redis], masters: int = 3, replicas: bool = False,
        options: list[str] | None = None, cli_options: list[str] | None = None, tls: bool = False, timeout: int = 800,
    ) -> None:
        self._start_redis = start_redis
        self._options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(timeout), "--repl-diskless-sync-delay", "0",
                         "--cluster-replica-validity-factor", "0", *(options or [])]
        self._cli_options = ["-c", *(cli_options or [])]
        self._tls = tls
        self._buses: dict[int, int] = {}
        self.masters = [self._start() for _ in range(masters)]
        for number, node in enumerate(self.masters):
            node.cli("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            first, after = (SLOTS * place // masters for place in (number, number + 1))
            assert node.cli("CLUSTER", "ADDSLOTSRANGE", str(first), str(after - 1)) == "OK"
        self.replicas: list[Redis] = []
        for node in self.masters[1:]:
            self._meet(node)
        if replicas:
            self.replicas = [self._start() for _ in self.masters]
            for node in self.replicas:
                self._meet(node)
        wait_until("the nodes know each other", lambda: all(
            len(self.lines(node)) == len(self.nodes) and "handshake" not in node.cli("CLUSTER", "NODES")
            for node in self.nodes), 30)
        for master, replica in zip(self.masters, self.replicas, strict=bool(replicas)):
            wait_until("it is a replica", lambda one=replica, of=master: one.cli(
                "CLUSTER", "REPLICATE", self.id(of)) == "OK")
        for replica in self.replicas:
            wait_until("the replica is in step",
                       lambda one=replica: "master_link_status:up" in one.cli("INFO", "replication"), 20)
        self.wait_ok()

    def _start(self) -> Redis:
        port, bus = free_port(), free_port()
        node = self._start_redis(
            port=port, tls=self._tls, cli_options=self._cli_options,
            options=[*self._options, "--cluster-port", str(bus), "--cluster-config-file", f"nodes-{port}.conf",
                     "--dbfilename", f"dump-{port}.rdb", "--appenddirname", f"aof-{port}"])
        self._buses[port] = bus
        return node

    def _meet(self, node: Redis) -> None:
        assert self.masters[0].cli("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(self._buses[node.port])) == "OK"

    @property
    def nodes(self) -> list[Redis]:
        return self.masters + self.replicas

    def add_master(self) -> Redis:
        """One more, without slots."""
        node = self._start()
        self._meet(node)
        self.masters.append(node)
        wait_until("all know the new one", lambda: all(
            len(self.lines(one)) == len(self.nodes) and "handshake" not in one.cli("CLUSTER", "NODES") for one in self.nodes), 20)
        self.wait_ok()
        return node

    def wait_ok(self) -> None:
        for node in self.nodes:
            if node.process.running:
                wait_until("the cluster is well", lambda one=node: "cluster_state:ok" in one.cli("CLUSTER", "INFO"), 30)

    @staticmethod
    def lines(node: Redis) -> list[str]:
        return node.cli("CLUSTER", "NODES").splitlines()

    @staticmethod
    def id(node: Redis) -> str:
        return node.cli("CLUSTER", "MYID")

    def any(self) -> Redis:
        return next(node for node in self.nodes if node.process.running)

    def slot(self, key: str) -> int:
        return self.any().integer("CLUSTER", "KEYSLOT", key)

    def owner(self, key: str) -> Redis:
        """The master that has the key, as the cluster says itself."""
        slot = self.slot(key)
        for line in self.lines(self.any()):
            words = line.split()
            for part in words[8:]:
                first, _, last = part.partition("-")
                if part[0] != "[" and int(first) <= slot <= int(last or first):
                    port = int(words[1].split("@")[0].rpartition(":")[2])
                    return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def addresses(self, node: Redis, prefix: str, family: str = "login_fail") -> Iterator[str]:
        """Client addresses `<prefix>.<1…>` whose keys of the family are on the node."""
        return (address for number in range(1, 255)
                if self.owner(f"{family}:{(address := f'{prefix}.{number}')}") is node)

    # A slot on its way, step by step as redis-cli --cluster reshard does it.

    def begin_move(self, slot: int, source: Redis, target: Redis) -> None:
        assert target.cli("CLUSTER", "SETSLOT", str(slot), "IMPORTING", self.id(source)) == "OK"
        assert source.cli("CLUSTER", "SETSLOT", str(slot), "MIGRATING", self.id(target)) == "OK"

    def move_keys(self, slot: int, source: Redis, target: Redis) -> int:
        moved = 0
        while keys := source.cli("CLUSTER", "GETKEYSINSLOT", str(slot), "100").split():
            assert source.cli("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *keys) == "OK"
            moved += len(keys)
        return moved

    def end_move(self, slot: int, target: Redis) -> None:
        for node in [target, *(one for one in self.masters if one is not target)]:
            assert node.cli("CLUSTER", "SETSLOT", str(slot), "NODE", self.id(target)) == "OK"

    def settings(self, **others) -> dict:
        return {"cluster": [f"127.0.0.1:{node.port}" for node in self.masters[:2]], "startup_wait": "500ms", **others}


def refusals(node: Redis, code: str) -> int:
    """How often the node has answered with the error, since it was started."""
    for line in node.cli("INFO", "errorstats").splitlines():
        if line.startswith(f"errorstat_{code}:"):
            return int(line.strip().rpartition("=")[2])
    return 0


def calls(node: Redis, command: str) -> int:
    for line in node.cli("INFO", "commandstats").splitlines():
        if line.startswith(f"cmdstat_{command}:"):
            return int(line.partition("calls=")[2].partition(",")[0])
    return 0


def one_of_each(cluster: Cluster, network: str, family: str = "login_fail") -> list[str]:
    """An address for each master."""
    return [next(cluster.addresses(node, network, family)) for node in cluster.masters]


def in_step(gateway: Gateway, patience: float = 20) -> None:
    wait_until("health is good", lambda: health(gateway) == "healthy", patience)


def known_nodes(gateway: Gateway) -> dict[str, dict]:
    """What the gateway says of each master, by name."""
    return {node["name"]: node for node in gateway.ask_admin("/health/detailed").json()["cache"].get("nodes", [])}
