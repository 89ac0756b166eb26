"""An ASGI app that reads the body and answers at once: what the clients can reach at most beside a real server.

python -m serve_apps.trivial --port 8000
"""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

BODY = b'{"class":"none","probability":1.0}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer every request with the same few bytes."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(
        app, host="127.0.0.1", port=given.port, log_level="warning", access_log=False, lifespan="off"
    )  # fmt: skip


if __name__ == "__main__":
    main()
