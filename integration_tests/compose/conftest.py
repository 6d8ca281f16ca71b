"""The stack is built and started once; each test begins with nothing blocked and nothing counted."""

import os
import shlex

import pytest

from harness.compose import Stack

BLOCK_SECONDS = 6


@pytest.fixture(scope="session")
def stack():
    command = shlex.split(os.environ.get("COMPOSE_COMMAND", "docker compose"))
    stack = Stack(command, f"gateway-test-{os.getpid()}", {
        "JWT_SECRET": "a compose test secret of more than thirty-two bytes",
        "GATEWAY_BLOCK_DURATION_SECONDS": str(BLOCK_SECONDS),
        "PUBLISHED_PORT": "0",
    })
    stack.build()
    try:
        stack.up()
        yield stack
    finally:
        if os.environ.get("KEEP_STACK") != "1":
            stack.down()


@pytest.fixture(autouse=True)
def cleared(stack, request):
    """Step 5.2 of SEC-010, word for word but for the name of the program."""
    for family in ("ip_block", "login_fail"):
        stack.shell(f'$COMPOSE exec -T redis redis-cli --scan --pattern "{family}:*" '
                    "| xargs -I {} $COMPOSE exec -T redis redis-cli DEL {}")
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print(stack.logs())
