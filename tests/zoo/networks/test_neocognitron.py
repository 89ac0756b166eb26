import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import neocog
from neocog.errors import DataError
from neocog.zoo.networks.neocognitron import Contrast, Neocognitron, Recognition


@pytest.fixture(scope="module")
def mnist(digits):
    """300 training and 300 test digits: images, labels, images, labels."""
    parts = np.load(digits)
    images = [torch.from_numpy(parts[f"x_{split}"][:300])[:, None] / 255 for split in ("train", "test")]
    labels = [torch.from_numpy(parts[f"y_{split}"][:300]) for split in ("train", "test")]
    return images[0], labels[0], images[1], labels[1]


def taught(mnist, count=300, seed=0, **options):
    model = Neocognitron(**{"planes": (16, 40), "num_cells": 200} | options)
    model.learn(mnist[0][:count], mnist[1][:count], seed=seed, num_unlabelled=100)
    return model


@pytest.fixture(scope="module")
def model(mnist):
    """One that has learnt from 300 digits. Not to be changed."""
    return taught(mnist)


def test_300_digits_teach_to_read_most_others(model, mnist):
    _, _, images, labels = mnist
    assert (model(images).argmax(1) == labels).float().mean() >= 0.85
    assert model.stages[0][0].num_used == 16
    assert model.stages[1][0].num_used == 40
    assert 50 < model.head.cells.num_used < 150


def test_a_digit_is_recognised_where_it_was_never_seen(model, mnist):
    """The paper's title: unaffected by shift in position."""
    _, _, images, labels = mnist
    middle, shifted = F.pad(images, (6, 6, 6, 6)), F.pad(images, (0, 12, 0, 12))
    accuracies = [(model(canvas).argmax(1) == labels).float().mean() for canvas in (images, middle, shifted)]
    assert min(accuracies) >= 0.75
    moved = images.roll((-4, -4), (2, 3))
    assert (model(moved).argmax(1) == labels).float().mean() >= 0.75


def test_c_cells_stay_alike_when_a_digit_moves_and_s_cells_do_not(model, mnist):
    images = mnist[2][:100]
    s_cells = torch.nn.Sequential(model.stem, model.stages[0][0])
    c_cells = torch.nn.Sequential(model.stem, model.stages[0])
    for pixels, gain in ((1, 0.1), (2, 0.2)):
        alike = [
            F.cosine_similarity(part(images).flatten(1), part(images.roll(pixels, 3)).flatten(1)).mean()
            for part in (s_cells, c_cells, lambda images: model.features(images)[-1])
        ]
        assert alike[1] > alike[0] + gain
        assert alike[2] > alike[1] + 0.05  # the next stage allows for more


def test_the_first_stage_finds_edges_of_different_directions(model):
    """Each plane's excitation, on minus off, is a step or line; the angles of the planes differ."""
    kernels = model.stages[0][0].a
    pattern = kernels[:, 0] - kernels[:, 1]
    y, x = torch.meshgrid(torch.arange(5.0) - 2, torch.arange(5.0) - 2, indexing="ij")
    gradient_x, gradient_y = ((pattern * axis).sum((1, 2)) for axis in (x, y))
    octants = torch.atan2(gradient_y, gradient_x).div(math.pi / 4).floor()
    assert len(octants.unique()) >= 6


def test_the_same_seed_learns_the_same_and_another_seed_something_else(mnist):
    first, again, other = (taught(mnist, 60, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stages.0.0.a"], other["stages.0.0.a"])


def test_stages_know_nothing_of_labels(mnist):
    images, labels, *_ = mnist
    one, other = Neocognitron(planes=(8, 20), num_cells=50), Neocognitron(planes=(8, 20), num_cells=50)
    one.learn(images[:60], labels[:60])
    other.learn(images[:60], labels[:60].flip(0))
    stages = one.stages.state_dict()
    assert all(torch.equal(stages[key], value) for key, value in other.stages.state_dict().items())
    assert not torch.equal(one.head.labels, other.head.labels)


def test_no_gradient_takes_part(mnist):
    model = Neocognitron(planes=(4, 8), num_cells=20)
    assert not list(model.parameters())
    with torch.inference_mode():
        model.learn(mnist[0][:20], mnist[1][:20])
        logits = model(mnist[2][:5])
    assert logits.any()
    assert not any(buffer.requires_grad for buffer in model.buffers())


def test_the_stem_splits_contrast_into_on_and_off():
    images = torch.full((1, 2, 15, 15), 0.5)
    images[0, 1, 7, 7] = 1.0
    on, off = Contrast(2)(images)[0, :, 3:-3, 3:-3].split(2)  # inside, where the border is not seen
    assert on[0].abs().max() < 1e-6 and off[0].abs().max() < 1e-6  # an even grey has no contrast
    assert on[1, 4, 4] > 0 and off[1, 4, 4] == 0
    assert on[1, 4, 1] == 0 and off[1, 4, 1] > 0
    inverse = Contrast(1)(1 - images[:, 1:])[0, :, 3:-3, 3:-3].flip(0)
    assert torch.allclose(inverse, Contrast(1)(images[:, 1:])[0, :, 3:-3, 3:-3], atol=1e-6)


def test_the_head_strengthens_right_winners_and_begins_cells_for_the_rest():
    head = Recognition(2, num_cells=3, size=1, num_classes=4)
    across, down, slanted = (torch.tensor(v)[None, :, None, None] for v in ([1.0, 0.0], [0.0, 1.0], [1.0, 0.3]))
    head.learn(across, 3)
    assert head.labels.tolist() == [3, -1, -1]
    head.learn(slanted, 3)  # recognised rightly: stronger
    assert head.labels.tolist() == [3, -1, -1]
    assert head.cells.a[0].flatten().tolist() == pytest.approx([1000.0, 150.0])
    head.learn(slanted, 1)  # recognised wrongly: a cell of its own, and the wrong one stays as it is
    assert head.labels.tolist() == [3, 1, -1]
    assert head.cells.a[0].flatten().tolist() == pytest.approx([1000.0, 150.0])
    head.learn(down, 3)  # not recognised
    assert head.labels.tolist() == [3, 1, 3]
    before = head.cells.a.clone()
    head.learn(torch.full((1, 2, 1, 1), 0.9), 2)  # no cell is left
    assert torch.equal(head.cells.a, before)
    assert head(torch.cat([across, slanted, down])).argmax(1).tolist() == [3, 1, 3]


def test_logits_are_the_best_cell_of_each_class_at_the_best_position():
    torch.manual_seed(0)
    head = Recognition(2, num_cells=6, size=3, num_classes=3)
    for label in (0, 2, 0, 2, 2):
        head.learn(torch.rand(1, 2, 3, 3) * (torch.rand(1, 2, 3, 3) < 0.3), label)
    maps = torch.rand(4, 2, 5, 6)
    responses = head.cells(F.pad(maps, (1, 1, 1, 1)))
    expected = torch.zeros(4, 3)
    for n in range(4):
        for cell in range(head.cells.num_used):
            label = head.labels[cell]
            expected[n, label] = torch.maximum(expected[n, label], responses[n, cell].max())
    assert expected[:, 2].all()
    assert torch.equal(head(maps), expected)


def test_what_is_like_nothing_known_gets_no_answer(model):
    assert not model(torch.zeros(1, 1, 28, 28)).any()


def test_an_untaught_network_is_silent():
    model = Neocognitron()
    assert not model(torch.rand(2, 1, 28, 28)).any()


def test_blank_image_does_not_spoil_what_is_learnt(mnist):
    images = torch.cat([torch.zeros(1, 1, 28, 28), mnist[0][:20]])
    labels = torch.cat([torch.tensor([9]), mnist[1][:20]])
    model = Neocognitron(planes=(4, 8), num_cells=40)
    model.learn(images, labels)
    assert (model(mnist[0][:20]).argmax(1) == mnist[1][:20]).float().mean() > 0.8
    assert all(buffer.isfinite().all() for buffer in model.buffers())


@pytest.mark.parametrize(("in_channels", "image_size"), [(1, 28), (3, 32), (2, 17)])
def test_shapes(in_channels, image_size):
    model = Neocognitron(in_channels=in_channels, num_classes=7, image_size=image_size, planes=(4, 6), num_cells=30)
    images = torch.rand(12, in_channels, image_size, image_size)
    model.learn(images, torch.arange(12) % 7)
    logits = model(images)
    half, quarter = (image_size + 1) // 2, (image_size + 3) // 4
    assert logits.shape == (12, 7)
    assert logits.any()
    assert [tuple(maps.shape) for maps in model.features(images)] == [(12, 4, half, half), (12, 6, quarter, quarter)]
    assert torch.equal(model.head(model.features(images)[-1]), logits)
    assert model(torch.rand(2, in_channels, 40, 50)).shape == (2, 7)


def test_three_stages_and_their_receptive_field():
    with torch.device("meta"):
        model = Neocognitron(planes=(16, 80))
        deeper = Neocognitron(planes=(4, 6, 8), num_cells=10)
    # The stem sees 7; each S and C adds 4 steps, of one pixel in the first stage, of two in the second: 7 + 8 + 16.
    assert neocog.plan(model, (1, 28, 28)).row("stages.1.1").receptive_field == (31, 31)
    assert [tuple(maps.shape[1:]) for maps in deeper.features(torch.rand(1, 1, 28, 28, device="meta"))] == [
        (4, 14, 14), (6, 7, 7), (8, 4, 4),
    ]  # fmt: skip


def test_what_was_learnt_is_in_the_state(model, mnist):
    fresh = Neocognitron(planes=(16, 40), num_cells=200)
    assert {key: value.shape for key, value in fresh.state_dict().items()} == {
        key: value.shape for key, value in model.state_dict().items()
    }
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(mnist[2][:20]), model(mnist[2][:20]))


def test_exported_is_eager(model, mnist):
    images = mnist[2][:20]
    exported = torch.export.export(
        model.eval(), (images[:4],), dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}}
    )
    assert torch.allclose(exported.module()(images), model(images), atol=1e-5)


def test_learning_refuses_what_does_not_fit():
    model = Neocognitron(num_classes=3, planes=(2, 2), num_cells=5)
    with pytest.raises(DataError, match=r"images \(N, 1, 28, 28\).*Received: \(2, 1, 32, 32\).*set image_size"):
        model.learn(torch.rand(2, 1, 32, 32), torch.tensor([0, 1]))
    with pytest.raises(DataError, match=r"images \(N, 1, 28, 28\).*Received: \(2, 3, 28, 28\)"):
        model.learn(torch.rand(2, 3, 28, 28), torch.tensor([0, 1]))
    with pytest.raises(DataError, match=r"labels \(N,\).*Received: \(2, 1, 28, 28\) and \(3,\)"):
        model.learn(torch.rand(2, 1, 28, 28), torch.tensor([0, 1, 2]))
    with pytest.raises(DataError, match="N at least 1"):
        model.learn(torch.rand(0, 1, 28, 28), torch.tensor([]))
    with pytest.raises(DataError, match=r"0\.\.2\. Received: 1\.\.3\. Set num_classes"):
        model.learn(torch.rand(2, 1, 28, 28), torch.tensor([1, 3]))
