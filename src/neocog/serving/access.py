"""The outermost layer: each request gets its id, is timed, counted and logged."""

import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neocog.serving.asgi import facts_of, find_header
from neocog.serving.logs import Level, Log, request_id
from neocog.serving.metrics import Metrics

__all__ = ["Access", "Flags"]


@dataclass(slots=True)
class Flags:
    """The state of a worker, as its layers share it."""

    draining: bool = False
    """Whether it stops: connections are closed after their answer."""
    in_flight: int = 0
    """Requests that have no whole answer yet."""


class Access:
    """Gives requests their ids, and tells the log and the metrics about answers."""

    def __init__(self, app: ASGIApp, log: Log, metrics: Metrics, flags: Flags, *, log_requests: bool = True) -> None:
        self.app, self.log, self.metrics, self.flags, self.log_requests = app, log, metrics, flags, log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        facts = facts_of(scope)
        facts["id"] = name = request_id(find_header(scope, b"x-request-id"))
        began = time.perf_counter()
        status, sent = 0, 0

        async def noting(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                closing = [(b"connection", b"close")] if self.flags.draining else []
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode()), *closing]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        self.flags.in_flight += 1
        try:
            await self.app(scope, receive, noting)
        except Exception:
            status = status or 500
            raise
        finally:
            self.flags.in_flight -= 1
            self.note(scope, status, sent, time.perf_counter() - began)

    def note(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        """Count and log an answer; status 0 stands for a client that had gone before it came."""
        facts = facts_of(scope)
        route, model = str(facts.get("route", "other")), str(facts.get("model", ""))
        self.metrics.request(model, route, status, seconds)
        if not self.log_requests:
            return
        level: Level = "error" if status >= 500 and status not in (503, 504) else "info"
        line: dict[str, object] = {
            "id": facts["id"], "method": scope["method"], "route": route, "model": model, "status": status or "gone",
            "ms": round(seconds * 1000, 3), "bytes_in": facts.get("bytes", 0), "bytes_out": sent,
        }  # fmt: skip
        self.log.request(level, line)
