"""The line between gateways and Redis, with the faults of networks: slow, cut, swallowing, deaf, led elsewhere."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import Any


class _State(Enum):
    SOUND = auto()
    # Whoever is connected or connects is reset.
    RESET = auto()
    # Connections stand, and nothing arrives on either side. A connection that lost bytes so is lost for good.
    SWALLOWING = auto()
    # What is said arrives, what is answered does not, and the connection ends a moment later.
    DEAF = auto()


class _Link:
    """One connection, both of its ends."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.writers = [near]
        self.is_lost = self.is_deaf = False

    def reset(self) -> None:
        for writer in self.writers:
            end = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Line:
    """Listens on a free port of 127.0.0.1 and passes bytes on to `port`, both ways and in order. Each fault takes the
    place of the one before; `mend` ends it."""

    # Long enough for several commands whose answers are lost.
    DEAF_FOR = 0.2

    def __init__(self, port: int) -> None:
        self._port = port
        self._state, self._delay = _State.SOUND, 0.0
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop).result(10)

    @property
    def setting(self) -> dict[str, str]:
        """The gateway's section `redis`."""
        return {"address": "127.0.0.1:%d" % self._listener.sockets[0].getsockname()[1]}

    def slow(self, seconds: float) -> None:
        """From now on each byte is that long on its way, in each direction."""
        self._set(_State.SOUND, seconds)

    def reset(self) -> None:
        self._set(_State.RESET)
        self._do(self._reset_all)

    def swallow(self) -> None:
        self._set(_State.SWALLOWING)

    def lose_answers(self) -> None:
        self._set(_State.DEAF)

    def mend(self) -> None:
        self._set(_State.SOUND)

    def lead_to(self, port: int) -> None:
        """Another server answers from now on; whoever is connected to the former one is cut off."""
        def change() -> None:
            self._port = port
            self._reset_all()
        self._do(change)

    def close(self) -> None:
        async def end() -> None:
            self._listener.close()
            self._reset_all()
            if others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others, timeout=5)
        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _set(self, state: _State, delay: float = 0.0) -> None:
        def change() -> None:
            self._state, self._delay = state, delay
        self._do(change)

    def _do(self, work: Callable[[], Any]) -> None:
        """On the line's own thread, and done when this returns."""
        done = threading.Event()

        def run() -> None:
            work()
            done.set()
        self._loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def _reset_all(self) -> None:
        for link in self._links:
            link.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        if self._state is _State.RESET:
            return link.reset()
        self._links.add(link)
        try:
            with contextlib.suppress(ConnectionError):
                await self._connect(link, reader)
        finally:
            self._links.discard(link)
            for end in link.writers:
                end.close()

    async def _connect(self, link: _Link, reader: asyncio.StreamReader) -> None:
        if self._state is _State.SWALLOWING:
            while await reader.read(65_536):
                continue
            return
        try:
            far, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionError:
            return link.reset()
        link.writers.append(writer)
        passing = [asyncio.ensure_future(self._pass(link, *way)) for way in (
            (reader, writer, False), (far, link.writers[0], True))]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for one in passing:
            one.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _pass(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_answer: bool,
    ) -> None:
        due = 0.0
        while data := await source.read(65_536):
            link.is_lost |= self._state is _State.SWALLOWING
            if self._state is _State.DEAF and not link.is_deaf:
                link.is_deaf = True
                self._loop.call_later(self.DEAF_FOR, link.reset)
            if link.is_lost or (link.is_deaf and is_answer):
                continue
            now = self._loop.time()
            # Never two at the same time: the loop would be free to change their order.
            if due > now or self._delay:
                due = max(due + 0.000_01, now + self._delay)
                self._loop.call_at(due, sink.write, data)
            else:
                sink.write(data)
