"""The proxies that are compared, each configured for the same work and for its best speed, and the floor below them."""

from .envoy import Envoy
from .floor import Floor
from .gateway import Gateway
from .haproxy import HAProxy
from .nginx import Nginx
from .workspace import stop_with

PEERS = {peer.name: peer for peer in (Gateway, HAProxy, Nginx, Envoy, Floor)}


def named(text):
    """The peer classes of a list such as `gateway,haproxy`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PEERS:
            stop_with(f"unknown peer '{name}'; there are {', '.join(PEERS)}")
    return [PEERS[name] for name in names]
