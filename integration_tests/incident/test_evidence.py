"""The log lines that the runbooks look for are found by their own jq and grep lines, and hold what evidence needs."""

import re
import subprocess
import time

import pytest

from harness.client import json_request, request
from harness.logins import block_by_burst, fail
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def burst(start_gateway, login_backend, redis, address):
    """A gateway after five wrong logins, some refusals, and an expired token."""
    gateway = start_gateway(login_backend, redis, routes=[
        {"path": "/", "upstream": "api", "auth": "none"}, {"path": "/me", "upstream": "api", "auth": "required"},
    ], tokens={"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]})
    gateway.fetch(request("GET", "/me", bearer(token(claims(exp=int(time.time()) - 600)))), address)
    gateway.fetch(request("GET", "/me", bearer(token())), address)
    block_by_burst(gateway, address)
    gateway.wait_event("security.brute_force_detected")
    wait_until("all is logged", lambda: "Request from blocked IP" in gateway.child.log())
    return gateway


def sh(gateway, line: str) -> str:
    """A line of a runbook; `$LOG` is the gateway's log."""
    run = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=20, check=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LOG": str(gateway.child.log_path)})
    return run.stdout.strip()


def test_the_loki_query_of_sec_010(burst, address):
    """`{service="audit"} | json | action="auth_failed"`, and look for repeated client_ip."""
    found = sh(burst, """jq -r 'select(.service == "audit" and .action == "auth_failed" """
                      """and .context.failure_reason == "bad_credentials") | .client_ip' "$LOG" """)
    assert found.split("\n") == [address] * 5


def test_the_greps_of_sec_010(burst, address):
    for words in ("RecordFailedLogin", "Request from blocked IP"):
        lines = sh(burst, f"""grep "{words}" "$LOG" """).split("\n")
        assert any(address in line for line in lines)


def test_failures_by_reason(burst):
    counted = sh(burst, """jq -r 'select(.event == "security.auth_failure") | .context.failure_reason' "$LOG" """
                        """| sort | uniq -c | sort -rn""")
    rows = {reason: int(count) for count, reason in (line.split() for line in counted.split("\n"))}
    assert rows["bad_credentials"] == 5
    assert rows["token_expired"] == 1


def test_failures_by_user_and_by_address_and_the_timeline(burst, address):
    by_user = sh(burst, """jq -r 'select(.event == "security.auth_failure") | .context.user_id // "anonymous"' "$LOG" """
                        """| sort | uniq -c | sort -rn | head -20""")
    assert by_user
    by_address = sh(burst, """jq -r 'select(.event == "security.auth_failure") | .context.ip_address' "$LOG" """
                           """| sort | uniq -c | sort -rn | head -20""")
    assert by_address.split()[1] == address
    timeline = sh(burst, r"""jq -r 'select(.event == "security.auth_failure") | """
                         r""""\(.timestamp) \(.context.failure_reason) \(.context.user_id // "anon")"' "$LOG" """)
    assert all(UTC.match(line.split()[0]) for line in timeline.split("\n"))
    pattern = sh(burst, """jq -r 'select(.event == "security.auth_failure") | """
                        """.context.ip_address + " " + (.context.user_id // "anon") + " " + .timestamp' "$LOG" """
                        """| sort | uniq | cut -d' ' -f1 | uniq -c | sort -rn | head -10""")
    assert pattern.split()[1] == address


def test_expired_tokens_and_successes(burst):
    assert sh(burst, """jq -c 'select(.event == "security.token_expired")' "$LOG" | wc -l""") == "1"
    assert sh(burst, """jq -c 'select(.event == "security.auth_success")' "$LOG" | tail -10""")


def test_the_greps_of_the_rust_service(burst, address):
    rows = sh(burst, """grep "authentication_failure" "$LOG" | grep -o '"source_ip":"[^"]*"' | sort | uniq -c""")
    assert f'"source_ip":"{address}"' in rows
    assert sh(burst, """grep -E "(authentication_failure|suspicious_activity|security_violation)" "$LOG" """)


def test_the_block_is_one_record_with_all_that_evidence_needs(burst, address):
    """3.1 and 3.3: when, who, why, what was done, for how long, until when, by whom."""
    record = burst.wait_event("security.block_set", client_ip=address)
    assert UTC.fullmatch(record["timestamp"])
    context = record["context"]
    assert context["action"] == "ip_blocked"
    assert context["ttl_seconds"] == 300
    assert UTC.fullmatch(context["expires_at"])
    assert context["trigger"] and context["actor"]
    assert len(burst.events("security.block_set", client_ip=address)) == 1
    detected = burst.events("security.brute_force_detected")[0]["context"]
    assert (detected["failed_attempts"], detected["time_window_seconds"]) == (5, 86_400)


def test_a_block_by_hand_and_its_removal_are_recorded(burst, redis, other_address):
    redis.block(other_address, 300)
    record = burst.wait_event("security.block_set", client_ip=other_address)
    assert 295 <= record["context"]["ttl_seconds"] <= 300
    redis.cli("DEL", f"ip_block:{other_address}")
    burst.wait_event("security.block_lifted", client_ip=other_address)


def test_an_unblock_and_an_expiry_are_recorded(burst, redis, address, other_address):
    burst.command("unblock", address)
    lifted = burst.wait_event("security.block_lifted", client_ip=address)
    assert lifted["context"]["actor"]
    redis.block(other_address, 1)
    burst.wait_event("security.block_expired", client_ip=other_address)


def test_the_trace_of_a_request_is_in_its_record(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with gateway.connect(address) as client:
        client.ask(json_request("POST", "/auth/login", {"password": "wrong"},
                                {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "User-Agent": "curl/8"}))
    record = gateway.wait_event("security.auth_failure")
    assert record["trace_id"] == trace
    assert record["context"]["user_agent"] == "curl/8"
    assert record["context"]["endpoint"].endswith("/auth/login")


def test_refusals_of_a_blocked_address_are_counted_but_not_logged_each(start_gateway, login_backend, redis, address):
    gateway = start_gateway(login_backend, redis)
    fail(gateway, address, 5)
    fail(gateway, address, 300)
    lines = [line for line in gateway.child.log().split("\n") if "Request from blocked IP" in line]
    assert 1 <= len(lines) <= 20
    refused = [value for name, value in gateway.metrics().items()
               if name.startswith("gateway_auth_failures_total{") and 'failure_reason="ip_blocked"' in name]
    assert sum(refused) == 300


def test_the_four_metric_families(burst):
    names = {name.split("{")[0] for name in burst.metrics()}
    assert {"gateway_auth_failures_total", "gateway_auth_success_total", "gateway_http_requests_total",
            "gateway_account_lockouts_total"} <= names
