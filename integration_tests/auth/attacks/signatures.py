"""Signatures and HMACs that are spoiled, or made by somebody else."""

import base64
from collections.abc import Callable

from harness.tokens import SECRET, claims, encode

from .case import Group, first, head, loose_signature, made, now, part, signed, spliced
from .signing import (
    INFO, L25519, N256, N521, OTHERS, OURS, P256, Sign, block, constant, ecdsa, ecdsa_der, edwards, halves, mac,
    modulus, nothing, of, pair, pkcs1, pss, pss_block, right_block, rsa_raw, sha, then, until)

Change = Callable[[bytes], bytes]

SIGNATURE = Group(
    "Spoiled signatures",
    "A signature has one form: as long as RFC 7518 §3 says, with numbers in their range, and padding "
    "as RFC 8017 writes it.", "public")


def spoiled(alg: str, *rows: tuple[str, str, Sign]) -> None:
    """Rows are: what the signature is, why, and the signature."""
    SIGNATURE.each(f"{alg}: {{}}", "invalid_signature", [(what, why, alg, sign) for what, why, sign in rows], signed)


# MARK: ECDSA

PSYCHIC = "CVE-2022-21449"
RANGE = "FIPS 186-5 §6.4.2: 1 ≤ r, s < n"


def es256(change: Change) -> Sign:
    return then(ecdsa(), change)


def es512(change: Change) -> Sign:
    return then(ecdsa("p521", 512), change)


spoiled(
    "ES256",
    ("r and s are zero", PSYCHIC, constant(bytes(64))),
    ("r is zero", PSYCHIC, es256(lambda s: pair(0, halves(s)[1]))),
    ("s is zero", PSYCHIC, es256(lambda s: pair(halves(s)[0], 0))),
    ("r is the order of the group", PSYCHIC, es256(lambda s: pair(N256, halves(s)[1]))),
    ("s is the order of the group", PSYCHIC, es256(lambda s: pair(halves(s)[0], N256))),
    ("both are the order of the group", PSYCHIC, constant(pair(N256, N256))),
    ("both are one", RANGE, constant(pair(1, 1))),
    ("both are one less than the order", RANGE, constant(pair(N256 - 1, N256 - 1))),
    ("both have all bits set", "CVE-2024-42460", constant(b"\xff" * 64)),
    ("r is the prime of the field", RANGE, es256(lambda s: pair(P256, halves(s)[1]))),
    ("r is negated", "only s may be", es256(lambda s: pair(N256 - halves(s)[0], halves(s)[1]))),
    ("r and s are exchanged", "RFC 7518 §3.4: R first", es256(lambda s: s[32:] + s[:32])),
    ("r alone", "RFC 7518 §3.4: 64 bytes", es256(lambda s: s[:32])),
    ("r twice", RANGE, es256(lambda s: s[:32] * 2)),
    ("each number is reversed", "RFC 7518 §3.4: big-endian", es256(lambda s: s[:32][::-1] + s[32:][::-1])),
    ("a byte behind it", "CVE-2020-28042: lengths that do not fit", es256(lambda s: s + b"\0")),
    ("a zero before it", "CVE-2020-13822", es256(lambda s: b"\0" + s)),
    ("a zero before each number", "CVE-2020-13822", es256(lambda s: b"\0" + s[:32] + b"\0" + s[32:])),
    ("the last byte is missing", "RFC 7518 §3.4", es256(lambda s: s[:-1])),
    ("twice in a row", "RFC 7518 §3.4", es256(lambda s: s * 2)),
    ("in hexadecimal", "RFC 7515 §2: base64url", es256(lambda s: s.hex().encode())),
    ("one bit is wrong", "RFC 7515 §5.2", es256(lambda s: s[:-1] + bytes([s[-1] ^ 1]))),
    ("a leading zero is left out", "RFC 7518 §3.4: the full length",
     then(until(ecdsa(), lambda s: s[0] == 0), lambda s: s[1:])),
    ("DER instead of raw numbers", "RFC 7518 §3.4; haproxy#2001", ecdsa_der()),
    ("DER with a long form of its length", "CVE-2024-42461", then(ecdsa_der(), lambda s: s[:1] + b"\x81" + s[1:])),
    ("DER with numbers of zero", PSYCHIC, constant(bytes.fromhex("3006020100020100"))),
    ("over the SHA-256 of the SHA-256", "RFC 7515 §5.1: the signing input", of(ecdsa(), sha)),
    ("another key", "RFC 7515 §5.2", ecdsa(whose="theirs")),
)
spoiled("ES384", ("r and s are zero", PSYCHIC, constant(bytes(96))))
spoiled(
    "ES512",
    ("r and s are zero", PSYCHIC, constant(bytes(132))),
    ("s and the order of the group", RANGE + "; 66 bytes hold more",
     es512(lambda s: pair(halves(s)[0], halves(s)[1] + N521, 66))),
    ("r and the order of the group", RANGE, es512(lambda s: pair(halves(s)[0] + N521, halves(s)[1], 66))),
    ("the seven spare bits are set", "RFC 7518 §3.4: 521 bits in 66 bytes",
     es512(lambda s: bytes([s[0] | 0xfe]) + s[1:])),
    ("64 bytes for each number", "512 is no length of P-521", es512(lambda s: s[2:66] + s[68:])),
)

# MARK: RSA

LAX = "CVE-2006-4339, CVE-2022-24771"


def padded(info: bytes = INFO[256], size: int = 256, behind: bytes = b"", **changes: bytes | int) -> Sign:
    """EMSA-PKCS1-v1_5 with one thing changed: the digest has `info` before it, and bytes behind it."""
    return rsa_raw(lambda message: block(info + sha(message, size) + behind, **changes))


def rs256(change: Change) -> Sign:
    return then(pkcs1(), change)


def of_many(change: Change) -> str:
    """Spoils the first signature that `change` makes something of. RS256 has no randomness, so the tokens differ."""
    def one(count: int) -> str:
        token = made(head(alg="RS256"), claims(jti=f"j-{count}"), rs256(change))
        return "" if token.endswith(".") else token
    return first(one)


def above_the_modulus(signature: bytes) -> bytes:
    more = int.from_bytes(signature, "big") + modulus()
    return more.to_bytes(256, "big") if more < 1 << 2048 else b""


spoiled(
    "RS256",
    ("zero", "RFC 8017 §8.2.2", constant(bytes(256))),
    ("one", "RFC 8017 §8.2.2", constant(bytes(255) + b"\1")),
    ("the modulus", "RFC 8017 §5.2.2: out of range", lambda m: modulus().to_bytes(256, "big")),
    ("one less than the modulus", "RFC 8017 §8.2.2", lambda m: (modulus() - 1).to_bytes(256, "big")),
    ("all bits set", "RFC 8017 §5.2.2: out of range", constant(b"\xff" * 256)),
    ("the padded digest itself", "as with an exponent of one", right_block),
    ("a zero before it", "CVE-2020-14968: as long as the modulus", rs256(lambda s: b"\0" + s)),
    ("a zero behind it", "RFC 8017 §8.2.2, step 1", rs256(lambda s: s + b"\0")),
    ("the last byte is missing", "RFC 8017 §8.2.2, step 1", rs256(lambda s: s[:-1])),
    ("twice in a row", "RFC 8017 §8.2.2, step 1", rs256(lambda s: s * 2)),
    ("one bit is wrong", "RFC 7515 §5.2", rs256(lambda s: s[:-1] + bytes([s[-1] ^ 1]))),
    ("reversed", "RFC 8017 §4.2: big-endian", rs256(lambda s: s[::-1])),
    ("another key", "RFC 7515 §5.2", pkcs1(whose="theirs")),
    ("garbage behind the digest", LAX, padded(garbage=b"\xaa" * 20)),
    ("eight bytes of padding and garbage behind", LAX, padded(count=8)),
    ("seven bytes of padding", "RFC 8017 §9.2: eight at least", padded(count=7)),
    ("padding of zeros", "RFC 8017 §9.2", padded(filler=b"\0")),
    ("padding of other bytes", "CVE-2021-30246", padded(filler=b"\xfe")),
    ("block type 2", "RFC 8017 §7.2.1: that is for encryption", padded(start=b"\0\2")),
    ("block type 0", "RFC 2313 §8.1", padded(start=b"\0\0")),
    ("the digest without its DigestInfo", "CVE-2022-24772", padded(b"")),
    ("the DigestInfo of SHA-1 before a SHA-256", "CVE-2018-16151", padded(INFO[1])),
    ("the DigestInfo of SHA-512 with a SHA-512", "RFC 7518 §3.3", padded(INFO[512], 512)),
    ("parameters left out of the DigestInfo", "RFC 8017 §9.2: NULL",
     padded(bytes.fromhex("302f300b06096086480165030402010420"))),
    ("parameters of garbage in the DigestInfo", "CVE-2018-16152",
     padded(bytes.fromhex("3037301306096086480165030402010406414141414141") + b"\4\x20")),
    ("a DigestInfo with long forms of its lengths", "CVE-2014-1568",
     padded(bytes.fromhex("308131300d060960864801650304020105000420"))),
    ("a DigestInfo with a byte behind the digest", "CVE-2014-1568",
     padded(bytes.fromhex("3032300d060960864801650304020105000420"), behind=b"\0")),
    ("the digest is empty", "CVE-2021-30246",
     rsa_raw(lambda m: block(bytes.fromhex("3011300d060960864801650304020105000400")))),
    ("over the claims alone", "RFC 7515 §5.1", of(pkcs1(), lambda m: m.split(b".")[1])),
)
SIGNATURE("RS256: the modulus added to it", "RFC 8017 §5.2.2: out of range", "invalid_signature",
          lambda w: of_many(above_the_modulus))
SIGNATURE("RS256: a leading zero is left out", "RFC 8017 §8.2.2, step 1", "invalid_signature",
          lambda w: of_many(lambda s: b"" if s[0] else s[1:]))
spoiled(
    "PS256",
    ("no salt", "RFC 7518 §3.5: as long as the hash", pss(salt=0)),
    ("a salt of 20 bytes", "RFC 7518 §3.5", pss(salt=20)),
    ("the longest salt", "RFC 7518 §3.5", pss(salt=222)),
    ("MGF1 with SHA-1", "RFC 7518 §3.5: MGF1 with the same hash", pss(mask=1)),
    ("SHA-512 with a salt of 32 bytes", "RFC 7518 §3.5", pss(512, salt=32)),
    ("another trailer", "RFC 8017 §9.1.2, step 4", rsa_raw(lambda m: pss_block(m, trailer=0xcc))),
    ("a bit above the modulus' length", "RFC 8017 §9.1.2, step 6", rsa_raw(lambda m: pss_block(m, first=0x80))),
    ("padding that is not zero", "RFC 8017 §9.1.2, step 10", rsa_raw(lambda m: pss_block(m, filler=1))),
    ("a zero before it", "CVE-2020-14968", then(pss(), lambda s: b"\0" + s)),
    ("zero", "RFC 8017 §8.1.2", constant(bytes(256))),
    ("one bit is wrong", "RFC 7515 §5.2", then(pss(), lambda s: s[:9] + bytes([s[9] ^ 128]) + s[10:])),
)

# MARK: Edwards curves


def ed25519(change: Change) -> Sign:
    return then(edwards(), change)


def with_s(change: Callable[[int], int]) -> Sign:
    """S, which is little-endian, changed."""
    return ed25519(lambda s: s[:32] + change(int.from_bytes(s[32:], "little")).to_bytes(32, "little"))


spoiled(
    "EdDSA",
    ("S and the order of the group", "RFC 8032 §5.1.7, CVE-2020-36843", with_s(lambda n: n + L25519)),
    ("S is the order of the group", "CVE-2024-48949", with_s(lambda n: L25519)),
    ("S is zero", "RFC 8032 §5.1.7", with_s(lambda n: 0)),
    ("S with its three spare bits set", "RFC 8032 §5.1.7", ed25519(lambda s: s[:-1] + bytes([s[-1] | 0xe0]))),
    ("all zeros", "RFC 8032 §5.1.7", constant(bytes(64))),
    ("R is the neutral element and S is zero", "a forgery for keys of small order", constant(b"\1" + bytes(63))),
    ("R with its sign turned", "RFC 8032 §5.1.7", ed25519(lambda s: s[:31] + bytes([s[31] ^ 128]) + s[32:])),
    ("R and S are exchanged", "RFC 8032 §5.1.6", ed25519(lambda s: s[32:] + s[:32])),
    ("a byte behind it", "CVE-2024-42459", ed25519(lambda s: s + b"\0")),
    ("the last byte is missing", "CVE-2024-42459", ed25519(lambda s: s[:-1])),
    ("R alone", "RFC 8032 §5.1.7", ed25519(lambda s: s[:32])),
    ("another key", "RFC 7515 §5.2", edwards(whose="theirs")),
    ("Ed448, all zeros", "RFC 8032 §5.2.7", constant(bytes(114))),
    ("Ed448, the last byte is not zero", "RFC 8032 §5.2.7: S below the order",
     then(edwards("ed448"), lambda s: s[:-1] + b"\1")),
    ("Ed448, cut to 64 bytes", "RFC 8037 §3.1", then(edwards("ed448"), lambda s: s[:64])),
)

# MARK: HMAC

MACS = Group(
    "Spoiled and guessed HMACs", "Nothing but the whole code of the whole signing input with the whole secret.",
    "secret")
CUT = "RFC 7518 §3.2: compared whole"


def hs256(change: Change) -> Sign:
    return then(OURS, change)


def decoded(message: bytes) -> bytes:
    return b".".join(base64.urlsafe_b64decode(one + b"==") for one in message.split(b"."))


MACS.each("an HMAC {}", "invalid_signature", [
    ("empty", "CVE-2020-28042", nothing),
    ("cut to half of its length", CUT, hs256(lambda s: s[:16])),
    ("cut to one byte", CUT, hs256(lambda s: s[:1])),
    ("without its last byte", CUT, hs256(lambda s: s[:-1])),
    ("with a byte behind it", CUT, hs256(lambda s: s + b"\0")),
    ("twice in a row", CUT, hs256(lambda s: s * 2)),
    ("with its first bit wrong", CUT, hs256(lambda s: bytes([s[0] ^ 128]) + s[1:])),
    ("with its last bit wrong", CUT, hs256(lambda s: s[:-1] + bytes([s[-1] ^ 1]))),
    ("in hexadecimal", "RFC 7515 §2: base64url", hs256(lambda s: s.hex().encode())),
    ("in base64url, which is encoded again", "RFC 7515 §2", hs256(encode)),
    ("of an empty key", "CVE-2019-20933", mac(b"")),
    ("of a key of one zero byte", "RFC 8725 §2.2", mac(b"\0")),
    ("of a key of 32 zero bytes", "RFC 8725 §2.2", mac(bytes(32))),
    ("of the key `secret`", "RFC 8725 §2.2", mac(b"secret")),
    ("of the key's name", "what is in the configuration is no secret", mac(b"main")),
    ("of the first 32 bytes of the secret", "a secret is not cut", mac(SECRET.encode()[:32])),
    ("of the secret with a line feed", "jwt-go#81", mac(SECRET.encode() + b"\n")),
    ("of the secret in base64", "Kong#838", mac(base64.b64encode(SECRET.encode()))),
    ("of the secret in upper case", "RFC 8725 §2.2", mac(SECRET.upper().encode())),
    ("of the other secret", "RFC 7515 §5.2", OTHERS),
    ("of the claims alone", "RFC 7515 §5.1: header, dot, claims", of(OURS, lambda m: m.split(b".")[1])),
    ("of the header alone", "RFC 7515 §5.1", of(OURS, lambda m: m.split(b".")[0])),
    ("of both parts without the dot", "RFC 7515 §5.1", of(OURS, lambda m: m.replace(b".", b""))),
    ("of the parts in the other order", "RFC 7515 §5.1", of(OURS, lambda m: b".".join(m.split(b".")[::-1]))),
    ("of the decoded parts", "RFC 7515 §5.1: the text is signed", of(OURS, decoded)),
    ("of the text and the last dot", "RFC 7515 §5.1", of(OURS, lambda m: m + b".")),
    ("of nothing", "RFC 7515 §5.1", of(OURS, nothing)),
    ("that is a bare SHA-256 of the text", "RFC 7518 §3.2", sha),
    ("that is the SHA-256 of secret and text", "length extension", lambda m: sha(SECRET.encode() + m)),
    ("that is all zeros", "RFC 7518 §3.2", constant(bytes(32))),
], lambda w, sign: made(sign=sign))
MACS("the signature of another token", "RFC 7515 §5.2", "invalid_signature",
     lambda w: made(body=claims("mallory"), sign=nothing) + made().split(".")[2])
MACS("a forged token that has expired", "CVE-2024-51744: the signature is judged first", "invalid_signature",
     lambda w: made(body=claims(exp=now() - 900), sign=OTHERS))
REMEMBERED = "the cache compares whole tokens"
MACS("other claims under the signature of a token that is remembered", REMEMBERED, "invalid_signature",
     lambda w: spliced(w.remembered(), 1, part(claims("mallory"))))
MACS("another header before a token that is remembered", REMEMBERED, "invalid_signature",
     lambda w: spliced(w.remembered(), 0, part({"typ": "JWT", "alg": "HS256"})))
MACS("`none` before a token that is remembered", REMEMBERED, "alg_not_allowed",
     lambda w: spliced(w.remembered(), 0, part(head(alg="none"))))
MACS("a token that is remembered, its signature spelled otherwise", "RFC 4648 §3.5", "invalid_signature",
     lambda w: loose_signature(w.remembered()))
