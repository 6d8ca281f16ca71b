"""Redis over TLS: both connections, with certificates of both sides; what is wrong with one is named."""

from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.gateway import run_binary
from harness.processes import wait_until
from harness.redis_users import health, reason, works


class House:
    """An authority, a Redis that speaks TLS only, and a gateway's certificate."""

    def __init__(self, directory: Path, start_redis, **certificate) -> None:
        self.directory = directory / "pki"
        self.authority = Authority()
        self.authority_path = self.authority.write(self.directory)
        self.own = self.authority.issue("gateway").write(self.directory, "gateway")
        self.write(**certificate)
        self.redis = start_redis(
            tls=True, options=[
                "--tls-cert-file", self.pair[0], "--tls-key-file", self.pair[1], "--tls-ca-cert-file", self.authority_path,
            ], cli_options=[
                "--tls", "--insecure", "--cert", self.own[0], "--key", self.own[1]])

    def write(self, *names: str, by: Authority | None = None, **validity) -> None:
        self.pair = (by or self.authority).issue(*(names or ("127.0.0.1",)), **validity).write(self.directory)

    def renew(self, *names: str, **validity) -> None:
        """As an operator does it: new files, and Redis is told; connections that are open stay, so they are ended."""
        self.write(*names, **validity)
        self.redis.cli("CONFIG", "SET", "tls-cert-file", self.pair[0], "tls-key-file", self.pair[1])
        self.disconnect()

    def disconnect(self) -> None:
        for kind in ("pubsub", "normal"):
            self.redis.cli("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def settings(self, **tls) -> dict:
        return {
            "address": f"127.0.0.1:{self.redis.port}", "startup_wait": "200ms",
            "tls": {"enabled": True, "ca_file": self.authority_path, "certificate_file": self.own[0],
                    "key_file": self.own[1], **tls}}


@pytest.fixture
def house(directory, start_redis) -> House:
    return House(directory, start_redis)


def test_blocks_and_counters_over_tls_with_both_certificates(
        house, start_gateway, login_backend, address, other_address):
    gateway = start_gateway(login_backend, house.settings())
    works(gateway, house.redis, address, other_address)


def test_a_rediss_url_and_another_name(house, start_gateway, login_backend, address, other_address):
    house.renew("redis.internal")
    gateway = start_gateway(login_backend, {
        "url": f"rediss://127.0.0.1:{house.redis.port}/0",
        "tls": {**house.settings()["tls"], "server_name": "redis.internal"}})
    works(gateway, house.redis, address, other_address)


@pytest.mark.parametrize("change, words", [
    ({"by": Authority("Somebody else")}, "the authority of the certificate is not known"),
    ({"starts": -20, "days": -10}, "certificate has expired"),
    ({"names": ("redis.example.org",)}, "the certificate is for another name"),
], ids=["another authority", "expired", "another name"])
def test_a_server_that_does_not_prove_who_it_is_is_told_nothing(
        house, start_gateway, login_backend, address, other_address, change, words):
    change = dict(change)
    house.renew(*change.pop("names", ()), **change)
    gateway = start_gateway(login_backend, house.settings())
    assert words in gateway.wait_event("ledger.degraded")["reason"]
    assert health(gateway) == "degraded" and words in reason(gateway)
    house.renew()
    works(gateway, house.redis, address, other_address)


def test_without_a_certificate_of_its_own_it_is_refused_and_says_so(house, start_gateway, login_backend):
    gateway = start_gateway(login_backend, house.settings(certificate_file=None, key_file=None) | {
        "tls": {"enabled": True, "ca_file": house.authority_path}})
    line = gateway.wait_event("ledger.degraded")
    assert "certificate" in line["reason"] or "closed" in line["reason"], line


def test_files_that_are_replaced_are_read_with_the_next_connection(
        house, start_gateway, login_backend, address, other_address):
    stranger = Authority("Somebody else")
    other = stranger.write(house.directory, "used")
    gateway = start_gateway(login_backend, house.settings(ca_file=other))
    wait_until("it is refused", lambda: "authority of the certificate" in reason(gateway))
    house.authority.write(house.directory, "used")
    works(gateway, house.redis, address, other_address)
    # And away again, while it works.
    stranger.write(house.directory, "used")
    house.disconnect()
    wait_until("it is refused", lambda: health(gateway) == "degraded" and "authority of the certificate" in reason(gateway))


def test_a_plain_gateway_and_a_redis_with_tls_do_not_wait_for_each_other(house, start_gateway, login_backend):
    gateway = start_gateway(login_backend, {"address": f"127.0.0.1:{house.redis.port}", "startup_wait": "200ms"})
    gateway.wait_event("ledger.degraded")


def test_check_names_a_file_that_is_no_certificate(house, start_gateway, login_backend, directory):
    gateway = start_gateway(login_backend)
    broken = directory / "broken.pem"
    broken.write_text("no certificate")
    gateway.write_config({**gateway.settings, "redis": house.settings(ca_file=str(broken))})
    run = run_binary("check", "--config", gateway.config_path)
    assert run.returncode != 0 and "broken.pem" in run.stdout + run.stderr
