"""Hot reload: what is looked at, when it is loaded, and what becomes of the old model."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from neocog.errors import BundleError
from neocog.serving.logs import Log
from neocog.serving.metrics import Metrics
from neocog.serving.reload import Reloader, file_state, sha_of
from neocog.serving.repository import Repository


class Model:
    """A model that is its file's content."""

    def __init__(self, path: Path, name: str = "digits", version: str = "1") -> None:
        self.path, self.name, self.version, self.sha = path, name, version, sha_of(path)
        if path.read_bytes().startswith(b"broken"):
            raise BundleError("It is damaged.", where=str(path))
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class Loads:
    """Loads models, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path, name: str, version: str) -> Any:
        self.count += 1
        return Model(path, name, version)


class Scene:
    """A bundle, its reloader, and the log."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.neocog"
        self.path.write_bytes(b"one")
        self.first: Any = Model(self.path)
        self.repository, self.loads, self.metrics = Repository(self.first), Loads(), Metrics()
        self.reloader = Reloader(self.repository, self.loads, Log(human=False), self.metrics)

    def look(self, times: int = 2) -> list[bool]:
        """The reloader's looks, a second apart."""

        async def looks() -> list[bool]:
            found = [await self.reloader.look("digits", "1") for _ in range(times)]
            await asyncio.sleep(0)  # what was replaced is closed
            return found

        return asyncio.run(looks())

    def count(self, outcome: str) -> bool:
        return f'neocog_reloads_total{{model="digits",outcome="{outcome}"}} 1.0' in self.metrics.scrape().decode()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    found = Scene(tmp_path)
    assert found.look() == [False, False]
    return found


def test_a_changed_file_takes_the_place_of_the_old(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    scene.path.write_bytes(b"two!")
    assert scene.look() == [False, True], "it is loaded once it rests"
    new = scene.repository.get("digits")
    assert new.sha == sha_of(scene.path)
    assert scene.first.closed
    assert scene.count("loaded")
    assert json.loads(capfd.readouterr().err)["event"] == "reloaded"
    assert scene.look() == [False, False]


def test_a_broken_file_keeps_the_old_and_is_logged_once(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    scene.path.write_bytes(b"broken!")
    assert scene.look(4) == [False] * 4
    os.utime(scene.path, (1, 1))
    assert scene.look(4) == [False] * 4
    assert scene.repository.get("digits") is scene.first
    assert not scene.first.closed
    assert scene.loads.count == 1
    assert scene.count("failed")
    (line,) = capfd.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["level"], found["event"], found["model"]) == ("error", "reload failed", "digits")
    assert found["reason"] == f"It is damaged. Found in {scene.path}."
    scene.path.write_bytes(b"two")
    assert scene.look() == [False, True]


def test_a_touched_file_is_not_loaded_again(scene: Scene) -> None:
    os.utime(scene.path, (1, 1))
    assert scene.look() == [False, False]
    assert scene.loads.count == 0


def test_a_missing_file_keeps_the_old(scene: Scene) -> None:
    scene.path.unlink()
    assert scene.look(3) == [False] * 3
    assert file_state(scene.path) is None
    scene.path.write_bytes(b"two")
    assert scene.look() == [False, True]


def test_a_file_that_is_being_copied_is_left_alone(scene: Scene) -> None:
    for size in range(1, 4):
        scene.path.write_bytes(b"x" * 10 * size)
        assert scene.look(1) == [False]
    assert scene.loads.count == 0
    assert scene.look(1) == [True]


def test_a_file_that_changed_while_it_was_loaded_is_noticed(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.path.write_bytes(b"two")  # between loading and the first look
    scene.reloader = Reloader(scene.repository, scene.loads, Log(human=False), scene.metrics)
    assert scene.look() == [True, False]
