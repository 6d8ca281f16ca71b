"""Floods of connections with TLS: handshakes that never begin, ones that never end, and records that are no data."""

import ssl
import threading

import pytest

from harness.attack import Attack
from harness.client import Client, request
from harness.processes import wait_until
from harness.tls_records import Session

#: A hello that announces 128 KiB.
LARGE_HELLO_BEGINS = bytes.fromhex("160301000401020050")
CLIENT_HELLO_BEGINS = bytes.fromhex("1603010200010001fc0303") + b"x" * 20


def served(edge, source, count):
    context = edge.context()
    for _ in range(count):
        with edge.connect(context, source=source) as client:
            assert client.ask(request("GET", "/")).status == 200


def test_handshakes_that_never_begin_lock_nobody_out(start_edge, address):
    edge = start_edge(limits={"connections": 200})
    with Attack(edge.gateway.secure_address, 600, rate=1_000) as attack:
        served(edge, address, 100)
        wait_until("there were more than places", lambda: attack.ended > 400)
    metrics = edge.gateway.metrics()
    assert metrics['gateway_client_connections_let_go_total{reason="slow"}'] > 0


def test_handshakes_that_never_end_are_over_in_time(start_edge, address):
    edge = start_edge(timeouts={"handshake": "1s"})
    with Attack(edge.gateway.secure_address, 300, first=CLIENT_HELLO_BEGINS, drip=b"x", pause=0.2) as attack:
        served(edge, address, 60)
        wait_until("all of them have ended once", lambda: attack.ended >= 300)
    assert edge.gateway.metrics()['gateway_tls_handshakes_total{result="timeout"}'] >= 300


def test_what_handshakes_announce_is_counted_as_memory(start_edge, address):
    """OpenSSL makes room for a message when it has read its length, in nine bytes."""
    edge = start_edge(limits={"memory": "16MiB"}, timeouts={"handshake": "1m"})
    let_go = 'gateway_client_connections_let_go_total{reason="memory"}'
    # 150 x 160 KiB are 23 MiB.
    with Attack(edge.gateway.secure_address, 150, first=LARGE_HELLO_BEGINS, rate=300):
        served(edge, address, 20)
        wait_until("some have been let go", lambda: edge.gateway.metrics()[let_go] > 0)
    wait_until("all is given back", lambda: edge.gateway.metrics()["gateway_buffered_bytes"] < 4 << 20)


def test_one_too_many_of_an_address_is_closed_without_an_answer(start_edge, address):
    edge = start_edge(limits={"connections_per_address": 1})
    with edge.connect(source=address) as client:
        assert client.ask(request("GET", "/")).status == 200
        try:
            edge.connect(source=address)
        except OSError:
            pass
        else:
            raise AssertionError("a second connection was served")
    metrics = edge.gateway.metrics()
    assert metrics['gateway_requests_refused_total{stage="admit",code="RATE_001"}'] == 1


def flood(session, data):
    try:
        session.socket.sendall(data)
    except OSError:
        pass  # It was ended.


@pytest.mark.parametrize(("version", "kind"), [(0x304, Session.key_updates), (0x303, Session.renegotiations)])
def test_a_flood_of_records_without_data_ends_its_connection_alone(start_edge, address, version, kind):
    """OpenSSL works them off in one call, for as long as more arrive: 250,000 changes of keys took 5 s of a worker."""
    edge = start_edge(workers=1, timeouts={"head": "1m"})
    with Session(edge.gateway.secure_address, address, version) as session:
        sender = threading.Thread(target=flood, args=(session, kind(session, 20_000)))
        sender.start()
        served(edge, address, 3)
        session.end()
        sender.join(10)
        assert not sender.is_alive()
    served(edge, address, 1)


def test_some_changes_of_keys_are_served(start_edge, address):
    edge = start_edge(workers=1)
    with Session(edge.gateway.secure_address, address) as session:
        session.socket.sendall(session.key_updates(100) + session.data(request("GET", "/")))
        wait_until("the request was served", lambda: edge.gateway.events("http.request"))


def test_a_handshake_in_pieces_of_a_byte_is_ended(start_edge, address):
    edge = start_edge()
    outgoing = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="gateway.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    hello = outgoing.read()[5:]
    assert len(hello) > 256
    with Client(edge.gateway.secure_address, address) as client:
        client.send(b"".join(b"\x16\x03\x01\0\1" + bytes([octet]) for octet in hello))
        wait_until(
            "it was ended", lambda: edge.gateway.metrics()['gateway_tls_handshakes_total{result="other"}'] == 1)
