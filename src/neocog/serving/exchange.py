"""One request and its answer, in plain ASGI: what is cheap is done without a framework."""

import asyncio
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from neocog.errors import NeocogError

if TYPE_CHECKING:
    from neocog.serving.app import Server
    from neocog.serving.served import Served

__all__ = ["Answer", "Call", "DisconnectedError", "RequestError", "inflate"]

JSON = b"application/json"
WORTH = 1024  # bytes from which compressing an answer pays
LEVEL = 1
ZERO = re.compile(r"q\s*=\s*0(\.0*)?")
GZIP, ZLIB, RAW = 31, 15, -15  # window bits


class RequestError(NeocogError):
    """A request that can't be answered, and the status that says so."""

    def __init__(
        self, rule: str, *, received: str = "", where: str = "", fix: str = "", status: int = 400, retry_s: int = 0
    ) -> None:
        """`retry_s`: seconds after which to try again."""
        super().__init__(rule, received=received, where=where, fix=fix)
        self.status = status
        self.headers = ((b"retry-after", str(retry_s).encode()),) if retry_s else ()


class DisconnectedError(Exception):
    """The client has gone."""


@dataclass(slots=True)
class Answer:
    """A status, a body and its type."""

    status: int
    body: bytes = b""
    kind: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> "Answer":
        """A value as JSON. Raises ValueError for NaN and infinity, which JSON doesn't have."""
        return cls(status, json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), headers=headers)

    @classmethod
    def error(cls, sentence: str, status: int, headers: tuple[tuple[bytes, bytes], ...] = ()) -> "Answer":
        return cls.of({"error": sentence}, status, headers)


class Call:
    """One request."""

    def __init__(self, server: "Server", scope: Scope, receive: Receive, names: Mapping[str, str]) -> None:
        """`names` are the parts of the path that vary."""
        self.server, self.scope, self.receive, self.names = server, scope, receive, names
        self.facts: dict[str, Any] = scope.setdefault("neocog", {})
        """The facts of the request, for logs and metrics."""

    @cached_property
    def headers(self) -> dict[bytes, bytes]:
        """By name, in lower case."""
        return dict(self.scope["headers"])

    def header(self, name: bytes) -> str:
        """A header's value; empty if it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters behind the question mark."""
        text = self.scope.get("query_string", b"").decode("latin-1")
        return dict(parse_qsl(text, keep_blank_values=True)) if text else {}

    def find_model(self) -> "Served":
        """The model that the path names, or the first one. Raises UnknownModelError."""
        served = self.server.repository.get(self.names.get("name"), self.names.get("version"))
        self.facts["model"], self.facts["version"] = served.name, served.version
        return served

    @property
    def content_type(self) -> str:
        """Without its parameters, in lower case."""
        return self.header(b"content-type").partition(";")[0].strip().lower()

    async def body(self) -> bytes:
        """The body, decompressed. Raises RequestError if it is too large or damaged, DisconnectedError if it ends."""
        most, parts, size = self.server.settings.max_body, [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise too_large(most)
            parts.append(part)
            if not message.get("more_body"):
                break
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        encoding = self.headers.get(b"content-encoding")
        return inflate(body, encoding.decode("latin-1"), most) if encoding else body

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone; for after the body."""
        while (await self.receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)

    async def send(self, answer: Answer, send: Send) -> None:
        """Send an answer, compressed if the client takes that and it pays."""
        body, headers = answer.body, [(b"content-type", answer.kind), *answer.headers]
        if len(body) >= WORTH and (accepted := self.headers.get(b"accept-encoding")) and answer.kind != b"image/png":
            form = accepted_form(accepted.decode("latin-1"))
            if form:
                body = deflate(body, form)
                headers += [(b"content-encoding", form.encode()), (b"vary", b"Accept-Encoding")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})


def too_large(most: int) -> RequestError:
    return RequestError(
        "The body must not be larger than this server takes.", received=f"more than {most:,} bytes",
        fix="Send smaller or fewer inputs.", status=413,
    )  # fmt: skip


def inflate(body: bytes, encoding: str, most: int) -> bytes:
    """A compressed body as it was; gzip, deflate, or several of them one over the other, at most `most` bytes.

    Raises RequestError for another encoding, a damaged or truncated body, and one that becomes too large.

    >>> inflate(zlib.compress(b"seven"), "deflate", 10)
    b'seven'
    """
    for form in reversed([part.strip().lower() for part in encoding.split(",")]):
        if form in ("gzip", "x-gzip", "deflate"):
            body = inflate_once(body, form, most)
        elif form not in ("identity", ""):
            raise RequestError(
                "Content-Encoding must be gzip, deflate or identity.", received=repr(form), status=415,
                fix="Send the body uncompressed.",
            )  # fmt: skip
    return body


def inflate_once(body: bytes, form: str, most: int) -> bytes:
    bits = GZIP if form != "deflate" else ZLIB if body[:1] and body[0] & 15 == 8 else RAW  # RFC 1950: method 8
    parts: list[bytes] = []
    size, rest = 0, body
    try:
        while rest or not parts:
            machine = zlib.decompressobj(bits)
            parts.append(machine.decompress(rest, most - size + 1))
            size += len(parts[-1])
            if size > most:
                raise too_large(most)
            if not machine.eof:
                raise zlib.error("it ends before its last block")
            rest = machine.unused_data if bits == GZIP else b""  # a gzip file may have several members
    except zlib.error as error:
        raise RequestError(
            f"A body with Content-Encoding: {form} must be compressed that way.", received=f"{error}",
            fix="Compress it again, or leave the header out.",
        ) from error  # fmt: skip
    return b"".join(parts)


def deflate(body: bytes, form: str) -> bytes:
    """A body compressed as gzip or as deflate, which is zlib's form."""
    machine = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP if form == "gzip" else ZLIB)
    return machine.compress(body) + machine.flush()


def accepted_form(header: str) -> str:
    """The compression that an Accept-Encoding header takes, the first of those we have; empty for none.

    >>> accepted_form("gzip;q=0, deflate"), accepted_form("br"), accepted_form("*")
    ('deflate', '', '')
    """
    for part in header.split(","):
        form, _, quality = part.strip().lower().partition(";")
        if form.strip() in ("gzip", "deflate") and not ZERO.fullmatch(quality.strip()):
            return form.strip()
    return ""
