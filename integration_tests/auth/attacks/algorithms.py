"""Tokens without an algorithm."""

from harness.tokens import claims

from .case import Group, head, made, ours, part
from .signing import constant, nothing

NONE = Group(
    "No algorithm",
    "`none` is nobody's algorithm, however it is spelled and wherever the token stands. A header without an "
    "algorithm is not read as one.", "secret")
UNSECURED = "RFC 8725 §2.1, RFC 7518 §3.6"

NONE.alike("alg is {}, no signature", UNSECURED, "alg_not_allowed", {
    "`none`": "none",
    "`None`": "None",
    "`NONE`": "NONE",
    "`nOnE`": "nOnE",
    "`none` with a space behind": "none ",
    "`none` with a space before": " none",
    "`none` with a NUL behind": "none\0",
    "`none` with a line feed behind": "none\n",
    "`none` in full-width letters": "\uff4e\uff4f\uff4e\uff45",
    "`none` with a Cyrillic letter": "n\u043ene",
    "`none` with a zero-width space": "no\u200bne",
    "`none` behind a byte order mark": "\ufeffnone",
    "`none` before HS256": "none,HS256",
    "`none` behind HS256": "HS256,none",
    "no text": "",
    "the text `null`": "null",
    "the text `undefined`": "undefined",
    "an asterisk": "*",
}, lambda w, alg: made({"alg": alg, "typ": "JWT"}, sign=nothing))
NONE("alg is `none` written with an escape", "RFC 8259 §7", "alg_not_allowed",
     lambda w: made(r'{"alg":"\u006eone"}', sign=nothing))
NONE("alg is `none`, the signature is ours", "RFC 7519 §6: with none the signature is empty", "alg_not_allowed",
     lambda w: made(head(alg="none")))
NONE("alg is `none`, the signature is anything", UNSECURED, "alg_not_allowed",
     lambda w: made(head(alg="none"), sign=constant(b"anything")))
NONE("alg is `none`, the third part is missing", "RFC 7515 §7.1: always two dots", "invalid_token",
     lambda w: made(head(alg="none"), sign=nothing).rstrip("."))
NONE("alg is `none` in the header of a good token", "the header is signed, too", "alg_not_allowed",
     lambda w: ".".join([part(head(alg="none")), *made().split(".")[1:]]))
NONE.alike("alg is {}", "RFC 7515 §4.1.1: a string", "invalid_token", {
    "null": "null",
    "false": "false",
    "zero": "0",
    "an empty list": "[]",
    "a list with `none`": '["none"]',
    "a list with HS256": '["HS256"]',
    "a list with HS256 and `none`": '["HS256","none"]',
    "an object": '{"alg":"HS256"}',
}, lambda w, text: made(f'{{"alg":{text},"typ":"JWT"}}'))
NONE("alg is missing", "RFC 7515 §4.1.1: must be there", "invalid_token", lambda w: made({"typ": "JWT"}))
NONE("the header is an empty object", "RFC 7515 §4.1.1", "invalid_token", lambda w: made({}))
NONE("the member is called `ALG`", "RFC 7515 §5.3: names are compared exactly", "invalid_token",
     lambda w: made({"ALG": "HS256"}))
NONE("the member is called `alg` with a space", "RFC 7515 §5.3", "invalid_token", lambda w: made({"alg ": "HS256"}))
NONE("alg stands in the payload only", "RFC 7515 §4", "invalid_token",
     lambda w: made({"typ": "JWT"}, claims(alg="HS256")))
NONE("alg stands in an object `header` of the header", "RFC 7515 §7.2.1: no unprotected header here", "invalid_token",
     lambda w: made({"header": {"alg": "HS256"}}))
NONE("`none` where public keys are known", UNSECURED, "alg_not_allowed",
     lambda w: made(head(alg="none"), sign=nothing), against="public")
NONE("`none` with the kid of a known key", UNSECURED, "alg_not_allowed",
     lambda w: made(head(alg="none", kid="ec-1"), sign=nothing), against="keyset")
NONE("`none` in the name of a provider", UNSECURED, "alg_not_allowed",
     lambda w: made(head(alg="none", kid="a"), claims(iss=w.a.issuer), nothing), against="providers")
NONE("`none` in a cookie", UNSECURED, "alg_not_allowed",
     lambda w: [("Cookie", "access_token=" + made(head(alg="none"), sign=nothing))], target="/browser")
NONE("`none` on a route where a token is optional", "a bad token is no missing token", "alg_not_allowed",
     lambda w: made(head(alg="none"), sign=nothing), target="/maybe")
NONE("`none` with claims that ask for everything", "CVE-2022-23540", "alg_not_allowed",
     lambda w: made(head(alg="none"), ours(roles=["admin"], scope="orders.read orders.write"), nothing),
     against="policy", target="/admin")
