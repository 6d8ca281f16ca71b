"""Files of keys and authorities for TLS to an upstream: those that cannot be used, and a new one under load."""

from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.client import request
from harness.gateway import run_binary
from harness.load import Load
from harness.upstream_tls import Service


def test_a_file_that_cannot_be_used_keeps_the_gateway_from_starting(service: Service, directory: Path) -> None:
    conf = directory / "gateway.conf"
    conf.write_text(
        'upstreams: {api: {servers: ["127.0.0.1:9"], tls: {enabled: true, ca_file: none.pem}}}\n'
        "routes: [{path: /, upstream: api, auth: none}]\n")
    told = run_binary("check", "--config", conf)
    assert told.returncode != 0
    assert "gateway.conf:1:75: error: the file" in told.stdout + told.stderr
    assert "none.pem\" cannot be used: No such file or directory" in told.stdout + told.stderr


def test_a_key_that_everybody_can_read_is_refused(service: Service) -> None:
    backend = service.backend()
    gateway = service.gateway(backend)
    chain, key = service.authority.issue("gateway.test").write(service.directory, "ours")
    Path(key).chmod(0o644)
    gateway.write_config({**gateway.settings, "upstreams": {"api": {
        "servers": [backend.address], "tls": service.tls(certificate_file=chain, key_file=key)}}})
    told = gateway.command("reload", check=False)
    assert told.returncode == 1
    assert "can be read by every user" in told.stdout + told.stderr
    assert gateway.get("/").status == 200


@pytest.mark.once
def test_a_reload_takes_a_new_authority_under_load_and_drops_no_request(service: Service) -> None:
    backend = service.backend()
    gateway = service.gateway(backend, workers=2)
    successor = Authority("Successor")
    authorities, new = Path(service.authority.write(service.directory)), Path(successor.write(service.directory, "new"))
    asking = request("GET", "/")
    with Load(gateway.address, asking, 4) as load:
        backend.wait_for(50)
        # First both are believed, then the server changes, then the old one is dropped: as one rotates an authority.
        authorities.write_bytes(authorities.read_bytes() + new.read_bytes())
        gateway.command("reload")
        backend.tls = service.context(successor.issue("127.0.0.1"))
        backend.wait_for(len(backend.requests) + 50)
        authorities.write_bytes(new.read_bytes())
        gateway.command("reload")
        backend.wait_for(len(backend.requests) + 50)
        assert {sample.status for sample in load.stop()} == {200}
    backend.tls = service.context(service.authority.issue("127.0.0.1"))
    gateway.command("reload")
    assert gateway.get("/").status == 502, "the old authority is not believed any more, and no session of its time"
