"""Names of keys: those that are nearly right, and those that are meant for something else than a comparison."""

from .case import Group, head, made
from .signing import ecdsa, mac

KID = Group(
    "Names of keys",
    "A kid is compared byte by byte and serves for nothing else. In `secret` the one secret judges tokens "
    "of every kid, because issuers write kids of their own; in `keyset` each key has its kid.", "keyset")
COMPARED = "RFC 7515 §4.1.4, §5.3"

KID.each("a kid {}", "unknown_kid", [
    ("that is empty", COMPARED, ""),
    ("in another case", COMPARED, "EC-1"),
    ("with a space behind", COMPARED, "ec-1 "),
    ("with a NUL and more behind", COMPARED, "ec-1\0x"),
    ("with a line feed behind", COMPARED, "ec-1\n"),
    ("that is the start of ours", COMPARED, "ec-"),
    ("that starts like ours", COMPARED, "ec-11"),
    ("in full-width letters", "RFC 7515 §5.3: no normalisation", "\uff45\uff43-1"),
    ("with percent-encoding", "RFC 7515 §5.3: no decoding", "ec%2D1"),
    ("with a directory before", COMPARED, "./ec-1"),
    ("of the configuration with ours behind", "as logs write it", "idp/ec-1"),
    ("of the configuration", COMPARED, "idp"),
    ("that is a place in the list", COMPARED, "1"),
    ("that is an asterisk", COMPARED, "*"),
    ("that is a pattern", COMPARED, "ec-[0-9]"),
    ("of two keys", COMPARED, "ec-1,ec-2"),
    ("that every object of JavaScript has", "CWE-1321", "__proto__"),
    ("of two thousand letters", "CWE-400", "k" * 2000),
], lambda w, kid: made(head(alg="ES256", kid=kid), sign=ecdsa()))
KID("no kid, where two keys could be meant", COMPARED, "unknown_kid", lambda w: made(head(alg="ES256"), sign=ecdsa()))
KID.alike("the kid is {}", "RFC 7515 §4.1.4: a string", "invalid_token", {
    "null": "null",
    "a number": "1",
    "true": "true",
    "a list": '["ec-1"]',
    "an object": '{"$ne":""}',
    "there twice": '"ec-1","kid":"ec-2"',
    "there twice, once with an escape": r'"ec-1","k\u0069d":"ec-2"',
}, lambda w, text: made(f'{{"alg":"ES256","kid":{text}}}', sign=ecdsa()))

# What a server would find that looks a key up by such a name is the secret that the token is signed with.
LOOKED_UP = "RFC 8725 §3.10, CWE-22"
GUESS = "a guess that is the kid as well, long enough"
KID.each("a kid that is {}", "invalid_signature", [
    ("a path to /dev/null, signed with nothing", LOOKED_UP, "../../../../../../dev/null", b""),
    ("an absolute path, signed with what is there", LOOKED_UP, "/proc/sys/kernel/randomize_va_space", b"2\n"),
    ("a path with backslashes", LOOKED_UP, r"..\..\..\windows\win.ini", b""),
    ("a path cut by a NUL", "CWE-158", "main\0.pem", b""),
    ("an injection of SQL, signed with what it selects", "CWE-89", "x' UNION SELECT 'known' -- ", b"known"),
    ("an injection of a command, signed with what it prints", "CWE-78", "main|echo known", b"known\n"),
    ("an injection of LDAP", "CWE-90", "*)(uid=*))(|(uid=*", b""),
    ("a look-up for Log4j", "CVE-2021-44228", "${jndi:ldap://127.0.0.1/a}", b""),
    ("a template", "CWE-1336", "{{7*7}}", b"49"),
    ("a line break and a field", "CWE-93", "main\r\nX-User-Id: admin", b"main"),
    ("the secret itself", "a name is no secret", GUESS, GUESS.encode()),
], lambda w, kid, secret: made(head(kid=kid), sign=mac(secret)), against="secret")
KID("a kid that is a URL, signed with what is there", "RFC 8725 §2.9, CWE-918", "invalid_signature",
    lambda w: made(head(kid=f"http://{w.backend.address}/key"), sign=mac(b"ok")), against="secret")
