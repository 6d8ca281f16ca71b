"""Good tokens that fall short of what a route demands."""

from typing import Any

from .case import AUDIENCE, ISSUER, Group, made, member, now, ours
from .signing import OTHERS

POLICY = Group(
    "Demands of routes", "Roles, scopes, claims and logins are compared exactly, and only where they belong "
    "([authorization.md](authorization.md)). All tokens are good, and fall short.", "policy")
EXACT = "compared exactly"
# How each route refuses.
NO_ROLE = {"target": "/admin", "status": 403, "code": "PERM_002"}
NO_SCOPE = {"target": "/orders", "status": 403, "code": "PERM_001"}
NO_LOGIN = {"target": "/transfer", "status": 401, "code": "AUTH_005"}
NO_METHOD = {**NO_LOGIN, "target": "/mfa"}


def no_claim(target: str) -> dict[str, Any]:
    return {"target": target, "status": 403, "code": "PERM_001"}


def short(
    name: str, why: str, refused: dict[str, Any], reason: str = "insufficient_permissions", **changes: Any,
) -> None:
    POLICY(name, why, reason, lambda w: made(body=ours(**changes)), **refused)


# MARK: Roles

POLICY.each("roles {}", "insufficient_permissions", [
    ("that start like it", EXACT, ["administrator"]),
    ("that end like it", EXACT, ["superadmin"]),
    ("in upper case", EXACT, ["ADMIN"]),
    ("with a space inside the list", EXACT, ["admin "]),
    ("with two in one element", "only text is split", ["user admin"]),
    ("in a list in the list", "RFC 7643 §4.1.2 has no such", [["admin"]]),
    ("as an object", EXACT, {"admin": True}),
    ("as a list of objects", EXACT, [{"name": "admin"}]),
    ("as text with commas", "spaces, nothing else", "user,admin"),
    ("as text with a tab", "spaces, nothing else", "user\tadmin"),
    ("as text with a line feed", "spaces, nothing else", "user\nadmin"),
    ("as text with a no-break space", "spaces, nothing else", "user\u00a0admin"),
    ("as JSON in text", EXACT, '["admin"]'),
    ("with an asterisk", "no pattern", ["*"]),
    ("true", EXACT, True),
    ("a number", EXACT, 1),
    ("an empty list", EXACT, []),
    ("in full-width letters", EXACT, ["\uff41\uff44\uff4d\uff49\uff4e"]),
    ("with a Cyrillic letter", EXACT, ["\u0430dmin"]),
    ("with a NUL behind", EXACT, ["admin\0"]),
    ("with a zero-width joiner", EXACT, ["ad\u200dmin"]),
    ("with percent-encoding", EXACT, ["%61dmin"]),
    ("in two pieces", EXACT, ["adm", "in"]),
    ("with a prefix", EXACT, ["ROLE_admin"]),
], lambda w, roles: made(body=ours(roles=roles)), **NO_ROLE)
POLICY.alike("the role stands in {} instead", "`tokens.roles_claim`", "insufficient_permissions", {
    "`role`": {"role": "admin"},
    "`Roles`": {"Roles": ["admin"]},
    "`groups`": {"groups": ["admin"]},
    "an object": {"realm_access": {"roles": ["admin"]}},
    "the scope": {"scope": "admin"},
    "`sub`": {"sub": "admin"},
}, lambda w, changes: made(body=ours(**changes)), **NO_ROLE)
POLICY("roles there twice, once with an escape", "RFC 7519 §4: names are unique", "invalid_token",
       lambda w: made(body=member(r'"\u0072oles":["admin"]', iss=ISSUER, aud=AUDIENCE)), target="/admin")
POLICY("roles are null", EXACT, "insufficient_permissions",
       lambda w: made(body=member('"roles":null', roles=None, iss=ISSUER, aud=AUDIENCE)), **NO_ROLE)

# MARK: Scopes

POLICY.each("scopes: {}", "insufficient_permissions", [
    ("one of two", "all are needed", "orders.read"),
    ("both in one word", EXACT, "orders.readorders.write"),
    ("both behind a comma", "RFC 6749 §3.3: spaces", "orders.read,orders.write"),
    ("both behind a tab", "RFC 6749 §3.3: spaces", "orders.read\torders.write"),
    ("both in one element of a list", "only text is split", ["orders.read orders.write"]),
    ("a pattern", "no pattern", "orders.*"),
    ("the name above both", "no hierarchy", "orders"),
    ("in upper case", "RFC 6749 §3.3: case matters", "ORDERS.READ ORDERS.WRITE"),
    ("as an object", EXACT, {"orders.read": True, "orders.write": True}),
    ("lists in a list", EXACT, [["orders.read"], ["orders.write"]]),
    ("twice the same", "all are needed", "orders.read orders.read"),
], lambda w, scope: made(body=ours(scope=scope)), **NO_SCOPE)
short("scopes: in `scp`", "`tokens.scopes_claim`", NO_SCOPE, scp=["orders.read", "orders.write"])
short("scopes: one in `scope`, one in `roles`", "`tokens.scopes_claim`", NO_SCOPE,
      scope="orders.read", roles=["orders.write"])

# MARK: Claims

POLICY.each("a claim {}", "missing_claim", [
    ("in another case", EXACT, "Gold"),
    ("with a space", EXACT, "gold "),
    ("of two values", "claims are not split", "gold silver"),
    ("in an object", EXACT, {"gold": True}),
    ("in a list in a list", EXACT, [["gold"]]),
    ("that is the word of the settings", "no value", "@present"),
    ("as a number", EXACT, 1),
    ("that is empty", EXACT, ""),
], lambda w, tier: made(body=ours(tier=tier)), **no_claim("/gold"))
short("no claim", "`claims` of the route", no_claim("/gold"), "missing_claim")
POLICY("a claim that must be there is null", "`@present`: any value but null", "missing_claim",
       lambda w: made(body=member('"email":null', iss=ISSUER, aud=AUDIENCE)), **no_claim("/mail"))
POLICY.alike("a claim that must be true is {}", EXACT, "missing_claim", {
    "false": False, "`True` as text": "True", "`1`": 1, "an object": {"true": True},
}, lambda w, value: made(body=ours(email_verified=value)), **no_claim("/verified"))
EDITOR = {"roles": ["editor"]}
short("a claim with dots hides the path", "the member of exactly that name wins", no_claim("/realm"), "missing_claim",
      **{"realm_access.roles": ["user"], "realm_access": EDITOR})
short("a path through a list", "names lead into objects", no_claim("/realm"), "missing_claim", realm_access=[EDITOR])
short("a path that is one name too short", "names lead into objects", no_claim("/realm"), "missing_claim", **EDITOR)
short("a path below another object", "names lead from the outermost", no_claim("/realm"), "missing_claim",
      resource_access={"realm_access": EDITOR})

# MARK: Logins


def login(level: object = "gold", ago: int = 0, **changes: object) -> dict[str, object]:
    return {"acr": level, "auth_time": now() - ago, **changes}


POLICY.each("{}", "insufficient_permissions", [
    ("`acr` is missing", "RFC 9470 §3", lambda: login(None)),
    ("`acr` of another level", "RFC 9470 §3", lambda: login("silver")),
    ("`acr` starts like the level", EXACT, lambda: login("gold+")),
    ("`acr` in another case", EXACT, lambda: login("GOLD")),
    ("`acr` of two levels", "OpenID Connect Core §2: one", lambda: login("silver gold")),
    ("`acr` is an object", EXACT, lambda: login({"gold": True})),
    ("`acr` is true", EXACT, lambda: login(True)),
    ("the level stands in `acr_values`", "a parameter of requests", lambda: login(None, acr_values="gold")),
    ("`auth_time` is missing", "who does not tell is too old", lambda: {"acr": "gold"}),
    ("`auth_time` is too long ago", "RFC 9470 §4", lambda: login(ago=900 + 31)),
    ("`auth_time` is in the future", "a login that is yet to come", lambda: login(ago=-300)),
    ("`auth_time` in milliseconds", "RFC 7519 §2: seconds", lambda: login(auth_time=now() * 1000)),
    ("`auth_time` is negative", "RFC 9470 §4", lambda: login(auth_time=-1)),
    ("`auth_time` is text", "OpenID Connect Core §2: a number", lambda: login(auth_time=str(now()))),
    ("`auth_time` is null", "OpenID Connect Core §2: a number", lambda: {"acr": "gold", "auth_time": None}),
    ("`auth_time` is a list", "OpenID Connect Core §2: a number", lambda: login(auth_time=[now()])),
    ("a fresh `iat` instead of `auth_time`", "a refreshed token is no login", lambda: {"acr": "gold", "iat": now()}),
    ("`acr` is a list with the level", "OpenID Connect Core §2: a string", lambda: login(["gold"])),
], lambda w, changes: made(body=ours(**changes())), **NO_LOGIN)
short("`acr` is a number, the level is its text", "OpenID Connect Core §2: a string", {**NO_LOGIN, "target": "/level"},
      acr=2)
POLICY.each("`amr` {}", "insufficient_permissions", [
    ("of a password only", "RFC 9470 §3", ["pwd"]),
    ("an empty list", "RFC 8176", []),
    ("in another case", EXACT, ["MFA"]),
    ("in a list in the list", EXACT, [["mfa"]]),
    ("as an object", EXACT, {"mfa": True}),
    ("that is true", EXACT, True),
    ("as text", "RFC 8176: a list", "mfa"),
    ("as text with several", "RFC 8176: a list", "pwd mfa"),
    ("that starts like it", EXACT, ["mfa-skipped"]),
], lambda w, amr: made(body=ours(amr=amr)), **NO_METHOD)
short("`amr` is missing", "RFC 9470 §3", NO_METHOD)
short("the method stands in `acr`", "RFC 8176", NO_METHOD, acr="mfa")

# MARK: What is told first

POLICY("an expired token with every role", "the token is judged before its rights", "token_expired",
       lambda w: made(body=ours(roles=["admin"], exp=now() - 900)), target="/admin")
POLICY("a forged token with every role", "the token is judged before its rights", "invalid_signature",
       lambda w: made(body=ours(roles=["admin"]), sign=OTHERS), target="/admin")
POLICY("every role, but for another audience", "RFC 8725 §3.9", "wrong_audience",
       lambda w: made(body=ours(roles=["admin"], aud="billing")), target="/admin")
