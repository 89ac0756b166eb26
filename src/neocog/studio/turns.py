"""Work for a page that may have moved on: an answer that nobody waits for is not computed."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import from_thread
from fastapi import Request

from neocog.errors import ConfigError
from neocog.progress import follow
from neocog.studio.state import Studio

__all__ = ["alone", "gone", "remember", "studio_of"]

Result = TypeVar("Result")
LOOK = 0.1  # seconds between two looks at whether the page still waits


def studio_of(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


def gone(request: Request) -> bool:
    """Whether the page has dropped its request. From the thread of a route that is a plain function."""
    return from_thread.run(request.is_disconnected)


def alone(request: Request, make: Callable[[], Result]) -> Result:
    """A result that is computed while nothing else is; ConfigError, which nobody reads, if the page is gone by then."""
    with studio_of(request).lock:
        return watched(request, make)


def remember(request: Request, key: Any, make: Callable[[], Result]) -> Result:
    """The same, unless the result is known from before."""

    found: Result = studio_of(request).remember(key, lambda: watched(request, make))
    return found


def watched(request: Request, make: Callable[[], Result]) -> Result:
    """A result, unless the page is gone at the start or, if the work tells how far it is, by then."""
    check_waits(request)
    looked = time.monotonic()

    def look(_: str, __: float) -> None:
        nonlocal looked
        if time.monotonic() - looked > LOOK:
            check_waits(request)
            looked = time.monotonic()

    with follow(look, lambda _: None):
        return make()


def check_waits(request: Request) -> None:
    if gone(request):
        raise ConfigError("The page no longer waits for this answer.", kind="dropped")
