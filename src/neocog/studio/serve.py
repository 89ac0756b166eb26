"""`neocog studio`: the server on this machine, at an address with a token."""

import logging
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

from neocog.errors import ConfigError
from neocog.progress import note
from neocog.studio.app import create_app
from neocog.studio.guard import new_token
from neocog.studio.state import Studio

__all__ = ["LOOPBACK", "open_studio"]

LOOPBACK = "127.0.0.1"
LOOK = 0.2  # seconds between two looks at whether the server still runs
ENDING = 1.0  # seconds that answers under way may take when the Studio ends


def open_studio(
    *targets: str | Path,
    port: int = 0,
    browser: bool = True,
    token: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the Studio on this machine until Ctrl-C.

    `targets` are bundles, run folders, folders of runs, and data; `port` 0 takes a free one. With `browser`, the page
    is opened. `ready` gets the address once the server listens; `token`, by default a random one, is part of it.
    Raises ConfigError if the port is taken, and a NeocogError for a target that can't be read.
    """
    import uvicorn

    listening = listen(port)
    number = listening.getsockname()[1]
    secret = token or new_token()
    try:
        app = create_app(Studio.of(*targets), secret, (f"{LOOPBACK}:{number}", f"localhost:{number}"))
    except BaseException:
        listening.close()
        raise
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    # A thread of its own, which dies with the process: Ctrl-C reaches this one at once, whatever is being computed.
    # The socket is the server's from now on, which closes it.
    serving = threading.Thread(target=server.run, args=([listening],), name="studio", daemon=True)
    serving.start()
    try:
        while serving.is_alive() and not server.started:
            serving.join(0.02)
        if server.started:
            announce(f"http://{LOOPBACK}:{number}/?token={secret}", browser, ready)
        while serving.is_alive():
            serving.join(LOOK)
    finally:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)  # of answers that are cut off
        server.should_exit = server.force_exit = True
        serving.join(ENDING)


def announce(address: str, browser: bool, ready: Callable[[str], None] | None) -> None:
    """Say where the Studio is, and open it."""
    note(f"Studio: {address}\nCtrl-C ends it.")
    if ready:
        ready(address)
    if browser:
        webbrowser.open(address)


def listen(port: int) -> socket.socket:
    """A socket on this machine alone. Raises ConfigError if the port can't be had."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would share a port that is taken
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            "The Studio needs a free port.", received=f"--port {port}: {reason}",
            fix="Choose another one, or leave it out.",
        ) from error  # fmt: skip
    return listening
