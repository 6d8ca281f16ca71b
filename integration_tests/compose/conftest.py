"""The stack is started once; each test begins with nothing blocked and nothing counted."""

import os
import shlex

import pytest

from harness.compose import Stack

# Long enough for what a test does in between on a busy machine, short enough to wait for.
BLOCK_SECONDS = 15
SECRET = "a compose test secret of more than thirty-two bytes"


@pytest.fixture(scope="session")
def new_stack():
    """`new_stack(environment, overlays)`: a view of the one project with other settings; `up` puts it in force."""
    command = shlex.split(os.environ.get("COMPOSE_COMMAND", "docker compose"))
    project = os.environ.get("STACK_PROJECT", f"gateway-test-{os.getpid()}")
    common = {
        "JWT_SECRET": SECRET, "GATEWAY_BLOCK_DURATION_SECONDS": str(BLOCK_SECONDS),
        "PUBLISHED_ADDRESS": "127.0.0.1", "PUBLISHED_PORT": "0"}
    return lambda environment=None, overlays=(): Stack(command, project, {**common, **(environment or {})}, overlays)


@pytest.fixture(scope="session")
def stack(new_stack):
    stack = new_stack()
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
