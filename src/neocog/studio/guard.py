"""Who may ask the Studio, and how much may be sent.

The server listens on this machine alone, and still anyone's web page could ask it from the user's browser, or another
user of the machine. So a request needs the token that stands in the address which `neocog studio` prints; its Host is
the server's own, which stops names that point here; an Origin, if there is one, is the server's own, too.
"""

import hmac
import json
import secrets
from collections.abc import Iterable
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "new_token"]

BODY = 64 * 2**20  # bytes that may be sent at once
POLICY = (
    b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    b"form-action 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


def new_token() -> str:
    """A token that nobody guesses: 32 random bytes."""
    return secrets.token_urlsafe(32)


class Guard:
    """Lets requests with the token through, and bounds what they send; everything else is refused with a reason."""

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str], most: int = BODY) -> None:
        """`hosts` are the values of the Host header that are this server's own; `most` bytes may be sent at once."""
        self.app, self.token, self.hosts, self.most = app, token, frozenset(hosts), most
        # Cookies know no ports: two Studios of one machine need different names.
        self.cookie = f"neocog_studio_{min(self.hosts, default='').rpartition(':')[2]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = (query.get("token") or [""])[0]
        reason = self.refuses(headers, given or headers.get("x-neocog-token", "") or self.cookie_token(headers))
        if reason:
            await refuse(send, *reason)
            return
        await self.app(scope, self.bounded(receive), self.guarded(send, given))

    def refuses(self, headers: dict[str, str], token: str) -> tuple[int, str] | None:
        """The status and the reason why a request is refused; None if it may pass."""
        host = headers.get("host", "")
        if host not in self.hosts:
            return 403, f"The Studio answers only at its own address. Received: Host {host!r}."
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{own}" for own in self.hosts}:
            return 403, f"Another page may not ask the Studio. Received: Origin {origin!r}."
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return 401, "The address of the Studio has a token. Open the address that `neocog studio` printed."
        if int(headers.get("content-length") or 0) > self.most:
            return 413, f"At most {self.most // 2**20} MB may be sent at once."
        return None

    def cookie_token(self, headers: dict[str, str]) -> str:
        found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        return found.value if found else ""

    def bounded(self, receive: Receive) -> Receive:
        """Receives at most `most` bytes, whatever the header says."""
        total = 0

        async def bounded() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.most:
                return {"type": "http.disconnect"}
            return message

        return bounded

    def guarded(self, send: Send, given: str) -> Send:
        """Adds the headers that keep the page to itself, and the cookie when the address had the token."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
                if given:
                    cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                    message["headers"].append((b"set-cookie", cookie.encode()))
            await send(message)

        return guarded


async def refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
