"""Sockets that the gateway is started with, as a service manager gives them (sd_listen_fds(3))."""

import os
import signal
import socket
from contextlib import ExitStack

import pytest

from harness.client import Client, fetch, request
from harness.gateway import Gateway, binary, config, merged
from harness.processes import NotReady, Process, descriptors, wait_until


def listener(host="127.0.0.1", port=0, shared=False):
    made = socket.socket()
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, port))
    made.listen(512)
    return made


def text(made):
    host, port = made.getsockname()
    return f"{host}:{port}"


def start(start_gateway, backend, sockets, listen, names=None, **sections):
    environment = {"LISTEN_FDS": str(len(sockets)), **({"LISTEN_FDNAMES": ":".join(names)} if names else {})}
    return start_gateway(
        backend, environment=environment, descriptors=[made.fileno() for made in sockets], listen=listen, **sections)




def test_one_socket_is_watched_by_all_workers(start_gateway, backend):
    with listener() as given:
        gateway = start(start_gateway, backend, [given], [text(given)])
        assert gateway.address == given.getsockname()
        assert gateway.events("listener.inherited_unused") == []
        # While one worker holds a connection in its hands the other is there, too: all of many are served.
        with ExitStack() as open_ones:
            clients = [open_ones.enter_context(gateway.connect()) for _ in range(40)]
            for client in clients:
                client.send(request("GET", "/"))
            assert {client.read_final().status for client in clients} == {200}
        inode = os.readlink(f"/proc/self/fd/{given.fileno()}")
        assert inode in descriptors(gateway.child.pid), "it is the very socket"


@pytest.mark.once
@pytest.mark.parametrize("count", [2, 4, 5])
def test_with_as_many_sockets_as_workers_or_more_no_queue_is_forgotten(start_gateway, backend, count):
    """The system spreads connections over all sockets of the port: one that nobody watched would leave them waiting."""
    first = listener(shared=True)
    sockets = [first] + [listener(port=first.getsockname()[1], shared=True) for _ in range(count - 1)]
    try:
        gateway = start(start_gateway, backend, sockets, [text(first)])
        for _ in range(200):
            assert gateway.get("/").status == 200
    finally:
        for made in sockets:
            made.close()


@pytest.mark.once
def test_connections_that_came_before_the_gateway_are_served(start_gateway, backend):
    with listener() as given, socket.create_connection(given.getsockname()) as early:
        early.sendall(request("GET", "/early"))
        start(start_gateway, backend, [given], [text(given)])
        early.settimeout(5)
        assert early.recv(12) == b"HTTP/1.1 200"


@pytest.mark.once
def test_connections_that_come_behind_its_end_wait_for_the_next(start_gateway, backend):
    """The service manager keeps the socket: nobody is turned away between two gateways."""
    with listener() as given:
        gateway = start(start_gateway, backend, [given], [text(given)])
        assert gateway.get("/").status == 200
        gateway.signal(signal.SIGTERM)
        assert gateway.child.wait(5) == 0
        with socket.create_connection(given.getsockname()) as between:
            between.sendall(request("GET", "/between"))
            gateway.start()
            between.settimeout(5)
            assert between.recv(12) == b"HTTP/1.1 200"


def test_a_socket_that_no_setting_wants_is_reported_and_closed(start_gateway, backend):
    with listener() as wanted, listener() as unknown, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as odd:
        gateway = start(
            start_gateway, backend, [unknown, wanted, odd], [text(wanted)], names=["spare", "listen", "odd"])
        reports = {line["name"]: line["reason"] for line in gateway.events("listener.inherited_unused")}
        assert reports == {
            "spare": f"no setting names {text(unknown)}",
            "odd": "descriptor 5: it is no listening stream socket",
        }
        inode = os.readlink(f"/proc/self/fd/{unknown.fileno()}")
        assert inode not in descriptors(gateway.child.pid)
        assert gateway.get("/").status == 200


def test_the_name_of_a_socket_serves_where_the_port_is_open(start_gateway, backend):
    with listener() as given, listener() as other:
        gateway = start(
            start_gateway, backend, [other, given], ["127.0.0.1:0"], names=["admin.listen", "listen"])
        assert gateway.address == given.getsockname()
        assert gateway.admin == other.getsockname()


def test_the_admin_socket_may_be_given_and_stays_when_the_gateway_ends(start_gateway, backend, directory):
    path = directory / "given.sock"
    with socket.socket(socket.AF_UNIX) as given, listener() as public:
        given.bind(str(path))
        given.listen(16)
        gateway = start(
            start_gateway, backend, [public, given], [text(public)],
            admin={"listen": "127.0.0.1:0", "token": "t" * 40, "socket": str(path)})
        assert gateway.command_json("status")["status"] == "healthy"
        gateway.signal(signal.SIGTERM)
        assert gateway.child.wait(5) == 0
        assert path.exists(), "it is the service manager's"


def test_addresses_without_a_given_socket_are_bound_as_ever(start_gateway, backend):
    with listener() as given:
        gateway = start(start_gateway, backend, [given], [text(given), "127.0.0.2:0"])
        addresses = gateway.wait_event("gateway.ready")["listeners"]
        assert addresses[0] == text(given)
        host, port = addresses[1].rsplit(":", 1)
        assert fetch((host, int(port)), request("GET", "/")).status == 200


@pytest.mark.once
def test_a_socket_that_a_reload_leaves_is_there_for_the_next_that_names_it(start_gateway, backend):
    """The service manager listens on it all the time: the address cannot be bound, and who comes meanwhile waits."""
    with listener() as given, listener() as other:
        gateway = start(start_gateway, backend, [given, other], [text(given), text(other)])
        both = gateway.settings
        gateway.write_config(merged(both, {"listen": [text(other)]}))
        gateway.command("reload")
        wait_until("it is left", lambda: waits(given.getsockname()))
        with socket.create_connection(given.getsockname()) as between:
            between.sendall(request("GET", "/between"))
            gateway.write_config(both)
            assert gateway.command("reload").returncode == 0
            between.settimeout(5)
            assert between.recv(12) == b"HTTP/1.1 200"
        assert gateway.get("/").status == 200


def waits(address) -> bool:
    """Whether nobody takes a connection to it."""
    with Client(address, timeout=0.3) as client:
        try:
            return client.send(request("GET", "/health")).read_response().status != 200
        except TimeoutError:
            return True


def test_sockets_for_another_process_are_none_of_its_business(start_gateway, backend):
    with listener() as given:
        gateway = start_gateway(
            backend, environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"}, descriptors=[given.fileno()])
        assert gateway.address != given.getsockname()
        assert gateway.get("/").status == 200


@pytest.mark.parametrize(("variables", "reason"), [
    ({"LISTEN_FDS": "many"}, 'LISTEN_FDS is "many"'),
    ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"}, "LISTEN_FDNAMES has 2 names"),
])
def test_variables_that_cannot_be_true_end_the_start_with_a_reason(directory, backend, variables, reason):
    gateway = Gateway(directory, config(backend.address, directory), variables)
    gateway.write_config()
    with listener() as given:
        process = Process(
            "gateway", [binary(), "run", "--config", gateway.config_path], directory, variables,
            descriptors=[given.fileno()])
        assert process.wait(10) == 71
        assert reason in process.log()


def test_its_children_and_its_configuration_see_nothing_of_the_variables(start_gateway, backend):
    """`environ` is what a child would get; the kernel's copy is of the start."""
    with listener() as given:
        gateway = start(start_gateway, backend, [given], [text(given)])
        gateway.write_config()
        assert gateway.command("reload").returncode == 0
        assert gateway.get("/").status == 200
        with pytest.raises(NotReady):
            wait_until("a complaint", lambda: gateway.events("gateway.reload_failed"), 0.3)
