"""Readiness: golden samples, heartbeats, and the cache between them."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from neocog.serving.readiness import Readiness
from neocog.serving.repository import Repository
from neocog.serving.table import STALE, WorkerRow, WorkerState, WorkerTable


class Golden:
    """A model whose golden sample passes or not, and counts how often it was asked."""

    def __init__(self, name: str = "digits", passes: bool = True, seconds: float = 0.0) -> None:
        self.name, self.version, self.passes, self.seconds, self.asked = name, "1", passes, seconds, 0

    async def check_golden(self) -> bool:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        if self.passes is None:
            raise RuntimeError("the engine is gone")
        return self.passes


def made(folder: Path, *models: Any, workers: int = 1) -> Readiness:
    table = WorkerTable(folder / "workers", workers)
    for slot in range(workers):
        table.write(slot, WorkerRow(pid=slot + 1, state=WorkerState.SERVING, beat=time.monotonic()))
    readiness = Readiness(Repository(*models), table, 0, 1)
    readiness.beat(WorkerState.SERVING)
    return readiness


async def ready(readiness: Readiness, *, later: float = 0.0) -> bool:
    await asyncio.sleep(later)
    readiness.beat()
    return await readiness.ready()


def test_ready_asks_the_golden_sample_of_each_model(tmp_path: Path) -> None:
    models = Golden("a"), Golden("b")
    readiness = made(tmp_path, *models)
    assert asyncio.run(ready(readiness))
    assert [model.asked for model in models] == [1, 1]


@pytest.mark.parametrize("passes", [False, None])
def test_a_model_that_fails_is_not_ready(tmp_path: Path, passes: bool) -> None:
    good, bad = Golden("good"), Golden("bad", passes)

    async def check() -> tuple[bool, bool, bool, bool]:
        readiness = made(tmp_path, good, bad)
        asked = await readiness.model_ready("good"), await readiness.model_ready("bad")
        return *asked, await readiness.ready(), await readiness.model_ready("bad")

    assert asyncio.run(check()) == (True, False, False, False)
    assert not asyncio.run(made(tmp_path, good).model_ready("unknown"))
    assert not asyncio.run(made(tmp_path).ready()), "without a model, nothing is ready"


def test_many_probes_ask_once_in_half_a_second(tmp_path: Path) -> None:
    model = Golden(seconds=0.02)

    async def probe() -> tuple[int, int]:
        readiness = made(tmp_path, model)
        assert all(await asyncio.gather(*(ready(readiness) for _ in range(50))))
        assert await ready(readiness, later=0.1)
        early = model.asked
        assert await ready(readiness, later=0.55)
        return early, model.asked

    assert asyncio.run(probe()) == (1, 2)


def test_a_worker_that_is_gone_or_hangs_is_not_ready(tmp_path: Path) -> None:
    readiness = made(tmp_path, Golden(), workers=2)

    async def check(row: WorkerRow) -> bool:
        readiness.table.write(1, row)
        return await ready(readiness)

    now = time.monotonic()
    alive = WorkerRow(pid=2, state=WorkerState.SERVING, beat=now + 60)
    assert asyncio.run(check(alive))
    assert not asyncio.run(check(WorkerRow()))
    assert not asyncio.run(check(WorkerRow(pid=2, state=WorkerState.SERVING, beat=now - STALE)))
    assert not asyncio.run(check(WorkerRow(pid=2, state=WorkerState.STARTING, beat=now + 60)))
    assert not asyncio.run(check(WorkerRow(pid=2, state=WorkerState.SERVING, beat=now + 60, passed=False)))
    assert asyncio.run(check(alive))


def test_a_worker_that_dies_during_the_check_is_seen(tmp_path: Path) -> None:
    async def probe() -> bool:
        readiness = made(tmp_path, Golden(seconds=0.1), workers=2)
        asking = asyncio.create_task(readiness.ready())
        await asyncio.sleep(0.05)
        readiness.table.clear(1)
        return await asking

    assert not asyncio.run(probe())


def test_a_probe_of_one_worker_makes_the_others_check_themselves(tmp_path: Path) -> None:
    broken = Golden(passes=False)

    async def probe() -> tuple[bool, bool]:
        here = made(tmp_path, Golden(), workers=2)
        other = Readiness(Repository(broken), WorkerTable(tmp_path / "workers", 2), 1, 2)
        other.beat(WorkerState.SERVING)
        tasks = [asyncio.create_task(each.run()) for each in (here, other)]
        first = await here.ready()
        await asyncio.sleep(0.3)
        second = await here.ready()
        for task in tasks:
            task.cancel()
        return first, second

    assert asyncio.run(probe()) == (True, False)
    assert broken.asked == 1


def test_without_probes_nothing_is_computed(tmp_path: Path) -> None:
    model = Golden()

    async def idle() -> None:
        task = asyncio.create_task(made(tmp_path, model).run())
        await asyncio.sleep(0.3)
        task.cancel()

    asyncio.run(idle())
    assert model.asked == 0
