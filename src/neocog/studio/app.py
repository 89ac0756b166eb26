"""The server of the Studio: the guard, errors as JSON, the page, and the routes of each screen."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from neocog import __version__
from neocog.errors import NeocogError
from neocog.studio.guard import Guard
from neocog.studio.routes import export
from neocog.studio.state import Studio, error_facts

__all__ = ["ROUTERS", "create_app"]

STATIC = Path(__file__).parent / "static"
ROUTERS: tuple[APIRouter, ...] = (export.router,)
"""Of all screens."""


def create_app(studio: Studio, token: str, hosts: tuple[str, ...]) -> Guard:
    """The application, guarded: `token` is asked of every request, `hosts` are the server's own addresses.

    >>> create_app(Studio(), "secret", ("127.0.0.1:8000",)).token
    'secret'
    """
    app = FastAPI(title="Neocog Studio", version=__version__, docs_url=None, redoc_url=None)
    app.state.studio = studio
    app.add_exception_handler(NeocogError, neocog_error)
    app.add_exception_handler(Exception, unexpected_error)
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/api/overview", overview)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return Guard(app, token=token, hosts=hosts)


def overview(request: Request) -> dict[str, object]:
    """What is open."""
    studio: Studio = request.app.state.studio
    return {"version": __version__, **studio.overview()}


async def neocog_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NeocogError)
    return JSONResponse(error_facts(error), status_code=400)


async def unexpected_error(request: Request, error: Exception) -> Response:
    """What the page gets of an error of ours; the server logs its trace."""
    reason = "The Studio failed at this. The terminal in which it runs says how."
    return JSONResponse({"error": reason, "kind": "failure"}, status_code=500)
