"""A Studio with a small untrained network of each kind, an input for each, and what runs the code of its views."""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from torch import nn

from neocog.data import Source
from neocog.studio.state import Opened, Studio
from neocog.studio.wire import MEDIA_TYPE, unpack
from tests.support.scenes import Scenes, SignalScenes
from tests.support.small_sets import SETS, files_of, write_set
from tests.support.studio import client_of
from tests.support.texts_and_sounds import Notes, Tones
from tests.support.untrained import write_untrained

__all__ = ["KINDS", "Asker", "asker", "file_of", "run_code"]

Kind = tuple[str, Callable[[], Source], tuple[int, int] | None]


def enlarge(model: nn.Module) -> None:
    """Let a detector find boxes of about 12 cells."""
    nn.init.constant_(model.get_submodule("head.size.2").bias, 12.0)  # type: ignore[arg-type]


def games() -> Source:
    return SETS["sgf"].open(write_set(Path(tempfile.mkdtemp()), files_of("sgf")))


KINDS: Mapping[str, Kind] = {
    "lenet": ("lenet5_relu", partial(Scenes, "classification", side=32), None),
    "resnet18": ("resnet18", partial(Scenes, "classification"), (64, 64)),
    "unet": ("unet_small", partial(Scenes, "segmentation"), (64, 64)),
    "detector": ("centernet_lite0", partial(Scenes, "detection"), (64, 64)),
    "labels": ("lenet5_relu", partial(Scenes, "multi-label", side=32), None),
    "values": ("lenet5_relu", partial(Scenes, "regression", side=32), None),
    "signal": ("time_series_fcn", partial(SignalScenes, "classification"), None),
    "steps": ("unet_1d", partial(SignalScenes, "signal segmentation"), None),
    "text": ("text_cnn", partial(Notes, "multi-label"), None),
    "sound": ("speech_res8", partial(Tones, "regression"), None),
    "go": ("go_policy", games, None),
}
"""Name of a bundle -> network, source, and the size of images."""


def file_of(kind: str) -> tuple[str, bytes]:
    """The name and the content of a file that the network of a kind reads."""
    file = io.BytesIO()
    if kind in ("signal", "steps"):
        np.save(file, np.sin(np.arange(64.0) / 5)[None].astype(np.float32))
        return "wave.npy", file.getvalue()
    if kind == "text":
        return "note.txt", b"the rain was there, then soup with bread"
    if kind == "sound":
        soundfile.write(file, np.sin(np.arange(4000) * 0.2) * 0.5, 8000, format="wav", subtype="PCM_16")
        return "tone.wav", file.getvalue()
    if kind == "go":
        return "game.sgf", b"(;GM[1]SZ[9];B[ee];W[gc];B[cg])"
    Image.fromarray(Scenes("classification", side=64).images[1]).save(file, "png")
    return "scene.png", file.getvalue()


class Asker:
    """Asks the routes of a Studio, in which networks are opened when they are first asked for, each with an input."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scenes = Scenes("classification", side=32)
        for i, pixels in enumerate(scenes.images):
            path = folder / "scenes" / scenes.classes[int(scenes.targets[i])] / f"{i:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        self.studio = Studio.of(folder / "scenes")
        self.client = client_of(self.studio)
        self.inputs: dict[str, str] = {}

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """The JSON of an answer, or (meta, tensors)."""
        return self.read(self.client.get(path, params=query), status)

    def post(self, path: str, status: int = 200, body: bytes | None = None, json: Any = None, **query: Any) -> Any:
        return self.read(self.client.post(path, params=query, content=body, json=json), status)

    def read(self, response: Any, status: int) -> Any:
        assert response.status_code == status, response.text[:1000]
        return unpack(response.content) if response.headers["content-type"] == MEDIA_TYPE else response.json()

    def opened(self, kind: str) -> Opened:
        """The network of a kind."""
        if kind not in self.studio.networks:
            network, source, size = KINDS[kind]
            change = enlarge if kind == "detector" else lambda _: None
            write_untrained(self.folder / f"{kind}.neocog", network, source(), size, change)
            self.studio.open(self.folder / f"{kind}.neocog")
            name, body = file_of(kind)
            (self.folder / name).write_bytes(body)
        return self.studio.network(kind)

    def input(self, kind: str) -> str:
        """The key of an input of this network."""
        if kind not in self.inputs:
            self.opened(kind)
            name, body = file_of(kind)
            found = self.post("/api/image/input", body=body, name=name, network=kind)
            self.inputs[kind] = found["input"]
        return self.inputs[kind]

    def job(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """How a job ended."""
        until = time.monotonic() + 60
        while found["state"] == "running" and time.monotonic() < until:
            self.studio.jobs.get(found["key"]).ended.wait(60)
            found = self.get("/api/filter/job", job=found["key"])
        return dict(found)


@cache
def asker() -> Asker:
    """Shared by all tests of a process."""
    return Asker(Path(tempfile.mkdtemp()))


def run_code(code: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """What the code of a view prints when it runs in a folder, and the names that it sets."""
    names: dict[str, Any] = {}
    printed, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "view", "exec"), names)
    finally:
        os.chdir(before)
    return printed.getvalue(), names
