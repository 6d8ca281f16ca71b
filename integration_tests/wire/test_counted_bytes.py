"""What access lines say of the bytes of requests that the gateway answers itself, or keeps until they are whole
(docs/logs.md)."""

import pytest

from harness.backend import answer
from harness.client import Response, request
from harness.tokens import SECRET

BODY = b'{"username": "alice", "password": "wrong"}'
LOGIN = b"POST /auth/login HTTP/1.1\r\nHost: a\r\n"
ROUTES = [
    {"path": "/auth", "upstream": "api", "auth": "none"},
    {"path": "/private", "upstream": "api", "auth": "required"},
]
TOKENS = {"keys": [{"id": "main", "secret": SECRET, "algorithms": ["HS256"]}]}
PIECE = b"%x\r\n%b\r\n" % (len(BODY), BODY)


@pytest.fixture
def gateway(start_gateway, backend):
    backend.answers(answer(401, b"wrong"))
    return start_gateway(backend, routes=ROUTES, tokens=TOKENS, timeouts={"body": "1s"})


def size(*answers: Response) -> int:
    return sum(len(one.head) + len(one.body) for one in answers)


def counted(gateway, address: str) -> tuple[int, int]:
    line = gateway.wait_event("http.request", client_ip=address)
    return line["bytes_in"], line["bytes_out"]


@pytest.mark.parametrize("refused", [False, True], ids=["forwarded", "refused"])
def test_a_login_is_counted_with_its_body_and_with_our_own_go_ahead(gateway, address, refused):
    head = LOGIN + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with gateway.connect(address) as client:
        interim = client.send(head).read_head()
        assert interim.status == 100
        if refused:
            gateway.command("block", address)
        answered = client.send(BODY).read_final("POST")
        assert answered.status == (403 if refused else 401)
    assert counted(gateway, address) == (len(head) + len(BODY), size(interim, answered))


@pytest.mark.parametrize(("last", "status"), [(b"zz\r\n", 400), (b"", 408)], ids=["malformed", "late"])
def test_a_login_whose_body_never_becomes_whole_is_counted_with_what_came_of_it(gateway, address, last, status):
    pieces = [LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", PIECE, last]
    with gateway.connect(address) as client:
        for piece in pieces:
            client.send(piece)
        answered = client.read_final("POST")
        assert answered.status == status
    assert counted(gateway, address) == (sum(map(len, pieces)), size(answered))


@pytest.mark.parametrize("missing", [0, 100], ids=["whole", "in part"])
@pytest.mark.parametrize(("method", "target", "status"), [
    ("POST", "/private", 401), ("POST", "/nowhere", 404), ("GET", "/health", 200)])
def test_a_body_that_nobody_gets_is_counted_as_far_as_it_came_with_its_head(
        gateway, address, method, target, status, missing):
    sent = request(method, target, {"Content-Length": str(len(BODY) + missing)}) + BODY
    with gateway.connect(address) as client:
        answered = client.send(sent).read_final(method)
        assert answered.status == status
    assert counted(gateway, address) == (len(sent), size(answered))


def test_what_follows_a_refused_request_is_not_counted_with_it(gateway, address):
    sent = request("POST", "/private", body=BODY)
    with gateway.connect(address) as client:
        client.send(sent + request("GET", "/nowhere"))
        assert client.read_final("POST").status == 401
        assert client.read_final().status == 404
    gateway.wait_event("http.request", client_ip=address, status=404)
    assert gateway.wait_event("http.request", client_ip=address, status=401)["bytes_in"] == len(sent)
