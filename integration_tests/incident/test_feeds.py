"""Lists of blocked addresses from files and URLs (docs/feeds.md)."""

import gzip
import os
import ssl
import threading

import pytest

from harness.backend import Backend, answer
from harness.certificates import Authority
from harness.client import request
from harness.event_streams import is_cut
from harness.gateway import run_binary
from harness.heirs import Heirs
from harness.logins import is_blocked
from harness.long_exchanges import LongExchanges
from harness.processes import wait_until

PROXY = "127.66.0.1"


class FeedServer:
    """Answers every request with `text`, or with what `reply` holds."""

    def __init__(self, tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> None:
        self.text = "127.77.0.0/16\n"
        self.reply: bytes | None = None
        self.stalled: threading.Event | None = None
        self.server = Backend(self._serve, tls=tls)
        self.base = f"{'https' if tls else 'http'}://{name}:{self.server.port}"
        self.url = f"{self.base}/drop.txt?key=secret-of-the-feed"

    def _serve(self, exchange) -> bytes:
        exchange.close()
        if self.stalled:
            self.stalled.wait(10)
        return self.reply or answer(200, self.text.encode(), {"Content-Type": "text/plain"})


@pytest.fixture
def feed_server():
    server = FeedServer()
    yield server
    server.server.close()


@pytest.fixture
def start(start_gateway, login_backend):
    def start(*feeds, redis=None, **sections):
        return start_gateway(login_backend, redis, feeds=list(feeds), **sections)
    return start


def write(path, text: str) -> None:
    """In one step, as whoever fetches lists should."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def feed(gateway, name="drop"):
    return next(one for one in gateway.command_json("feeds", "list")["feeds"] if one["name"] == name)


def wait_entries(gateway, count: int, name="drop"):
    wait_until(f"{count} entries", lambda: feed(gateway, name)["entries"] == count, 8)


def requests(gateway, name: str, result: str) -> float:
    return gateway.metrics()[f'gateway_feed_requests_total{{feed="{name}",result="{result}"}}']


def test_a_file_blocks_and_is_watched_on_open_connections_too(start, tmp_path, address, other_address):
    path = tmp_path / "drop.txt"
    write(path, f"# bad ones\n{address} ; SBL1\n2001:db8::/32\n")
    gateway = start({"name": "drop", "file": str(path)})
    wait_entries(gateway, 2)
    with gateway.connect(address) as client:
        refused = client.ask(request("GET", "/health"))
        assert (refused.status, refused.code) == (403, "AUTH_004")
        assert not is_blocked(gateway, other_address)
        write(path, f"{other_address}\n")
        wait_entries(gateway, 1)
        assert client.ask(request("GET", "/health")).status == 200
    assert is_blocked(gateway, other_address)
    gateway.wait_event("http.request", status=403, reason="ip_blocked", feed="drop", client_ip=other_address)
    told = gateway.wait_event("security.blocked_request", client_ip=other_address)
    assert told["context"]["feed"] == "drop"
    gateway.wait_event("operation", action="feed_updated", message="the feed drop blocks 1 networks, 2 before")
    metrics = gateway.metrics()
    assert metrics['gateway_feed_entries{feed="drop"}'] == 1
    assert metrics['gateway_feed_loads_total{feed="drop",result="ok"}'] == 2
    assert metrics['gateway_feed_load_timestamp_seconds{feed="drop"}'] > 1_700_000_000
    assert "drop  block   fresh" in gateway.command("feeds", "list").stdout


BAD_LISTS = [
    ("127.77.0.9\n<html>\n", 'line 2, column 1: "<html>" is no address or network'),
    ("0.0.0.0/0\n", "line 1, column 1: 0.0.0.0/0 is too wide: at most an IPv4 /8 or an IPv6 /16"),
    ("", "it names no address"),
    ("127.77.0.1\n127.77.0.2\n", "it has 2 entries where 100 were; if that is right, update it with --may-shrink"),
]


def test_a_bad_list_is_refused_as_a_whole_and_the_former_one_stays(start, tmp_path, address):
    path = tmp_path / "drop.txt"
    write(path, "".join(f"{address}\n127.88.0.{number}\n" for number in range(50)))
    gateway = start({"name": "drop", "file": str(path)})
    wait_entries(gateway, 100)
    for text, reason in BAD_LISTS:
        write(path, text)
        failed = gateway.command("feeds", "update", check=False)
        assert (failed.returncode, reason in failed.stdout) == (1, True)
        gateway.wait_event("block.feed_refused", level="ERROR", feed="drop", reason=reason, entries=100, timeout=8)
        now = feed(gateway)
        assert (now["state"], now["entries"], now["problem"]) == ("stale", 100, reason)
        assert is_blocked(gateway, address)
    path.unlink()
    gateway.wait_event("block.feed_refused", reason=f"{path}: No such file or directory", timeout=8)
    assert is_blocked(gateway, address)
    assert gateway.metrics()['gateway_feed_loads_total{feed="drop",result="failed"}'] >= 5
    write(path, f"{address}\n")
    assert gateway.command("feeds", "update", "drop", "--may-shrink").returncode == 0
    assert feed(gateway)["entries"] == 1


def test_a_dry_run_tells_whom_a_list_would_refuse(start, tmp_path, address, other_address):
    path = tmp_path / "new.txt"
    write(path, f"{address}\n")
    dry = {"name": "new", "file": str(path), "action": "observe"}
    gateway = start(dry)
    wait_entries(gateway, 1, "new")
    assert not is_blocked(gateway, address) and not is_blocked(gateway, other_address)
    gateway.wait_event("http.request", status=200, observed_by="new", client_ip=address)
    wait_until("counted", lambda: requests(gateway, "new", "observed") == 1)
    assert requests(gateway, "new", "refused") == 0
    gateway.write_config({**gateway.settings, "feeds": [{**dry, "action": "block"}]})
    gateway.command("reload")
    assert is_blocked(gateway, address)
    wait_until("counted", lambda: requests(gateway, "new", "refused") == 1)


def test_never_block_and_allowances_win(start, tmp_path, address, other_address):
    path = tmp_path / "drop.txt"
    write(path, "127.0.0.0/8\n")
    gateway = start({"name": "drop", "file": str(path)}, never_block=[address], trusted_proxies=["127.66.0.0/16"])
    wait_entries(gateway, 1)
    gateway.wait_event("block.feed_loaded", feed="drop", entries=1, spared=1)
    assert not is_blocked(gateway, address)
    assert not is_blocked(gateway, PROXY)
    assert is_blocked(gateway, other_address)
    gateway.command("allow", other_address, "--for", "1m")
    assert not is_blocked(gateway, other_address)


def test_a_url_is_fetched_updated_on_demand_and_outlives_its_server_and_restarts(
        start, feed_server, address, other_address):
    feed_server.text = f"{address}\n"
    gateway = start({"name": "drop", "url": feed_server.url, "interval": "1h"})
    wait_entries(gateway, 1)
    assert is_blocked(gateway, address)
    feed_server.text = f"{other_address}\n127.88.0.0/16\n"
    assert gateway.command("feeds", "update", "drop").returncode == 0
    assert is_blocked(gateway, other_address) and not is_blocked(gateway, address)
    feed_server.reply = answer(503, b"")
    failed = gateway.command("feeds", "update", check=False)
    assert (failed.returncode, "status 503" in failed.stdout) == (1, True)
    assert is_blocked(gateway, other_address)
    gateway.stop()
    gateway.start()
    assert is_blocked(gateway, other_address), "from the first request on, although nobody answers"
    wait_until("stale", lambda: feed(gateway)["state"] == "stale" and feed(gateway)["problem"], 8)
    assert feed(gateway)["entries"] == 2
    assert not any("secret-of-the-feed" in line for line in map(str, gateway.lines())), "a query may hold a secret"
    gateway.wait_event("operation", action="feeds_update")
    assert gateway.command("feeds", "update", "other", check=False).returncode == 1


ANSWERS = {
    "redirects are not followed": answer(302, b"", {"Location": "/other"}),
    'column 1: "<html>later</html>" is no address': answer(200, b"<html>later</html>", {"Content-Type": "text/html"}),
    "closed before the answer was complete": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n127.77.0.9\n",
    "the answer is encoded (gzip)": answer(200, gzip.compress(b"127.77.0.9\n"), {"Content-Encoding": "gzip"}),
    "it is compressed (gzip)": answer(200, gzip.compress(b"127.77.0.9\n")),
    "it names no address": answer(200, b""),
    "the answer has more than 50331648 bytes": b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n127.77.0.9\n",
}


def test_answers_that_are_no_list_change_nothing(start, feed_server, address):
    feed_server.text = f"{address}\n"
    gateway = start({"name": "drop", "url": feed_server.url, "timeout": "3s"})
    wait_entries(gateway, 1)
    for problem, feed_server.reply in ANSWERS.items():
        failed = gateway.command("feeds", "update", check=False)
        assert (failed.returncode, problem in failed.stdout) == (1, True), failed.stdout
        assert feed(gateway)["entries"] == 1
    # Larger than it may be, and nobody said so before.
    feed_server.reply = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"#" * ((48 << 20) + 1)
    assert "more than 50331648 bytes" in gateway.command("feeds", "update", check=False).stdout
    feed_server.stalled = threading.Event()
    assert "no answer in time" in gateway.command("feeds", "update", check=False).stdout
    feed_server.stalled.set()
    assert is_blocked(gateway, address)


def test_a_reload_adds_and_removes_feeds(start, tmp_path, address, other_address):
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    write(first, f"{address}\n")
    write(second, f"{other_address}\n")
    gateway = start({"name": "first", "file": str(first)})
    wait_entries(gateway, 1, "first")
    gateway.write_config({**gateway.settings, "feeds": [{"name": "second", "file": str(second)}]})
    gateway.command("reload")
    wait_entries(gateway, 1, "second")
    assert not is_blocked(gateway, address) and is_blocked(gateway, other_address)
    gateway.write_config({**gateway.settings, "feeds": []})
    gateway.command("reload")
    assert not is_blocked(gateway, other_address)
    assert gateway.command("feeds", "list").stdout == "there is no feed\n"
    assert gateway.command("feeds", "update", check=False).returncode == 1


def test_what_is_listed_needs_the_token(start, tmp_path, address):
    path = tmp_path / "drop.txt"
    write(path, "192.0.2.1\n")
    token = "not-a-real-admin-token"
    gateway = start({"name": "drop", "file": str(path)}, admin={"listen": "127.0.0.1:0", "token": token})
    assert gateway.ask_admin("/api/v1/feeds").status == 401
    assert gateway.ask_admin("/api/v1/feeds", token).json()["feeds"][0]["name"] == "drop"


def test_streams_are_cut_and_an_upgrade_has_it_at_once(start, login_backend, tmp_path, address, other_address):
    path = tmp_path / "drop.txt"
    write(path, f"{other_address}\n")
    login_backend.handler = handler = LongExchanges()
    try:
        gateway = start({"name": "drop", "file": str(path)})
        wait_entries(gateway, 1)
        client = gateway.connect(address).send(request("GET", "/events"))
        assert client.read_head().status == 200
        gateway.command("upgrade")
        Heirs().of(gateway)
        assert is_blocked(gateway, other_address)
        write(path, f"{address}\n")
        assert is_cut(client), "by the former process, which follows the list to its end"
    finally:
        handler.release()


@pytest.mark.parametrize("is_trusted", [True, False])
def test_the_server_of_a_list_must_prove_who_it_is(start, tmp_path, is_trusted):
    authority, other = Authority(), Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost").write(tmp_path / "server"))
    server = FeedServer(context, "localhost")
    try:
        trust = (authority if is_trusted else other).write(tmp_path / "trust")
        gateway = start({"name": "drop", "url": server.url, "ca_file": str(trust)})
        if is_trusted:
            wait_entries(gateway, 1)
        else:
            gateway.wait_event("block.feed_refused", feed="drop", entries=0, timeout=8)
    finally:
        server.server.close()


def test_check_warns_of_a_list_that_is_missing_or_no_good_and_unblock_names_those_that_hold_an_address(
        start, tmp_path, address, other_address):
    good, missing, bad = tmp_path / "good.txt", tmp_path / "missing.txt", tmp_path / "bad.txt"
    write(good, f"{address}\n")
    write(bad, "no address\n")
    gateway = start(*[{"name": path.stem, "file": str(path)} for path in (good, missing, bad)])
    wait_entries(gateway, 1, "good")
    checked = run_binary("check", "--config", gateway.config_path)
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    assert 'warning: the list of the feed "missing" is of no use' in said and "No such file" in said
    assert 'the list of the feed "bad" is of no use' in said and '"good"' not in said
    gateway.command("block", address)
    assert "stands on the feed good" in gateway.command("unblock", address).stdout
    assert gateway.command_json("unblock", address)["still_on_feeds"] == ["good"]
    assert gateway.command_json("unblock", other_address)["still_on_feeds"] == []
    # One that comes later is found.
    write(missing, f"{other_address}\n")
    wait_entries(gateway, 1, "missing")
    assert is_blocked(gateway, other_address)
