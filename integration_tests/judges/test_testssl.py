"""testssl.sh looks for weaknesses of the TLS listener, and finds nothing that it rates medium or worse."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.backend import Backend
from harness.certificates import Authority
from harness.gateway import Gateway
from harness.programs import needed

# What is medium or worse and says nothing of the gateway, by testssl's own ids.
ACCEPTED = {
    "cert_revocation": "the test's certificate names neither a CRL nor an OCSP responder, as short-lived ones do",
}
# `WARN` says that something could not be tested, which is no finding; what must be is named below.
CALM = {"OK", "INFO", "LOW", "WARN"}
# Protocols, ciphers, forward secrecy, preferences, defaults, headers, vulnerabilities; not the simulated browsers.
CHECKS = ["-p", "-s", "-f", "-P", "-S", "-h", "-U"]


@pytest.mark.timeout(420)
def test_testssl_finds_nothing_of_medium_severity_or_above(
    start_gateway: Callable[..., Gateway], backend: Backend, directory: Path,
) -> None:
    testssl = needed("testssl")
    authority = Authority()
    chain, key = authority.issue("gateway.test").write(directory / "tls")
    gateway = start_gateway(backend, tls={
        "listen": ["127.0.0.1:0"], "certificate_file": chain, "key_file": key, "hsts_max_age": "365d"},
        security_headers={"enabled": True})
    report = directory / "testssl.json"
    subprocess.run(
        [testssl, *CHECKS, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
         "--add-ca", authority.write(directory / "tls"), "--jsonfile", str(report),
         f"gateway.test:{gateway.secure_address[1]}"],
        stdin=subprocess.DEVNULL, stdout=(directory / "testssl.log").open("w"), stderr=subprocess.STDOUT, timeout=400,
        check=False)
    findings = json.loads(report.read_text())
    names = {finding["id"] for finding in findings}
    for looked_at in ("TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "BREACH", "LUCKY13", "PFS", "HSTS_time"):
        assert looked_at in names, f"testssl did not get as far as {looked_at}"
    worse = [finding for finding in findings if finding["severity"] not in CALM]
    assert [finding for finding in worse if finding["id"] not in ACCEPTED] == []
    unused = ACCEPTED.keys() - {finding["id"] for finding in worse}
    assert not unused, f"nothing shows these any more: {unused}"
