"""Servers as processes of their own, which signals stop and end."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from serve_apps.clients import load_server
from serve_apps.requests import free_port, wait_until_ready

__all__ = ["COMMANDS", "Server", "environment"]

BENCH = Path(__file__).parents[1]
WARM_UP = 1.0  # seconds of load before each measurement
COMMANDS = {
    "neocog": ["neocog", "serve", "{bundle}", "--port", "{port}", "--backend", "{backend}"],
    "neocog-2": ["neocog", "serve", "{bundle}", "--port", "{port}", "--backend", "{backend}", "--workers", "2"],
    "litserve": ["serve_apps.lit", "{bundle}", "--port", "{port}", "--backend", "{backend}"],
    "litserve-batch": ["serve_apps.lit", "{bundle}", "--port", "{port}", "--backend", "{backend}", "--batch", "16"],
    "plain": ["serve_apps.plain", "{bundle}", "--port", "{port}", "--backend", "{backend}"],
    "plain-loop": ["serve_apps.plain", "{bundle}", "--port", "{port}", "--backend", "{backend}", "--style", "loop"],
    "trivial": ["serve_apps.trivial", "--port", "{port}"],
}
"""Module and arguments of each server."""


class Server:
    """A server in a session of its own, which a signal stops while others are measured."""

    def __init__(self, name: str, folder: Path, more: Sequence[str] = (), **values: str) -> None:
        """`more` are further arguments; `values` fill the places of the command."""
        self.name, self.port = name, free_port()
        self.log = folder / f"{name}.log"
        command = [part.format(port=self.port, **values) for part in COMMANDS[name]] + [*more]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=log, stderr=log, start_new_session=True, env=environment()
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.signal(signal.SIGKILL)  # workers that outlive their parent
        self.process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def wait_until_ready(self, request: bytes) -> None:
        """Wait for the first good answer. Raises RuntimeError with the end of the log if the server ends before."""
        try:
            wait_until_ready(self.port, request, alive=lambda: self.process.poll() is None)
        except RuntimeError as error:
            raise RuntimeError(f"{self.name}: {error}\n{self.log.read_text()[-3000:]}") from error

    def measure(
        self, requests: list[bytes], clients: int, seconds: float, *, warm_up: float = WARM_UP
    ) -> dict[str, Any]:
        """Figures of this number of clients over this time, while the server runs; it is stopped afterwards."""
        self.signal(signal.SIGCONT)
        before = self.processor_seconds()
        result = load_server(self.port, requests, clients, seconds, warm_up=warm_up)
        used = self.processor_seconds() - before
        self.signal(signal.SIGSTOP)
        return {**result, "processor ms": used * 1e3 / (result["requests"] + result.pop("warm-up requests"))}

    def processor_seconds(self) -> float:
        """Processor time that the server and its children have used."""
        parent = psutil.Process(self.process.pid)
        times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


def environment() -> dict[str, str]:
    """The environment of all processes: modules beside this file can be imported."""
    paths = [str(BENCH), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
