"""`balance: consistent_hash` with `hash_on: subject`: whom the verified token is about chooses the server."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from harness.backend import Backend, Exchange, answer
from harness.client import request
from harness.gateway import Gateway
from harness.tokens import bearer, claims, token

SUBJECTS = [f"user-{number}" for number in range(30)]
SERVERS = {b"a", b"b", b"c"}


def named(name: str) -> Callable[[Exchange], bytes]:
    def handler(exchange: Exchange) -> bytes:
        exchange.read_body()
        return answer(body=name)
    return handler


@pytest.fixture
def servers(start_backend: Callable[..., Backend]) -> list[str]:
    return [start_backend(named(name)).address for name in "abc"]


@pytest.fixture
def start(start_guarded: Callable[..., Gateway], servers: list[str]) -> Callable[[], Gateway]:
    """A gateway with the routes of conftest.py; all of them go to the three servers."""
    return lambda: start_guarded(workers=2, upstreams={
        "api": {"servers": servers, "balance": "consistent_hash", "hash_on": "subject"}})


@pytest.fixture
def gateway(start: Callable[[], Gateway]) -> Gateway:
    return start()


@pytest.fixture
def places(address: str) -> Iterator[str]:
    """Client addresses, a new one each time."""
    return (address.rsplit(".", 1)[0] + f".{number}" for number in itertools.cycle(range(1, 250)))


def of(subject: str, **changes: object) -> dict[str, str]:
    return bearer(token(claims(subject, **changes)))


def test_a_subject_keeps_its_server_from_any_address_and_connection_and_with_any_token(
    gateway: Gateway, places: Iterator[str],
) -> None:
    first = {subject: gateway.get("/", next(places), of(subject)).body for subject in SUBJECTS}
    assert set(first.values()) == SERVERS
    for turn in range(4):
        again = {subject: gateway.get(f"/{turn}", next(places), of(subject, jti=f"t-{turn}", role="admin")).body
                 for subject in SUBJECTS}
        assert again == first


def test_subjects_on_one_connection_go_each_to_its_own_server(
    gateway: Gateway, places: Iterator[str], address: str,
) -> None:
    """A balancer in front of us sends many of them over one connection, and from one address."""
    first = {subject: gateway.get("/", next(places), of(subject)).body for subject in SUBJECTS}
    with gateway.connect(address) as client:
        for _ in range(2):
            for subject in SUBJECTS:
                assert client.ask(request("GET", "/", of(subject))).body == first[subject]


def test_a_token_in_a_cookie_chooses_the_same_server(gateway: Gateway, places: Iterator[str]) -> None:
    for subject in SUBJECTS:
        cookie = {"Cookie": f"access_token={token(claims(subject))}"}
        home = gateway.get("/", next(places), of(subject)).body
        assert gateway.get("/browser", next(places), cookie).body == home


def test_every_replica_chooses_the_same_server(
    gateway: Gateway, start: Callable[[], Gateway], places: Iterator[str],
) -> None:
    replica = start()
    for subject in SUBJECTS:
        home = gateway.get("/", next(places), of(subject)).body
        assert replica.get("/", next(places), of(subject)).body == home


# Tokens are made when the test begins: one that was made when the tests were collected may have expired by then.
@pytest.mark.parametrize(("target", "make"), [
    pytest.param("/maybe", dict, id="no token"),
    pytest.param("/maybe", lambda: bearer(token(claims(sub=None))), id="a token about nobody"),
    pytest.param("/maybe", lambda: bearer(token(claims(sub=""))), id="an empty subject"),
    pytest.param("/maybe", lambda: {"X-User-Id": "user-1"}, id="an identity that the client claims itself"),
    pytest.param("/open", lambda: of("user-1"), id="a token that the route does not look at"),
])
def test_without_a_subject_the_address_chooses(
    gateway: Gateway, places: Iterator[str], target: str, make: Callable[[], dict[str, str]],
) -> None:
    fields = make()
    own = [next(places) for _ in SUBJECTS]
    first = {place: gateway.get(target, place, fields).body for place in own}
    assert set(first.values()) == SERVERS, "by its address, and not all to one"
    for _ in range(2):
        assert {place: gateway.get(target, place, fields).body for place in own} == first
    assert {place: gateway.get("/maybe", place).body for place in own} == first, "as without any token"


def test_what_a_client_writes_without_a_good_signature_chooses_no_server(gateway: Gateway, address: str) -> None:
    """On a route that does not look at tokens all go where the address goes; on the others they do not get in."""
    home = gateway.get("/open", address).body
    for subject in SUBJECTS:
        forged = bearer(token(claims(subject), key="another secret that is long enough as well"))
        assert gateway.get("/open", address, forged).body == home
        assert gateway.get("/maybe", address, forged).status == 401
