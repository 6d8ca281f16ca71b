"""What was opened with a revoked token (docs/revocation.md): WebSockets and event streams are closed at once."""

import threading
import time

from harness.client import request
from harness.event_streams import is_cut
from harness.heirs import Heirs
from harness.issuer import ask
from harness.processes import wait_until
from harness.revocations import PASSES, lives, of, open_chat, open_events
from harness.tokens import SECRET, bearer
from harness.websocket import closing, frame, handshake

TOKEN_REVOKED = (1008, "token revoked")
# A Close without a mask: two bytes of head, two of code.
CLOSE = 2 + 2 + len("token revoked")
KEY = {"id": "main", "secret": SECRET, "algorithms": ["HS256"]}
OTHER_KEY = {**KEY, "id": "old", "secret": "another integration test secret that is long enough for it"}


def told(client) -> tuple[int, str]:
    """What the Close says that a WebSocket ends with."""
    return closing(client.read_exactly(CLOSE))


def test_websockets_and_event_streams_are_closed_on_all_replicas(start_guarded, redis, service):
    gateways = [start_guarded(redis), start_guarded(redis)]
    bad, good = of("mallory"), of("alice")
    chats = [open_chat(gateway, bad) for gateway in gateways for _ in range(3)]
    events = [open_events(gateway, bad) for gateway in gateways for _ in range(3)]
    spared = [open_chat(gateways[0], good), open_events(gateways[1], good)]
    gateways[0].command("revoke", "--sub", "mallory")
    began = time.monotonic()
    assert [told(client) for client in chats] == [TOKEN_REVOKED] * 6
    assert all(map(is_cut, events))
    assert time.monotonic() - began < 1
    assert all(map(lives, spared))
    for gateway in gateways:
        for path in ("/chat", "/events"):
            wait_until("the log lines", lambda one=gateway, of=path: len(
                one.events("http.request", path=of, ended_by="token_revoked")) == 3, 15)
    assert gateways[0].metrics()['gateway_tunnels_closed_total{reason="token_revoked"}'] == 3


def test_one_inside_of_a_frame_ends_without_a_word(start_guarded, service):
    gateway = start_guarded()
    client = open_chat(gateway, of("mallory"))
    service.chat.socket().sendall(frame(b"never to be finished")[:9])
    assert client.read_exactly(9) == frame(b"never to be finished")[:9]
    gateway.command("revoke", "--sub", "mallory")
    assert is_cut(client)


def test_nothing_passes_through_a_websocket_any_more(start_guarded, service):
    """A client that does not answer the Close has two seconds, however many revocations follow."""
    gateway = start_guarded()
    client = open_chat(gateway, of("mallory"))
    gateway.command("revoke", "--sub", "mallory")
    assert told(client) == TOKEN_REVOKED
    began = time.monotonic()
    ended = threading.Event()

    def logouts():
        for number in range(1_000):
            if ended.wait(0.1):
                return
            gateway.command("revoke", "--jti", f"other-{number}", "--for", "1m")

    others = threading.Thread(target=logouts)
    others.start()
    try:
        client.send(frame(b"still here", masked=True))
        gateway.wait_event("http.request", path="/chat", ended_by="token_revoked", timeout=5)
        assert 1.5 < time.monotonic() - began < 5
    finally:
        ended.set()
        others.join(10)
    assert b"still here" not in service.chat.read(2 + 4 + 2 + len("token revoked"))


def test_one_that_is_revoked_between_the_request_and_the_101_is_closed_at_once(start_guarded, backend, service):
    gateway = start_guarded()
    agrees = threading.Event()

    def later(exchange):
        agrees.wait(10)
        return (service.chat if exchange.request.target == "/chat" else service.events)(exchange)

    backend.handler = later
    value = bearer(of("mallory"))
    chat = gateway.connect().send(handshake("/chat", value))
    events = gateway.connect().send(request("GET", "/events", value))
    backend.wait_for(2)
    gateway.command("revoke", "--sub", "mallory")
    agrees.set()
    assert chat.read_head().status == 101
    assert told(chat) == TOKEN_REVOKED
    assert events.read_head().status == 200
    assert is_cut(events)


def test_a_key_that_a_reload_removes_takes_its_tunnels_with_it(start_guarded, service):
    gateway = start_guarded(tokens={"keys": [KEY, OTHER_KEY]})
    gone, kept = of("mallory", OTHER_KEY["secret"]), of("mallory")
    chat, events, spared = open_chat(gateway, gone), open_events(gateway, gone), open_chat(gateway, kept)
    gateway.settings["tokens"] = {"keys": [KEY]}
    gateway.write_config()
    gateway.command("reload")
    assert told(chat) == TOKEN_REVOKED
    assert is_cut(events)
    assert lives(spared)
    assert ask(gateway, gone) == (401, "AUTH_001")
    assert ask(gateway, kept) == PASSES


def test_what_the_former_process_of_an_upgrade_still_serves_is_closed(start_guarded, service):
    gateway = start_guarded(timeouts={"drain": "30s"})
    bad, good = of("mallory"), of("alice")
    events, spared = open_events(gateway, bad), open_events(gateway, good)
    # Inside of a frame it cannot be told that the process is going away, and goes on.
    chat = open_chat(gateway, bad)
    service.chat.socket().sendall(frame(b"never to be finished")[:9])
    assert chat.read_exactly(9)
    gateway.command("upgrade")
    Heirs().of(gateway)
    gateway.wait_event("gateway.draining")
    assert lives(events) and lives(chat)
    gateway.command("revoke", "--sub", "mallory")
    began = time.monotonic()
    assert is_cut(events)
    assert is_cut(chat)
    assert time.monotonic() - began < 2
    assert gateway.child.running, "the former is still there for whoever may stay"
    assert lives(spared)
    service.events.release()
