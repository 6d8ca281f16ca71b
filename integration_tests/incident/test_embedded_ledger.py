"""Without Redis the blocks live in state_dir and survive whatever happens to the process."""

import os
import time

import pytest

from harness.logins import RIGHT, block_by_burst, fail, is_blocked
from harness.processes import wait_until


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_blocks_survive_a_restart(start_gateway, login_backend, address, other_address, way):
    gateway = start_gateway(login_backend)
    block_by_burst(gateway, address)
    gateway.command("block", other_address)
    getattr(gateway.child, way)()
    gateway.start()
    assert is_blocked(gateway, address) and is_blocked(gateway, other_address)
    assert not is_blocked(gateway, "127.99.2.2")


def test_counts_survive_an_orderly_restart(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    assert fail(gateway, address, 3) == [401] * 3
    gateway.stop()
    gateway.start()
    assert fail(gateway, address, 3) == [401, 401, 403]


def test_a_block_expires_also_while_the_gateway_is_down(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend, login={"block": "2s"})
    block_by_burst(gateway, address)
    gateway.stop()
    time.sleep(2.1)
    gateway.start()
    assert gateway.fetch(RIGHT, address).status == 200


def test_a_block_expires_to_the_moment_and_the_count_with_it(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend, login={"block": "2s"})
    block_by_burst(gateway, address)
    began = time.monotonic()
    wait_until("the block ends", lambda: not is_blocked(gateway, address), 4)
    assert 1.7 <= time.monotonic() - began <= 3
    assert fail(gateway, address, 6) == [401] * 5 + [403]


def test_unblock_lifts_at_once_and_survives_a_kill(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    block_by_burst(gateway, address)
    gateway.command("unblock", address)
    wait_until("the block is lifted", lambda: not is_blocked(gateway, address), 0.2, every=0.005)
    gateway.child.kill()
    gateway.start()
    assert fail(gateway, address, 5) == [401] * 5


def content(path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_a_torn_journal_is_read_up_to_the_tear(start_gateway, login_backend, address):
    gateway = start_gateway(login_backend)
    block_by_burst(gateway, address)
    state = gateway.directory / "state"
    # A block is in force a moment before it is on disk (docs/decisions/ledger.md, "Nothing waits for the disk").
    wait_until("the block on disk", lambda: b"failed_logins" in b"".join(map(content, state.rglob("*"))))
    gateway.child.kill()
    torn = 0
    for path in state.rglob("*"):
        if path.is_file() and path.suffix not in (".lock", ".sock") and path.stat().st_size:
            with path.open("ab") as journal:
                journal.write(b"\x07half a record")
            torn += 1
    assert torn
    gateway.start()
    assert is_blocked(gateway, address)


def test_the_state_is_private(start_gateway, login_backend):
    gateway = start_gateway(login_backend)
    state = gateway.directory / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert os.stat(gateway.admin_socket).st_mode & 0o777 == 0o600


def test_a_second_gateway_does_not_take_the_same_state(start_gateway, login_backend):
    first = start_gateway(login_backend)
    with pytest.raises(AssertionError, match="ended with"):
        start_gateway(login_backend, state_dir=str(first.directory / "state"))
    assert first.get("/").status == 200
