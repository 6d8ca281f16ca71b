"""The generators must notice what is wrong: a number that counts errors is worse than none. Beside the real backend."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import processes, workspace  # noqa: E402

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    service, port = processes.start_backend(tmp_path_factory.mktemp("backend"))
    with service:
        yield port


def run(name, port, *options):
    """Exit code, and the line of JSON or the words on standard error."""
    command = [workspace.tool(name), "--port", str(port), *map(str, options)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return ran.returncode, json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr.strip()


def test_every_connection_has_its_share_of_the_requests(port):
    code, seen = run("loop", port, "--requests", 100, "--connections", 7, "--length", 100)
    assert (code, seen["requests"], seen["reconnects"]) == (0, 100, 0)


@pytest.mark.parametrize(
    "options, complaint",
    [
        (["--path", "/nothing"], "unexpected answer: HTTP/1.1 404 Not Found"),
        (["--length", 101], "a body of another length: 100 bytes, not 101"),
        (["--path", "/chunked", "--method", "POST", "--body-bytes", MEBIBYTE, "--chunk", 9000, "--length", 1],
         f"a body of another length: {MEBIBYTE} bytes, not 1"),
    ],
)
def test_an_answer_that_is_not_as_expected_ends_the_run(port, options, complaint):
    assert run("loop", port, "--requests", 1, *options) == (1, complaint)


@pytest.mark.parametrize("missing, status", [(0, 200), (1, 400)])
def test_an_upload_is_only_good_when_every_byte_arrived(port, missing, status):
    options = ["--path", "/upload", "--method", "POST", "--body-bytes", 10 * MEBIBYTE - missing, "--expect", status]
    code, seen = run("loop", port, "--requests", 2, *options)
    assert (code, seen["requests"]) == (0, 2)


@pytest.mark.parametrize("chunk", [1, 4096, 16384, MEBIBYTE])
def test_chunks_of_any_size_go_both_ways(port, chunk):
    options = ["--path", "/chunked", "--method", "POST", "--body-bytes", MEBIBYTE, "--chunk", chunk]
    code, seen = run("loop", port, "--requests", 2, "--length", MEBIBYTE, *options)
    assert (code, seen["requests"]) == (0, 2)


def test_lines_of_a_file_take_turns_from_the_first_one_on(port, tmp_path):
    file = tmp_path / "paths"
    file.write_text("/nothing\n/100\n/100\n/nothing\n")
    assert run("loop", port, "--paths", file, "--first", 1, "--requests", 2)[0] == 0
    assert run("loop", port, "--paths", file, "--first", 1, "--requests", 3)[0] == 1
    assert run("loop", port, "--paths", file, "--first", 5, "--requests", 2)[0] == 0


def test_a_fixed_rate_is_kept(port):
    code, seen = run("loop", port, "--seconds", 0.5, "--rate", 1000, "--connections", 4)
    assert (code, seen["requests"]) == (0, 500)


def test_a_connection_for_each_request(port):
    assert run("loop", port, "--requests", 20, "--connections", 2, "--reconnect")[0] == 0


def test_messages_come_back_over_a_websocket(port):
    code, seen = run("websocket", port, "--requests", 50, "--connections", 3)
    assert (code, seen["requests"]) == (0, 50)
    code, words = run("websocket", port, "--requests", 1, "--path", "/100")
    assert (code, words) == (1, "no upgrade: HTTP/1.1 200 OK")
