"""The requests of `bench/serve.py` as bytes, and what a right answer is."""

import json
import socket
import time
from collections.abc import Callable

__all__ = ["ask", "free_port", "is_right", "upload", "wait_until_ready"]

BOUNDARY = b"------------------------0123456789abcdef"
TOLERANCE = 0.03  # of a probability: what bfloat16 may change


def upload(content: bytes, name: str, kind: str, path: str = "/predict") -> bytes:
    """A POST request with one file, as curl -F file=@NAME sends it."""
    part = (
        b'Content-Disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n'
        b"Content-Type: " + kind.encode()
    )  # fmt: skip
    body = b"--" + BOUNDARY + b"\r\n" + part + b"\r\n\r\n" + content + b"\r\n--" + BOUNDARY + b"--\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n\r\n"
    )
    return head.encode() + body


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(port: int, request: bytes) -> bytes:
    """The first bytes of the answer to a request on a connection of its own. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(1 << 16)


def wait_until_ready(port: int, request: bytes, alive: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait until the server answers this request with 200. Raises RuntimeError if it ends or takes too long."""
    answer, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if not alive():
            raise RuntimeError("The server ended before it was ready.")
        try:
            answer = ask(port, request)
            if answer.startswith(b"HTTP/1.1 200"):
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"The server was not ready after {seconds:g} s. Its last answer: {answer[:500]!r}")


def is_right(body: str, expected: dict[str, float]) -> bool:
    """Whether the best class of an answer has, within the tolerance, the probability that the network gives it.

    >>> is_right('{"class": "cat", "probability": 0.9}', {"cat": 0.91, "dog": 0.09})
    True
    >>> is_right('{"class": "dog", "probability": 0.1}', {"cat": 0.91, "dog": 0.09})
    False
    """
    try:
        answer = json.loads(body)
        name, probability = answer["class"], answer["probability"]
    except (ValueError, KeyError, TypeError):
        return False
    right = expected.get(name, -1.0)
    return abs(right - probability) <= TOLERANCE and right >= max(expected.values()) - TOLERANCE
