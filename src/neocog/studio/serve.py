"""`neocog studio`: the server on this machine, at an address with a token."""

import asyncio
import socket
import webbrowser
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from neocog.errors import ConfigError
from neocog.progress import note
from neocog.studio.app import create_app
from neocog.studio.guard import new_token
from neocog.studio.state import Studio

__all__ = ["LOOPBACK", "open_studio"]

LOOPBACK = "127.0.0.1"


def open_studio(
    *targets: str | Path,
    port: int = 0,
    browser: bool = True,
    token: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the Studio on this machine until Ctrl-C.

    `targets` are bundles, run folders, folders of runs, and data; `port` 0 takes a free one. With `browser`, the page
    is opened. `ready` gets the address once the server listens.
    Raises ConfigError if the port is taken, and a NeocogError for a target that can't be read.
    """
    import uvicorn

    studio = Studio.of(*targets)
    listening = listen(port)
    with closing(listening):
        number = listening.getsockname()[1]
        secret = token or new_token()
        address = f"http://{LOOPBACK}:{number}/?token={secret}"
        app = create_app(studio, secret, (f"{LOOPBACK}:{number}", f"localhost:{number}"))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2))

        def started() -> None:
            note(f"Studio: {address}\nCtrl-C ends it.")
            if ready:
                ready(address)
            if browser:
                webbrowser.open(address)

        asyncio.run(serve(server, listening, started))


async def serve(server: "uvicorn.Server", listening: socket.socket, started: Callable[[], None]) -> None:  # type: ignore[name-defined] # noqa: F821
    """Run the server, and say so when it listens."""
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not running.done():
        await asyncio.sleep(0.02)
    if server.started:
        started()
    await running


def listen(port: int) -> socket.socket:
    """A socket on this machine alone. Raises ConfigError if the port can't be had."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            "The Studio needs a free port.", received=f"--port {port}: {error.strerror or error}",
            fix="Choose another one, or leave it out.",
        ) from error  # fmt: skip
    listening.listen(128)
    return listening
