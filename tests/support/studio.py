"""The Studio in tests: a client of its routes, a server in this process, and its page in Chromium."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from neocog.studio.app import create_app
from neocog.studio.serve import LOOPBACK, listen
from neocog.studio.state import Studio

__all__ = ["HOST", "TOKEN", "Watched", "axe_faults", "chromium", "client_of", "open_page", "serving"]

HOST, TOKEN = "127.0.0.1:8000", "token-of-the-tests"
SERIOUS = {"serious", "critical"}


def client_of(studio: Studio | None = None, **settings: Any) -> TestClient:
    """A client that knows the token."""
    app = create_app(studio or Studio(), TOKEN, (HOST, "localhost:8000"))
    return TestClient(app, base_url=f"http://{HOST}", headers={"x-neocog-token": TOKEN}, **settings)


@contextmanager
def serving(studio: Studio | None = None, port: int = 0, token: str = TOKEN) -> Iterator[str]:
    """A server in a thread; the address of its page."""
    listening = listen(port)
    number = listening.getsockname()[1]
    app = create_app(studio or Studio(), token, (f"{LOOPBACK}:{number}",))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://{LOOPBACK}:{number}/?token={token}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(5)
        listening.close()


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; the test is skipped where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@dataclass(slots=True)
class Watched:
    """A page with everything that it complained about and asked for."""

    page: Any
    faults: list[str] = field(default_factory=list)
    """Errors and warnings of the console, and exceptions that nothing caught."""
    asked: list[str] = field(default_factory=list)

    def strangers(self, address: str) -> list[str]:
        """The addresses asked for that are not of the server."""
        own = (address.partition("/?")[0] + "/", "data:", "blob:")
        return [each for each in self.asked if not each.startswith(own)]


def open_page(browser: Any, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> Watched:
    """A new page on the Studio at an address."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    watched = Watched(page)
    page.on("console", lambda m: watched.faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: watched.faults.append(str(error)))
    page.on("request", lambda request: watched.asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("main *")
    return watched


def axe_faults(page: Any) -> list[str]:
    """The serious faults that axe-core finds, each with the first element that has it."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in SERIOUS]
