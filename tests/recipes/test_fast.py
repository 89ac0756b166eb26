"""`fast` looks at the data: colour or grey, how large, how much."""

import numpy as np
import pytest
from PIL import Image

from neocog.recipes import recipe
from neocog.runs import FLAG, Provenance, SetBy, resolve, train


def save_arrays(path, shape, num_train=40):
    """A data set of noise as .npz, of two classes."""
    rng = np.random.default_rng(0)
    parts = {}
    for split, number in (("train", num_train), ("test", 10)):
        parts[f"x_{split}"] = rng.integers(0, 256, (number, *shape), dtype=np.uint8)
        parts[f"y_{split}"] = np.arange(number) % 2
    np.savez(path, **parts)
    return str(path)


def test_grey_images_get_the_narrow_network_and_no_flips(tmp_path):
    config = recipe("fast", save_arrays(tmp_path / "grey.npz", (28, 28)))
    assert (config.model.widths, config.model.stem_stride, config.augment.flip) == ((32, 64), 2, 0)
    assert (config.model.depths, config.model.activation) == ((1, 2), "relu")
    assert (config.image.size, config.train.tta) == ((28, 28), "shift")


def test_colour_images_get_the_network_of_the_speed_records(tmp_path):
    config = recipe("fast", save_arrays(tmp_path / "colour.npz", (24, 30, 3)))
    assert (config.model.widths, config.model.stem_stride, config.augment.flip) == ((64, 320, 320), None, 0.5)
    assert (config.model.depths, config.model.activation) == (None, None)  # as published
    assert (config.image.size, config.train.tta) == ((24, 30), "flip+shift")


@pytest.mark.parametrize("side", [19, 41])
def test_images_of_another_size_are_resized_for_the_network(tmp_path, side):
    assert recipe("fast", save_arrays(tmp_path / "odd.npz", (side, 28))).image.size is None


@pytest.mark.parametrize(("num_train", "epochs"), [(2_400, 200), (10_000, 50), (31_250, 16)])
@pytest.mark.parametrize("colour", [(), (3,)])
def test_epochs_follow_from_the_number_of_images_alone(tmp_path, num_train, epochs, colour):
    path = save_arrays(tmp_path / "set.npz", (20, 20, *colour), num_train)
    assert recipe("fast", path).train.epochs == epochs


@pytest.mark.parametrize(("mode", "widths"), [("L", (32, 64)), ("RGB", (64, 320, 320))])
def test_files_are_looked_into(tmp_path, mode, widths):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new(mode, (28, 28), 60 * i if mode == "L" else (60 * i, 0, 0)).save(tmp_path / name / f"{i}.png")
    assert recipe("fast", str(tmp_path)).model.widths == widths


def test_what_cant_be_opened_is_left_to_training(tmp_path):
    assert recipe("fast", str(tmp_path / "nowhere")).model.name == "speednet"


@pytest.mark.parametrize("shape", [(28, 28), (20, 20, 3)])
def test_it_trains_on_a_small_set(tmp_path, shape):
    config = recipe("fast", save_arrays(tmp_path / "small.npz", shape))
    resolved = resolve(
        config, Provenance(SetBy.RECIPE, "fast"), [(FLAG, {"train.epochs": 1, "data.val_fraction": 0.2})]
    )
    run = train(resolved, runs=tmp_path / "runs")
    assert run.finished
    assert np.isfinite(run.evaluation.loss.value)
