"""What calls itself a node of a Redis Cluster and answers nonsense: it is told what is wrong, and logins are decided here."""

import pytest

from harness.clusters import in_step
from harness.logins import block_by_burst, fail
from harness.lying_node import LyingNode, array, bulk, error
from harness.processes import wait_until
from harness.redis_users import reason


@pytest.fixture
def node():
    node = LyingNode()
    yield node
    node.close()


def start(start_gateway, backend, node):
    return start_gateway(backend, {"cluster": [f"127.0.0.1:{node.port}"], "startup_wait": "200ms"})


def script(words: list[str]) -> bool:
    return words[0].startswith("EVAL") and words[2] != "0"


SENT_ON = {
    "to itself, again and again": ("MOVED 1 127.0.0.1:{port}", "sent on too often: MOVED"),
    "and asked for there, again and again": ("ASK 1 127.0.0.1:{port}", "sent on too often: ASK"),
    "to nowhere": ("MOVED 1 somewhere", "not told where: MOVED 1 somewhere"),
    "to a name that is none": ("MOVED 1 a\"b:6379", "not told where: MOVED 1"),
    "to its own, for ever half moved": ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
}


@pytest.mark.parametrize("said, words", SENT_ON.values(), ids=SENT_ON.keys())
def test_a_login_that_is_sent_on_is_decided_here(start_gateway, login_backend, node, address, said, words):
    gateway = start(start_gateway, login_backend, node)
    in_step(gateway)
    node.say = lambda command: error(said.format(port=node.port)) if script(command) else None
    block_by_burst(gateway, address)
    assert words in gateway.wait_event("ledger.counter_unusable")["reason"]
    # Bounded: for each login some turns, and no session after the other.
    assert sum(command == "EVALSHA" for command in node.heard) < 400
    assert node.heard.count("SCAN") < 60
    node.say = lambda command: None
    in_step(gateway)
    wait_until("what was decided here is told", lambda: node.counted == 5, 10)


def test_a_login_that_is_sent_on_to_a_node_that_is_not_there(start_gateway, login_backend, node, address):
    gateway = start(start_gateway, login_backend, node)
    in_step(gateway)
    node.say = lambda command: error("ASK 1 127.0.0.1:1") if script(command) else None
    block_by_burst(gateway, address)
    assert "127.0.0.1:1: subscriber: cannot connect" in gateway.wait_event("ledger.degraded")["reason"]
    # It is looked for once, and not again with each login.
    in_step(gateway)
    assert set(fail(gateway, "127.98.250.1", 3)) == {401}
    assert "127.0.0.1:1, which is not there" in gateway.wait_event("ledger.counter_unusable")["reason"]
    assert len(gateway.events("ledger.degraded")) == 1 and node.heard.count("SCAN") < 60
    node.say = lambda command: None
    wait_until("what was decided here is told", lambda: node.counted == 8, 10)


def test_a_cluster_that_is_down_is_an_outage(start_gateway, login_backend, node, address):
    gateway = start(start_gateway, login_backend, node)
    in_step(gateway)
    keyed = ("EVALSHA", "GET", "SET", "DEL", "GETRANGE", "PTTL")
    node.say = lambda command: error("CLUSTERDOWN The cluster is down") if command[0] in keyed else None
    block_by_burst(gateway, address)
    wait_until("it is told", lambda: "see CLUSTER INFO" in reason(gateway), 10)
    node.say = lambda command: None
    in_step(gateway)


MAPS = {
    "no slots": (lambda node: array(), "served by no node"),
    "half of the slots": (lambda node: node.slots(last=8_191), "the slots 8192 to 16383 are served by no node"),
    "more slots than there are": (lambda node: node.slots(last=16_384), "an unexpected range"),
    "another kind of answer": (lambda node: b"+OK\r\n", "an unexpected reply to CLUSTER SLOTS"),
    "a node without a name": (lambda node: node.slots(host="?"), "announces no usable name"),
    "a range of nothing": (lambda node: array(array(b":0\r\n", b":5\r\n")), "an unexpected range"),
    "nested to no end": (lambda node: b"*1\r\n" * 100, "unreadable reply"),
    "a replica": (None, "is no master, but a slave"),
}


@pytest.mark.parametrize("say, words", MAPS.values(), ids=MAPS.keys())
def test_a_map_that_is_none(start_gateway, login_backend, node, address, say, words):
    def answer(command: list[str]) -> bytes | None:
        if say is None:
            return array(bulk("role"), bulk("slave")) if command[0] == "HELLO" else None
        return say(node) if command[0] == "CLUSTER" else None

    node.say = answer
    gateway = start(start_gateway, login_backend, node)
    wait_until("it is told", lambda: words in reason(gateway), 10)
    block_by_burst(gateway, address)
    node.say = lambda command: None
    in_step(gateway)
    # In the middle of a session, too: the map is looked at from time to time.
    node.say = answer
    wait_until("it is told again", lambda: words in reason(gateway), 15)


@pytest.mark.parametrize("cursor", ["5@zzz", "", "-1"])
def test_a_cursor_that_leads_nowhere(start_gateway, login_backend, node, address, cursor):
    node.say = lambda command: array(bulk(cursor), array()) if command[0] == "SCAN" else None
    gateway = start(start_gateway, login_backend, node)
    wait_until("it is told", lambda: "an unexpected reply to SCAN" in reason(gateway), 10)
    block_by_burst(gateway, address)
    node.say = lambda command: None
    in_step(gateway)
