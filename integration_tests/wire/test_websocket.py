"""WebSockets (RFC 6455) through the gateway, with real peers at both ends: messages, ends, blocks, tokens, drain, reload."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token
from harness.websocket import Echo, open_websocket

TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}], "leeway": "0s"}


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def gateway(start_gateway, echo):
    return start_gateway(echo.address, tokens=TOKENS, routes=[
        {"path": "/", "upstream": "api", "auth": "none"},
        {"path": "/private", "upstream": "api", "auth": "required"},
        {"path": "/kept", "upstream": "api", "auth": "required", "close_at_expiry": False},
    ])


def code_of_end(client) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=10)
    return client.close_code, client.close_reason


def echoes(client, message="still here") -> bool:
    client.send(message)
    return client.recv(timeout=10) == message


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_come_back_as_they_were_sent(gateway, compression):
    with open_websocket(gateway, compression=compression) as client:
        for message in ["", "text ä€", b"", bytes(range(256)) * 40, "x" * 125, "x" * 126, b"y" * 65_535, b"y" * 65_536]:
            client.send(message)
            assert client.recv(timeout=10) == message


def test_a_message_of_16_mib_passes(gateway):
    with open_websocket(gateway, compression=None) as client:
        message = bytes(range(256)) * 65_536
        received = []
        # Both directions at once: an echo of more than the buffers on the way hold needs a reader while it is sent.
        reader = threading.Thread(target=lambda: received.append(client.recv(timeout=60)), daemon=True)
        reader.start()
        client.send(message)
        reader.join(60)
        assert received == [message]


def test_a_message_in_fragments_passes(gateway):
    with open_websocket(gateway) as client:
        client.send(f"part {number}, " for number in range(50))
        assert client.recv(timeout=10) == "".join(f"part {number}, " for number in range(50))


def test_pings_are_answered_by_the_other_end(gateway, echo):
    with open_websocket(gateway) as client:
        assert client.ping("from the client").wait(10)
        assert wait_until("the server's side", lambda: echo.open)[0].ping("from the server").wait(10)
        assert echoes(client)


@pytest.mark.parametrize("by", ["client", "server"])
def test_either_end_may_close_and_its_code_arrives(gateway, echo, by):
    client = open_websocket(gateway)
    assert echoes(client)
    if by == "client":
        client.close(4_001, "enough")
    else:
        echo.open[0].close(4_002, "enough")
        assert code_of_end(client) == (4_002, "enough")
    wait_until("the server's end", lambda: echo.ended)
    assert echo.ended == [4_001 if by == "client" else 4_002]
    wait_until("the end", lambda: gateway.metrics()["gateway_tunnels"] == 0)
    closed = {name: value for name, value in gateway.metrics().items() if name.startswith("gateway_tunnels_closed")}
    assert sum(closed.values()) == 1


def test_the_subprotocol_is_agreed_on_by_the_ends(start_gateway):
    from websockets.sync.server import serve
    server = serve(lambda connection: connection.send(connection.subprotocol), "127.0.0.1", 0, subprotocols=["b", "c"])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = start_gateway(f"127.0.0.1:{server.socket.getsockname()[1]}")
    with open_websocket(gateway, subprotocols=["a", "c"]) as client:
        assert client.subprotocol == "c"
        assert client.recv(timeout=10) == "c"
    server.shutdown()


@pytest.mark.once
def test_many_are_open_at_once_and_none_gets_another_s_message(gateway):
    def talk(number: int) -> bool:
        with open_websocket(gateway) as client:
            return all(echoes(client, f"{number}-{turn}-" + "x" * (number * 997 % 70_000)) for turn in range(5))

    with ThreadPoolExecutor(40) as pool:
        assert all(pool.map(talk, range(120)))
    wait_until("the end", lambda: gateway.metrics()["gateway_tunnels"] == 0)


def test_a_server_that_is_gone_ends_the_socket(gateway, echo):
    client = open_websocket(gateway)
    assert echoes(client)
    echo.open[0].socket.close()
    assert code_of_end(client)[0] == 1_006


@pytest.mark.parametrize("whole_network", [False, True])
def test_a_block_closes_open_sockets_of_all_workers_at_once(gateway, echo, address, other_address, whole_network):
    blocked = [open_websocket(gateway, source=address) for _ in range(12)]
    spared = open_websocket(gateway, source=other_address if not whole_network else "127.200.0.9")
    assert all(map(echoes, [*blocked, spared]))
    gateway.command("block", address.rsplit(".", 1)[0] + ".0/24" if whole_network else address)
    began = time.monotonic()
    assert [code_of_end(client) for client in blocked] == [(1_008, "blocked")] * 12
    assert time.monotonic() - began < 3
    wait_until("the servers' ends", lambda: len(echo.ended) == 12)
    assert echo.ended == [1_008] * 12
    assert echoes(spared)
    metrics = gateway.metrics()
    assert metrics["gateway_tunnels"] == 1
    assert metrics['gateway_tunnels_closed_total{reason="blocked"}'] == 12
    wait_until("the log lines", lambda: len(gateway.events("http.request", client_ip=address, status=101)) == 12)
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(gateway, source=address)
    assert refused.value.response.status_code == 403
    gateway.command("unblock", address.rsplit(".", 1)[0] + ".0/24" if whole_network else address)
    assert echoes(open_websocket(gateway, source=address))


def test_failed_logins_close_the_open_socket_of_the_same_address(start_gateway, start_backend, echo, address):
    from harness.backend import answer
    from harness.client import json_request
    logins = start_backend()
    logins.answers(answer(401, {"error": "wrong"}))
    gateway = start_gateway(echo.address, login={"limit": 2}, upstreams={"logins": {"servers": [logins.address]}}, routes=[
        {"path": "/", "upstream": "api", "auth": "none"}, {"path": "/auth", "upstream": "logins", "auth": "none"}])
    client = open_websocket(gateway, source=address)
    assert echoes(client)
    for _ in range(2):
        assert gateway.fetch(json_request("POST", "/auth/login", {}), address).status == 401
    assert code_of_end(client) == (1_008, "blocked")


def test_a_socket_ends_with_its_token(gateway, echo):
    def fields() -> dict[str, str]:
        return bearer(token(claims(exp=int(time.time()) + 2)))

    client, kept = open_websocket(gateway, "/private", fields=fields()), open_websocket(gateway, "/kept", fields=fields())
    lasting, anonymous = open_websocket(gateway, "/private", fields=bearer(token())), open_websocket(gateway)
    assert all(map(echoes, [client, kept, lasting, anonymous]))
    assert code_of_end(client) == (1_008, "token expired")
    wait_until("the server's end", lambda: echo.ended)
    assert echo.ended == [1_008]
    assert all(map(echoes, [kept, lasting, anonymous]))
    assert gateway.metrics()['gateway_tunnels_closed_total{reason="token_expired"}'] == 1


def test_the_end_of_the_gateway_is_told_to_both_ends(gateway, echo):
    clients = [open_websocket(gateway) for _ in range(6)]
    assert all(map(echoes, clients))
    gateway.signal(signal.SIGTERM)
    assert [code_of_end(client) for client in clients] == [(1_001, "going away")] * 6
    wait_until("the servers' ends", lambda: len(echo.ended) == 6)
    assert echo.ended == [1_001] * 6
    assert gateway.child.wait() == 0


def test_reloads_leave_open_sockets_alone(gateway):
    with open_websocket(gateway) as client:
        for done in range(10):
            gateway.write_config()
            gateway.signal(signal.SIGHUP)
            assert echoes(client, f"round {done}")
            wait_until("the reload", lambda done=done: len(gateway.events("gateway.reloaded")) > done)
        assert echoes(client)


@pytest.mark.parametrize("spared", ["never_block", "trusted_proxies"])
def test_a_reload_closes_the_open_socket_of_a_blocked_address_that_it_spares_no_longer(
        start_gateway, echo, address, spared):
    gateway = start_gateway(echo.address, **{spared: [address]})
    gateway.command("block", address.rsplit(".", 1)[0] + ".0/24")
    client, other = open_websocket(gateway, source=address), open_websocket(gateway, source="127.200.0.9")
    assert echoes(client) and echoes(other)
    gateway.write_config({name: value for name, value in gateway.settings.items() if name != spared})
    gateway.command("reload")
    assert code_of_end(client) == (1_008, "blocked")
    assert echoes(other)
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(gateway, source=address)
    assert refused.value.response.status_code == 403
    assert gateway.metrics()['gateway_tunnels_closed_total{reason="blocked"}'] == 1


def test_a_message_passes_in_the_middle_of_a_quiet_time_longer_than_a_body_may_have(start_gateway, echo):
    gateway = start_gateway(echo.address, timeouts={"body": "200ms", "idle": "200ms", "response": "200ms", "drain": "1s"})
    with open_websocket(gateway) as client:
        for _ in range(2):
            time.sleep(0.7)
            assert echoes(client)


def test_a_quiet_socket_is_closed_with_a_reason(start_gateway, echo):
    gateway = start_gateway(echo.address, timeouts={"tunnel": "300ms", "drain": "1s"})
    assert code_of_end(open_websocket(gateway)) == (1_001, "idle")
