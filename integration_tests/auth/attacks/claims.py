"""Issuers and audiences that are not ours."""

from .case import AUDIENCE, ISSUER, Group, made, member, now, ours

WHO = Group(
    "Issuer and audience", "Compared byte by byte, never normalised. The configuration names one issuer, "
    f"`{ISSUER}`, and one audience, `{AUDIENCE}`.", "strict")
COMPARED = "RFC 7519 §7.3: compared exactly"

# MARK: Issuer

WHO.each("an issuer {}", "wrong_issuer", [
    ("of somebody else", "RFC 8725 §3.8", "https://evil.test/realms/demo"),
    ("with a slash at its end", COMPARED, ISSUER + "/"),
    ("without its path", COMPARED, "https://idp.test"),
    ("in upper case", COMPARED, ISSUER.upper()),
    ("with a host in upper case", COMPARED, "https://IDP.test/realms/demo"),
    ("with its port", COMPARED, "https://idp.test:443/realms/demo"),
    ("with a dot behind its host", COMPARED, "https://idp.test./realms/demo"),
    ("without TLS", COMPARED, "http://idp.test/realms/demo"),
    ("without its scheme", COMPARED, "idp.test/realms/demo"),
    ("with percent-encoding", COMPARED, "https://idp.test/realms/%64emo"),
    ("with a dot segment", COMPARED, "https://idp.test/realms/./demo"),
    ("with a query", COMPARED, ISSUER + "?"),
    ("with a fragment", COMPARED, ISSUER + "#"),
    ("with a user", COMPARED, "https://idp.test@evil.test/realms/demo"),
    ("that starts like ours", COMPARED, ISSUER + ".evil.test"),
    ("that is a part of ours", "CVE-2024-53861", ISSUER[8:16]),
    ("that is empty", COMPARED, ""),
    ("with a space before", COMPARED, " " + ISSUER),
    ("with a NUL behind", COMPARED, ISSUER + "\0"),
    ("with a line feed behind", COMPARED, ISSUER + "\n"),
    ("in full-width letters", COMPARED, ISSUER.replace("idp", "\uff49\uff44\uff50")),
    ("with a Cyrillic letter", COMPARED, ISSUER.replace("p.", "\u0440.")),
    ("with a soft hyphen", COMPARED, ISSUER.replace("idp", "id\u00adp")),
    ("with another's behind a space", COMPARED, ISSUER + " https://evil.test"),
], lambda w, iss: made(body=ours(iss=iss)))
WHO("no issuer", "RFC 8725 §3.8, CVE-2018-15801", "missing_claim", lambda w: made(body=ours(iss=None)))
WHO("the issuer under the name `ISS`", COMPARED, "missing_claim", lambda w: made(body=ours(iss=None, ISS=ISSUER)))
WHO.alike("the issuer is {}", "RFC 7519 §4.1.1: a string", "invalid_token", {
    "a list with ours": [ISSUER],
    "a list with ours and another": [ISSUER, "https://evil.test"],
    "an object": {"name": ISSUER},
    "true": True,
    "a number": 1,
}, lambda w, iss: made(body=ours(iss=iss)))
WHO("the issuer is null", "RFC 7519 §4.1.1: a string", "invalid_token",
    lambda w: made(body=member('"iss":null', aud=AUDIENCE)))

# MARK: Audience

WHO.alike("an audience {}", COMPARED, "wrong_audience", {
    "of another service": "billing",
    "in another case": "API",
    "that starts like ours": "api.evil.test",
    "that ends like ours": "my-api",
    "that is empty": "",
    "with a space behind": "api ",
    "with others behind commas": "billing,api",
    "of two words": "billing api",
    "with a slash behind": "api/",
    "that is an asterisk": "*",
    "in full-width letters": "\uff41\uff50\uff49",
    "with a NUL behind": "api\0",
    "with a combining mark": "api\u0301",
    "that is a list as text": '["api"]',
}, lambda w, aud: made(body=ours(aud=aud)))
WHO("no audience", "RFC 8725 §3.9", "missing_claim", lambda w: made(body=ours(aud=None)))
WHO("an empty list of audiences", "CVE-2020-26160", "wrong_audience", lambda w: made(body=ours(aud=[])))
WHO("a list of other audiences", "RFC 7519 §4.1.3", "wrong_audience",
    lambda w: made(body=ours(aud=["billing", "mail"])))
WHO("ours in `azp` only", "OpenID Connect Core §2", "wrong_audience",
    lambda w: made(body=ours(aud="billing", azp=AUDIENCE)))
WHO("ours in `client_id` only", "RFC 9068 §2.2: not the audience", "missing_claim",
    lambda w: made(body=ours(aud=None, client_id=AUDIENCE)))
WHO.alike("the audience is {}", "RFC 7519 §4.1.3: strings", "invalid_token", {
    "a list with ours and a number": ["api", 1],
    "a list with null before ours": [None, "api"],
    "a list with a list": [["api"]],
    "a list with an object": [{"name": "api"}],
    "an object": {"api": True},
    "a number": 1,
    "true": True,
}, lambda w, aud: made(body=ours(aud=aud)))
WHO("the audience is null", "RFC 7519 §4.1.3", "invalid_token", lambda w: made(body=member('"aud":null', iss=ISSUER)))

# MARK: What is told first

WHO("an expired token of another issuer", "the date is told first", "token_expired",
    lambda w: made(body=ours(iss="https://evil.test", exp=now() - 900)))
WHO("a token for nobody of another issuer", "the issuer is told first", "wrong_issuer",
    lambda w: made(body=ours(iss="https://evil.test", aud="billing")))
