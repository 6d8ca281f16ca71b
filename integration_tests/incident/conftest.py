"""The backend of the incident tests."""

import pytest

from harness.logins import wrong_is_401


@pytest.fixture
def login_backend(start_backend):
    return start_backend(wrong_is_401)
