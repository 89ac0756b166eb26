"""Work for a page that may have moved on: an answer that nobody waits for is not computed."""

from collections.abc import Callable
from typing import Any, TypeVar

from anyio import from_thread
from fastapi import Request

from neocog.errors import ConfigError
from neocog.studio.state import Studio

__all__ = ["alone", "gone", "remember", "studio_of"]

Result = TypeVar("Result")


def studio_of(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


def gone(request: Request) -> bool:
    """Whether the page has dropped its request. From the thread of a route that is a plain function."""
    return from_thread.run(request.is_disconnected)


def alone(request: Request, make: Callable[[], Result]) -> Result:
    """A result that is computed while nothing else is; ConfigError, which nobody reads, if the page is gone by then."""
    with studio_of(request).lock:
        check_waits(request)
        return make()


def remember(request: Request, key: Any, make: Callable[[], Result]) -> Result:
    """The same, unless the result is known from before."""

    def checked() -> Result:
        check_waits(request)
        return make()

    found: Result = studio_of(request).remember(key, checked)
    return found


def check_waits(request: Request) -> None:
    if gone(request):
        raise ConfigError("The page no longer waits for this answer.", kind="dropped")
