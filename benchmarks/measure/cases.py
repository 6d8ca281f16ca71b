"""What is asked of every proxy. The load and the work behind it are the same for all."""

from dataclasses import dataclass

from . import routes, tokens

# Not 127.0.0.1: that one is the gateway's own address, which no rule blocks.
BLOCKED_ADDRESS = "127.0.0.7"

MEBIBYTE = 1 << 20

# What a browser sends with a request of a page's script; the generator itself sends only Host.
BROWSER = (
    "Sec-CH-UA: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"",
    "Sec-CH-UA-Mobile: ?0",
    "Sec-CH-UA-Platform: \"Linux\"",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Accept: application/json, text/plain, */*",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Cache-Control: no-cache",
    "Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=v2.1.0",
    "Origin: https://app.example.org",
    "Referer: https://app.example.org/orders?page=3",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-site",
)

# Each proxy is asked with these in turn. No cache of tokens here holds half as many, so that by the time a token comes
# again it was forgotten.
NEVER_SEEN = 20_000


@dataclass(frozen=True)
class Setup:
    """How a proxy is set up. Nobody carries what a case does not need, so that each is as lean as it can be."""

    algorithm: str | None = None  # of the tokens that are required below /secure
    bodies: bool = False  # tuned for large bodies, where a proxy can be
    tls: bool = False  # for clients
    websocket: bool = False  # on /ws
    workers: int = 1  # threads, or processes, that serve requests
    connections: int = 4000  # of clients that there is room for
    blocked: int = 0  # addresses that are blocked besides BLOCKED_ADDRESS
    routes: int = 0  # besides the usual ones
    reloads: bool = False  # can be told to read its configuration again


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    path: str = "/100"
    method: str = "GET"
    expect: int = 200
    length: int | None = 100  # of the answer's body; None where every proxy has its own
    source: str | None = None
    fields: tuple[str, ...] = ()  # of the request, besides Host
    tokens: int = 0  # how many of them take turns
    body_bytes: int = 0  # of the request
    chunk: int = 0  # size of its chunks
    reconnect: bool = False  # a connection for each request
    resume: bool = False  # with the TLS session of the one before
    connections: int | None = None  # where another number than usual makes sense
    setup: Setup = Setup()

    @property
    def options(self):
        """For tools/loop.c."""
        if self.setup.websocket:
            return {"path": self.path}
        options = {"path": self.path, "method": self.method, "expect": self.expect, "length": self.length}
        options |= {"source": self.source, "body-bytes": self.body_bytes, "chunk": self.chunk}
        options |= {"tls": self.setup.tls, "reconnect": self.reconnect, "resume": self.resume}
        options["header"] = list(self.fields)
        if self.tokens == 1:
            options["header"].append(tokens.header(self.setup.algorithm))
        elif self.tokens > 1:
            options["headers"] = tokens.headers(self.setup.algorithm, self.tokens)
        if self.setup.routes:
            options["paths"] = routes.file_of_paths(self.setup.routes)
        return {name: value for name, value in options.items() if value}


def _with_tokens(name, title, algorithm, count, **more):
    return Case(name, title, path="/secure/100", tokens=count, setup=Setup(algorithm=algorithm), **more)


def _with_bodies(name, title, path, answer=100, body=0, chunk=0):
    """Few connections: what waits in the buffers of thirty-two would not fit into the caches of any processor."""
    sent = {"method": "POST", "body_bytes": body, "chunk": chunk} if body else {}
    return Case(name, title, path, length=answer, connections=4, setup=Setup(bodies=True), **sent)


_ALL = (
    Case("plain", "plain 100 B"),
    Case("plain-4k", "plain 4 KB", path="/4k", length=4096),
    Case("blocked", "blocked 403", expect=403, length=None, source=BLOCKED_ADDRESS),
    _with_tokens("hs256", "HS256, repeated token", "HS256", 1),
    _with_tokens("hs256-browser", "HS256, repeated token, a browser's fields", "HS256", 1, fields=BROWSER),
    _with_tokens("hs256-cold", "HS256, never seen", "HS256", NEVER_SEEN),
    _with_tokens("rs256", "RS256, repeated token", "RS256", 1),
    _with_tokens("rs256-1000", "RS256, 1,000 tokens", "RS256", 1000),
    _with_tokens("rs256-cold", "RS256, never seen", "RS256", NEVER_SEEN),
    _with_tokens("es256", "ES256, repeated token", "ES256", 1),
    _with_tokens("es256-cold", "ES256, never seen", "ES256", NEVER_SEEN),
    _with_bodies("down-1m", "1 MiB down", "/1m", answer=MEBIBYTE),
    _with_bodies("up-10m", "10 MiB up", "/upload", body=10 * MEBIBYTE),
    _with_bodies("chunked", "1 MiB in chunks of 16 KiB both ways", "/chunked", MEBIBYTE, MEBIBYTE, chunk=16384),
    Case("tls", "TLS 1.3, kept connections", setup=Setup(tls=True)),
    Case("tls-full", "TLS 1.3, a full handshake each", setup=Setup(tls=True), reconnect=True),
    Case("tls-resumed", "TLS 1.3, a resumed handshake each", setup=Setup(tls=True), reconnect=True, resume=True),
    Case("websocket", "WebSocket, echo of 100 B", path="/ws", setup=Setup(websocket=True)),
    Case("blocked-1m", "plain 100 B, 1 million addresses blocked", setup=Setup(blocked=1_000_000)),
    Case("routes-10k", "plain 100 B on each of 10,000 routes", setup=Setup(routes=10_000)),
    Case("plain-2", "plain 100 B, 2 workers", setup=Setup(workers=2)),
    Case("es256-cold-2", "ES256, never seen, 2 workers", "/secure/100", tokens=NEVER_SEEN,
         setup=Setup(algorithm="ES256", workers=2)),
)

CASES = {case.name: case for case in _ALL}
