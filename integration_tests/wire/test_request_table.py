"""Every case of Tests/Conversations/table over a live connection: the answers, and the bytes that reach the backend."""

import socket

import pytest

from harness.client import Client, ConnectionEnded
from harness.table import FOLDER, Case, ambiguities, cases

CLOSED = (ConnectionEnded, ConnectionError)


def answers(client: Client, case: Case) -> list[str]:
    """What is answered, up to as many answers as the case has."""
    got: list[str] = []
    try:
        client.send(case.sent)
    except ConnectionError:
        # Refused before everything was sent; the answer may be there all the same.
        pass
    for expected in case.answers:
        if expected == "wait":
            got.append("wait" if client.silent(0.03) else "answered")
            continue
        method = "HEAD" if case.sent.startswith(b"HEAD ") else "GET"
        try:
            got.append(str(client.read_final(method).status))
        except CLOSED:
            got.append("closed")
            break
        except socket.timeout:
            got.append("nothing")
            break
    return got


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_each_case_of_the_table(start_gateway, backend, address, path):
    gateway = start_gateway(backend, logs={"access": "off", "audit": "off"})
    wrong = []
    for case in cases(path):
        backend.requests.clear()
        with gateway.connect(address, timeout=3) as client:
            got = answers(client, case)
            if got != ["200" if answer == "own" else answer for answer in case.answers]:
                wrong.append(f"{case.place} {case.text[:120]}: answered {got}")
            elif case.answers[-1] not in ("200", "own", "wait") and not client.ended():
                wrong.append(f"{case.place} {case.text[:120]}: not closed")
        complete = [request for request in backend.requests if request.complete.is_set()]
        if len(complete) != case.answers.count("200"):
            wrong.append(f"{case.place} {case.text[:120]}: {len(complete)} requests reached the backend")
        for request in backend.requests:
            for ambiguity in ambiguities(request.head):
                wrong.append(f"{case.place} {case.text[:120]}: forwarded {ambiguity}")
        if case.fragment and not (backend.requests and case.fragment in backend.requests[0].head):
            wrong.append(f"{case.place} {case.text[:120]}: forwarded {[r.head for r in backend.requests]}")
    assert wrong == []
