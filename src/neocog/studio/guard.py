"""Who may ask the Studio, and how much may be sent.

The server listens on this machine alone, and still anyone's web page could ask it from the user's browser, or another
user of the machine. So a request needs the token in the address that `neocog studio` prints; its Host is
the server's own, which stops names that point here; an Origin, if there is one, is the server's own, too; and what
another page embeds, a script or an image, is refused by the browser's own word on where a request comes from.
"""

import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from html import escape
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
OWN_SITES = ("same-origin", "none")  # values of Sec-Fetch-Site: this page, or the user
PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>Neocog Studio</title><body><h1>Neocog Studio</h1><p>{}</p>"
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
            await refuse(send, *reason, for_people="text/html" in headers.get("accept", ""))
        else:
            await Exchange(self, given).run(scope, receive, send)

    def refuses(self, headers: Mapping[str, str], token: str) -> tuple[int, str] | None:
        """The status and the reason why a request is refused; None if it may pass."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return 403, f"The Studio answers only at its own address. Received: Host {host!r}."
        if origin is not None and origin not in {f"http://{own}" for own in self.hosts}:
            return 403, f"Another page may not ask the Studio. Received: Origin {origin!r}."
        # A link in another page may lead here: the page that opens then shows its contents to the user alone.
        if headers.get("sec-fetch-mode") != "navigate" and headers.get("sec-fetch-site", "none") not in OWN_SITES:
            return 403, "Another page may not embed parts of the Studio."
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return 401, "The address of the Studio has a token. Open the address that `neocog studio` printed."
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return 400, f"Content-Length is a number. Received: {length!r}."
        return (413, self.too_much()) if int(length) > self.most else None

    def too_much(self) -> str:
        return f"At most {self.most / 2**20:.3g} MB may be sent at once."

    def cookie_token(self, headers: Mapping[str, str]) -> str:
        """The token in this Studio's cookie; cookies of other servers of this machine come along, in any form."""
        pairs = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
        return next((value for name, _, value in pairs if name == self.cookie), "")


class Exchange:
    """One request that may pass, and its answer: no more is received than may be sent, whatever the header says."""

    def __init__(self, guard: Guard, given: str) -> None:
        """`given` is the token in the address, if it was there."""
        self.guard, self.given = guard, given
        self.received, self.started = 0, False

    @property
    def over(self) -> bool:
        return self.received > self.guard.most

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded() -> Message:
            message = await receive()
            self.received += len(message.get("body", b""))
            return {"type": "http.disconnect"} if self.over else message

        async def guarded(message: Message) -> None:
            if self.over and not self.started:
                return  # the answer to a request that was cut off; the reason follows
            if message["type"] == "http.response.start":
                self.started = True
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS, *self.set_cookie()]}
            await send(message)

        try:
            await self.guard.app(scope, bounded, guarded)
        except Exception:
            if not self.over:
                raise
        if self.over and not self.started:
            await refuse(send, 413, self.guard.too_much())

    def set_cookie(self) -> list[tuple[bytes, bytes]]:
        """The cookie that stands for the token, if the address had it."""
        cookie = f"{self.guard.cookie}={self.guard.token}; HttpOnly; SameSite=Strict; Path=/"
        return [(b"set-cookie", cookie.encode())] if self.given else []


async def refuse(send: Send, status: int, reason: str, for_people: bool = False) -> None:
    """Answer with the reason, as JSON or as a page."""
    body = PAGE.format(escape(reason)).encode() if for_people else json.dumps({"error": reason}).encode()
    kind = b"text/html; charset=utf-8" if for_people else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
