"""Dates: missing, over, yet to come, and no numbers."""

from harness.tokens import claims

from .case import Group, head, made, member, now

DATES = Group(
    "Dates",
    "`exp` must be there, and dates are numbers within 2^53 seconds. The leeway is 30 s. All are signed by us.",
    "secret")


def dated(name: str, text: str) -> str:
    """Claims with this date written by hand."""
    return made(body=member(f'"{name}":{text}', **{name: None}))


# MARK: No date

DATES("`exp` is missing", "RFC 7519 §4.1.4; a token without end", "missing_claim",
      lambda w: made(body=claims(exp=None)))
DATES.alike("`exp` is called {}", "RFC 7519 §7.3: names are compared exactly", "missing_claim", {
    "`EXP`": "EXP", "`exp` with a space": "exp ", "`Exp`": "Exp", "`exp` with a NUL": "exp\0",
}, lambda w, name: made(body={**claims(exp=None), name: now() + 300}))
DATES("`exp` stands in an object", "RFC 7519 §4: a member of the claims", "missing_claim",
      lambda w: made(body=claims(exp=None, claims={"exp": now() + 300})))
DATES("`exp` stands in the header only", "RFC 7519 §5.3", "missing_claim",
      lambda w: made(head(exp=now() + 300), claims(exp=None)))
DATES("`expires_in` instead of `exp`", "RFC 6749 §5.1: not in a token", "missing_claim",
      lambda w: made(body=claims(exp=None, expires_in=300)))

# MARK: No number that is read

NUMERIC = "RFC 7519 §2: a number"
GRAMMAR = "RFC 8259 §6"
DATES.each("`exp` is {}", "invalid_token", [
    ("text", NUMERIC, '"4102444800"'),
    ("a date of ISO 8601", NUMERIC, '"2100-01-01T00:00:00Z"'),
    ("null", NUMERIC, "null"),
    ("true", NUMERIC, "true"),
    ("false", NUMERIC, "false"),
    ("a list", NUMERIC, "[4102444800]"),
    ("an object", NUMERIC, '{"$gt":0}'),
    ("empty text", NUMERIC, '""'),
    ("NaN", GRAMMAR, "NaN"),
    ("Infinity", GRAMMAR, "Infinity"),
    ("hexadecimal", GRAMMAR, "0xF4865700"),
    ("with a plus sign", GRAMMAR, "+4102444800"),
    ("with a leading zero", GRAMMAR, "04102444800"),
    ("without digits before its point", GRAMMAR, ".4e10"),
    ("without digits behind its point", GRAMMAR, "4102444800."),
    ("without digits of its exponent", GRAMMAR, "4e"),
    ("with underlines", GRAMMAR, "4_102_444_800"),
    ("two numbers", GRAMMAR, "4102444800 1"),
    ("in Arabic digits", GRAMMAR, "\u0664\u0661\u0660\u0662"),
    ("1e400, which is infinite in a double", GRAMMAR + ": ranges", "1e400"),
    ("1e1000", GRAMMAR + ": ranges", "1e1000"),
    ("2^53 and one", GRAMMAR + ": no longer exact", "9007199254740993"),
    ("2^63", "an overflow makes it negative", "9223372036854775808"),
    ("2^64 and a date", "an overflow makes it good", str((1 << 64) + 4_102_444_800)),
    ("a number of seventy digits", "CWE-400", "4" * 70),
    ("an exponent of a million digits' size", "CWE-400", "1e999999999"),
], lambda w, text: dated("exp", text))

# MARK: Over

DATES.alike("`exp` is {}", "RFC 7519 §4.1.4", "token_expired", {
    "zero": "0",
    "minus zero": "-0",
    "minus one": "-1",
    "the least 64-bit number of seconds that is read": "-9007199254740992",
    "a fraction of a second after 1970": "0.5",
    "tiny": "1e-300",
    "zero with an exponent": "0e999",
    "a date of 1996": "8.4e8",
}, lambda w, text: dated("exp", text))
DATES.each("`exp` {}", "token_expired", [
    ("and the leeway end now", "RFC 7519 §4.1.4: on or after", lambda: {"exp": now() - 30}),
    ("is over by more than the leeway", "RFC 7519 §4.1.4", lambda: {"exp": now() - 31}),
    ("is a fraction of a second over", "the fraction counts", lambda: {"exp": now() - 30 - 0.25}),
    ("is an hour over, with a good `iat`", "RFC 7519 §4.1.4", lambda: {"exp": now() - 3600}),
    ("in milliseconds of a date that is over, as seconds", "a unit is not guessed; the date is before 1970",
     lambda: {"exp": -now() * 1000}),
    ("is before `nbf`, both are over", "expired is told first", lambda: {"exp": now() - 900, "nbf": now() - 600}),
], lambda w, changes: made(body=claims(**changes())))
DATES("expired on a route where a token is optional", "RFC 7519 §4.1.4", "token_expired",
      lambda w: made(body=claims(exp=now() - 900)), target="/maybe")
DATES("expired in a cookie", "RFC 7519 §4.1.4", "token_expired", lambda w: [
    ("Cookie", "access_token=" + made(body=claims(exp=now() - 900)))], target="/browser")

# MARK: Yet to come

for _claim in ("nbf", "iat"):
    DATES(f"`{_claim}` is a day ahead", "RFC 7519 §4.1.5, §4.1.6", "not_yet_valid",
          lambda w, name=_claim: made(body=claims(**{name: now() + 86_400})))
    DATES(f"`{_claim}` is ten seconds beyond the leeway", "RFC 7519 §4.1.5", "not_yet_valid",
          lambda w, name=_claim: made(body=claims(**{name: now() + 40})))
    DATES(f"`{_claim}` is 2^53", "far ahead is no overflow", "not_yet_valid",
          lambda w, name=_claim: dated(name, "9007199254740992"))
    DATES.alike(f"`{_claim}` is {{}}", NUMERIC, "invalid_token", {
        "text": '"1700000000"', "null": "null", "true": "true", "a list": "[0]", "1e400": "1e400",
        "minus 1e400": "-1e400",
    }, lambda w, text, name=_claim: dated(name, text))
DATES("`nbf` in milliseconds", "RFC 7519 §2: seconds", "not_yet_valid", lambda w: made(body=claims(nbf=now() * 1000)))
