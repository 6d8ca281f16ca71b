"""Sessions of clients with certificates, and changes of what is asked of them: nobody gets in by an old session who
would not get in by a full handshake."""

import datetime
import signal
import ssl
from pathlib import Path

import pytest

from harness.backend import Backend
from harness.certificates import Authority
from harness.client import Client, request
from harness.gateway import merged
from harness.processes import wait_until

from .edge import Edge
from .doors import VERSIONS, Doors, alice, says, says_nothing, served, speaking, turned_away


def session_of(client: Client) -> ssl.SSLSession:
    client.ask(request("GET", "/"))  # TLS 1.3 sends its tickets behind the handshake
    return client.socket.session


@pytest.mark.parametrize("client_auth", ["required", "optional"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_still_tells_the_certificate(
    doors: Doors, backend: Backend, version: ssl.TLSVersion, client_auth: str,
) -> None:
    identity = alice(doors.clients)
    edge = doors.open(client_auth)
    context = speaking(version, edge, identity)
    with edge.connect(context) as client:
        session = session_of(client)
    for _ in range(4):
        with edge.connect(context, session=session) as client:
            assert client.socket.session_reused
            assert client.ask(request("GET", "/")).status == 200
    assert len(backend.requests) == 5
    for seen in backend.requests:
        says(seen, identity, "CN=alice,O=Example")


def reload(edge: Edge) -> None:
    before = len(edge.gateway.events("gateway.reloaded"))
    edge.gateway.signal(signal.SIGHUP)
    wait_until("the reload", lambda: len(edge.gateway.events("gateway.reloaded")) > before)


@pytest.mark.parametrize("client_auth", ["required", "optional"])
@pytest.mark.parametrize("version", VERSIONS)
def test_after_a_change_of_authorities_neither_certificates_nor_sessions_of_the_old_one_get_in(
    doors: Doors, backend: Backend, version: ssl.TLSVersion, client_auth: str,
) -> None:
    edge = doors.open(client_auth)
    context = speaking(version, edge, alice(doors.clients))
    with edge.connect(context) as client:
        session = session_of(client)
    with edge.connect(context, session=session) as client:
        assert client.socket.session_reused, "before the change it is resumed"
    next_authority = Authority("Next authority of clients")
    doors.trust(next_authority)
    reload(edge)
    before = len(backend.requests)
    turned_away(edge, context)
    turned_away(edge, context, session)
    assert len(backend.requests) == before
    served(edge, speaking(version, edge, alice(next_authority)))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_without_a_certificate_does_not_get_in_once_one_is_required(
    doors: Doors, version: ssl.TLSVersion,
) -> None:
    edge = doors.open("optional")
    context = speaking(version, edge)
    with edge.connect(context) as client:
        session = session_of(client)
    edge.gateway.write_config(merged(edge.gateway.settings, {"tls": {"client_auth": "required"}}))
    reload(edge)
    turned_away(edge, context, session)


def test_the_authorities_are_also_renewed_without_a_reload(doors: Doors) -> None:
    edge = doors.open("required")
    next_authority = Authority("Next authority of clients")
    context = speaking(ssl.TLSVersion.TLSv1_2, edge, alice(next_authority))
    turned_away(edge, context)
    doors.trust(next_authority)
    edge.gateway.wait_event("tls.certificates_loaded", 15)
    served(edge, context)


def test_an_open_connection_goes_on_when_its_authority_is_believed_no_more(doors: Doors, backend: Backend) -> None:
    identity = alice(doors.clients)
    edge = doors.open("required")
    with edge.connect(edge.context(client=identity)) as client:
        assert client.ask(request("GET", "/")).status == 200
        doors.trust(Authority("Next authority of clients"))
        reload(edge)
        assert client.ask(request("GET", "/")).status == 200
    says(backend.requests[-1], identity, "CN=alice,O=Example")


def test_a_file_without_an_authority_is_not_taken_in_a_reload(doors: Doors) -> None:
    edge = doors.open("required")
    Path(doors.trust()).write_text("no certificate\n")
    answer = edge.gateway.command("reload", check=False)
    assert answer.returncode == 1
    assert "clients.pem" in answer.stdout + answer.stderr
    served(edge, edge.context(client=alice(doors.clients)))
    turned_away(edge, speaking(ssl.TLSVersion.TLSv1_3, edge))


# Found by these tests


@pytest.mark.parametrize(("before", "after"), [("none", "optional"), ("optional", "none")])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_not_resumed_under_another_rule_than_it_was_made_under(
    doors: Doors, backend: Backend, version: ssl.TLSVersion, before: str, after: str,
) -> None:
    """Who has shown no certificate because nobody asked is asked now, and whose was asked for is told no more."""
    edge = doors.open(before)
    identity = alice(doors.clients)
    context = speaking(version, edge, identity)
    with edge.connect(context) as client:
        session = session_of(client)
    edge.gateway.write_config(merged(edge.gateway.settings, {"tls": {"client_auth": after}}))
    reload(edge)
    with edge.connect(context, session=session) as client:
        assert client.ask(request("GET", "/")).status == 200
        resumed = client.socket.session_reused
    if after == "optional":
        says(backend.requests[-1], identity, "CN=alice,O=Example")
    else:
        says_nothing(backend.requests[-1])
    assert not resumed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_ends_with_the_certificate_that_it_was_made_with(
    doors: Doors, backend: Backend, version: ssl.TLSVersion,
) -> None:
    edge = doors.open("required")
    identity = alice(doors.clients, days=5 / 86_400)
    context = speaking(version, edge, identity)
    with edge.connect(context) as client:
        session = session_of(client)
    end = identity.certificate.not_valid_after_utc + datetime.timedelta(seconds=1)
    wait_until("the certificate has expired", lambda: datetime.datetime.now(datetime.UTC) > end, 15)
    assert "CERTIFICATE_EXPIRED" in turned_away(edge, context)
    before = len(backend.requests)
    turned_away(edge, context, session)
    assert len(backend.requests) == before


def test_a_file_that_is_cut_in_its_second_authority_is_not_taken_in_a_reload(doors: Doors) -> None:
    """Clients of the second one would be turned away, and nothing would say why."""
    other = Authority("Other authority of clients")
    edge = doors.open("required")
    path = Path(doors.trust(doors.clients, other))
    path.write_bytes(path.read_bytes()[:-100])
    answer = edge.gateway.command("reload", check=False)
    assert answer.returncode == 1
    assert "clients.pem" in answer.stdout + answer.stderr
