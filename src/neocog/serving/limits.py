"""Bounds of a request: bytes, headers, levels of JSON, and the time that it takes to arrive.

The layer receives the whole body before the app sees the request, so that a slow or endless one costs no engine
anything: chunk by chunk, within a time, inflated within the same bound. The app gets it in one piece.
"""

import asyncio
import contextlib
import zlib
from dataclasses import dataclass

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neocog.serving.asgi import facts_of, find_header, send_error
from neocog.serving.settings import ServeSettings

__all__ = ["BodyLimits", "LimitedError", "Limits", "check_json", "inflate", "json_depth"]

MIB = 2**20
OTHERS = bytes(set(range(256)) - set(b'[]{}"'))
LINGER, LINGER_BYTES = 1.0, 256 * MIB  # that a refused body is read on
PIECE = 2**20  # characters that are looked at together
STEPS = np.zeros(256, np.int8)
STEPS[list(b"[{")] = 1
STEPS[list(b"]}")] = -1


class LimitedError(Exception):
    """A request that goes beyond a limit: the status of its answer, and the reason in a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of a request."""

    max_body: int = 64 * MIB
    """Bytes, after decompression."""
    max_json: int = 32 * MIB
    """Bytes of a JSON document."""
    max_json_depth: int = 32
    body_s: float = 30.0
    """Seconds in which the body must arrive."""
    head_s: float = 10.0
    """Seconds in which the request line and the headers must arrive."""
    stalled_s: float = 60.0
    """Seconds for which a client may leave its answer unread."""
    idle_s: float = 60.0
    """Seconds for which a connection is kept open between requests."""
    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    """Of the request line and all headers."""
    max_connections: int = 1024
    max_held: int = 512 * MIB
    """Bytes of all bodies that are being received or answered."""

    @classmethod
    def of(cls, settings: ServeSettings) -> "Limits":
        """The limits that a user can set, and the usual ones for the rest."""
        return cls(
            max_body=settings.max_body,
            max_json=min(settings.max_body, 32 * MIB),
            max_json_depth=settings.max_json_depth,
            max_held=max(2 * settings.max_body, 512 * MIB),
        )


class BodyLimits:
    """Receives the body of each request within the limits, and answers those beyond them."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.held = 0
        """Bytes of the bodies that are in memory."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reception = Reception(self, receive)
        try:
            body = await reception.body(scope)
        except LimitedError as error:
            self.held -= reception.held
            headers = {"connection": "close", **({"retry-after": "1"} if error.status == 503 else {})}
            await send_error(send, error.status, error.reason, headers, more_body=True)
            await discard(receive)
            await send({"type": "http.response.body", "body": b""})
            return
        except BaseException:
            self.held -= reception.held
            raise
        try:
            if body is not None:  # else the client has gone
                facts_of(scope)["bytes"] = len(body)
                await self.app(scope, replay(body, receive), send)
        finally:
            self.held -= reception.held


class Reception:
    """The body of one request on its way."""

    def __init__(self, layer: BodyLimits, receive: Receive) -> None:
        self.layer, self.limits, self.receive = layer, layer.limits, receive
        self.held = 0

    def hold(self, count: int) -> None:
        """Count bytes that come into memory. Raises LimitedError if all bodies together are too many."""
        self.held += count
        self.layer.held += count
        if self.layer.held > self.limits.max_held:
            raise LimitedError(503, "The server holds too many large requests at the moment. Try again.")

    async def body(self, scope: Scope) -> bytes | None:
        """The whole body, inflated; None if the client has gone. Raises LimitedError."""
        length = announced(scope)
        if length is not None and length > self.limits.max_body:
            raise too_large(self.limits.max_body)
        try:
            async with asyncio.timeout(self.limits.body_s):
                body = await self.collect()
        except TimeoutError:
            seconds = self.limits.body_s
            raise LimitedError(408, f"The body of a request must arrive within {seconds:g} seconds.") from None
        if body is None:
            return None
        body = self.inflated(scope, body)
        if b"json" in (find_header(scope, b"content-type") or b"").lower():
            check_json(body, self.limits)
        return body

    async def collect(self) -> bytes | None:
        """All chunks of the body as they were sent."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self.limits.max_body:
                raise too_large(self.limits.max_body)
            self.hold(len(chunk))
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def inflated(self, scope: Scope, body: bytes) -> bytes:
        """The body without its compression, of which the app then sees nothing."""
        encoding = (find_header(scope, b"content-encoding") or b"identity").strip().lower()
        if encoding in (b"identity", b""):
            return body
        if encoding not in (b"gzip", b"x-gzip", b"deflate"):
            name = encoding.decode("latin-1")
            raise LimitedError(415, f"A body is plain, or compressed by gzip or deflate. Received: {name!r}.")
        found = inflate(body, self.limits.max_body, gzip=encoding != b"deflate")
        self.hold(len(found))
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in (b"content-encoding", b"content-length")]
        scope["headers"] = [*kept, (b"content-length", str(len(found)).encode())]
        return found


async def discard(receive: Receive) -> None:
    """Read what a refused client still sends, for a moment: closing a connection with unread bytes resets it, and the
    client would never see the reason."""
    left = LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def announced(scope: Scope) -> int | None:
    """The Content-Length of a request, if it has one. Raises LimitedError if it is not a number."""
    length = find_header(scope, b"content-length")
    if length is not None and not length.isdigit():
        raise LimitedError(400, f"Content-Length is a number. Received: {length.decode('latin-1')!r}.")
    return None if length is None else int(length)


def too_large(most: int) -> LimitedError:
    return LimitedError(413, f"A request has at most {most:,} bytes in its body, after decompression.")


def replay(body: bytes, receive: Receive) -> Receive:
    """A channel that gives a body in one piece, and then what else the connection says."""
    given = False

    async def from_memory() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return from_memory


def inflate(body: bytes, most: int, *, gzip: bool = True) -> bytes:
    """A body of gzip or deflate, decompressed, of which no more than `most` bytes ever come into memory.

    Raises LimitedError: 413 for a larger one, 400 for one that is damaged, cut off, or has something behind it.

    >>> inflate(zlib.compress(b"aaaa"), 10, gzip=False)
    b'aaaa'
    """
    parts: list[bytes] = []
    left, size = body, 0
    try:
        while left or not parts:
            inflater = zlib.decompressobj(wbits=31 if gzip else 15)
            part = inflater.decompress(left, most - size + 1)
            size += len(part)
            if size > most:
                raise too_large(most)
            if not inflater.eof:
                raise LimitedError(400, "The compressed body of the request is cut off.")
            parts.append(part)
            left = inflater.unused_data  # gzip allows several members, one after the other
            if left and not gzip:
                raise LimitedError(400, "The compressed body of the request has bytes behind its end.")
    except zlib.error as error:
        raise LimitedError(400, f"The body of the request can't be decompressed: {error}.") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_json(document: bytes, limits: Limits) -> None:
    """Raises LimitedError for JSON that is too large or too deep to be parsed."""
    if len(document) > limits.max_json:
        raise LimitedError(400, f"A JSON document has at most {limits.max_json:,} bytes. Received: {len(document):,}.")
    if (depth := json_depth(document, limits.max_json_depth)) > limits.max_json_depth:
        reason = f"JSON has at most {limits.max_json_depth} levels of lists and objects. Received: {depth:,} or more."
        raise LimitedError(400, reason)


def json_depth(document: bytes, enough: int = 0) -> int:
    """The levels of lists and objects in JSON, without parsing it; an upper bound if that is at most `enough`.

    >>> json_depth(b'{"a": [[1], "[[[["]}')
    3
    """
    if (brackets := document.count(b"[") + document.count(b"{")) <= enough:
        return brackets
    if b"\\" in document:  # pairs first, so that what is left before a quote escapes it
        document = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    kept = np.frombuffer(document.translate(None, OTHERS), np.uint8)
    deepest = level = quotes = 0
    for start in range(0, len(kept), PIECE):
        piece = kept[start : start + PIECE]
        parity = (np.cumsum(piece == ord('"'), dtype=np.int32) + quotes) % 2
        step = STEPS[piece] * (parity == 0)
        levels = np.cumsum(step, dtype=np.int32) + level
        deepest, level, quotes = max(deepest, int(levels.max())), int(levels[-1]), int(parity[-1])
    return deepest
