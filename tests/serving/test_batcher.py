"""Batches are formed while the engine is busy, a bad work fails alone, and nothing that was accepted is lost."""

import asyncio
import threading

import pytest

from neocog.serving.batcher import Batcher, ClosedError, FullError, Work


class Engine:
    """Doubles numbers, one batch at a time when it is let to; refuses 13."""

    def __init__(self, *, held=False):
        self.batches, self.go, self.began = [], threading.Event(), threading.Event()
        if not held:
            self.go.set()

    def __call__(self, batch):
        self.began.set()
        self.batches.append([work.inputs for work in batch])
        assert self.go.wait(10)
        if any(work.inputs == 13 for work in batch):
            raise ValueError("13 is refused")
        return [2 * work.inputs for work in batch]


def works(loop, *numbers, key="a", **options):
    return [Work(loop.create_future(), key, 1, number, **options) for number in numbers]


def run(play, **options):
    """Play with a batcher and its engine, and close it."""

    async def main():
        engine = Engine(held=options.pop("held", False))
        batcher = Batcher("digits", engine, **options)
        try:
            return await play(batcher, engine)
        finally:
            engine.go.set()
            await batcher.drain()

    return asyncio.run(main())


async def began(engine):
    await asyncio.get_running_loop().run_in_executor(None, engine.began.wait, 10)


def test_what_arrives_while_the_engine_is_busy_shares_a_batch():
    async def play(batcher, engine):
        given = works(asyncio.get_running_loop(), *range(1, 8))
        batcher.submit(given[0])
        await began(engine)
        for work in given[1:]:
            batcher.submit(work)
        engine.go.set()
        found = await asyncio.gather(*(work.future for work in given))
        return found, engine.batches, [work.batch for work in given]

    found, batches, sizes = run(play, held=True, max_batch=4)
    assert found == [2, 4, 6, 8, 10, 12, 14]
    assert batches == [[1], [2, 3, 4, 5], [6, 7]]
    assert sizes == [1, 4, 4, 4, 4, 2, 2]


def test_works_of_different_kinds_are_computed_apart_and_in_order():
    async def play(batcher, engine):
        loop = asyncio.get_running_loop()
        first, *rest = works(loop, 1) + works(loop, 2, key="b") + works(loop, 3) + works(loop, 4, key="b")
        batcher.submit(first)
        await began(engine)
        for work in rest:
            batcher.submit(work)
        engine.go.set()
        await asyncio.gather(*(work.future for work in rest))
        return engine.batches

    assert run(play, held=True) == [[1], [2, 4], [3]]


def test_bad_work_fails_alone():
    async def play(batcher, engine):
        given = works(asyncio.get_running_loop(), 1, 12, 13, 14)
        batcher.submit(given[0])
        await began(engine)
        for work in given[1:]:
            batcher.submit(work)
        engine.go.set()
        return await asyncio.gather(*(work.future for work in given), return_exceptions=True)

    found = run(play, held=True)
    assert found[:2] + found[3:] == [2, 24, 28]
    assert str(found[2]) == "13 is refused"


def test_engine_waits_for_inputs_that_are_being_decoded_but_no_longer_than_the_delay():
    async def play(batcher, engine):
        loop = asyncio.get_running_loop()
        first, second, never = works(loop, 1, 2, 3)
        batcher.announce(second)
        batcher.submit(first)
        await asyncio.sleep(0.02)
        assert not engine.batches
        batcher.submit(second)
        await asyncio.gather(first.future, second.future)
        batcher.announce(never)
        (last,) = works(loop, 4)
        batcher.submit(last)
        began = loop.time()
        await last.future
        waited = loop.time() - began
        batcher.withdraw(never)
        return engine.batches, waited

    batches, waited = run(play, max_delay_ms=200)
    assert batches == [[1, 2], [4]]
    assert 0.19 < waited < 5


def test_full_queue_is_refused_with_a_time_to_try_again_and_urgent_works_pass():
    async def play(batcher, engine):
        loop = asyncio.get_running_loop()
        given = works(loop, *range(4))
        batcher.submit(given[0])
        await began(engine)
        batcher.submit(given[1])
        batcher.announce(given[2])
        with pytest.raises(
            FullError, match=r"digits has no place for more inputs: 2 wait\. Try again in 1 s\."
        ) as full:
            batcher.submit(given[3])
        (urgent,) = works(loop, 9, urgent=True)
        batcher.submit(urgent)
        batcher.submit(given[2])
        engine.go.set()
        await asyncio.gather(urgent.future, *(work.future for work in given[:3]))
        async with asyncio.timeout(5):
            while batcher.in_flight:  # answers go out a moment before the batch ends
                await asyncio.sleep(0.001)
        return full.value.seconds, engine.batches

    seconds, batches = run(play, held=True, queue=2)
    assert seconds >= 1
    assert batches[1][0] == 9


def test_work_that_nobody_waits_for_is_not_computed():
    async def play(batcher, engine):
        first, gone, last = works(asyncio.get_running_loop(), 1, 2, 3)
        for work in (first, gone, last):
            batcher.submit(work)
            await began(engine)
        gone.gone = True
        engine.go.set()
        await last.future
        return engine.batches

    assert run(play, held=True) == [[1], [3]]


def test_closed_batcher_finishes_what_it_has_and_accepts_nothing_more():
    async def play(batcher, engine):
        first, second, late = works(asyncio.get_running_loop(), 1, 2, 3)
        batcher.submit(first)
        await began(engine)
        batcher.submit(second)
        batcher.close()
        with pytest.raises(ClosedError, match=r"digits is being replaced\. Try again\."):
            batcher.submit(late)
        engine.go.set()
        await batcher.drain()
        assert not batcher.alive
        return await asyncio.gather(first.future, second.future)

    assert run(play, held=True) == [2, 4]


def test_observer_is_told_sizes_and_times():
    told = []

    async def play(batcher, engine):
        (work,) = works(asyncio.get_running_loop(), 1)
        batcher.submit(work)
        await work.future

    run(play, observe=lambda *values: told.append(values))
    ((size, seconds, waited),) = told
    assert size == 1 and 0 <= seconds < 5 and 0 <= waited < 5
