"""Bounds of requests: bodies, compression, JSON, heads and connections."""

import asyncio
import gzip
import json
import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from neocog.serving.connection import limited_protocol
from neocog.serving.limits import BodyLimits, LimitedError, Limits, check_json, inflate, json_depth
from neocog.serving.settings import ServeSettings

SMALL = Limits(
    max_body=1000, max_json=500, max_json_depth=4, body_s=0.2, head_s=0.3, max_headers=20, max_header_bytes=2000,
    max_connections=3, max_held=1500,
)  # fmt: skip


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was sent, and its Content-Length."""
    message = await receive()
    length = dict(scope["headers"]).get(b"content-length", b"none")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-length", length)]})
    await send({"type": "http.response.body", "body": message["body"]})


def ask(
    *chunks: bytes, headers: dict[str, str] | None = None, limits: Limits = SMALL, pause: float = 0.0, held: int = 0
) -> tuple[int, bytes, dict[str, str]]:
    """The answer to a body in these chunks."""
    layer = BodyLimits(echo, limits)
    layer.held = held
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(pause)
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": pairs}
    asyncio.run(layer(scope, receive, send))
    assert layer.held == held, "all that was counted is given back"
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]), answered


def error(body: bytes) -> str:
    return str(json.loads(body)["error"])


def test_a_body_arrives_in_one_piece() -> None:
    assert ask(b"ab", b"", b"cd")[:2] == (200, b"abcd")


@pytest.mark.parametrize(("chunks", "headers"), [
    ((b"x" * 1001,), {}),
    ((b"x" * 600, b"x" * 401), {}),
    ((b"",), {"content-length": "1001"}),
    ((gzip.compress(b"x" * 1001),), {"content-encoding": "gzip"}),
])  # fmt: skip
def test_a_body_that_is_too_large_is_refused(chunks: tuple[bytes, ...], headers: dict[str, str]) -> None:
    status, body, answered = ask(*chunks, headers=headers)
    assert status == 413
    assert error(body) == "A request has at most 1,000 bytes in its body, after decompression."
    assert answered["connection"] == "close"


def test_a_body_of_the_largest_size_passes() -> None:
    assert ask(b"x" * 1000)[0] == 200
    assert ask(gzip.compress(b"x" * 1000), headers={"content-encoding": "gzip"})[0] == 200


def test_a_slow_body_is_refused() -> None:
    status, body, _ = ask(b"a", b"b", b"c", pause=0.11)
    assert (status, error(body)) == (408, "The body of a request must arrive within 0.2 seconds.")


def test_many_large_bodies_together_are_refused() -> None:
    status, body, answered = ask(b"x" * 600, held=1000)
    assert status == 503
    assert error(body) == "The server holds too many large requests at the moment. Try again."
    assert answered["retry-after"] == "1"


@pytest.mark.parametrize(("encoding", "body"), [
    ("gzip", gzip.compress(b"hello") + gzip.compress(b" you")),
    ("deflate", zlib.compress(b"hello you")),
    ("GZIP", gzip.compress(b"hello you")),
])  # fmt: skip
def test_a_compressed_body_arrives_inflated(encoding: str, body: bytes) -> None:
    status, found, answered = ask(body, headers={"content-encoding": encoding, "content-length": str(len(body))})
    assert (status, found, answered["x-length"]) == (200, b"hello you", "9")


@pytest.mark.parametrize(("encoding", "body", "status", "sentence"), [
    ("gzip", gzip.compress(b"hello you")[:-4], 400, "The compressed body of the request is cut off."),
    ("gzip", b"not gzip", 400, "The body of the request can't be decompressed: "),
    ("deflate", zlib.compress(b"a") + b"b", 400, "The compressed body of the request has bytes behind its end."),
    ("br", b"", 415, "A body is plain, or compressed by gzip or deflate. Received: 'br'."),
])  # fmt: skip
def test_a_damaged_compressed_body_is_refused(encoding: str, body: bytes, status: int, sentence: str) -> None:
    found, text, _ = ask(body, headers={"content-encoding": encoding})
    assert found == status
    assert error(text).startswith(sentence)


def test_a_bomb_is_never_inflated() -> None:
    bomb = gzip.compress(bytes(50 * 2**20))
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(LimitedError):
        inflate(bomb, 2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_json_beyond_the_limits_is_refused() -> None:
    json_type = {"content-type": "application/json"}
    assert ask(b"[[[[1]]]]", headers=json_type)[0] == 200
    status, body, _ = ask(b"[[[[[1]]]]]", headers=json_type)
    assert (status, error(body)) == (400, "JSON has at most 4 levels of lists and objects. Received: 5 or more.")
    status, body, _ = ask(b'"' + b"x" * 500 + b'"', headers=json_type)
    assert (status, error(body)) == (400, "A JSON document has at most 500 bytes. Received: 502.")
    with pytest.raises(LimitedError):
        check_json(b"[" * 400, SMALL)


def depth_of(value: object) -> int:
    """By walking through it."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


def test_depth_of_json_is_that_of_the_parsed_value() -> None:
    draw = random.Random(0)
    texts = ["", "[[[", '"', "\\", '\\"[', "]]{", "\\\\"]

    def made(levels: int) -> object:
        kind = draw.randrange(4) if levels else 0
        if kind == 0:
            return draw.choice([*texts, 1, None])
        if kind == 1:
            return {draw.choice(texts) + str(i): made(levels - 1) for i in range(draw.randrange(3))}
        return [made(levels - 1) for _ in range(draw.randrange(4))]

    for _ in range(300):
        value = made(6)
        assert json_depth(json.dumps(value).encode()) == depth_of(value)


def test_depth_is_counted_across_pieces() -> None:
    assert json_depth(b"[" * (2**20 + 5) + b'"' + b"[" * 2**20) == 2**20 + 5


def test_limits_follow_the_settings() -> None:
    found = Limits.of(ServeSettings(max_body=5000, max_json_depth=3))
    assert (found.max_body, found.max_json, found.max_json_depth) == (5000, 5000, 3)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server with the small limits, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    number: int = listening.getsockname()[1]
    config = uvicorn.Config(
        BodyLimits(echo, SMALL), http=limited_protocol(SMALL), lifespan="off", log_level="critical", loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield number
    server.should_exit = True
    thread.join(5)


@pytest.fixture
def connect(port: int) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def make() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
    time.sleep(0.05)  # the server sees their end


def reply(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_head_that_never_ends_is_refused(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * 2500)
    found = reply(connection)
    assert found.startswith(b"HTTP/1.1 431 ")
    assert b"The head of a request has at most 2,000 bytes." in found


def test_many_headers_are_refused(port: int) -> None:
    found = httpx.get(f"http://127.0.0.1:{port}/", headers={f"x-{i}": "1" for i in range(30)})
    assert found.status_code == 431
    assert found.json()["error"] == "The head of a request has at most 20 headers and 2,000 bytes."


def test_a_slow_head_is_refused(connect: Callable[[], socket.socket]) -> None:
    connection, silent = connect(), connect()
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
    found = reply(connection)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"The head of a request must arrive within 0.3 seconds." in found
    assert reply(silent) == b"", "a connection that says nothing is closed"


def test_a_connection_too_many_is_refused(port: int, connect: Callable[[], socket.socket]) -> None:
    for _ in range(3):
        connect().sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n")
    time.sleep(0.05)
    found = httpx.get(f"http://127.0.0.1:{port}/")
    assert found.status_code == 503
    assert found.headers["retry-after"] == "1"
    assert found.json()["error"] == "The server has 3 connections open, and takes no more. Try again."


def test_a_client_that_sends_too_much_reads_the_reason(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 30000000\r\n\r\n" + b"x" * 30_000_000)
    assert reply(connection).startswith(b"HTTP/1.1 413 ")


def test_two_requests_share_a_connection(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert [client.post("/", content=b"x" * 900).status_code for _ in range(3)] == [200, 200, 200]
