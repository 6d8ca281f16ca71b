"""What a route asks of a token: none, optional, required, a cookie, roles, claims; and what browsers are told."""

import time

import pytest

from harness.client import request
from harness.processes import wait_until
from harness.tokens import SECRET, bearer, claims, token


def test_an_open_route_does_not_look_at_tokens(gateway, backend):
    assert gateway.get("/open", fields=bearer("nonsense")).status == 200
    assert "x-user-id" not in backend.only().names()


def test_an_optional_token_identifies_when_it_is_there_and_is_refused_when_it_is_bad(gateway, backend):
    assert gateway.get("/maybe").status == 200
    assert gateway.get("/maybe", fields=bearer(token())).status == 200
    assert gateway.get("/maybe", fields=bearer("nonsense")).status == 401
    anonymous, known = backend.requests
    assert "x-user-id" not in anonymous.names()
    assert known.field("X-User-ID") == "alice"


def test_a_cookie_carries_the_token_only_where_the_route_says_so(gateway, backend):
    cookie = {"Cookie": f"theme=dark; access_token={token()}; lang=en"}
    assert gateway.get("/browser", fields=cookie).status == 200
    assert gateway.get("/", fields=cookie).status == 401
    assert backend.only().field("X-User-ID") == "alice"


def test_the_authorization_field_goes_before_the_cookie(gateway):
    fields = {"Cookie": f"access_token={token()}", **bearer("nonsense")}
    assert gateway.get("/browser", fields=fields).status == 401


def test_two_cookies_of_the_name_are_not_guessed_between(gateway, backend):
    fields = {"Cookie": f"access_token={token(claims('mallory'))}; access_token={token()}"}
    assert gateway.get("/browser", fields=fields).status == 401
    assert backend.requests == []


@pytest.mark.parametrize(("body", "status"), [
    ({"roles": ["user", "admin"]}, 200), ({"roles": "user admin"}, 200), ({"roles": ["user"]}, 403),
    ({"roles": "administrator"}, 403), ({"roles": None}, 403), ({"roles": [["admin"]]}, 403),
])
def test_a_role_is_required(gateway, backend, body, status):
    response = gateway.get("/admin", fields=bearer(token(claims(**body))))
    assert response.status == status
    if status == 403:
        assert response.code == "PERM_002"
        assert 'error="insufficient_scope"' in response.field("WWW-Authenticate")
        assert backend.requests == []


def test_the_records_name_whom_the_route_has_refused(gateway):
    """The token was good, so the name is no mere claim."""
    assert gateway.get("/admin", fields=bearer(token(claims("alice")))).status == 403
    context = gateway.wait_event("security.auth_failure", action="authorization_failed")["context"]
    assert (context["user_id"], context["user_verified"]) == ("alice", True)
    assert gateway.wait_event("http.request", status=403)["user_id"] == "alice"
    assert gateway.get("/open").status == 200
    assert "user_id" not in gateway.wait_event("http.request", path="/open"), "it was the one before"


@pytest.mark.parametrize(("tier", "status"), [("gold", 200), ("silver", 200), ("lead", 403), (None, 403)])
def test_a_claim_is_required(gateway, tier, status):
    response = gateway.get("/gold", fields=bearer(token(claims(tier=tier))))
    assert response.status == status
    assert response.code == ("PERM_001" if status == 403 else None)


def test_a_preflight_passes_without_a_token(gateway, backend):
    gateway.fetch(request("OPTIONS", "/cors", {
        "Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}))
    assert backend.only().method == "OPTIONS"


def test_options_that_is_no_preflight_needs_a_token(gateway, backend):
    assert gateway.fetch(request("OPTIONS", "/cors")).status == 401
    assert backend.requests == []


def test_a_browser_of_an_allowed_origin_may_read_a_refusal(gateway):
    refusal = gateway.get("/cors", fields={"Origin": "https://app.example.org"})
    assert refusal.status == 401
    assert refusal.field("Access-Control-Allow-Origin") == "https://app.example.org"
    assert "Origin" in refusal.field("Vary")
    other = gateway.get("/cors", fields={"Origin": "https://evil.test"})
    assert other.field("Access-Control-Allow-Origin") is None


def test_the_audit_log_and_the_metrics_tell_the_reason(gateway):
    gateway.get("/", fields=bearer(token(claims(exp=int(time.time()) - 600))))
    gateway.get("/")
    gateway.get("/", fields=bearer(token()))
    expired = gateway.wait_event("security.auth_failure", action="auth_failed")
    assert expired["service"] == "audit"
    wanted = {"token_expired", "missing_token"}
    # Lines that follow each other are written together.
    gateway.wait_event("security.auth_success")
    seen = {line["context"]["failure_reason"] for line in gateway.events("security.auth_failure")}
    assert wanted <= seen
    samples = gateway.metrics()
    for reason in wanted:
        found = [value for name, value in samples.items()
                 if name.startswith("gateway_auth_failures_total{") and f'failure_reason="{reason}"' in name]
        assert sum(found) == 1


def test_no_more_than_six_characters_of_a_token_are_logged(gateway):
    good, bad = token(), token(key="another secret that is long enough as well")
    gateway.get("/", fields=bearer(good))
    gateway.get("/", fields=bearer(bad))
    gateway.stop()
    log = gateway.child.log()
    for text in (good, bad):
        assert text[:7] not in log
        assert text.rsplit(".", 1)[1] not in log


STRICT = [
    {"path": "/orders", "upstream": "api", "auth": "required", "scopes": ["read", "write"]},
    {"path": "/transfer", "upstream": "api", "auth": "required", "step_up": {"acr": "gold", "max_age": "5m"}},
    {"path": "/admin", "upstream": "api", "auth": "required", "roles": ["admin"]},
]


def test_a_scope_that_lacks_is_named(start_guarded, backend):
    """RFC 6750 §3.1."""
    gateway = start_guarded(routes=STRICT)
    assert gateway.get("/orders", fields=bearer(token(claims(scope="write read")))).status == 200
    response = gateway.get("/orders", fields=bearer(token(claims(scope="read"))))
    assert (response.status, response.code) == (403, "PERM_001")
    assert 'error="insufficient_scope"' in response.field("WWW-Authenticate")
    assert 'scope="read write"' in response.field("WWW-Authenticate")
    assert len(backend.requests) == 1


def test_a_login_that_is_too_weak_or_too_old_is_asked_for_again(start_guarded, backend):
    """RFC 9470 §3: a 401 that says what would be enough; the token is remembered, its age is not."""
    gateway = start_guarded(routes=STRICT, tokens={"leeway": "0s"})
    now = int(time.time())
    ageing = token(claims(acr="gold", auth_time=now - 297))
    assert gateway.get("/transfer", fields=bearer(ageing)).status == 200
    for changes in ({"acr": "silver", "auth_time": now}, {"acr": "gold"}, {"acr": "gold", "auth_time": now - 400}):
        response = gateway.get("/transfer", fields=bearer(token(claims(**changes))))
        assert (response.status, response.code) == (401, "AUTH_005")
        challenge = response.field("WWW-Authenticate")
        assert 'error="insufficient_user_authentication"' in challenge
        assert challenge.endswith('acr_values="gold", max_age=300')
    wait_until("the login is too old", lambda: gateway.get("/transfer", fields=bearer(ageing)).code == "AUTH_005")


def test_administrators_need_several_factors_when_the_environment_says_so(start_gateway, backend):
    gateway = start_gateway(
        backend, environment={"MFA_REQUIRED_FOR_ADMIN": "true"}, routes=STRICT, tokens={"keys": [{"id": "main", "secret": SECRET}]})
    for methods, status in ((["pwd", "mfa"], 200), (["pwd"], 401), (None, 401)):
        body = claims(roles=["admin"], amr=methods)
        assert gateway.get("/admin", fields=bearer(token(body))).status == status
