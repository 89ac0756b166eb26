"""The application: which route answers which path, and what becomes of errors.

app.Server ── routes, predict_route, explain_route, openapi, docs_page
                 │ exchange (one request, its answer) · protocol, binary, received (what was sent)
              compute ── served.Served ── batcher ── the engine
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from neocog.errors import NeocogError
from neocog.serving import docs_page, explain_route, openapi, predict_route, routes
from neocog.serving.batcher import ClosedError, FullError
from neocog.serving.exchange import Answer, Call, DisconnectedError, RequestError
from neocog.serving.repository import Repository, UnknownModelError
from neocog.serving.settings import ServeSettings

__all__ = ["ROUTES", "Health", "Route", "Server", "create_app"]

LOG = logging.getLogger("neocog.serving")
FAILED = "The server failed at this request. Its log says how."
NO_MEMORY = "The server has no memory for this request at the moment. Try again, or send smaller inputs."


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, and what answers them; {name} and {version} stand for parts of the path."""

    method: str
    path: str
    handle: Callable[[Call], Awaitable[Answer]]
    operation: dict[str, Any] | None = None
    """Its description in OpenAPI, for routes from elsewhere."""


MODEL, VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
ROUTES = (
    Route("GET", "/", docs_page.page),
    Route("GET", "/docs", docs_page.page),
    Route("GET", "/static/{name}", docs_page.static_file),
    Route("GET", "/openapi.json", openapi.document),
    Route("GET", "/v2", routes.server_metadata),
    Route("GET", "/v2/health/live", routes.live),
    Route("GET", "/v2/health/ready", routes.ready),
    Route("POST", "/v2/repository/index", routes.repository_index),
    *(
        Route(method, f"{prefix}{path}", handle)
        for prefix in (MODEL, VERSION)
        for method, path, handle in (
            ("GET", "", routes.model_metadata),
            ("GET", "/ready", routes.model_ready),
            ("GET", "/config", routes.model_config),
            ("POST", "/infer", routes.infer),
        )
    ),
    Route("POST", "/predict", predict_route.predict),
    Route("POST", "/models/{name}/predict", predict_route.predict),
    Route("POST", "/models/{name}/versions/{version}/predict", predict_route.predict),
    Route("POST", "/explain", explain_route.explain_input),
    Route("POST", "/models/{name}/explain", explain_route.explain_input),
)


class Health(Protocol):
    """Answers whether the server and its models answer."""

    async def ready(self) -> bool:
        """Whether all models answer."""

    async def model_ready(self, name: str, version: str | None) -> bool:
        """Whether a model answers."""


class Server:
    """An ASGI application that answers for the models of a repository."""

    def __init__(
        self,
        repository: Repository,
        settings: ServeSettings,
        *,
        health: Health | None = None,
        extra: Sequence[Route] = (),
    ) -> None:
        self.repository, self.settings, self.health = repository, settings, health
        self.routes = (*ROUTES, *extra)
        self.pool = ThreadPoolExecutor(settings.decoders, thread_name_prefix="decoder")
        self.explainer = explain_route.Explaining(settings)
        self.static: dict[str, dict[str, Route]] = {}
        self.patterns: dict[int, list[tuple[list[str], dict[str, Route]]]] = {}
        for route in self.routes:
            self.add(route)

    def add(self, route: Route) -> None:
        if "{" not in route.path:
            self.static.setdefault(route.path, {})[route.method] = route
            return
        parts = route.path.split("/")
        rows = self.patterns.setdefault(len(parts), [])
        known = next((methods for other, methods in rows if other == parts), None)
        if known is None:
            rows.append((parts, {route.method: route}))
        else:
            known[route.method] = route

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """The routes of a path by method, and the parts of it that vary; no routes for an unknown path."""
        if methods := self.static.get(path):
            return methods, {}
        given = path.split("/")
        for parts, methods in self.patterns.get(len(given), ()):
            names = {part[1:-1]: value for part, value in zip(parts, given, strict=True) if part[:1] == "{"}
            if all(part[:1] == "{" or part == value for part, value in zip(parts, given, strict=True)):
                return methods, names
        return {}, {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        elif scope["type"] == "http":
            await self.answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        methods, names = self.find(scope["path"])
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        call = Call(self, scope, receive, names)
        route = methods.get(method)
        if route is None:
            await call.send(unknown(scope, methods), send)
            return
        call.facts["route"] = route.path
        try:
            found = await route.handle(call)
        except DisconnectedError:
            call.facts["disconnected"] = True
            return
        except Exception as error:
            found = answer_error(error)
        await call.send(found, send)

    async def live(self, receive: Receive, send: Send) -> None:
        """The life of the application: at its end, what was accepted is computed."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                for served in self.repository:
                    await served.close()
                self.pool.shutdown(wait=False)
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_app(
    repository: Repository,
    settings: ServeSettings,
    *,
    health: Health | None = None,
    extra: Sequence[Route] = (),
    wrap: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
) -> ASGIApp:
    """The application. `health` answers for readiness; `extra` are more routes; `wrap` middlewares, outermost first."""
    app: ASGIApp = Server(repository, settings, health=health, extra=extra)
    for layer in reversed(wrap):
        app = layer(app)
    return app


def unknown(scope: Scope, methods: dict[str, Route]) -> Answer:
    """The answer to a path that does not exist, or has no such method."""
    if not methods:
        return Answer.error(f"This server does not have {scope['path'][:200]}. See /docs for what it has.", 404)
    allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
    sentence = f"{scope['path'][:200]} answers {allowed}. Received: {scope['method'][:20]}."
    return Answer.error(sentence, 405, ((b"allow", allowed.encode()),))


def answer_error(error: Exception) -> Answer:
    """The answer to a request that raised: a sentence, and a status by the kind of the error."""
    if isinstance(error, FullError):
        return Answer.error(str(error), 503, ((b"retry-after", f"{error.seconds:.0f}".encode()),))
    if isinstance(error, ClosedError):
        return Answer.error(str(error), 503, ((b"retry-after", b"1"),))
    if isinstance(error, RequestError):
        return Answer.error(str(error), error.status, error.headers)
    if isinstance(error, NeocogError):
        return Answer.error(str(error), 404 if isinstance(error, UnknownModelError) else 400)
    if lacks_memory(error):
        LOG.error("a request found no memory at %s", time.strftime("%H:%M:%S"))
        return Answer.error(NO_MEMORY, 503, ((b"retry-after", b"1"),))
    LOG.error("a request failed at %s", time.strftime("%H:%M:%S"), exc_info=error)
    return Answer.error(FAILED, 500)


def lacks_memory(error: Exception) -> bool:
    """Whether a request failed for want of memory: torch's allocator raises RuntimeError then."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
