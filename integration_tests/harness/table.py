"""The tables of Tests/Conversations/table: bytes on one connection, and what is answered to them in order."""

import re
from dataclasses import dataclass
from pathlib import Path

from .gateway import ROOT

FOLDER = ROOT / "Tests" / "Conversations" / "table"
_SHORT = {
    "r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", ".": b"\r\n", "H": b"Host: example.org\r\n",
    "G": b"GET / HTTP/1.1\r\nHost: example.org\r\n", "P": b"POST / HTTP/1.1\r\nHost: example.org\r\n",
    "C": b"POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@dataclass
class Case:
    place: str
    text: str
    sent: bytes
    answers: list[str]
    fragment: bytes | None


def cases(path: Path) -> list[Case]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        answers, row = line.split("  -- ", 1)[0].split("  ", 1)
        text, _, fragment = row.partition("  => ")
        for choice in _expanded(text):
            found.append(Case(
                f"{path.name}:{number}", choice, _unescaped(choice), answers.split(" "),
                _unescaped(fragment) if fragment else None))
    return found


def _expanded(text: str) -> list[str]:
    head, mark, rest = text.partition("«")
    if not mark:
        return [text]
    choices, _, rest = rest.partition("»")
    return [head + choice + end for choice in choices.split("¦") for end in _expanded(rest)]


def _unescaped(text: str) -> bytes:
    out = bytearray()
    while text:
        if text[0] != "\\":
            out += text[0].encode()
            text = text[1:]
        elif text[1] == "x":
            out.append(int(text[2:4], 16))
            text = text[4:]
        elif text[1] == "(":
            repeated = re.match(r"\\\((\d+)\*(.*?)\)", text)
            assert repeated, text
            out += _unescaped(repeated[2]) * int(repeated[1])
            text = text[repeated.end():]
        else:
            out += _SHORT[text[1]]
            text = text[2:]
    return bytes(out)


_LINE = re.compile(rb"[A-Z_-]+ (/[\x21-\x22\x24-\x7e]*|\*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t\x20-\x7e\x80-\xff]*)")


def ambiguities(head: bytes) -> list[str]:
    """What in a forwarded head could be read in two ways."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = [] if _LINE.fullmatch(first) else [f"request line {first!r}"]
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.fullmatch(line) or re.fullmatch(rb"([!-9;-~]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)", line)
        if not match:
            found.append(f"field {line!r}")
            continue
        fields.setdefault(match[1].lower().replace(b"_", b"-"), []).append(match[2].strip(b" \t"))
    if len(fields.get(b"host", [])) != 1:
        found.append(f"Host {fields.get(b'host')}")
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if len(lengths) + len(codings) > 1:
        found.append(f"framed by {lengths} and {codings}")
    if any(not re.fullmatch(rb"0|[1-9][0-9]*", length) for length in lengths):
        found.append(f"Content-Length {lengths}")
    if any(coding != b"chunked" for coding in codings):
        found.append(f"Transfer-Encoding {codings}")
    for name in (b"connection", b"upgrade", b"te", b"keep-alive", b"proxy-connection", b"trailer"):
        if name in fields:
            found.append(f"{name!r} goes on")
    return found
