"""Small real inputs that many tests share."""

import hashlib
import http.server
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from neocog.data import open_source
from neocog.files import Remote
from neocog.recipes import recipe
from neocog.runs import Run, RunConfig, train
from tests.support.costs import mark_costs

# A noisy machine must not fail a test for its speed.
settings.register_profile("neocog", deadline=None)
settings.register_profile("fast", deadline=None, max_examples=10)
settings.load_profile("neocog")


def pytest_configure(config: pytest.Config) -> None:
    """One thread for each process of the tests; several are slower on tiny networks."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function):
            mark_costs(item)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Files in bytes may hold the time at which they were made; processes must agree on the names of tests."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests measure is not kept for the user."""
    os.environ["NEOCOG_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 training and 300 test digits of MNIST as one .npz file."""
    source = open_source("mnist")
    parts = {}
    for split, count in (("train", 1000), ("test", 300)):
        indices = source.splits[split][:count]
        parts[f"x_{split}"], parts[f"y_{split}"] = source.pictures(indices), source.targets[indices]
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, **parts)
    return path


@pytest.fixture(scope="session")
def finished_run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two epochs on the small digits, with its bundle and report. Not to be changed."""
    runs = tmp_path_factory.mktemp("runs")
    return train(quick_config(digits), name="finished", runs=runs)


def quick_config(data: Path, **train_settings: object) -> RunConfig:
    """Settings that train in a second or two."""
    config = recipe("lenet5_relu", str(data))
    settings = {"epochs": 2, "batch_size": 50, "checkpoint_seconds": 0.0} | train_settings
    return replace(config, train=replace(config.train, **settings))


@pytest.fixture(scope="session")
def quick() -> Callable[..., RunConfig]:
    return quick_config


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 3 classes with 12 pictures each, told apart by colour, without splits."""
    root = tmp_path / "pictures"
    draw_classes(root, {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}, count=12)
    return root


def draw_classes(root: Path, colours: dict[str, tuple[int, int, int]], count: int, size: int = 24) -> None:
    """Write noisy pictures of one colour for each class."""
    generator = np.random.default_rng(0)
    for name, colour in colours.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            noise = generator.integers(-25, 25, (size, size, 3))
            Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(root / name / f"{i:02}.png")


@pytest.fixture(scope="session")
def draw() -> Callable[..., None]:
    return draw_classes


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `content` by path, with ranges; `cut` ends the first answer for a path after so many bytes."""

    content: dict[str, bytes]
    cut: dict[str, int]
    requests: list[tuple[str, str | None]]
    url: str

    @classmethod
    def serve(cls, path: str, body: bytes) -> Remote:
        cls.content[path] = body
        return Remote(cls.url + path, hashlib.sha256(body).hexdigest())

    def do_GET(self):
        self.requests.append((self.path, self.headers.get("Range")))
        if self.path not in self.content:
            self.send_error(404, "Not Found")
            return
        body = self.content[self.path]
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers.get("Range") else 0
        if start >= len(body):
            self.send_error(416, "Range Not Satisfiable")
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.cut.pop(self.path, None)])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Files,), {"content": {}, "cut": {}, "requests": []})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    handler.url = f"http://127.0.0.1:{httpd.server_port}"
    yield handler
    httpd.shutdown()
    thread.join()
    httpd.server_close()
