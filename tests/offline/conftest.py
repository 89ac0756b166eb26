from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.support.scenes import Scenes
from tests.support.untrained import write_untrained


@pytest.fixture(scope="session")
def scored(tmp_path_factory):
    """A bundle, and a folder of 43 images in several folders, of which two can't be read."""
    folder = tmp_path_factory.mktemp("scored")
    bundle = folder / "model.neocog"
    write_untrained(bundle, "lenet5_relu", Scenes("classification"))
    draw = np.random.default_rng(0)
    for i in range(43):
        path = folder / "images" / ("b", "a", "a/deep")[i % 3] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (30, 26 + i % 3), np.uint8)).save(path)
    (folder / "images" / "a" / "07x.png").write_bytes(b"not an image")
    whole = (folder / "images" / "b" / "06.png").read_bytes()
    (folder / "images" / "b" / "06.png").write_bytes(whole[: len(whole) // 2])
    (folder / "images" / "notes.txt").write_text("of another kind")
    return SimpleNamespace(folder=folder, bundle=bundle, images=folder / "images", num=44)
