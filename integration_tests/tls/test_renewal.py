"""Certificates that are renewed while the gateway runs: no signal is sent, and clients notice by the new one only."""

import json
import resource
import shutil
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from harness.backend import Backend
from harness.certificates import Authority, Identity
from harness.client import request
from harness.gateway import merged
from harness.load import Load
from harness.processes import wait_until

from .edge import Edge

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
# The gateway looks every two seconds; the rest is for a machine that is busy.
SOON = 15.0


def served(edge: Edge, name: str = "gateway.test") -> bytes:
    """The certificate that a new connection is shown, in DER."""
    with edge.connect(name=name) as client:
        shown = client.socket.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def der(identity: Identity) -> bytes:
    return identity.certificate.public_bytes(serialization.Encoding.DER)


def comes(edge: Edge, identity: Identity, name: str = "gateway.test") -> None:
    wait_until("the certificate is served", lambda: served(edge, name) == der(identity), SOON)


def stays(edge: Edge, identity: Identity) -> None:
    assert served(edge) == der(identity)
    with edge.connect() as client:
        assert client.ask(request("GET", "/")).status == 200


def swap(link: Path, target: str) -> None:
    """rename(2) over the link, as the kubelet does it."""
    draft = link.with_name(link.name + "_tmp")
    draft.symlink_to(target)
    draft.rename(link)


class Volume:
    """As Kubernetes mounts a secret: `tls.crt` → `..data/tls.crt`, `..data` → `..2026_1`; an update makes the next
    directory, turns `..data` to it and removes the old one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.version = 0
        directory.mkdir()
        for name in ("tls.crt", "tls.key"):
            (directory / name).symlink_to(f"..data/{name}")

    def put(self, chain: bytes | None, key: bytes) -> None:
        old = self.directory / f"..2026_{self.version}"
        self.version += 1
        place = self.directory / f"..2026_{self.version}"
        place.mkdir()
        for name, contents in (("tls.crt", chain), ("tls.key", key)):
            if contents is not None:
                (place / name).write_bytes(contents)
                (place / name).chmod(0o640)
        swap(self.directory / "..data", place.name)
        shutil.rmtree(old, ignore_errors=True)

    @property
    def section(self) -> dict[str, Any]:
        return {"certificate_file": str(self.directory / "tls.crt"), "key_file": str(self.directory / "tls.key")}


@pytest.fixture
def volume(directory: Path) -> Volume:
    return Volume(directory / "volume")


# Renewed


def test_a_swapped_directory_of_links_is_served_to_new_connections(
    start_edge: Callable[..., Edge], authority: Authority, volume: Volume,
) -> None:
    first = authority.issue("gateway.test")
    volume.put(first.chain_pem, first.key_pem)
    edge = start_edge(volume.section)
    stays(edge, first)
    for _ in range(2):
        renewed = authority.issue("gateway.test")
        volume.put(renewed.chain_pem, renewed.key_pem)
        comes(edge, renewed)
    # The line comes after the certificate is in force.
    wait_until("both are logged", lambda: [
        line["names"] for line in edge.gateway.events("tls.certificates_loaded")] == ["gateway.test"] * 2)
    assert edge.gateway.events("tls.certificate_unusable") == []
    assert edge.gateway.events("gateway.reloaded") == []


def test_files_that_are_written_over_are_served_to_new_connections(edge: Edge, authority: Authority) -> None:
    """In place, one after the other: a look in between finds a pair that does not fit and waits for the other file."""
    renewed = authority.issue("gateway.test")
    section = edge.gateway.settings["tls"]
    Path(section["certificate_file"]).write_bytes(renewed.chain_pem)
    Path(section["key_file"]).write_bytes(renewed.key_pem)
    comes(edge, renewed)


def test_a_pair_that_is_renewed_slowly_is_served_once_it_fits(edge: Edge, authority: Authority) -> None:
    renewed = authority.issue("gateway.test")
    section = edge.gateway.settings["tls"]
    Path(section["certificate_file"]).write_bytes(renewed.chain_pem)
    edge.gateway.wait_event("tls.certificate_unusable", SOON, setting="tls.key_file")
    stays(edge, edge.server)
    Path(section["key_file"]).write_bytes(renewed.key_pem)
    comes(edge, renewed)


def test_a_certificate_for_a_further_name_is_renewed_by_itself(
    start_edge: Callable[..., Edge], authority: Authority, volume: Volume,
) -> None:
    shop = authority.issue("shop.test")
    volume.put(shop.chain_pem, shop.key_pem)
    edge = start_edge({"certificates": [volume.section]})
    comes(edge, shop, "shop.test")
    renewed = authority.issue("shop.test", "more.test")
    volume.put(renewed.chain_pem, renewed.key_pem)
    comes(edge, renewed, "shop.test")
    comes(edge, renewed, "more.test")
    stays(edge, edge.server)


def test_the_metrics_tell_the_end_of_the_renewed_certificate(edge: Edge, authority: Authority) -> None:
    name = 'gateway_tls_certificate_expiry_timestamp_seconds{index="0",name="gateway.test"}'
    assert edge.gateway.metrics()[name] == edge.server.certificate.not_valid_after_utc.timestamp()
    renewed = authority.issue("gateway.test", days=45)
    renewed.write(edge.directory)
    end = renewed.certificate.not_valid_after_utc.timestamp()
    wait_until("the metric", lambda: edge.gateway.metrics()[name] == end, SOON)


def test_open_connections_go_on_over_a_renewal(edge: Edge, authority: Authority, backend: Backend) -> None:
    renewed = authority.issue("gateway.test")
    with edge.connect() as client:
        assert client.ask(request("GET", "/")).status == 200
        renewed.write(edge.directory)
        comes(edge, renewed)
        assert client.ask(request("POST", "/", body=b"x" * 100_000)).status == 200
    assert backend.requests[-1].body == b"x" * 100_000


@pytest.mark.once
def test_no_request_fails_while_certificates_are_renewed(
    start_edge: Callable[..., Edge], authority: Authority, volume: Volume,
) -> None:
    first = authority.issue("gateway.test")
    volume.put(first.chain_pem, first.key_pem)
    edge = start_edge(volume.section)
    with Load(edge.gateway.secure_address, request("GET", "/"), 2, pause=0.005, tls=edge.context()) as kept, \
            Load(edge.gateway.secure_address, request("GET", "/", {"Connection": "close"}), 2, pause=0.005,
                 tls=edge.context()) as fresh:
        for _ in range(2):
            renewed = authority.issue("gateway.test")
            volume.put(renewed.chain_pem, renewed.key_pem)
            comes(edge, renewed)
        samples = kept.stop() + fresh.stop()
    assert len(samples) > 10
    assert {sample.status for sample in samples} == {200}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_made_before_a_renewal_does_not_break(
    edge: Edge, authority: Authority, version: ssl.TLSVersion,
) -> None:
    """It is resumed, or there is a full handshake with the new certificate; either way the client is served."""
    context = edge.context()
    context.minimum_version = context.maximum_version = version
    with edge.connect(context) as client:
        client.ask(request("GET", "/"))
        session = client.socket.session
    renewed = authority.issue("gateway.test")
    renewed.write(edge.directory)
    comes(edge, renewed)
    for _ in range(4):
        with edge.connect(context, session=session) as client:
            assert client.ask(request("GET", "/")).status == 200


# Broken


BROKEN: dict[str, tuple[Callable[[Authority, Identity], tuple[bytes | None, bytes]], str]] = {
    "garbage for a certificate": (lambda _, own: (b"\x00garbage\xff", own.key_pem), "certificate_file"),
    "an empty certificate": (lambda _, own: (b"", own.key_pem), "certificate_file"),
    "no certificate": (lambda _, own: (None, own.key_pem), "certificate_file"),
    "half a certificate": (lambda _, own: (own.chain_pem[:300], own.key_pem), "certificate_file"),
    "garbage for a key": (lambda _, own: (own.chain_pem, b"garbage"), "key_file"),
    "the key of another certificate": (
        lambda authority, own: (own.chain_pem, authority.issue("gateway.test").key_pem), "key_file"),
    "the chain in the wrong order": (
        lambda authority, own: (Identity(authority.certificate, own.key, own.certificate).chain_pem, own.key_pem),
        "key_file"),
}


@pytest.mark.parametrize("which", list(BROKEN))
def test_what_cannot_be_used_leaves_the_old_certificate_and_a_good_one_heals_it(
    start_edge: Callable[..., Edge], authority: Authority, volume: Volume, which: str,
) -> None:
    first = authority.issue("gateway.test")
    volume.put(first.chain_pem, first.key_pem)
    edge = start_edge(volume.section)
    make, setting = BROKEN[which]
    volume.put(*make(authority, authority.issue("gateway.test")))
    told = edge.gateway.wait_event("tls.certificate_unusable", SOON)
    assert (told["setting"], told["file"]) == (f"tls.{setting}", volume.section[setting])
    assert edge.gateway.metrics()['gateway_tls_certificate_loads_total{result="failed"}'] == 1
    stays(edge, first)
    renewed = authority.issue("gateway.test")
    volume.put(renewed.chain_pem, renewed.key_pem)
    comes(edge, renewed)
    assert len(edge.gateway.events("tls.certificate_unusable")) == 1, "it is said once, not with every look"


def test_a_deleted_file_leaves_the_old_certificate_and_its_return_heals_it(edge: Edge, authority: Authority) -> None:
    key = Path(edge.gateway.settings["tls"]["key_file"])
    key.unlink()
    told = edge.gateway.wait_event("tls.certificate_unusable", SOON)
    assert (told["setting"], told["file"]) == ("tls.key_file", str(key))
    stays(edge, edge.server)
    renewed = authority.issue("gateway.test")
    renewed.write(edge.directory)
    comes(edge, renewed)


def test_a_new_key_that_everybody_can_read_is_not_used(edge: Edge, authority: Authority) -> None:
    renewed = authority.issue("gateway.test")
    chain, key = renewed.write(edge.directory / "next")
    Path(key).chmod(0o644)
    for new, setting in ((key, "key_file"), (chain, "certificate_file")):
        Path(new).rename(edge.gateway.settings["tls"][setting])
    edge.gateway.wait_event(
        "tls.certificate_unusable", SOON, setting="tls.key_file",
        reason="the key can be read by every user of this machine")
    stays(edge, edge.server)
    Path(edge.gateway.settings["tls"]["key_file"]).chmod(0o600)
    Path(edge.gateway.settings["tls"]["key_file"]).write_bytes(renewed.key_pem)
    comes(edge, renewed)


def test_nothing_of_a_broken_key_is_logged(edge: Edge) -> None:
    secret = "TheKeyThatNobodyMaySee"
    Path(edge.gateway.settings["tls"]["key_file"]).write_text(
        f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")
    edge.gateway.wait_event("tls.certificate_unusable", SOON, setting="tls.key_file")
    assert secret not in edge.gateway.child.log()


def test_an_expired_certificate_is_served_and_said(edge: Edge, authority: Authority) -> None:
    """Whoever puts it there may have no other; clients decide. It is an error in the log all the same."""
    expired = authority.issue("gateway.test", starts=-10, days=-1)
    expired.write(edge.directory)
    edge.gateway.wait_event("tls.certificate_problem", SOON, reason="the certificate has expired")
    line = edge.gateway.wait_event("tls.certificate_expires", level="ERROR")
    assert line["name"] == "gateway.test" and line["days"] < 0
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        edge.connect()


# Reloads


@pytest.fixture
def misfit(edge: Edge, authority: Authority, directory: Path) -> dict[str, Any]:
    """A section of settings with a key that belongs to another certificate."""
    chain, _ = authority.issue("gateway.test").write(directory / "misfit", "one")
    _, key = authority.issue("gateway.test").write(directory / "misfit", "other")
    return merged(edge.gateway.settings, {
        "tls": {"certificate_file": chain, "key_file": key},
        "routes": [{"path": "/", "upstream": "api", "auth": "none", "methods": ["POST"]}]})


def test_a_reload_with_a_pair_that_does_not_fit_is_refused_and_says_so(edge: Edge, misfit: dict[str, Any]) -> None:
    edge.gateway.write_config(misfit)
    answer = edge.gateway.command("reload", check=False)
    assert answer.returncode == 1
    said = answer.stdout + answer.stderr
    assert misfit["tls"]["key_file"] in said
    assert "the key does not belong to the first certificate of the chain" in said
    edge.gateway.wait_event("gateway.reload_failed")
    assert edge.gateway.events("gateway.reloaded") == []
    stays(edge, edge.server)


def test_a_signal_with_a_pair_that_does_not_fit_changes_nothing(
    edge: Edge, authority: Authority, misfit: dict[str, Any],
) -> None:
    good = edge.gateway.settings
    edge.gateway.write_config(misfit)
    edge.gateway.signal(signal.SIGHUP)
    edge.gateway.wait_event("gateway.reload_failed")
    stays(edge, edge.server)
    # The certificates that stay in force are still those that are looked after.
    renewed = authority.issue("gateway.test")
    renewed.write(edge.directory)
    comes(edge, renewed)
    edge.gateway.write_config(good)
    assert edge.gateway.command("reload", check=False).returncode == 0


def test_a_reload_with_files_that_broke_under_the_same_paths_is_refused(edge: Edge, authority: Authority) -> None:
    Path(edge.gateway.settings["tls"]["certificate_file"]).write_bytes(authority.issue("gateway.test").chain_pem)
    assert edge.gateway.command("reload", check=False).returncode == 1
    edge.gateway.wait_event("gateway.reload_failed")
    stays(edge, edge.server)


def test_a_reload_brings_renewed_files_into_force_at_once(edge: Edge, authority: Authority) -> None:
    renewed = authority.issue("gateway.test")
    renewed.write(edge.directory)
    assert edge.gateway.command("reload").returncode == 0
    stays(edge, renewed)


def test_a_reload_without_tls_leaves_no_certificate_whose_end_is_told(edge: Edge) -> None:
    def ends() -> list[str]:
        return [name for name in edge.gateway.metrics() if name.startswith("gateway_tls_certificate_expiry")]

    secured = edge.gateway.settings
    assert len(ends()) == 1
    for settings, left in [(merged(secured, {"tls": None}), 0), (secured, 1)]:
        edge.gateway.write_config(settings)
        assert edge.gateway.command("reload").returncode == 0
        assert len(ends()) == left


def test_after_a_reload_the_new_paths_are_looked_after_and_the_old_ones_are_not(
    edge: Edge, authority: Authority, volume: Volume,
) -> None:
    first = authority.issue("gateway.test")
    volume.put(first.chain_pem, first.key_pem)
    edge.gateway.write_config(merged(edge.gateway.settings, {"tls": volume.section}))
    assert edge.gateway.command("reload").returncode == 0
    stays(edge, first)
    authority.issue("gateway.test").write(edge.directory)
    renewed = authority.issue("gateway.test")
    volume.put(renewed.chain_pem, renewed.key_pem)
    comes(edge, renewed)
    edge.gateway.wait_event("tls.certificates_loaded")
    assert len(edge.gateway.events("tls.certificates_loaded")) == 1


# Found by these tests


def test_a_chain_that_is_cut_in_its_second_certificate_is_not_served(edge: Edge, authority: Authority) -> None:
    """As a look in the middle of a write finds it. Clients that lack the intermediate one could not go on."""
    renewed = authority.issue("gateway.test")
    Path(edge.gateway.settings["tls"]["key_file"]).write_bytes(renewed.key_pem)
    Path(edge.gateway.settings["tls"]["certificate_file"]).write_bytes(renewed.chain_pem[:-100])

    def read() -> bool:
        return served(edge) == der(renewed) or bool(
            edge.gateway.events("tls.certificate_unusable", setting="tls.certificate_file"))

    wait_until("the gateway has read the file", read, SOON)
    stays(edge, edge.server)


# Unread


def replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(0o600)
    draft.rename(path)


def key_set(kid: str) -> str:
    return json.dumps({"keys": [{"kty": "oct", "kid": kid, "alg": "HS256", "k": "YSBrZXkgb2YgdGhlIHRlc3RzLCB3aXRoIDMyIGJ5dGU"}]})


def signing_key() -> str:
    return Authority().issue("gateway.test").key_pem.decode()


def test_files_that_could_not_be_read_for_a_moment_are_read_later(
    start_edge: Callable[..., Edge], authority: Authority, directory: Path,
) -> None:
    """No descriptor was free when they were looked at: they do not change once more for that."""
    keys, feed, signs = (directory / name for name in ("keys.json", "feed.txt", "signs.pem"))
    replace(keys, key_set("before"))
    replace(feed, "203.0.113.1\n")
    replace(signs, signing_key())
    edge = start_edge(
        tokens={"keys": [{"id": "idp", "jwks_file": str(keys)}]}, feeds=[{"name": "drop", "file": str(feed)}],
        assertion={"header": "X-Assertion", "issuer": "https://edge.test", "audience": "backends",
                   "key_file": str(signs)})
    gateway = edge.gateway
    gateway.wait_event("block.feed_loaded", SOON)
    pid = gateway.child.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # What is open stays open, and nothing more is opened.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    renewed = authority.issue("gateway.test")
    renewed.write(edge.directory)
    replace(keys, key_set("after"))
    replace(feed, "203.0.113.1\n203.0.113.2\n")
    replace(signs, signing_key())
    for event in (
        "tls.certificate_unusable", "keys.file_unusable", "block.feed_refused", "assertion.key_file_unusable",
    ):
        assert "Too many open files" in gateway.wait_event(event, SOON)["reason"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    comes(edge, renewed)
    gateway.wait_event("keys.file_loaded", SOON)
    gateway.wait_event("block.feed_loaded", SOON, entries=2)
    gateway.wait_event(timeout=SOON, service="audit", action="key_rotation")
