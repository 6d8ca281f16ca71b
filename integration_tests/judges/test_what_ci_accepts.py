"""What CI must not pass over in silence: a judge that is missing, and a claim that held only the second time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import programs
from harness.gateway import ROOT

EXIT_OF_FAILED_TESTS = 1


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine on which nothing is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return monkeypatch


def test_a_missing_program_fails_in_ci_and_names_its_package(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"^testssl is missing: apt-get install testssl\.sh$"):
        programs.needed("testssl")


def test_a_missing_program_is_skipped_elsewhere_and_names_its_package(bare: pytest.MonkeyPatch) -> None:
    bare.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^testssl is missing: apt-get install testssl\.sh$"):
        programs.needed("testssl")


def test_a_program_that_bootstrap_does_not_install_may_not_be_needed(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="scripts/bootstrap does not install no-such-judge"):
        programs.needed("no-such-judge")


@pytest.mark.parametrize(("is_possible", "outcome"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)])
def test_only_where_it_cannot_be_installed_may_ci_skip_autobahn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_possible: bool, outcome: type[BaseException],
) -> None:
    """Of a checkout without the suite, on machines with and without a Python 2.7."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "install-wstest").symlink_to(ROOT / "scripts" / "install-wstest")
    monkeypatch.setattr(programs, "ROOT", tmp_path)
    monkeypatch.setenv("CI", "true")
    # Any program that takes `-c` stands for Python 2.7; a home without pyenv's.
    monkeypatch.setenv("PYTHON27", sys.executable if is_possible else "")
    monkeypatch.setenv("HOME", str(tmp_path))
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "cat", "dirname"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(outcome, match="^wstest is missing"):
        programs.wstest()


def test_a_claim_that_is_marked_once_is_not_run_again_and_others_are(tmp_path: Path) -> None:
    """With the `--reruns 2` of `make test`: each test writes a line whenever it runs, and fails the first time only."""
    runs = tmp_path / "runs.txt"
    (tmp_path / "test_claims.py").write_text(f"""
import pathlib, pytest
def fails_first(name):
    path = pathlib.Path({str(runs)!r})
    before = path.read_text().split() if path.exists() else []
    path.write_text(" ".join([*before, name]))
    assert name in before
@pytest.mark.once
def test_no_request_fails(): fails_first("claim")
def test_other(): fails_first("other")
""")
    here = ROOT / "integration_tests"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", here / "pytest.ini", "--rootdir", here, "-p", "conftest",
         "--reruns", "2", tmp_path / "test_claims.py"],
        cwd=here, env={**os.environ, "PYTHONPATH": str(here)}, capture_output=True, text=True, timeout=60, check=False)
    assert runs.read_text().split() == ["claim", "other", "other"], run.stdout
    assert run.returncode == EXIT_OF_FAILED_TESTS, run.stdout
