"""Fixtures: each test gets servers of its own on free ports, ended by their process ids when it is over."""

import itertools
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import chaos, long_exchanges
from harness.backend import Backend, Handler
from harness.certificates import Authority
from harness.client import fetch, request
from harness.gateway import ROOT, Gateway, config, merged
from harness.processes import NotReady, Process, free_port, wait_until
from harness.redis import Redis
from harness.tokens import SECRET

_addresses = (f"127.0.{third}.{fourth}" for third, fourth in itertools.product(range(1, 255), range(1, 255)))
_logs = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--docker", action="store_true", help="run the suites against the Compose stack instead")
    parser.addoption("--all-cases", action="store_true", help="judges: also the cases of Autobahn that take minutes")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`compose/` belongs to --docker, all else to the native run."""
    if collection_path.parent != Path(__file__).parent or not collection_path.is_dir():
        return None
    return True if (collection_path.name == "compose") != config.getoption("--docker") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `once` is run once: pytest-rerunfailures asks the marker of a test before it asks --reruns."""
    for item in items:
        if item.get_closest_marker("once"):
            item.add_marker(pytest.mark.flaky(reruns=0), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    report = yield
    if report.failed:
        for directory in item.stash.get(_logs, []):
            for log in sorted(directory.rglob("*.log")):
                report.sections.append((f"end of {log.name}", log.read_text(errors="replace")[-6000:]))
    return report


@pytest.fixture
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the test's servers write; their logs are shown when it fails."""
    request.node.stash.setdefault(_logs, []).append(tmp_path)
    return tmp_path


@pytest.fixture
def address() -> str:
    """A client address that no other test uses."""
    return next(_addresses)


@pytest.fixture
def other_address() -> str:
    return next(_addresses)


@pytest.fixture
def start_redis(directory: Path) -> Iterator[Callable[..., Redis]]:
    started: list[Redis] = []

    def start(port: int | None = None, durable: bool = False, **ways: Any) -> Redis:
        started.append(Redis(directory, port, durable, **ways).start())
        return started[-1]

    yield start
    for redis in started:
        redis.stop()


@pytest.fixture
def redis(start_redis: Callable[..., Redis]) -> Redis:
    return start_redis()


@pytest.fixture
def start_backend() -> Iterator[Callable[..., Backend]]:
    started: list[Backend] = []

    def start(handler: Handler | None = None, port: int = 0, **ways: Any) -> Backend:
        started.append(Backend(handler, port, **ways) if handler else Backend(port=port, **ways))
        return started[-1]

    yield start
    for backend in started:
        backend.close()


@pytest.fixture
def backend(start_backend: Callable[..., Backend]) -> Backend:
    """Records every request and answers 200 `ok` until it is told otherwise."""
    return start_backend()


@pytest.fixture
def start_gateway(directory: Path) -> Iterator[Callable[..., Gateway]]:
    """`start_gateway(upstream, redis=…, environment=…, section={…})`: sections are merged into the plain configuration."""
    started: list[Gateway] = []

    def start(
        upstream: Backend | str, redis: Redis | Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (), program: Path | None = None, prefix: Sequence[str] = (), **sections: Any,
    ) -> Gateway:
        own = directory / f"gateway-{len(started)}"
        own.mkdir()
        base = config(upstream if isinstance(upstream, str) else upstream.address, own)
        if redis is not None:
            base["redis"] = {"address": f"127.0.0.1:{redis.port}"} if isinstance(redis, Redis) else dict(redis)
        gateway = Gateway(own, merged(base, sections), environment, prefix)
        gateway.descriptors = list(descriptors)
        gateway.program = program or gateway.program
        started.append(gateway)
        return gateway.start()

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], backend: Backend) -> Gateway:
    """The plain gateway: one open route to the scripted backend, the embedded ledger."""
    return start_gateway(backend)


@pytest.fixture
def over(request: pytest.FixtureRequest) -> Authority | None:
    """What backends speak: plain text, or TLS by an authority where the test says so (`harness.chaos.PLAIN_AND_TLS`)."""
    return Authority() if getattr(request, "param", "plain") == "tls" else None


@pytest.fixture
def start_chaos(start_gateway: Callable[..., Gateway], directory: Path) -> Iterator[Callable[..., chaos.House]]:
    """Backends that can be killed and stopped, behind a gateway."""
    started: list[chaos.House] = []

    def start(upstream: Mapping[str, Any], authority: Authority | None = None) -> chaos.House:
        started.append(chaos.House(start_gateway, directory, upstream, authority))
        return started[-1]

    yield start
    for house in started:
        house.stop()


@pytest.fixture(scope="session")
def demo_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of the demo users API, signing with `harness.tokens.SECRET`."""
    directory, port = tmp_path_factory.mktemp("demo-api"), free_port()
    process = Process("demo-api", [
        sys.executable, "-m", "uvicorn", "demo_api.main:app", "--app-dir", ROOT / "docker" / "demo-api",
        "--host", "127.0.0.1", "--port", str(port), "--no-access-log",
    ], directory, {"JWT_SECRET": SECRET, "DEMO_DATABASE": str(directory / "users.sqlite3")})

    def healthy() -> bool:
        if not process.running:
            raise NotReady(process.log())
        try:
            return fetch(("127.0.0.1", port), request("GET", "/health")).status == 200
        except OSError:
            return False

    wait_until("the demo API answers", healthy, 30, every=0.05)
    yield f"127.0.0.1:{port}"
    process.stop()


@pytest.fixture
def start_house(
    start_gateway: Callable[..., Gateway], backend: Backend, directory: Path,
) -> Iterator[Callable[..., long_exchanges.House]]:
    """`start_house(drain="2s", section={…})`: a gateway with several doors, before a backend whose exchanges last."""
    services: list[long_exchanges.LongExchanges] = []

    def start(drain: str, redis: Redis | None = None, **sections: Any) -> long_exchanges.House:
        authority = Authority()
        services.append(long_exchanges.LongExchanges())
        backend.handler = services[-1]
        gateway = start_gateway(backend, redis, **merged(
            {**long_exchanges.House.settings(authority, directory), "timeouts": {"drain": drain}}, sections))
        return long_exchanges.House(
            gateway, backend, services[-1], ssl.create_default_context(cafile=authority.write(directory / "tls")))

    yield start
    for service in services:
        service.release()
