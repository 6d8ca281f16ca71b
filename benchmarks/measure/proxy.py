"""What the proxies have in common: a directory, a backend, a start that ends when the port answers."""

import os
import signal
import subprocess

from .cases import Setup
from .processes import Service, accepts


class Proxy:
    """One configured proxy. `start` gives a running `Service`; `port` is known from then on."""

    name = ""
    port = 0
    callgrind = True  # whether its instructions can be counted in reasonable time

    def __init__(self, directory, backend_port, setup=Setup()):
        self.directory = directory / self.name
        self.directory.mkdir(exist_ok=True)
        self.backend_port = backend_port
        self.setup = setup

    def command(self):
        """The command line; writes what it refers to."""
        raise NotImplementedError

    def is_ready(self, service):
        """Whether a started proxy takes connections; `port` is known when it does."""
        del service
        return accepts(self.port)

    def prepare(self):
        """Brings a started proxy into the state in which all cases can be measured."""

    def reload(self, service):
        """Has it read its configuration again."""
        os.kill(service.pid, signal.SIGHUP)

    def tidy(self):
        """Between two measurements: forgets what would only grow, such as a log."""

    @classmethod
    def supports(cls, case):
        """Whether it can do the work of `case` at all."""
        del case
        return True

    def start(self, wrapper=(), environment=None):
        """Runs it, below `wrapper` when there is one (strace, valgrind), until it is ready for every case."""
        service = Service(self.command(), self.directory / "output.log", wrapper, environment)
        try:
            service.wait_until(lambda: self.is_ready(service))
            self.prepare()
        except BaseException:
            service.stop()
            raise
        return service

    def write(self, name, text, mode=0o644):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return path

    @classmethod
    def version(cls):
        """One line for the report."""
        raise NotImplementedError


def first_line(command):
    """The first line that a program prints, on either output: nginx tells its version on standard error."""
    ran = subprocess.run(command, capture_output=True, text=True)
    lines = (ran.stdout + ran.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"
