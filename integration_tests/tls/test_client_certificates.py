"""Certificates of clients (mTLS): who gets in, what backends learn of them, and that nobody else can say it."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type as StringKind
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.backend import Backend
from harness.certificates import Authority, Identity
from harness.client import request
from harness.processes import wait_until

from .edge import Edge
from .doors import NAMES, VERSIONS, Doors, alice, handshakes, person, says, says_nothing, served, speaking, turned_away

FORGED = [
    "Client-Cert", "client-cert", "Client_Cert", "Client-Cert-Chain", "Client_Cert_Chain",
    "X-Client-Cert", "X-Client-Cert-Subject", "x-client-cert-subject", "X_Client_Cert_Subject", "X-Client_Cert-Subject",
    "X-Client-Cert-Fingerprint", "X_CLIENT_CERT_FINGERPRINT", "X-SSL-Client-Cert", "X-SSL-Client-Verify",
    "X_SSL_Client_S_DN", "X-Ssl-Client-DN",
]


# Who gets in


def strangers(clients: Authority) -> dict[str, Identity]:
    for_servers = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return {
        "another authority": alice(Authority("Another authority")),
        "expired": alice(clients, starts=-10, days=-1),
        "not valid yet": alice(clients, starts=1, days=10),
        "self-signed": alice(clients, own=True),
        "for servers only": alice(clients, extension=for_servers),
        # One who has a certificate of the authority must not be one by it (RFC 5280 §4.2.1.9).
        "signed by a client": alice(clients, signed_by=alice(clients)),
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("client_auth", ["required", "optional"])
@pytest.mark.parametrize("which", list(strangers(Authority())))
def test_a_bad_certificate_is_refused_whether_one_is_required_or_not(
    doors: Doors, backend: Backend, version: ssl.TLSVersion, client_auth: str, which: str,
) -> None:
    edge = doors.open(client_auth)
    turned_away(edge, speaking(version, edge, strangers(doors.clients)[which]))
    wait_until("the refusal is counted", lambda: handshakes(edge, "certificate_refused") == 1)
    assert backend.requests == []
    served(edge, speaking(version, edge, alice(doors.clients)))


@pytest.mark.parametrize(("version", "word"), [
    (ssl.TLSVersion.TLSv1_2, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    (ssl.TLSVersion.TLSv1_3, "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
])
def test_who_shows_no_certificate_is_refused_when_one_is_required(
    doors: Doors, backend: Backend, version: ssl.TLSVersion, word: str,
) -> None:
    edge = doors.open("required")
    assert turned_away(edge, speaking(version, edge)) == word
    wait_until("the refusal is counted", lambda: handshakes(edge, "certificate_missing") == 1)
    assert backend.requests == []


def test_a_certificate_is_required_when_authorities_are_named_and_nothing_else_is_said(
    doors: Doors, backend: Backend,
) -> None:
    edge = doors.start_edge({"client_ca_file": doors.trust()})
    turned_away(edge, speaking(ssl.TLSVersion.TLSv1_3, edge))
    served(edge, edge.context(client=alice(doors.clients)))
    assert len(backend.requests) == 1


def test_a_request_sent_with_the_handshake_of_a_refused_client_is_not_served(doors: Doors, backend: Backend) -> None:
    """A client of TLS 1.3 may write before it learns that it was refused."""
    edge = doors.open("required")
    with pytest.raises(OSError), edge.connect(speaking(ssl.TLSVersion.TLSv1_3, edge)) as client:
        client.ask(request("GET", "/secret"))
        pytest.fail("it was served")
    wait_until("the refusal is counted", lambda: handshakes(edge, "certificate_missing") == 1)
    assert backend.requests == []


@pytest.mark.parametrize("version", VERSIONS)
def test_where_it_is_optional_clients_with_and_without_a_certificate_are_served(
    doors: Doors, backend: Backend, version: ssl.TLSVersion,
) -> None:
    edge = doors.open("optional")
    identity = alice(doors.clients)
    served(edge, speaking(version, edge, identity))
    served(edge, speaking(version, edge))
    says(backend.requests[0], identity, "CN=alice,O=Example")
    says_nothing(backend.requests[1])


def test_where_none_is_asked_for_nothing_is_said_of_a_clients_certificate(edge: Edge, backend: Backend) -> None:
    served(edge, edge.context(client=alice(edge.authority)))
    says_nothing(backend.only())


def test_the_demand_holds_for_every_name_that_a_client_may_ask_for(
    doors: Doors, authority: Authority, directory: Path,
) -> None:
    chain, key = authority.issue("shop.test").write(directory / "shop")
    edge = doors.start_edge({
        "client_ca_file": doors.trust(), "client_auth": "required",
        "certificates": [{"certificate_file": chain, "key_file": key}]})
    for name in ["gateway.test", "shop.test", "unknown.test"]:
        context = speaking(ssl.TLSVersion.TLSv1_2, edge)
        context.check_hostname = False
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            edge.connect(context, name)


def test_a_certificate_by_an_intermediate_authority_is_accepted_with_its_chain(doors: Doors, backend: Backend) -> None:
    between = person(
        doors.clients, (NameOID.COMMON_NAME, "Between"), extension=x509.BasicConstraints(ca=True, path_length=0))
    identity = alice(doors.clients, signed_by=between)
    edge = doors.open("required")
    served(edge, edge.context(client=identity))
    says(backend.only(), identity, "CN=alice,O=Example")


def test_each_authority_of_the_file_is_believed(doors: Doors, backend: Backend) -> None:
    other = Authority("Other authority of clients")
    edge = doors.start_edge({"client_ca_file": doors.trust(doors.clients, other)})
    served(edge, edge.context(client=alice(doors.clients)))
    served(edge, edge.context(client=alice(other)))
    assert len(backend.requests) == 2


# What backends learn


@pytest.mark.parametrize("version", VERSIONS)
def test_the_backend_learns_what_the_certificate_says_with_every_request(
    doors: Doors, backend: Backend, version: ssl.TLSVersion,
) -> None:
    identity = alice(doors.clients)
    edge = doors.open("required")
    with edge.connect(speaking(version, edge, identity)) as client:
        for _ in range(3):
            assert client.ask(request("GET", "/")).status == 200
    for seen in backend.requests:
        says(seen, identity, "CN=alice,O=Example")


def test_clients_on_one_connection_to_the_backend_are_not_mixed_up(doors: Doors, backend: Backend) -> None:
    edge = doors.open("optional", workers=1)
    people = {name: person(doors.clients, (NameOID.COMMON_NAME, name)) for name in ["alice", "bob"]}
    with edge.connect(edge.context(client=people["alice"])) as one, edge.connect() as nobody, \
            edge.connect(edge.context(client=people["bob"])) as other:
        for _ in range(2):
            for client in (one, nobody, other):
                assert client.ask(request("GET", "/")).status == 200
    assert backend.connections == 1
    for index, seen in enumerate(backend.requests):
        name = ["alice", None, "bob"][index % 3]
        says(seen, people[name], f"CN={name}") if name else says_nothing(seen)


def test_a_connection_field_cannot_take_away_what_was_verified(doors: Doors, backend: Backend) -> None:
    identity = alice(doors.clients)
    edge = doors.open("required")
    with edge.connect(edge.context(client=identity)) as client:
        assert client.ask(request("GET", "/", {"Connection": ", ".join(NAMES)})).status == 200
    says(backend.only(), identity, "CN=alice,O=Example")


def test_a_large_certificate_reaches_the_backend_whole(doors: Doors, backend: Backend) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName(f"name-{number:04}.clients.test") for number in range(400)])
    identity = alice(doors.clients, extension=names)
    edge = doors.open("required")
    served(edge, edge.context(client=identity))
    says(backend.only(), identity, "CN=alice,O=Example")


@pytest.mark.parametrize(("subject", "written"), [
    ([(NameOID.COMMON_NAME, "Jos\u00e9 \u6f22")], r"CN=Jos\C3\A9 \E6\BC\A2"),
    ([(NameOID.COMMON_NAME, "a, b"), (NameOID.ORGANIZATION_NAME, 'say "no"')], r'O=say \"no\",CN=a\, b'),
    ([(NameOID.COMMON_NAME, r"x\,O=Admins")], r"CN=x\\\,O=Admins"),
    ([(NameOID.COMMON_NAME, "a+b<c>d;e=f")], r"CN=a\+b\<c\>d\;e=f"),
    ([(NameOID.COMMON_NAME, " #first")], r"CN=\ #first"),
    ([(NameOID.COMMON_NAME, "#number")], r"CN=\#number"),
    ([(NameOID.COMMON_NAME, "a\r\nX-User-Id: 1")], r"CN=a\0D\0AX-User-Id: 1"),
    ([(NameOID.COMMON_NAME, "a\nClient-Cert: :MAA=:\n\n")], r"CN=a\0AClient-Cert: :MAA=:\0A\0A"),
    ([(NameOID.COMMON_NAME, "a\0b\t\x7f")], r"CN=a\00b\09\7F"),
    ([(NameOID.ORGANIZATION_NAME, "O"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "1"),
      (NameOID.ORGANIZATIONAL_UNIT_NAME, "2"), (NameOID.COMMON_NAME, "c")], "CN=c,OU=2,OU=1,O=O"),
    ([], ""),
])
def test_a_subject_is_escaped_and_can_neither_end_its_field_nor_add_one(
    doors: Doors, backend: Backend, subject: list[tuple[x509.ObjectIdentifier, str]], written: str,
) -> None:
    identity = person(doors.clients, *subject)
    edge = doors.open("required")
    served(edge, edge.context(client=identity))
    seen = backend.only()
    says(seen, identity, written)
    assert b"\nX-User-Id" not in seen.head
    assert seen.head.count(b"\n") == len(seen.fields) + 2


def test_a_subject_in_utf_16_is_escaped_as_utf_8(doors: Doors, backend: Backend) -> None:
    """BMPString, whose bytes would be CR and LF if they were taken for characters."""
    identity = person(doors.clients, (NameOID.COMMON_NAME, "\u0d0a\r\nX"), kind=StringKind.BMPString)
    edge = doors.open("required")
    served(edge, edge.context(client=identity))
    says(backend.only(), identity, r"CN=\E0\B4\8A\0D\0AX")


# Nobody else can say it


def forged() -> list[tuple[str, str]]:
    return [(name, f"forged-{number}") for number, name in enumerate(FORGED)]


def test_forged_fields_of_a_client_with_a_certificate_are_replaced(doors: Doors, backend: Backend) -> None:
    identity = alice(doors.clients)
    edge = doors.open("required")
    with edge.connect(edge.context(client=identity)) as client:
        assert client.ask(request("GET", "/", forged())).status == 200
    seen = backend.only()
    assert b"forged" not in seen.head
    says(seen, identity, "CN=alice,O=Example")
    assert sorted(name for name in seen.names() if "cert" in name) == sorted(name.lower() for name in NAMES)


@pytest.mark.parametrize("way", ["optional", "none", "plain"])
def test_forged_fields_of_a_client_without_a_certificate_never_reach_the_backend(
    doors: Doors, backend: Backend, way: str,
) -> None:
    edge = doors.open("none" if way == "none" else "optional")
    with edge.gateway.connect() if way == "plain" else edge.connect() as client:
        for name in FORGED:
            assert client.ask(request("GET", "/", {name: "forged", "X-Kept": "kept"})).status == 200
            seen = backend.requests[-1]
            assert seen.field("X-Kept") == "kept"
            assert b"forged" not in seen.head, name
            says_nothing(seen)


def test_a_forged_trailer_never_reaches_the_backend(doors: Doors, backend: Backend) -> None:
    edge = doors.open("optional")
    head = request("POST", "/", {"Transfer-Encoding": "chunked"})
    trailers = "".join(f"{name}: {value}\r\n" for name, value in forged()).encode()
    with edge.connect() as client:
        assert client.ask(head + b"2\r\nhi\r\n0\r\n" + trailers + b"\r\n").status == 200
    seen = backend.only()
    assert seen.body == b"hi"
    assert b"forged" not in seen.head + seen.raw_body


# Found by these tests


def test_a_forged_signature_is_counted_as_a_refused_certificate(doors: Doors) -> None:
    """An authority that calls itself by the name of ours: nothing but the signature tells them apart."""
    edge = doors.open("required")
    turned_away(edge, speaking(ssl.TLSVersion.TLSv1_2, edge, alice(Authority("Authority of clients"))))
    wait_until("it is counted", lambda: sum(
        handshakes(edge, result) for result in ["certificate_refused", "other", "alert", "closed"]) == 1)
    assert handshakes(edge, "certificate_refused") == 1


def test_a_space_at_the_end_of_a_subject_is_not_taken_for_the_end_of_the_field(doors: Doors, backend: Backend) -> None:
    r"""RFC 4514 §2.4 lets it be `\ ` or `\20`; a recipient takes the space of the first one away (RFC 9110 §5.5)."""
    identity = person(doors.clients, (NameOID.COMMON_NAME, "both ends "))
    edge = doors.open("required")
    served(edge, edge.context(client=identity))
    says(backend.only(), identity, r"CN=both ends\20")


def test_a_subject_that_is_too_long_is_not_cut_into_another_one(doors: Doors, backend: Backend) -> None:
    units = [(NameOID.ORGANIZATIONAL_UNIT_NAME, f"unit {number:03} {'x' * 40}") for number in range(100)]
    identity = person(doors.clients, (NameOID.ORGANIZATION_NAME, "Example"), *units)
    edge = doors.open("required")
    served(edge, edge.context(client=identity))
    whole = ",".join([f"OU={value}" for _, value in reversed(units)] + ["O=Example"])
    assert backend.only().field("X-Client-Cert-Subject") in (whole, "", None)
