"""The server of the Studio: the guard, errors as JSON, the page, and the routes of each screen."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from neocog import __version__
from neocog.errors import NeocogError
from neocog.studio.guard import Guard
from neocog.studio.routes import anatomy, bench, compare, doctor, export, filter, image, lessons, runs
from neocog.studio.state import Studio, error_facts

__all__ = ["ROUTERS", "create_app"]

STATIC = Path(__file__).parent / "static"
ROUTERS: tuple[APIRouter, ...] = (
    bench.router, anatomy.router, image.router, filter.router, runs.router, compare.router, doctor.router,
    lessons.router, export.router,
)  # fmt: skip
"""Of all screens."""


def create_app(studio: Studio, token: str, hosts: tuple[str, ...]) -> Guard:
    """The application, guarded: `token` is asked of every request, `hosts` are the server's own addresses.

    >>> create_app(Studio(), "secret", ("127.0.0.1:8000",)).token
    'secret'
    """
    app = FastAPI(title="Neocog Studio", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.studio = studio
    app.add_exception_handler(NeocogError, neocog_error)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected_error)
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/api/overview", overview)
    app.add_api_route("/api/open", open_target, methods=["POST"])
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return Guard(app, token=token, hosts=hosts)


class Target(BaseModel):
    """A path on this machine to open, as on the command line."""

    target: Annotated[str, Field(min_length=1, max_length=4096)]


def overview(request: Request) -> dict[str, object]:
    """Everything that is open."""
    studio: Studio = request.app.state.studio
    return {"version": __version__, **studio.overview()}


def open_target(request: Request, target: Target) -> dict[str, object]:
    """Open a bundle, a run folder, a folder of runs or data, and say what is open then."""
    studio: Studio = request.app.state.studio
    studio.open(target.target.strip())
    return overview(request)


async def neocog_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NeocogError)
    return JSONResponse(error_facts(error), status_code=400)


async def invalid_request(request: Request, error: Exception) -> Response:
    """The page gets what is wrong with each value that it sent, in a sentence."""
    assert isinstance(error, RequestValidationError)
    reason = " ".join(sentence(each) for each in error.errors()[:3])
    return JSONResponse({"error": reason, "kind": "invalid"}, status_code=422)


def sentence(fault: dict[str, Any]) -> str:
    """The fault of one value.

    >>> sentence({"loc": ("body", "size", 0), "msg": "Input should be less than or equal to 64"})
    'size.0: Input should be less than or equal to 64.'
    """
    place = ".".join(str(part) for part in fault["loc"][1:])
    return f"{place}: {fault['msg']}." if place else f"{fault['msg']}."


async def http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = f"The Studio does not have {request.url.path}." if error.status_code == 404 else str(error.detail)
    return JSONResponse({"error": reason, "kind": "http"}, status_code=error.status_code)


async def unexpected_error(request: Request, error: Exception) -> Response:
    """The page gets a sentence for an error of ours; the server logs its trace."""
    reason = "The Studio failed at this. The terminal in which it runs says how."
    return JSONResponse({"error": reason, "kind": "failure"}, status_code=500)
