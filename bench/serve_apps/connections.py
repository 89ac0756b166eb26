"""Single connections for `bench/serve_faults.py`, on which anything can be sent, and answers checked."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from serve_apps.requests import is_right

__all__ = ["Good", "GoodClient", "Outcome", "connect", "read_answer", "reset", "send_once", "status_of"]

LINGER_NONE = struct.pack("ii", 1, 0)


def connect(port: int, timeout: float = 10.0) -> socket.socket:
    """A connection to the server."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def reset(connection: socket.socket) -> None:
    """Close a connection at once, with a reset instead of a farewell."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    connection.close()


def status_of(answer: bytes) -> int:
    """The status of an answer; 0 if it has none."""
    return int(answer[9:12]) if answer[:7] == b"HTTP/1." and answer[9:12].isdigit() else 0


def is_complete(answer: bytes, *, head_only: bool = False) -> bool:
    """Whether an answer has all bytes that its header promises."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    fields = {line.partition(b":")[0].strip().lower(): line.partition(b":")[2].strip() for line in head.split(b"\r\n")}
    if head_only or status_of(answer) in (204, 304):
        return True
    if b"content-length" in fields:
        return len(body) >= int(fields[b"content-length"])
    return body.endswith(b"0\r\n\r\n") if b"transfer-encoding" in fields else False


def read_answer(connection: socket.socket, seconds: float, *, head_only: bool = False) -> bytes | None:
    """Bytes until the answer is complete or the connection ends; None if neither happens within the time."""
    received, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            chunk = connection.recv(1 << 16)
        except TimeoutError:
            return None
        except OSError:  # a reset
            return received
        if not chunk:
            return received
        received += chunk
        if is_complete(received, head_only=head_only):
            return received
    return None


def send_once(port: int, request: bytes, *, half_close: bool, seconds: float) -> bytes | None:
    """The answer to a request on a connection of its own, as `read_answer`; `half_close` says that it ends here."""
    connection = connect(port, seconds)
    try:
        with suppress(OSError):  # a server may refuse and close before everything is sent
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return read_answer(connection, seconds, head_only=request.startswith(b"HEAD "))
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Good:
    """A right request, and the probabilities that the network gives for it; several if the network may change."""

    request: bytes
    expected: tuple[dict[str, float], ...]

    def fault(self, answer: bytes | None) -> str:
        """The fault of an answer; empty if it is right."""
        if not answer:
            return "no answer" if answer is None else "closed without an answer"
        if not is_complete(answer):
            return f"cut off after {len(answer)} bytes"
        body = answer.partition(b"\r\n\r\n")[2].decode()
        if status_of(answer) != 200:
            return f"status {status_of(answer)}: {body[:200]}"
        return "" if any(is_right(body, one) for one in self.expected) else f"a wrong answer: {body[:200]}"

    def which(self, answer: bytes) -> int:
        """The number of the first of `expected` that the answer agrees with."""
        body = answer.partition(b"\r\n\r\n")[2].decode()
        return next((number for number, one in enumerate(self.expected) if is_right(body, one)), -1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A good request: when it was sent and answered, and what was wrong."""

    sent: float
    answered: float
    fault: str
    which: int


@dataclass
class GoodClient:
    """A thread that sends good requests on one connection until it is told to stop, and checks each answer."""

    port: int
    goods: Sequence[Good]
    pause: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self) -> list[Outcome]:
        """End after the answer that is on its way; all outcomes."""
        self.stopping.set()
        self.thread.join()
        return self.outcomes

    def run(self) -> None:
        """Send and check; after a connection has ended, use a new one; if none is accepted, end."""
        connection: socket.socket | None = None
        number = 0
        while not self.stopping.is_set():
            good = self.goods[number % len(self.goods)]
            number += 1
            try:
                connection = connection or connect(self.port)
            except OSError:
                return
            sent = time.monotonic()
            try:
                connection.sendall(good.request)
                answer = read_answer(connection, 60.0)
            except OSError:
                answer = b""
            fault = good.fault(answer)
            which = good.which(answer) if answer and not fault else -1
            self.outcomes.append(Outcome(sent, time.monotonic(), fault, which))
            if not answer or b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower():
                connection.close()
                connection = None
            if self.pause:
                time.sleep(self.pause)
        if connection:
            connection.close()


def tally(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many outcomes had each fault; those without one as `right`."""
    return dict(Counter(outcome.fault or "right" for outcome in outcomes).most_common())


def as_text(value: object) -> str:
    """A value as JSON in one line."""
    return json.dumps(value, default=str)
