"""Ready means ready: each model's golden sample has just passed through queue and engine, and all workers live.

A probe of one worker makes all of them check themselves, so that a worker whose engine hangs is seen wherever the probe
arrives. A check that is at most half a second old counts, so that probes can't load the server.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from neocog.serving.repository import Repository, UnknownModelError
from neocog.serving.served import Served
from neocog.serving.table import WorkerRow, WorkerState, WorkerTable

__all__ = ["Readiness"]

FRESH = 0.5  # seconds for which a check counts
LONGEST = 5.0  # seconds that a golden sample may take
BEAT = 0.1  # seconds between two heartbeats


@dataclass(slots=True)
class Check:
    """The last check of a model, and the one under way."""

    passed: bool = False
    finished: float = float("-inf")
    running: "asyncio.Task[bool] | None" = None


class Readiness:
    """The heartbeat of a worker, and its answers to probes."""

    def __init__(self, repository: Repository, table: WorkerTable, slot: int, pid: int) -> None:
        self.repository, self.table, self.slot = repository, table, slot
        self.checks: dict[int, Check] = {}
        self.row = WorkerRow(pid=pid, state=WorkerState.STARTING)  # its models have passed when they were loaded
        self.each_beat: list[Callable[[], None]] = []
        """Called at each heartbeat."""

    async def ready(self) -> bool:
        """Whether all workers serve, and each model's golden sample passes here, now."""
        self.table.ask()
        if not self.workers_serve():
            return False
        passed = await self.check_all()
        return passed and self.workers_serve()  # one may have died meanwhile

    async def model_ready(self, name: str, version: str | None = None) -> bool:
        """Whether all workers serve, and this model's golden sample passes here, now; False for an unknown one."""
        try:
            served = self.repository.get(name, version)
        except UnknownModelError:
            return False
        return self.workers_serve() and await self.check(served) and self.workers_serve()

    def workers_serve(self) -> bool:
        """Whether all workers live, serve, and passed when they were last asked."""
        now = time.monotonic()
        return all(row.serves(now) for row in self.table.rows())

    async def check_all(self) -> bool:
        """Check every model, and tell the other workers."""
        models = list(self.repository)
        results = await asyncio.gather(*(self.check(served) for served in models))
        current = {id(served) for served in self.repository}
        self.checks = {key: check for key, check in self.checks.items() if key in current}
        # A model that was replaced meanwhile no longer counts.
        passed = bool(models) and all(ok for served, ok in zip(models, results, strict=True) if id(served) in current)
        self.row = replace(self.row, passed=passed, checked=time.monotonic())
        self.table.write(self.slot, self.row)
        return passed

    async def check(self, served: Served) -> bool:
        """Whether the golden sample of a model passes, asked at most twice a second."""
        check = self.checks.setdefault(id(served), Check())
        if time.monotonic() - check.finished <= FRESH:
            return check.passed
        if check.running is None or check.running.done():
            check.running = asyncio.create_task(self.ask(served, check))
        return await asyncio.shield(check.running)

    async def ask(self, served: Served, check: Check) -> bool:
        try:
            check.passed = await asyncio.wait_for(served.check_golden(), LONGEST)
        except Exception:  # whatever it is, the model doesn't answer
            check.passed = False
        check.finished = time.monotonic()
        return check.passed

    async def run(self) -> None:
        """Beat until cancelled; a probe of any worker makes this one check itself."""
        while True:
            self.beat()
            if self.table.asked > self.row.checked + FRESH:
                self.row = replace(self.row, checked=time.monotonic())
                self.check_task = asyncio.create_task(self.check_all())
            await asyncio.sleep(BEAT)

    def beat(self, state: WorkerState | None = None) -> None:
        """Say that the event loop runs, and what the worker does if that has changed."""
        self.row = replace(self.row, beat=time.monotonic(), state=self.row.state if state is None else state)
        self.table.write(self.slot, self.row)
        for call in self.each_beat:
            call()
