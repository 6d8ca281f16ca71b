"""Attacks on JSON Web Tokens: tables that test_jwt_attacks.py goes through and docs/jwt-attacks.md is printed from.

A module has one group of attacks, or two that belong together. `case` and `signing` have what tokens are made of,
`configurations` what they are tried against, `world` the running gateway, `page` the page.
"""

from . import (
    algorithms, base64url, claims, confusion, credentials, dates, demands, forms, headers, key_sets, kids, signatures,
    strict_json)
from .case import Attack, Group
from .configurations import CONFIGURATIONS

__all__ = ["ATTACKS", "CONFIGURATIONS", "GROUPS"]

# As the page has them.
GROUPS: tuple[Group, ...] = (
    algorithms.NONE,
    confusion.CONFUSION,
    signatures.SIGNATURE,
    signatures.MACS,
    headers.HEADER,
    strict_json.HEADER_JSON,
    kids.KID,
    forms.FORM,
    base64url.SPELLING,
    dates.DATES,
    strict_json.CLAIMS_JSON,
    claims.WHO,
    credentials.CREDENTIALS,
    key_sets.SETS,
    demands.POLICY,
)
ATTACKS: list[Attack] = [attack for group in GROUPS for attack in group.attacks]
