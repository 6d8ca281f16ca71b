"""The webhook that is told of threats (docs/threats.md): one that refuses, hangs, is down or cannot prove who it is."""

import ssl
import threading
import time

import pytest

from harness.backend import answer
from harness.certificates import Authority
from harness.client import json_request
from harness.gateway import merged
from harness.processes import free_port, wait_until
from harness.threats import Receiver, genuine, host, login, report, spraying


def test_what_is_not_accepted_is_sent_again_with_the_same_id(start_watching, receiver):
    receiver.replies = [answer(500, b"no"), answer(302, b"", {"Location": "/elsewhere"})]
    gateway = start_watching(webhook=receiver.settings())
    spraying(gateway)
    wait_until("three attempts", lambda: len(receiver.complete) == 3, 10)
    assert len({one.field("Webhook-Id") for one in receiver.complete}) == 1
    assert {one.target for one in receiver.complete} == {"/secret-of-the-path?key=secret-of-the-webhook"}
    assert all(genuine(one) for one in receiver.complete)
    stamps = [int(one.field("Webhook-Timestamp")) for one in receiver.complete]
    assert stamps[0] < stamps[2], "of the attempt"
    gateway.wait_event("traffic.webhook_failed", reason="status 500")
    gateway.wait_event("traffic.webhook_failed", reason="status 302; redirects are not followed")
    gateway.wait_event("traffic.webhook_works")
    now = report(gateway)["webhook"]
    assert (now["sent"], now["failed"], now["waiting"], now["problem"], now["signed"]) == (1, 0, 0, None, True)


def test_a_webhook_that_hangs_keeps_no_login_and_no_more_than_64_messages(start_watching, receiver):
    receiver.stalled = threading.Event()
    gateway = start_watching(
        account_failures=2, spraying_accounts=500, stuffing_accounts=20_000,
        webhook=receiver.settings(timeout="60s", retries=0))
    began = time.monotonic()
    with gateway.connect(host(1)) as client:
        for number in range(140):
            wrong = json_request("POST", "/auth/login", {"username": f"user-{number % 70}", "password": "wrong"})
            assert client.ask(wrong).status == 401
    assert time.monotonic() - began < 10
    metrics = gateway.metrics()
    assert metrics['gateway_threats_total{pattern="single_account"}'] == 70
    assert metrics["gateway_webhook_queue"] == 64
    assert metrics['gateway_webhook_messages_total{result="dropped"}'] == 6
    gateway.wait_event("traffic.webhook_lost", level="ERROR", reason="too many wait")
    assert len(gateway.events("traffic.webhook_lost")) == 1
    wait_until("the audit log has them all", lambda: len(gateway.events("security.threat_detected")) == 70)
    # What may have worked is told before the rest, and where there is no room in place of another.
    assert [login(gateway, host(1), "user-1", word) for word in ("wrong", "right")] == [401, 200]
    wait_until("dropped", lambda: gateway.metrics()['gateway_webhook_messages_total{result="dropped"}'] == 7, 5)
    receiver.stalled.set()
    wait_until("all that waited", lambda: gateway.metrics()['gateway_webhook_messages_total{result="sent"}'] == 64, 15)
    assert len({one["data"]["id"] for one in receiver.messages()}) == 64
    assert receiver.messages()[1]["data"]["pattern"] == "success_after_failures"


def test_an_operator_can_try_the_webhook(start_watching, start_gateway, login_backend, receiver):
    gateway = start_watching(webhook=receiver.settings())
    assert "took the message" in gateway.command("test-webhook").stdout
    (message,) = receiver.complete
    assert genuine(message) and receiver.messages()[0]["type"] == "test"
    receiver.replies = [answer(503, b"")]
    failed = gateway.command("test-webhook", check=False)
    assert (failed.returncode, "status 503" in failed.stdout) == (1, True)
    receiver.stalled = threading.Event()
    assert "no answer in time" in gateway.command("test-webhook", check=False).stdout
    receiver.stalled.set()
    gateway.wait_event("operation", action="webhook_tested")
    none = start_gateway(login_backend).command("test-webhook", check=False)
    assert none.returncode == 1 and "set threats.webhook.url" in none.stderr


def test_a_webhook_that_is_down_is_given_up_after_its_retries(start_watching):
    gateway = start_watching(webhook={"url": f"http://127.0.0.1:{free_port()}/", "retries": 1})
    spraying(gateway)
    lost = gateway.wait_event("traffic.webhook_lost", level="ERROR", timeout=10)
    assert "refused" in lost["reason"].lower()
    assert gateway.metrics()['gateway_webhook_messages_total{result="failed"}'] == 1
    assert "the webhook takes no messages" in gateway.command("threats").stdout


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_webhook_must_prove_who_it_is(start_watching, tmp_path, is_trusted):
    authority, other = Authority(), Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost").write(tmp_path / "server"))
    receiver = Receiver(context, "localhost")
    try:
        trust = (authority if is_trusted else other).write(tmp_path / "trust")
        gateway = start_watching(webhook=receiver.settings(ca_file=str(trust), retries=0, timeout="5s"))
        spraying(gateway)
        if is_trusted:
            assert receiver.wait("threat.began")["data"]["pattern"] == "spraying"
        else:
            gateway.wait_event("traffic.webhook_lost", timeout=8)
            assert receiver.server.requests == []
    finally:
        receiver.server.close()


def test_a_reload_with_a_bad_authority_changes_nothing(start_watching, receiver, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    gateway = start_watching(webhook=receiver.settings())
    gateway.write_config(merged(gateway.settings, {
        "threats": {"webhook": {"url": "https://localhost:1/", "ca_file": str(bad)}}}))
    failed = gateway.command("reload", check=False)
    assert failed.returncode == 1 and "holds no certificate in PEM form" in failed.stderr
    spraying(gateway)
    assert receiver.wait("threat.began")
