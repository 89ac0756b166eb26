"""The log of a server: one JSON object for each line on standard error, or readable lines in a terminal.

A line says what happened and to which request, never what was sent: no payloads, no keys, no query strings.
"""

import json
import logging
import os
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["Level", "Log", "UvicornHandler", "request_id"]

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=@/-]{0,127}")
ENCODER = json.JSONEncoder(default=str)
CHUNK = 4096  # bytes that a pipe takes whole, so that lines of several workers don't mix (POSIX: PIPE_BUF)
HELD = 64  # lines of requests that are written at once


def request_id(given: bytes | None) -> str:
    """The identity of a request: what the client calls it if that is sane, else a new one.

    >>> request_id(b"order-17/a")
    'order-17/a'
    >>> len(request_id(b"a\\r\\nset-cookie: x"))
    32
    """
    text = "" if given is None else given.decode("latin-1")
    return text if SANE_ID.fullmatch(text) else os.urandom(16).hex()


class Log:
    """Writes events to a file descriptor.

    >>> Log(human=True).line("warning", "drift", {"model": "digits", "psi": 0.31}, datetime(2026, 1, 2, 3, 4, 5))
    '03:04:05 warning drift model=digits psi=0.31'
    """

    def __init__(self, *, human: bool | None = None, least: Level = "info", descriptor: int = 2) -> None:
        """`human`: readable lines instead of JSON, by default if standard error is a terminal."""
        self.human = sys.stderr.isatty() if human is None else human
        self.least, self.descriptor = LEVELS.index(least), descriptor
        self.always: dict[str, object] = {}
        """Facts that each line carries, such as the number of the worker."""
        self.held: list[bytes] = []

    def write(self, level: Level, event: str, **facts: object) -> None:
        """An event, at once."""
        if LEVELS.index(level) >= self.least:
            self.hold(level, event, facts)
            self.flush()

    def request(self, level: Level, facts: dict[str, object]) -> None:
        """A request that was answered. Lines are written many at a time, or at the next `flush`."""
        if LEVELS.index(level) >= self.least:
            self.hold(level, "request", facts)
            if len(self.held) >= HELD:
                self.flush()

    def hold(self, level: Level, event: str, facts: dict[str, object]) -> None:
        line = self.line(level, event, {**facts, **self.always}, datetime.now(UTC))
        self.held.append(line.encode(errors="backslashreplace") + b"\n")

    def line(self, level: Level, event: str, facts: dict[str, object], now: datetime) -> str:
        """The text of a line."""
        if not self.human:
            time = now.isoformat(timespec="milliseconds")[:23] + "Z"
            return ENCODER.encode({"time": time, "level": level, "event": event, **facts})
        # Line breaks and control characters of a foreign text don't reach the terminal.
        words = " ".join(f"{name}={printable(value)}" for name, value in facts.items() if value not in (None, ""))
        return f"{now:%H:%M:%S} {level} {event} {words}".rstrip()

    def flush(self) -> None:
        """Write what is held, in pieces of whole lines."""
        lines, self.held = self.held, []
        piece = b""
        for line in lines:
            if piece and len(piece) + len(line) > CHUNK:
                write_all(self.descriptor, piece)
                piece = b""
            piece += line
        if piece:
            write_all(self.descriptor, piece)


def printable(value: object) -> str:
    """A value without what a terminal would obey."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(value))


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it; if nobody reads it any more, that is ignored."""
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        return


class UvicornHandler(logging.Handler):
    """Takes what the web server logs, such as an exception of a route, into our log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        facts: dict[str, Any] = {"message": record.getMessage().strip()}
        if record.exc_info and record.exc_info[1] is not None:
            facts["trace"] = "".join(traceback.format_exception(record.exc_info[1])).strip()
        self.log.write(level, "server", **facts)
