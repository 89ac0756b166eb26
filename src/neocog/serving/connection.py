"""HTTP connections with bounds that the web server lacks: their number, and the size and the time of a request's head.

A head that never ends, or never comes, holds a connection for a few seconds only; one connection too many is answered
with 503. The body's limits are in `limits`.
"""

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from neocog.serving.asgi import send_error
from neocog.serving.limits import Limits

__all__ = ["limited_protocol"]

PHRASES = {408: "Request Timeout", 431: "Request Header Fields Too Large"}


class LimitedProtocol(HttpToolsProtocol):
    """A connection; `limited_protocol` gives its class the limits."""

    limits: Limits
    refused: Callable[[], None]
    head_timer: asyncio.TimerHandle | None = None
    stalled_timer: asyncio.TimerHandle | None = None
    head_bytes = 0
    """Of the head that is being received."""
    receiving_head = True
    over = False
    """Whether it is one connection too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self.over, self.app = True, self.too_many
            type(self).refused()
        self.await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self.head_timer, self.stalled_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def await_head(self) -> None:
        """Expect a head from now on."""
        self.head_timer = self.loop.call_later(self.limits.head_s, self.head_is_late)

    def head_is_late(self) -> None:
        if not self.receiving_head or self.transport.is_closing():
            return
        if self.head_bytes:
            self.end(408, f"The head of a request must arrive within {self.limits.head_s:g} seconds.")
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.receiving_head:
            if self.head_timer is None:  # the next request of a connection that is kept open
                self.await_head()
            self.head_bytes += len(data)
        super().data_received(data)
        # A piece may hold the end of a head and a part of the body: it counts only while the head has no end.
        most = self.limits.max_header_bytes
        if self.receiving_head and self.head_bytes > most and not self.transport.is_closing():
            self.end(431, f"The head of a request has at most {most:,} bytes.")

    def on_headers_complete(self) -> None:
        self.receiving_head, self.head_bytes = False, 0
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        limits = self.limits
        if not self.over and (size > limits.max_header_bytes or len(self.headers) > limits.max_headers):
            self.app = self.head_too_large
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.receiving_head, self.head_bytes = True, 0

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled_timer = self.loop.call_later(self.limits.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self.stalled_timer is not None:
            self.stalled_timer.cancel()
            self.stalled_timer = None
        super().resume_writing()

    def end(self, status: int, reason: str) -> None:
        """Answer what is not a request yet, and close the connection."""
        body = b'{"error": "%s"}' % reason.encode()
        head = f"HTTP/1.1 {status} {PHRASES[status]}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    async def too_many(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self.limits.max_connections
        reason = f"The server has {most:,} connections open, and takes no more. Try again."
        await send_error(send, 503, reason, {"connection": "close", "retry-after": "1"})

    async def head_too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, most = self.limits.max_headers, self.limits.max_header_bytes
        reason = f"The head of a request has at most {headers:,} headers and {most:,} bytes."
        await send_error(send, 431, reason, {"connection": "close"})


def limited_protocol(limits: Limits, refused: Callable[[], None] = lambda: None) -> type[LimitedProtocol]:
    """The protocol with these limits; `refused` is called for each connection that is one too many."""
    return type("LimitedConnection", (LimitedProtocol,), {"limits": limits, "refused": staticmethod(refused)})
