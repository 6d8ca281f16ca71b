"""JSON that readers understand differently: in the header, and in the claims."""

import json

from harness.tokens import claims

from .case import Group, made, member, nested, now

GRAMMAR = "RFC 8259"

# MARK: The header

HEADER_JSON = Group(
    "JSON of the header", "One strict object in UTF-8, in which no name stands twice. Readers who would mend it read "
    "different things. All are signed by us.", "secret")
TWICE = "RFC 7515 §4: names are unique"
ONE_OBJECT = "RFC 7515 §4: a JSON object"
HEADER_JSON.each("the header is or has {}", "invalid_token", [
    ("`alg` twice, `none` first", TWICE, '{"alg":"none","alg":"HS256"}'),
    ("`alg` twice, `none` last", TWICE, '{"alg":"HS256","alg":"none"}'),
    ("`alg` twice, the same", TWICE, '{"alg":"HS256","alg":"HS256"}'),
    ("`alg` twice, once with an escape", TWICE, r'{"alg":"HS256","\u0061lg":"none"}'),
    ("`kid` twice", TWICE, '{"alg":"HS256","kid":"main","kid":"other"}'),
    ("an unknown name twice", TWICE, '{"alg":"HS256","x":1,"x":2}'),
    ("a name twice in an object inside", TWICE, '{"alg":"HS256","x":{"y":1,"y":2}}'),
    ("a list", ONE_OBJECT, '["HS256"]'),
    ("a string", ONE_OBJECT, '"HS256"'),
    ("a number", ONE_OBJECT, "256"),
    ("null", ONE_OBJECT, "null"),
    ("spaces only", ONE_OBJECT, "   "),
    ("an object in a list", ONE_OBJECT, '[{"alg":"HS256"}]'),
    ("two objects", ONE_OBJECT, '{"alg":"HS256"}{"alg":"none"}'),
    ("a word behind it", ONE_OBJECT, '{"alg":"HS256"} true'),
    ("a NUL behind it", ONE_OBJECT, '{"alg":"HS256"}\0'),
    ("a brace behind it", ONE_OBJECT, '{"alg":"HS256"}}'),
    ("not closed", GRAMMAR + " §4", '{"alg":"HS256"'),
    ("a byte order mark before it", GRAMMAR + " §8.1", '\ufeff{"alg":"HS256"}'),
    ("UTF-16", GRAMMAR + " §8.1, RFC 8725 §3.7", '{"alg":"HS256"}'.encode("utf-16-le")),
    ("a byte that is not UTF-8", "RFC 3629", b'{"alg":"HS256","x":"\xff"}'),
    ("an overlong `alg`", "RFC 3629 §10: two bytes for a letter", b'{"\xc1\xa1lg":"none","alg":"HS256"}'),
    ("a surrogate in UTF-8", "RFC 3629 §3", b'{"alg":"HS256","x":"\xed\xa0\x80"}'),
    ("a character above U+10FFFF", "RFC 3629 §3", b'{"alg":"HS256","x":"\xf4\x90\x80\x80"}'),
    ("a cut character", "RFC 3629 §4", b'{"alg":"HS256","x":"\xe2\x82"}'),
    ("a first half of a pair", GRAMMAR + " §8.2", r'{"alg":"HS256","x":"\ud800"}'),
    ("a second half of a pair", GRAMMAR + " §8.2", r'{"alg":"HS256","x":"\udc00"}'),
    ("two halves in the wrong order", GRAMMAR + " §8.2", r'{"alg":"HS256","x":"\udc00\ud800"}'),
    ("an escape of two digits", GRAMMAR + " §7", r'{"alg":"HS256","x":"\x41"}'),
    ("an escape of three digits", GRAMMAR + " §7", r'{"alg":"HS256","x":"\u041"}'),
    ("an escape with braces", GRAMMAR + " §7", r'{"alg":"HS256","x":"\u{41}"}'),
    ("an escaped quote of one kind", GRAMMAR + " §7", r'{"alg":"HS256","x":"\'"}'),
    ("a line feed in a string", GRAMMAR + " §7", '{"alg":"HS256","x":"a\nb"}'),
    ("a NUL in a string", GRAMMAR + " §7", '{"alg":"HS256","x":"a\0b"}'),
    ("single quotes", GRAMMAR + " §7", "{'alg':'HS256'}"),
    ("a name without quotes", GRAMMAR + " §4", '{alg:"HS256"}'),
    ("a name that is a number", GRAMMAR + " §4", '{"alg":"HS256",1:2}'),
    ("a comma too many", GRAMMAR + " §4", '{"alg":"HS256",}'),
    ("a comma too few", GRAMMAR + " §4", '{"alg":"HS256" "x":1}'),
    ("an equals sign", GRAMMAR + " §4", '{"alg"="HS256"}'),
    ("a comment", GRAMMAR + " §2", '{/* ours */"alg":"HS256"}'),
    ("a comment to the end of the line", GRAMMAR + " §2", '{"alg":"HS256"// ours\n}'),
    ("NaN", GRAMMAR + " §6", '{"alg":"HS256","x":NaN}'),
    ("True with a capital", GRAMMAR + " §3", '{"alg":"HS256","x":True}'),
    ("a no-break space between", GRAMMAR + " §2", '{"alg":\u00a0"HS256"}'),
    ("a form feed between", GRAMMAR + " §2", '{"alg":\f"HS256"}'),
    ("seventeen levels", "a stack is finite", '{"alg":"HS256","x":' + json.dumps(nested(16)) + "}"),
    ("lists a thousand deep", "a stack is finite", '{"alg":"HS256","x":' + "[" * 1000 + "]" * 1000 + "}"),
    ("objects a hundred deep", "a stack is finite", '{"alg":"HS256","x":' + '{"x":' * 100 + "1" + "}" * 100 + "}"),
    ("129 members", "names are compared with each other",
     json.dumps({"alg": "HS256", **{f"x{n}": n for n in range(128)}})),
    ("a number of a hundred digits", "no number needs them", '{"alg":"HS256","x":' + "1" * 100 + "}"),
    ("five thousand bytes", "read before anything is known of its sender",
     json.dumps({"alg": "HS256", "x": "x" * 5000})),
], lambda w, text: made(text))

# MARK: The claims

CLAIMS_JSON = Group(
    "JSON of the claims", "One strict object, as with the header: a signature of ours does not make two meanings one.",
    "secret")
ONCE = "RFC 7519 §4: names are unique"
ONE_SET = "RFC 7519 §7.2, step 10"


def good(*subject: str, **changes: object) -> str:
    return json.dumps(claims(*subject, **changes))


def unclosed(text: str) -> str:
    """Good claims, but for what stands in place of their last brace."""
    return good()[:-1] + text


def with_bytes(value: bytes) -> bytes:
    return member('"x":"@@"').encode().replace(b"@@", value)


CLAIMS_JSON.each("the claims are or have {}", "invalid_token", [
    ("`sub` twice", ONCE, lambda: member('"sub":"mallory"')),
    ("`sub` twice, once with an escape", ONCE, lambda: member(r'"\u0073ub":"mallory"')),
    ("`exp` twice, one over", ONCE, lambda: member('"exp":1')),
    ("`exp` twice, once with an escape", ONCE, lambda: member(r'"e\u0078p":9999999999', exp=now() - 900)),
    ("`aud` twice", ONCE, lambda: member('"aud":"api"', aud="other")),
    ("an unknown name twice", ONCE, lambda: member('"x":1,"x":1')),
    ("a name twice in an object inside", ONCE, lambda: member('"realm_access":{"roles":["user"],"roles":["admin"]}')),
    ("a name twice in a list inside", ONCE, lambda: member('"x":[{"y":1,"y":2}]')),
    ("a name twice, once as a pair of surrogates", ONCE, lambda: member('"\U0001f511":1,"\\ud83d\\udd11":2')),
    ("a list of claims", ONE_SET, lambda: json.dumps([claims()])),
    ("a string", ONE_SET, lambda: json.dumps(good())),
    ("a number", ONE_SET, lambda: "1"),
    ("null", ONE_SET, lambda: "null"),
    ("true", ONE_SET, lambda: "true"),
    ("a second object behind", ONE_SET, lambda: good() + good("mallory")),
    ("a line with another object behind", "RFC 7519 §7.2", lambda: good() + "\n{}"),
    ("a NUL behind", "CWE-158", lambda: good() + "\0"),
    ("a brace too many", GRAMMAR + " §4", lambda: good() + "}"),
    ("a brace too few", GRAMMAR + " §4", lambda: unclosed("")),
    ("a byte order mark", GRAMMAR + " §8.1", lambda: "\ufeff" + good()),
    ("UTF-16", "RFC 8725 §3.7", lambda: good().encode("utf-16-be")),
    ("UTF-32", "RFC 8725 §3.7", lambda: good().encode("utf-32-be")),
    ("Latin-1", "RFC 8725 §3.7", lambda: json.dumps(claims("Ren\u00e9"), ensure_ascii=False).encode("latin-1")),
    ("an overlong slash", "RFC 3629 §10", lambda: with_bytes(b"\xc0\xaf")),
    ("an overlong NUL", "RFC 3629 §10", lambda: with_bytes(b"\xc0\x80")),
    ("a pair of surrogates in UTF-8", "RFC 3629 §3: CESU-8", lambda: with_bytes(b"\xed\xa0\xbd\xed\xb4\x91")),
    ("half a pair in `sub`", GRAMMAR + " §8.2", lambda: member(r'"sub":"alice\ud800"', sub=None)),
    ("half a pair before an escape", GRAMMAR + " §8.2", lambda: member(r'"x":"\ud83d\u0041"')),
    ("half a pair in a name", GRAMMAR + " §8.2", lambda: member(r'"\udead":1')),
    ("a cut escape", GRAMMAR + " §7", lambda: unclosed(r',"x":"\u00')),
    ("a bare line feed in `sub`", GRAMMAR + " §7", lambda: member('"sub":"alice\nmallory"', sub=None)),
    ("single quotes", GRAMMAR + " §7", lambda: good().replace('"', "'")),
    ("a comma at the end", GRAMMAR + " §4", lambda: unclosed(",}")),
    ("a comma at the start", GRAMMAR + " §4", lambda: "{," + good()[1:]),
    ("a comma at the end of a list", GRAMMAR + " §5", lambda: member('"x":[1,]')),
    ("a comment", GRAMMAR + " §2", lambda: unclosed("/* all */}")),
    ("a call of a function around it", "JSONP", lambda: f"f({good()})"),
    ("a prefix against scripts", "as in answers for browsers", lambda: ")]}'\n" + good()),
    ("undefined", GRAMMAR + " §3", lambda: member('"x":undefined')),
    ("minus Infinity", GRAMMAR + " §6", lambda: member('"x":-Infinity')),
    ("lists a thousand deep", "CWE-674", lambda: member('"x":' + "[" * 1000 + "]" * 1000)),
    ("objects a thousand deep", "CWE-674", lambda: member('"x":' + '{"x":' * 1000 + "1" + "}" * 1000)),
    ("seventeen levels", "CWE-674", lambda: good(x=nested(16))),
    ("lists that are not closed", "CWE-674", lambda: unclosed(',"x":' + "[" * 1000)),
    ("five hundred members", "CWE-407: names are compared with each other",
     lambda: good(**{f"x{n}": n for n in range(500)})),
    ("MessagePack", "RFC 7519 §7.2: JSON", lambda: b"\x82\xa3sub\xa5alice\xa3exp\xce\xf4\x86\x57\x00"),
    ("CBOR", "RFC 8392: another format", lambda: b"\xa2\x02\x65alice\x04\x1a\xf4\x86\x57\x00"),
    ("a form", "RFC 7519 §7.2: JSON", lambda: "sub=alice&exp=9999999999"),
], lambda w, text: made(body=text()))
CLAIMS_JSON.alike("`sub` is {}", "RFC 7519 §4.1.2: a string", "invalid_token", {
    "null": "null", "true": "true", "a list": '["alice"]', "an object": '{"id":"alice"}',
}, lambda w, text: made(body=member(f'"sub":{text}', sub=None)))
CLAIMS_JSON("`sub` of nine thousand letters", "does not fit into identity headers", "token_too_large",
            lambda w: made(body=claims("a" * 9_000)))
CLAIMS_JSON("`sub` that is too long when it is encoded", "does not fit into identity headers", "token_too_large",
            lambda w: made(body=member('"sub":"' + "\u00e9" * 1_500 + '"', sub=None)))
