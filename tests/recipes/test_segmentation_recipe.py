import numpy as np
import pytest
from PIL import Image

from neocog.data.scenes import write_scenes
from neocog.recipes import recipe, tasks
from neocog.recipes.resolve import resolve_config


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return {
        kind: write_scenes(root / kind, {"train": 3, "test": 1}, (32, 32), grey=kind == "grey")
        for kind in ("grey", "colour")
    }


@pytest.mark.parametrize(
    ("kind", "weights", "network"),
    [("grey", None, "unet_small"), ("colour", None, "unet_small"), ("colour", "package", "unet_lite0")],
)
def test_network_follows_from_weights_and_colours(sets, kind, weights, network, monkeypatch):
    monkeypatch.setattr(tasks, "available", lambda name: weights)
    config = recipe("segmentation", str(sets[kind]))
    assert config.model.name == network
    assert config.model.pretrained == ("auto" if network == "unet_lite0" else None)


@pytest.mark.parametrize(
    "settings", [{"epochs": 3}, {"minutes": 2}, {}, {"model": "segnet"}, {"model": "unet", "epochs": 2}]
)
def test_masks_get_the_recipe_for_masks(sets, settings):
    """Whatever else is given: the task follows from the data, not from the layout alone."""
    resolved, _ = resolve_config(str(sets["grey"]), **settings)
    config = resolved.config
    assert config.augment.rotate > 0 and not config.augment.mixes
    assert config.model.name == settings.get("model", "unet_small")
    assert not config.train.search


def test_nothing_is_flipped_unless_asked_for(sets):
    resolved, _ = resolve_config(str(sets["grey"]), epochs=1)
    assert resolved.config.augment.flip == resolved.config.augment.vertical_flip == 0


def test_the_first_image_may_be_an_array(tmp_path):
    """A recipe that looks at the data falls back to colour if it can't tell."""
    folder = tmp_path / "odd"
    for part, mode in (("images", "RGB"), ("masks", "L")):
        (folder / part).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(np.zeros((16, 16, 3) if mode == "RGB" else (16, 16), np.uint8)).save(
                folder / part / f"{k}.png"
            )
    assert recipe("segmentation", str(folder)).model.name in ("unet_small", "unet_lite0")
