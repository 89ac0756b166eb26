"""Ctrl-C and a batch system's SIGTERM: the first asks the loop to save and stop, the second exits immediately."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

from neocog.progress import note

__all__ = ["Interrupt", "Interrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SAME_REQUEST = 2.0  # seconds within which both signals are one request


class Interrupted(KeyboardInterrupt):
    """Training was stopped by the user and its state is saved; the message says how to resume."""

    def __init__(self, message: str, signum: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.signum = signum


class Interrupt:
    """Within this block a first signal sets `asked`; a second one raises KeyboardInterrupt right there."""

    def __init__(self) -> None:
        self.asked = 0  # the signal's number
        self.asked_at = 0.0
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # other threads may not set handlers
            self.before = {number: signal.signal(number, self.handle) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        if self.asked:
            if signum != self.asked and time.monotonic() - self.asked_at < SAME_REQUEST:
                return  # torchrun passes Ctrl-C, which the terminal has sent already, on as SIGTERM
            raise KeyboardInterrupt
        self.asked, self.asked_at = signum, time.monotonic()
        note("Stopping after this step and saving. Press again to exit immediately, keeping the last checkpoint.")
