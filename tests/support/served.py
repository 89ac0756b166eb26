"""A server of small untrained models in a thread of this process, reached over a socket."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn

from neocog.serving.app import Server, create_app
from neocog.serving.repository import Repository
from neocog.serving.served import Served
from neocog.serving.settings import ServeSettings
from tests.support.small_models import MODELS

__all__ = ["SAMPLES", "Running", "repository_of", "running"]

SAMPLES: dict[str, Any] = {}
"""An input of each model that `repository_of` has made, by its name."""


def repository_of(settings: ServeSettings, **kinds: str) -> Repository:
    """Models of `MODELS` by the names that they are served under."""
    repository = Repository()
    for name, kind in kinds.items():
        predictor, SAMPLES[name] = MODELS[kind]()
        repository.replace(name, "1", Served(predictor, settings, name=name))
    return repository


class Running(httpx.Client):
    """A client of the server, and the server."""

    def __init__(self, server: Server, port: int) -> None:
        super().__init__(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.server, self.port = server, port

    def error(self, method: str, path: str, status: int, **options: Any) -> str:
        """The sentence of an error, whose status is checked."""
        answer = self.request(method, path, **options)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert list(answer.json()) == ["error"]
        return str(answer.json()["error"])


@contextlib.contextmanager
def running(repository: Repository, settings: ServeSettings) -> Iterator[Running]:
    """A server of these models on a free port."""
    app = create_app(repository, settings)
    assert isinstance(app, Server)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", loop="uvloop", http="httptools", ws="none", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        with Running(app, listening.getsockname()[1]) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
