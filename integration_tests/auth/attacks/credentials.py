"""Where a token stands in a request: fields, schemes, cookies, and places where none is looked for."""

import base64
from typing import Any

from harness.client import request
from harness.tokens import claims

from .case import Group, Raw, made
from .signing import OTHERS

CREDENTIALS = Group(
    "Credentials",
    "One token, at one place, in one spelling: the Authorization field, or the cookie of the route where there "
    "is no such field. All tokens are good but where it is said.", "secret")

# MARK: Several fields


def authorization(*values: str) -> list[tuple[str, str]]:
    return [("Authorization", value) for value in values]


def forged() -> str:
    return made(sign=OTHERS)


CREDENTIALS("nothing", "RFC 6750 §3.1: no error is named", "missing_token", lambda w: [])
CREDENTIALS("two fields with the same token", "RFC 9110 §5.3: no list", "invalid_token",
            lambda w: authorization(*[f"Bearer {made()}"] * 2))
CREDENTIALS.each("two fields, {}", "invalid_token", [
    ("the first is forged", "RFC 9110 §5.3", lambda: authorization(f"Bearer {forged()}", f"Bearer {made()}")),
    ("the last is forged", "RFC 9110 §5.3", lambda: authorization(f"Bearer {made()}", f"Bearer {forged()}")),
    ("the first is Basic", "RFC 9110 §5.3", lambda: authorization("Basic YTpi", f"Bearer {made()}")),
    ("the last is Basic", "RFC 9110 §5.3", lambda: authorization(f"Bearer {made()}", "Basic YTpi")),
    ("the second is empty", "RFC 9110 §5.3", lambda: authorization(f"Bearer {made()}", "")),
    ("their names in other cases", "RFC 9110 §5.1",
     lambda: [("authorization", f"Bearer {made()}"), ("AUTHORIZATION", f"Bearer {made()}")]),
], lambda w, fields: fields())

# MARK: The value of one field

SCHEME = "RFC 6750 §2.1, RFC 9110 §11.4"


def credential(name: str, reason: str, value: str, why: str = SCHEME, **more: Any) -> None:
    """The value of an Authorization field, with a good token for @."""
    CREDENTIALS(name, why, reason, lambda w: authorization(
        value.replace("@", made()).encode().decode("latin-1")), **more)


credential("the field is empty", "missing_token", "")
credential("`Bearer` alone", "invalid_token", "Bearer")
credential("`Bearer` and a comma", "invalid_token", "Bearer, @")
credential("`Bearer` and a colon", "invalid_token", "Bearer: @")
credential("`Bearer` and an equals sign", "invalid_token", "Bearer=@")
credential("`Bearer` and a tab", "invalid_token", "Bearer\t@")
credential("`Bearer`, a space and a tab", "invalid_token", "Bearer \t@")
credential("`Bearer` and a no-break space", "invalid_token", "Bearer\u00a0@")
credential("`Bearer` and a wide space", "invalid_token", "Bearer\u3000@")
credential("`Bearer` and the token without a space", "missing_token", "Bearer@", SCHEME + ": another scheme")
credential("`Bearer` twice", "invalid_token", "Bearer Bearer @")
credential("`Bearer` in full-width letters", "missing_token", "\uff22\uff45\uff41\uff52\uff45\uff52 @")
credential("the token in double quotes", "invalid_token", 'Bearer "@"')
credential("the token in single quotes", "invalid_token", "Bearer '@'")
credential("the token in angle brackets", "invalid_token", "Bearer <@>")
credential("the token as a parameter", "invalid_token", 'Bearer token="@"', "RFC 9110 §11.2")
credential("a parameter behind the token", "invalid_token", 'Bearer @, realm="x"', "RFC 9110 §11.2")
credential("two tokens behind a comma", "invalid_token", "Bearer @, Bearer @", "RFC 9110 §5.3")
credential("two tokens behind a comma without a space", "invalid_token", "Bearer @,@", "RFC 9110 §5.3")
credential("two tokens behind a space", "invalid_token", "Bearer @ @")
credential("two tokens behind a semicolon", "invalid_token", "Bearer @;@")
credential("`Basic` before `Bearer`", "missing_token", "Basic YTpi, Bearer @", "RFC 9110 §11.6.2: one scheme")
CREDENTIALS("the token as a password of Basic", "RFC 7617", "missing_token",
            lambda w: authorization("Basic " + base64.b64encode(f"alice:{made()}".encode()).decode()))
credential("the scheme `DPoP`", "missing_token", "DPoP @", "RFC 9449 §7.1: bound to a key")
credential("the scheme `JWT`", "missing_token", "JWT @")
credential("the scheme `Token`", "missing_token", "Token @")
credential("the scheme `Negotiate`", "missing_token", "Negotiate @", "RFC 4559")
credential("the token without a scheme", "missing_token", "@")
credential("a token with a byte above 127", "invalid_token", "Bearer @\u00ff")
CREDENTIALS("`bEaReR` before a forged token", "RFC 9110 §11.1: any case is read", "invalid_signature",
            lambda w: authorization(f"bEaReR {forged()}"))

# MARK: Sizes and characters that HTTP refuses

CREDENTIALS("seventeen kilobytes", "tokens.max_bytes", "token_too_large", lambda w: made(body=claims(pad="x" * 12_900)))
CREDENTIALS("seventeen kilobytes of no token", "tokens.max_bytes", "token_too_large", lambda w: "\u00ff" * 17_000)
CREDENTIALS("forty kilobytes", "limits.head", "", lambda w: made(body=claims(pad="x" * 30_000)),
            status=431, code="REQ_002")


def broken(token: str, text: str) -> str:
    return f"Bearer {token[:9]}{text}{token[9:]}"


CREDENTIALS.alike("{} in the field", "RFC 9110 §5.5", "malformed_request", {
    "a NUL": "\0",
    "a carriage return": "\r",
    "a line feed": "\n",
    "a delete": "\x7f",
    "a bell": "\a",
    "a folded line": "\r\n ",
}, lambda w, text: authorization(broken(made(), text)), status=400, code="REQ_001")
CREDENTIALS("a space before the colon of the field", "RFC 9112 §5.1", "malformed_request",
            lambda w: [("Authorization ", f"Bearer {made()}")], status=400, code="REQ_001")

# MARK: Other places

NOT_OURS = "not a field of ours"
CREDENTIALS.each("the token in `{}`", "missing_token", [
    ("Proxy-Authorization", "RFC 9110 §11.7.2: for a proxy's own users", "Proxy-Authorization"),
    ("X-Authorization", NOT_OURS, "X-Authorization"),
    ("X-Forwarded-Authorization", NOT_OURS, "X-Forwarded-Authorization"),
    ("Authentication", NOT_OURS, "Authentication"),
    ("X-Original-Authorization", NOT_OURS, "X-Original-Authorization"),
], lambda w, name: [(name, f"Bearer {made()}")])
CREDENTIALS.each("the token in `{}`", "missing_token", [
    (name, NOT_OURS, name) for name in ("X-Access-Token", "X-JWT-Assertion", "X-Auth-Token", "X-Amzn-Oidc-Data")
], lambda w, name: [(name, made())])
WEBSOCKET = [
    ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
CREDENTIALS("the token in the query", "RFC 6750 §2.3, RFC 9700 §4.3.2", "missing_token",
            lambda w: Raw(request("GET", f"/?access_token={made()}")))
CREDENTIALS("the token in a form", "RFC 6750 §2.2", "missing_token", lambda w: Raw(request(
    "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, f"access_token={made()}".encode())))
CREDENTIALS("the token in a trailer", "RFC 9110 §6.5.1", "missing_token", lambda w: Raw(
    request("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "Authorization"})
    + f"2\r\nhi\r\n0\r\nAuthorization: Bearer {made()}\r\n\r\n".encode()))
CREDENTIALS("the token as a protocol of a WebSocket", "RFC 6455 §4.1", "missing_token",
            lambda w: [*WEBSOCKET, ("Sec-WebSocket-Protocol", f"bearer, {made()}")])
CREDENTIALS.each("{}", "missing_token", [
    ("identity headers instead of a token", "SEC: they are the gateway's own", [
        ("X-User-ID", "admin"), ("X-User-Role", "admin"), ("X-Authenticated", "true")]),
    ("the path of an open route in `X-Original-URL`", "the path is the request's", [
        ("X-Original-URL", "/open"), ("X-Rewrite-URL", "/open")]),
    ("a method that needs no token in `X-HTTP-Method-Override`", "the method is the request's alone", [
        ("X-HTTP-Method-Override", "OPTIONS"), ("Origin", "https://app.test"),
        ("Access-Control-Request-Method", "GET")]),
], lambda w, fields: fields)
CREDENTIALS("OPTIONS that is no preflight", "Fetch §3.2.2", "missing_token",
            lambda w: Raw(request("OPTIONS", "/", {"Origin": "https://app.test"})))
CREDENTIALS("a malformed field on a route where a token is optional", SCHEME, "invalid_token",
            lambda w: authorization("Bearer"), target="/maybe")
CREDENTIALS("two fields on a route where a token is optional", "RFC 9110 §5.3", "invalid_token",
            lambda w: authorization(*[f"Bearer {made()}"] * 2), target="/maybe")

# MARK: Cookies

COOKIE = "RFC 6265 §4.2"


def cookie(name: str, reason: str, *values: str, why: str = COOKIE, target: str = "/browser") -> None:
    """The values of Cookie fields, with a good token for @."""
    CREDENTIALS(f"cookie: {name}", why, reason, lambda w: [
        ("Cookie", value.replace("@", made())) for value in values], target=target)


cookie("on a route without a cookie", "missing_token", "access_token=@", target="/",
       why="a cookie is sent by every page")
cookie("twice in a field", "invalid_token", "access_token=@; access_token=@",
       why="RFC 6265 §5.4: which is first is chance")
cookie("twice in two fields", "invalid_token", "access_token=@", "access_token=@", why="RFC 6265 §5.4")
cookie("there, and empty a second time", "invalid_token", "access_token=@; access_token=", why="RFC 6265 §5.4")
cookie("empty", "missing_token", "access_token=")
cookie("under a name in another case", "missing_token", "Access_Token=@", why="RFC 6265 §5.3: exactly")
cookie("under a name that ends like it", "missing_token", "__Host-access_token=@", why="RFC 6265bis §4.1.3")
cookie("under a name that starts like it", "missing_token", "access_token2=@")
cookie("with a space before the equals sign", "missing_token", "access_token =@")
cookie("without an equals sign", "missing_token", "access_token; @")
cookie("behind a comma", "missing_token", "theme=dark, access_token=@", why="RFC 2965: not any more")
cookie("inside a quoted value of another one", "invalid_token",
       'theme="dark; access_token=@; lang=en"; access_token=@', why="RFC 2965; quotes protect no semicolon")
cookie("with one quotation mark", "invalid_token", 'access_token="@')
CREDENTIALS("cookie: percent-encoded", COOKIE, "invalid_token",
            lambda w: [("Cookie", "access_token=" + made().replace(".", "%2E"))], target="/browser")
cookie("with `Bearer` inside", "invalid_token", "access_token=Bearer @")
CREDENTIALS("cookie: in a `Set-Cookie` field", "RFC 6265 §5.2: for answers", "missing_token",
            lambda w: [("Set-Cookie", f"access_token={made()}")], target="/browser")


def good_cookie() -> tuple[str, str]:
    return "Cookie", f"access_token={made()}"


FIRST = "the field goes first"
CREDENTIALS("cookie: good, behind a forged token", FIRST, "invalid_signature",
            lambda w: [*authorization(f"Bearer {forged()}"), good_cookie()], target="/browser")
CREDENTIALS("cookie: good, beside another scheme", FIRST, "missing_token",
            lambda w: [*authorization("Basic YTpi"), good_cookie()], target="/browser")
CREDENTIALS("cookie: good, beside an empty field", FIRST, "missing_token",
            lambda w: [*authorization(""), good_cookie()], target="/browser")
CREDENTIALS("cookie: good, beside `Bearer` alone", FIRST, "invalid_token",
            lambda w: [*authorization("Bearer"), good_cookie()], target="/browser")
CREDENTIALS("cookie: good, a WebSocket of a page elsewhere", "CWE-1385: the browser sends it along", "foreign_origin",
            lambda w: [*WEBSOCKET, ("Origin", "https://evil.test"), good_cookie()],
            target="/browser", status=403, code="PERM_001")
