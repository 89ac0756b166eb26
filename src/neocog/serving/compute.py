"""From a request's inputs to results: decoded, batched, computed, and no longer than somebody waits for them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from neocog.errors import NeocogError
from neocog.serving.batcher import ClosedError, Work
from neocog.serving.exchange import Call, DisconnectedError, RequestError
from neocog.serving.served import Served, Wanted

__all__ = ["compute"]

WATCHED = 0.02  # seconds after which it is worth a task to see whether the client is still there

Prepare = Callable[[Served], tuple[Any, Sequence[str]]]
"""The inputs of a request as the engine takes them, and their names. Raises DataError for one that can't be read."""


async def compute(
    call: Call, prepare: Prepare, size: int, wanted: Wanted, *, light: bool, timeout_s: float | None = None
) -> tuple[Served, Any]:
    """The model that computed, and its result as `Served.work` describes it.

    `light`: whether preparing takes so little time that a thread would cost more. Raises DataError, FullError,
    RequestError after the timeout, and DisconnectedError.
    """
    served = call.find_model()
    while True:
        try:
            return served, await compute_by(served, call, prepare, size, wanted, light=light, timeout_s=timeout_s)
        except ClosedError:
            replaced, served = served, call.find_model()
            if served is replaced:
                raise


async def compute_by(
    served: Served, call: Call, prepare: Prepare, size: int, wanted: Wanted, *, light: bool, timeout_s: float | None
) -> Any:
    loop = asyncio.get_running_loop()
    work = served.work(loop.create_future(), size, wanted)
    if light:
        served.batcher.check_place(size)
        work.inputs, work.names = prepare(served)
        served.batcher.submit(work)
    else:
        served.batcher.announce(work)
        call.server.pool.submit(prepare_and_submit, served, work, prepare)
    settings = call.server.settings
    waiting = Waiting(call, work, min(settings.timeout_s, timeout_s or settings.timeout_s))
    try:
        result = await work.future
    finally:
        waiting.stop()
        work.gone = True
        call.facts.update(batch=work.batch, waited=max(0.0, work.started - work.accepted))
    return result


def prepare_and_submit(served: Served, work: Work, prepare: Prepare) -> None:
    """In a thread: decode the inputs of a work that was announced, and hand them to the batcher."""
    try:
        if not work.gone:
            work.inputs, work.names = prepare(served)
    except Exception as error:
        served.batcher.withdraw(work)
        tell(work, error)
    else:
        if work.gone:
            served.batcher.withdraw(work)
        else:
            served.batcher.submit(work)


def tell(work: Work, error: Exception) -> None:
    def settle() -> None:
        if not work.future.done():
            work.future.set_exception(error)

    try:
        work.future.get_loop().call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits
        return


class Waiting:
    """Ends a wait if it takes too long or the client has gone. A quick request costs one timer."""

    def __init__(self, call: Call, work: Work, timeout_s: float) -> None:
        self.call, self.work, self.timeout_s = call, work, timeout_s
        self.loop = work.future.get_loop()
        first = min(WATCHED, timeout_s)
        self.timer = self.loop.call_later(first, self.expire if timeout_s <= first else self.watch)
        self.watcher: asyncio.Task[None] | None = None

    def watch(self) -> None:
        self.timer = self.loop.call_later(self.timeout_s - WATCHED, self.expire)
        self.watcher = self.loop.create_task(self.see_client_leave())

    async def see_client_leave(self) -> None:
        await self.call.wait_for_disconnect()
        self.fail(DisconnectedError())

    def expire(self) -> None:
        seconds = f"{self.timeout_s:g} s"
        self.fail(
            RequestError(
                f"The answer took longer than {seconds}.", fix="Try again later, or with fewer inputs.", status=504
            )
        )

    def fail(self, error: NeocogError | DisconnectedError) -> None:
        if not self.work.future.done():
            self.work.gone = True
            self.work.future.set_exception(error)

    def stop(self) -> None:
        self.timer.cancel()
        if self.watcher is not None:
            self.watcher.cancel()
