"""Many routes, and requests that take them in turn."""

from .workspace import BUILD


def prefixes(count):
    """Paths of equal length, so that none is the beginning of another."""
    return [f"/r/{number:05}" for number in range(count)]


def file_of_paths(count):
    """The path of a file with one request target for each route, far apart from one to the next."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"paths-{count}"
    # 7,919 is a prime, so every route has its turn.
    path.write_text("".join(f"/r/{number * 7919 % count:05}/100\n" for number in range(count)))
    return path
