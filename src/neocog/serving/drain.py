"""The web server of a worker, which stops without losing a request that it has accepted.

draining: answers close their connections ──► connections that wait in the system's queue are accepted ──► the port
is closed ──► idle connections get a moment for a request on its way ──► all answers are finished, within a time
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from neocog.serving.access import Flags
from neocog.serving.logs import Log

__all__ = ["DrainingServer"]

GRACE = 0.5  # seconds that idle connections are kept for a request on its way
LOOK = 0.02  # seconds between two looks at the connections


class DrainingServer(uvicorn.Server):
    """A server whose end loses no accepted request; the signals are its caller's."""

    def __init__(
        self,
        config: uvicorn.Config,
        flags: Flags,
        log: Log,
        *,
        drain_s: float,
        began: Callable[[], Awaitable[None]],
        ends: Callable[[], None],
    ) -> None:
        """`began` is awaited once the server accepts; `ends` is called when it begins to drain."""
        super().__init__(config)
        self.flags, self.log, self.drain_s, self.began, self.ends = flags, log, drain_s, began, ends

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the worker knows what they mean to it."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            await self.began()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, within `drain_s` seconds."""
        deadline = time.monotonic() + self.drain_s
        self.flags.draining = True
        self.ends()
        for listening in sockets or ():
            await self.accept_waiting(listening)
            listening.close()
        for server in self.servers:
            server.close()
        await self.wait_until(self.nobody_idle, min(deadline, time.monotonic() + GRACE))
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if not await self.wait_until(self.nobody_left, deadline):
            self.log.write("warning", "drain timed out", requests=self.flags.in_flight, seconds=self.drain_s)
            for task in list(self.server_state.tasks):
                task.cancel(msg="the time to drain is over")
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def accept_waiting(self, listening: socket.socket) -> None:
        """Accept the connections that the system has made and nobody has accepted: closing the port would end them."""
        listening.setblocking(False)
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # none is left
                return
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().connect_accepted_socket(
                    self.make_protocol, connection, ssl=self.config.ssl
                )

    def make_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def nobody_idle(self) -> bool:
        """Whether each connection that is left has a request that is being answered."""
        cycles = (getattr(connection, "cycle", None) for connection in self.server_state.connections)
        return all(cycle is not None and not cycle.response_complete for cycle in cycles)

    def nobody_left(self) -> bool:
        return not self.server_state.connections and not self.server_state.tasks

    async def wait_until(self, done: Callable[[], bool], deadline: float) -> bool:
        """Wait until `done` holds, at most until the deadline; whether it holds."""
        while not done():
            if self.force_exit or time.monotonic() >= deadline:
                return False
            await asyncio.sleep(LOOK)
        return True
