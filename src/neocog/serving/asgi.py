"""Answers that the layers around the app give themselves, and what layers tell each other about a request."""

import json
from collections.abc import Mapping

from starlette.types import Scope, Send

__all__ = ["facts_of", "find_header", "send_answer", "send_error"]


def find_header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this name, in lower case, as servers give it; None if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def facts_of(scope: Scope) -> dict[str, object]:
    """Facts about a request that layers and app share: `id`, `route`, `model`, `bytes`."""
    facts: dict[str, object] = scope.setdefault("neocog", {})
    return facts


async def send_answer(
    send: Send,
    status: int,
    body: bytes,
    kind: str,
    headers: Mapping[str, str] | None = None,
    *,
    more_body: bool = False,
) -> None:
    """Send a whole answer; with `more_body`, the caller ends it."""
    pairs = {"content-type": kind, "content-length": str(len(body)), **(headers or {})}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})


async def send_error(
    send: Send, status: int, reason: str, headers: Mapping[str, str] | None = None, *, more_body: bool = False
) -> None:
    """Send a reason as JSON, as the Open Inference Protocol writes errors."""
    body = json.dumps({"error": reason}).encode()
    await send_answer(send, status, body, "application/json", headers, more_body=more_body)
