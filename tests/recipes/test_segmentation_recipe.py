import pytest

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
    [("grey", None, "unet_small"), ("grey", "package", "unet_lite0"), ("colour", "torchvision", "unet_lite0")],
)
def test_network_follows_from_weights(sets, kind, weights, network, monkeypatch):
    monkeypatch.setattr(tasks, "available", lambda name: weights)
    config = recipe("segmentation", str(sets[kind]))
    assert config.model.name == network
    assert config.model.pretrained == ("auto" if network == "unet_lite0" else None)


@pytest.mark.parametrize(
    "settings", [{"epochs": 3}, {"minutes": 2}, {}, {"model": "segnet"}, {"model": "unet", "epochs": 2}]
)
def test_masks_get_the_recipe_for_masks(sets, settings, monkeypatch):
    """Whatever else is given: the task follows from the data, not from the layout alone."""
    monkeypatch.setattr(tasks, "available", lambda name: None)
    resolved, _ = resolve_config(str(sets["grey"]), **settings)
    config = resolved.config
    assert config.augment.rotate > 0 and not config.augment.mixes
    assert config.model.name == settings.get("model", "unet_small")
    assert not config.train.search


def test_nothing_is_flipped_unless_asked_for(sets):
    resolved, _ = resolve_config(str(sets["grey"]), epochs=1)
    assert resolved.config.augment.flip == resolved.config.augment.vertical_flip == 0


def test_another_network_keeps_its_own_widths(sets, monkeypatch):
    """What the recipe sets for its network must not shape the user's."""
    monkeypatch.setattr(tasks, "available", lambda name: "package")
    resolved, _ = resolve_config(str(sets["grey"]), model="unet", epochs=1)
    assert resolved.config.model.name == "unet" and not resolved.config.model.options
