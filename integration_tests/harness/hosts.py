"""Hosts of their own: network namespaces with bridges between them and links that can be cut. They need root.

A namespace is held by a child that ends when we do, however that is, and its interfaces end with it."""

import contextlib
import ctypes
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .client import Response, fetch
from .processes import Process, wait_until
from .programs import needed
from .redis import Redis

_CLONE_NEWNET = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    def __init__(self) -> None:
        # cat(1) ends when our end of the pipe is closed.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._path = f"/proc/{self._holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        wait_until("the namespace is there", lambda: self._holder.poll() is not None or self._link() not in ("", own))
        if self._holder.poll() is not None:
            pytest.skip(f"no network namespace: {self._holder.stderr.read().decode().strip()}")
        self._interfaces = itertools.count()
        self.run("ip", "link", "set", "lo", "up")

    def _link(self) -> str:
        try:
            return os.readlink(self._path)
        except FileNotFoundError:
            return ""

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def prefix(self) -> list[str]:
        """Words before a command that is to run here, with no process in between."""
        return ["nsenter", f"--net={self._path}"]

    def run(self, *words: str, text: str | None = None) -> None:
        run = subprocess.run([*self.prefix, *words], input=text, capture_output=True, text=True, timeout=20)
        assert run.returncode == 0, (words, text, run.stderr)

    def interface(self) -> str:
        return f"eth{next(self._interfaces)}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile belong to this host, for as long as they live."""
        own = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(own)
        finally:
            os.close(own)

    def fetch(self, address: tuple[str, int], data: bytes, source: str | None = None, timeout: float = 10) -> Response:
        with self.inside():
            return fetch(address, data, source, timeout)

    def close(self) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait(10)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Link:
    """Between a host and a switch. What is sent over it while it is cut is lost without a word."""

    switch: "Switch"
    port: str

    def cut(self) -> None:
        self.switch.run("ip", "link", "set", self.port, "down")

    def mend(self) -> None:
        self.switch.run("ip", "link", "set", self.port, "up")


class Switch(Host):
    def __init__(self) -> None:
        super().__init__()
        # With snooping a bridge may keep the questions for neighbours of IPv6 to itself.
        self.run("ip", "-batch", "-", text="link add bridge type bridge mcast_snooping 0\nlink set bridge up\n")

    def plug(self, host: Host, *addresses: str) -> Link:
        """A cable to the host, which has these addresses (with the length of the prefix) at its end of it."""
        port, end = f"port{self.interface()}", host.interface()
        self.run("ip", "-batch", "-", text=(
            f"link add {port} type veth peer name {end} netns {host.pid}\n"
            f"link set {port} master bridge\nlink set {port} up\n"))
        # Nobody else has the address: it need not be looked for, which takes a second.
        lines = [f"addr add {address} dev {end}{' nodad' if ':' in address else ''}" for address in addresses]
        host.run("ip", "-batch", "-", text="\n".join([f"link set {end} up", *lines]) + "\n")
        return Link(self, port)


class Hosts:
    def __init__(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        needed("ip")
        self._started: list[Host] = []

    def host(self) -> Host:
        return self._add(Host)

    def switch(self) -> Switch:
        return self._add(Switch)

    def _add(self, kind: Callable[[], Host]):
        self._started.append(kind())
        return self._started[-1]

    def close(self) -> None:
        for host in self._started:
            host.close()


def start_redis(host: Host, address: str, directory: Path) -> Redis:
    """Spoken to through its Unix socket, which is no part of a network."""
    path = directory / "redis.sock"
    redis = Redis(directory, 6379, cli_options=["-s", str(path)])
    redis.process = Process("redis", [
        *host.prefix, "redis-server", "--port", "6379", "--bind", address, "--protected-mode", "no",
        "--unixsocket", path, "--dir", directory, "--save", "",
    ], directory)

    def answers() -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            return redis.cli("PING") == "PONG"
        return False

    wait_until("Redis answers", answers)
    return redis
