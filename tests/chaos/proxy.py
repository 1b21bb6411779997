"""A TCP proxy in the tests' own process that forwards, and on order cuts, slows, truncates or swallows."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
Address = tuple[str, int]

_CHUNK = 1 << 16
_SLOW_CHUNK = 2048
_SLOW_SECONDS = 0.02  # per chunk and direction: some 100 kB/s
_MOST_BEFORE_CUT = 4000  # bytes of answers that a truncated connection still passes on
_RESET = struct.pack("ii", 1, 0)  # close at once with RST, as a broken network looks


class Mode(StrEnum):
    """What happens to what passes."""

    PASS = "pass"
    CUT = "cut"
    """Open connections are reset, and new ones at once."""
    SLOW = "slow"
    TRUNCATE = "truncate"
    """Each connection is reset in the middle of an answer."""
    BLACK_HOLE = "black hole"
    """Connections open, and nothing comes through until the mode ends."""


class Proxy:
    """One port that leads to one of `targets`, each connection to the next one that takes it."""

    def __init__(self, name: str, targets: list[Address]) -> None:
        self.name = name
        self.port = 0
        self.mode = Mode.PASS
        self._targets = itertools.cycle(targets)
        self._count = len(targets)
        self._links: set[_Link] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    async def listen(self) -> asyncio.Server:
        """Take a free port and serve it."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def switch(self, mode: Mode, seed: int) -> None:
        """Change the mode for open connections and new ones; called in the proxies' loop."""
        self.mode = mode
        draw = random.Random(seed)
        for link in list(self._links):
            link.left = draw.randint(1, _MOST_BEFORE_CUT)
            if mode is Mode.CUT:
                link.reset()
        if mode is Mode.BLACK_HOLE:
            self._passing.clear()
        else:
            self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.CUT:
            _reset(writer)
            return
        await self._passing.wait()
        try:
            there, back = await self._connect()
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, back)
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(reader, back, link, answers=False)),
            asyncio.create_task(self._pump(there, writer, link, answers=True)),
        ]
        try:
            with suppress(asyncio.CancelledError):  # the proxies are being closed
                await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            link.close()
            self._links.discard(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: OSError = ConnectionRefusedError("no target")
        for _ in range(self._count):
            host, port = next(self._targets)
            try:
                return await asyncio.open_connection(host, port)
            except OSError as error:
                failure = error
        raise failure

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, answers: bool
    ) -> None:
        try:
            while data := await reader.read(_SLOW_CHUNK if self.mode is Mode.SLOW else _CHUNK):
                await self._passing.wait()
                if self.mode is Mode.SLOW:
                    await asyncio.sleep(_SLOW_SECONDS)
                if self.mode is Mode.TRUNCATE and answers:
                    writer.write(data[: link.left])
                    link.left -= len(data)
                    if link.left <= 0:
                        await writer.drain()
                        link.reset()
                        return
                else:
                    writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:  # one end died: the other must hear of it, or it would wait for ever
            link.reset()


class _Link:
    """The two ends of a forwarded connection."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends
        self.left = _MOST_BEFORE_CUT // 2

    def reset(self) -> None:
        for end in self._ends:
            _reset(end)

    def close(self) -> None:
        for end in self._ends:
            end.close()


def _reset(end: asyncio.StreamWriter) -> None:
    sock = end.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.transport.abort()


class Proxies:
    """Proxies on an event loop in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def add(self, name: str, *targets: Address) -> Proxy:
        """Return a new proxy, listening."""

        async def added() -> Proxy:
            proxy = Proxy(name, list(targets))
            self._servers.append(await proxy.listen())
            return proxy

        return self._do(added())

    def switch(self, proxy: Proxy, mode: Mode, seed: int = 0) -> None:
        """Change what a proxy does; returns when it does so."""

        async def switched() -> None:
            proxy.switch(mode, seed)

        self._do(switched())

    def close(self) -> None:
        """Stop listening and end what is open."""

        async def closed() -> None:
            for server in self._servers:
                server.close()
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self._do(closed())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, job: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(10)
