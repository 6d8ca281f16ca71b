"""Other spellings of the same bytes."""

import json
from collections.abc import Callable

from harness.tokens import claims

from .case import Group, Respell, first, head, loose_bits, loose_signature, made, part, respelled
from .signing import OURS

SPELLING = Group(
    "Spellings of base64url",
    "Each part has one spelling (RFC 7515 §2), or a token that was seen before has another name. "
    "Header and claims are signed as they are spelled here.", "secret")
ALPHABET = "RFC 7515 §2: base64url, no padding"
NOT_B64TOKEN = "RFC 6750 §2.1: no character of a token"

# MARK: Characters that do not belong there


def behind(text: str) -> Respell:
    return lambda spelled: spelled + text


def inside(text: str) -> Respell:
    return lambda spelled: spelled[:5] + text + spelled[5:]


def sixth(change: Callable[[str], str]) -> Respell:
    return lambda spelled: spelled[:5] + change(spelled[5]) + spelled[6:]


# Whether each character may stand in a token, so that it is the part that is refused.
CHANGES = (
    ("padding behind the {}", ALPHABET, True, behind("=")),
    ("padding of two behind the {}", ALPHABET, True, behind("==")),
    ("percent-encoded padding behind the {}", ALPHABET, False, behind("%3D")),
    ("a space inside the {}", NOT_B64TOKEN, False, inside(" ")),
    ("a tab inside the {}", NOT_B64TOKEN, False, inside("\t")),
    ("a written line feed inside the {}", "CVE-2022-25898", False, inside("\\n")),
    ("a tilde inside the {}", "RFC 6750 §2.1 has it, base64url has not", True, inside("~")),
    ("a percent-encoded letter in the {}", "RFC 7515 §2", False, sixth(lambda letter: f"%{ord(letter):02X}")),
    ("a full-width letter in the {}", "RFC 7515 §2", False,
     sixth(lambda letter: chr(ord("\uff21") - ord("A") + ord(letter)))),
    ("a soft hyphen inside the {}", "RFC 7515 §2", False, inside("\u00ad")),
    ("a digit more, which is no byte in the {}", "RFC 4648 §4: no such length", True,
     lambda spelled: spelled + "A" * ((1 - len(spelled)) % 4)),
)
for _part, _reason in {
    "header": "invalid_token", "payload": "invalid_token", "signature": "invalid_signature",
}.items():
    for _name, _why, _in_token, _change in CHANGES:
        SPELLING(_name.format(_part), _why, _reason if _in_token else "invalid_token",
                 lambda w, place=_part, change=_change: respelled(**{place: change}))

# MARK: Bits to spare


def loose_header() -> str:
    header = '{"alg":"HS256" }'
    signed = f"{loose_bits(part(header))}.{part(claims())}"
    return f"{signed}.{part(OURS(signed.encode()))}"


def loose_payload() -> bytes:
    """Claims of a length that leaves bits over."""
    body = next(text for pad in range(3) if len(text := json.dumps(claims(pad="x" * pad))) % 3)
    return respelled(payload=loose_bits, body=body)


SPELLING("spare bits set in the header", "RFC 4648 §3.5", "invalid_token", lambda w: loose_header())
SPELLING("spare bits set in the claims", "RFC 4648 §3.5", "invalid_token", lambda w: loose_payload())
SPELLING("spare bits set in the signature", "RFC 4648 §3.5", "invalid_signature", lambda w: loose_signature(made()))

# MARK: Other alphabets


def standard(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def in_standard(place: int) -> str:
    """The first of many tokens with `-` or `_` in that part, which has `+` or `/` there instead."""
    def one(count: int) -> str:
        values = head(x="\u00ff\u00fb\u00ef" * (count + 1)), claims(jti="\u00ff\u00fe?>" * (count + 1))
        right = [part(json.dumps(value, ensure_ascii=False)) for value in values]
        spelled = [standard(text) if index == place else text for index, text in enumerate(right)]
        right.append(part(OURS(".".join(spelled).encode())))
        spelled.append(standard(right[2]) if place == 2 else right[2])
        return ".".join(spelled) if spelled != right else ""
    return first(one)


SPELLING("plus and slash in the header", "RFC 4648 §4: the other alphabet", "invalid_token", lambda w: in_standard(0))
SPELLING("plus and slash in the claims", "RFC 4648 §4: the other alphabet", "invalid_token", lambda w: in_standard(1))
SPELLING("plus and slash in the signature", "RFC 4648 §4", "invalid_signature", lambda w: in_standard(2))
SPELLING("the claims in hexadecimal", "RFC 7515 §2", "invalid_token",
         lambda w: respelled(payload=lambda text: json.dumps(claims()).encode().hex() + "0" * 2))
SPELLING("the claims in base64url of base64url", "RFC 7515 §2", "invalid_token", lambda w: respelled(payload=part))
SPELLING("the claims as they are", "RFC 7515 §2", "invalid_token",
         lambda w: respelled(payload=lambda text: json.dumps(claims())))
SPELLING("every part in the standard alphabet with padding", "RFC 4648 §4", "invalid_token", lambda w: ".".join(
    standard(one) + "=" * (-len(one) % 4) for one in made().split(".")))
