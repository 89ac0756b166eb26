"""What the rows on training share: recipes that end in time, random kernels, sets of a few images."""

import math
import time

import numpy as np
import pytest
import torch

from own_images_sets import draw_few, read_images
from published_recipes import RECIPES, Deadline, Images
from rows.signals import Rocket


def digits(num: int) -> Images:
    images = torch.rand(num, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return Images(images, torch.arange(num) % 10, images[:20], torch.arange(20) % 10)


def test_published_recipe_ends_when_its_deadline_has_passed():
    *_, last = RECIPES["pytorch"](digits(640), Deadline(time.time()))
    assert last.epochs == pytest.approx(0.1)  # one step of ten
    points = list(RECIPES["tutorial"](normal_images(), Deadline(math.inf)))
    assert [point.epochs for point in points] == [1, 2]


def normal_images() -> Images:
    images = torch.randn(8, 3, 32, 32)
    return Images(images, torch.arange(8), images, torch.arange(8))


def test_deadline_keeps_back_the_time_of_all_parts():
    deadline = Deadline(time.time() + 0.5)
    assert not deadline.passed()
    deadline.keep_back(lambda: sum(range(100_000)), parts=1_000)
    assert deadline.passed()


def test_rocket_computes_each_kernel_as_numpy_does():
    signals = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    found, at = Rocket(40, 6, seed=1), 0
    features = found(signals)
    assert features.shape == (3, 12)
    scaled = (signals - signals.mean(1, keepdims=True)) / signals.std(1, keepdims=True)
    for (size, dilation, padding), kernels in found.groups.items():
        padded = np.pad(scaled, ((0, 0), (padding, padding)))
        places = padded.shape[1] - (size - 1) * dilation
        for k, (weight, bias) in enumerate(kernels):
            maps = sum(weight[i] * padded[:, i * dilation : i * dilation + places] for i in range(size)) + bias
            np.testing.assert_allclose(features[:, at + k], maps.max(1), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(features[:, at + len(kernels) + k], (maps > 0).mean(1), atol=0.03)
        at += 2 * len(kernels)


def test_few_images_of_each_class_are_drawn_once(tmp_path):
    rng = np.random.default_rng(0)
    for split, num in (("train", 60), ("t10k", 40)):
        pixels, labels = rng.integers(0, 256, (num, 28, 28)).astype(np.uint8), (np.arange(num) % 10).astype(np.uint8)
        (tmp_path / "mnist").mkdir(exist_ok=True)
        (tmp_path / f"mnist/{split}-images-idx3-ubyte").write_bytes(bytes(16) + pixels.tobytes())
        (tmp_path / f"mnist/{split}-labels-idx1-ubyte").write_bytes(bytes(8) + labels.tobytes())
    drawn = list(draw_few("mnist", 3, 2)(tmp_path, tmp_path, 0))
    counts = {split: [sample.label for sample in drawn if sample.split == split] for split in ("train", "test")}
    assert {split: (len(found), len(set(found))) for split, found in counts.items()} == {
        "train": (30, 10), "test": (20, 10)
    }  # fmt: skip
    images = read_images(tmp_path / "mnist")
    first = next(sample for sample in drawn if sample.split == "train")
    assert np.array_equal(first.pixels, images.train[int(first.name)])
    assert images.train_labels[int(first.name)] == int(first.label)
    assert len({(sample.split, sample.name) for sample in drawn}) == 50
