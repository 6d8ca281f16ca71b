"""Programs of others that judge the gateway; each is used where it is installed."""

import shutil

import pytest


def found(program: str, package: str) -> str:
    """The program's path, or a skip that says how to get it."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is missing: apt-get install {package}")
    return path
