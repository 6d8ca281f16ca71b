"""Stops one thread of another process with ptrace(2), as a loop that does not end would stop it."""

import contextlib
import ctypes
import os
from collections.abc import Iterator

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(call: int, thread: int) -> None:
    if _libc.ptrace(call, thread, None, None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def held(thread: int) -> Iterator[None]:
    """The thread stands still meanwhile. To be called and ended on one thread of ours: the tracer is a thread."""
    _ptrace(_SEIZE, thread)
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    try:
        yield
    finally:
        _ptrace(_DETACH, thread)
