import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from neocog.modalities.image.augment import AugmentConfig, mix

NUM = 4000
SAMPLES = np.random.default_rng(0).permutation(NUM).astype(np.uint64)
BOTH = AugmentConfig(mixup=0.3, cutmix=1.0)


def batch(num=NUM, size=(8, 10)):
    """Even rows are 0 and of class 0, odd rows 1 and of class 1."""
    values = torch.arange(num) % 2
    images = values.float()[:, None, None, None].expand(-1, 2, *size).contiguous()
    return images, torch.eye(3)[values]


def run(config, images, targets, samples=SAMPLES, epoch=0):
    return mix(images, targets, samples[: len(images)], config, seed=2, epoch=epoch)


def test_off_is_nothing():
    images, targets = batch(10)
    mixed, labels = run(AugmentConfig(), images, targets)
    assert mixed is images and labels is targets


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_blends_by_a_share_from_beta(alpha):
    images, targets = batch()
    mixed, labels = run(AugmentConfig(mixup=alpha), images, targets)
    share = mixed[::2, 0, 0, 0]  # of the partner, which is 1
    assert kstest(share.double().numpy(), beta(alpha, alpha).cdf).pvalue > 0.01
    torch.testing.assert_close(mixed[::2], share[:, None, None, None].expand(-1, 2, 8, 10))
    torch.testing.assert_close(labels[::2, 1], share)
    torch.testing.assert_close(mixed[1::2, 0, 0, 0], 1 - share)  # the partner is mixed by the same share
    torch.testing.assert_close(labels.sum(1), torch.ones(NUM))


def test_mixup_is_the_sum_of_the_paper():
    images, targets = torch.randn(6, 3, 4, 4), torch.softmax(torch.randn(6, 5), 1)
    mixed, labels = run(AugmentConfig(mixup=1.0), images, targets)
    for first, second in ((0, 1), (1, 0), (4, 5)):
        own = ((mixed[first] - images[second]) / (images[first] - images[second])).median()
        torch.testing.assert_close(mixed[first], own * images[first] + (1 - own) * images[second])
        torch.testing.assert_close(labels[first], own * targets[first] + (1 - own) * targets[second])


def test_cutmix_exchanges_a_box_and_its_share_of_the_labels():
    images, targets = batch()
    mixed, labels = run(AugmentConfig(cutmix=1.0), images, targets)
    box = mixed[::2, 0] == 1
    assert torch.equal(mixed[::2, 0], box.float()) and torch.equal(mixed[::2, 1], box.float())
    assert torch.equal(mixed[1::2, 0], 1 - box.float())
    torch.testing.assert_close(labels[::2, 1], box.float().mean(dim=(1, 2)), rtol=0, atol=1e-7)
    assert (box.any(1).sum(1) * box.any(2).sum(1) == box.sum(dim=(1, 2))).all()  # a full rectangle


def test_boxes_have_the_area_of_the_paper():
    """A box of side s in a picture of side 1 keeps s - s^2 / 4 of it on average, along each axis; s^2 is uniform."""
    images, targets = batch(1200, size=(100, 100))
    shares = run(AugmentConfig(cutmix=1.0), images, targets)[1][::2, 1].double()
    assert shares.mean() == pytest.approx(1 / 2 - 1 / 5 + 1 / 48, abs=0.03)
    assert shares.min() < 0.02 and shares.max() > 0.8


def test_boxes_lie_anywhere():
    images, targets = batch(size=(40, 40))
    covered = run(AugmentConfig(cutmix=4.0), images, targets)[0][::2, 0].mean(0)
    torch.testing.assert_close(covered, covered.flip(0), rtol=0, atol=0.06)
    torch.testing.assert_close(covered, covered.T, rtol=0, atol=0.06)
    assert covered[20, 20] > covered[0, 0] > 0.1


def test_with_both_each_pair_draws_one():
    images, targets = batch()
    mixed, labels = run(BOTH, images, targets)
    blended = ((mixed[::2] > 0) & (mixed[::2] < 1)).any(dim=(1, 2, 3))
    assert 0.45 < blended.double().mean() < 0.55
    torch.testing.assert_close(labels[::2, 1], mixed[::2].mean(dim=(1, 2, 3)), rtol=0, atol=1e-6)


@given(st.integers(0, 30), st.integers(1, 30), st.sampled_from([BOTH, AugmentConfig(mixup=1), AugmentConfig(cutmix=1)]))
def test_pair_is_mixed_alike_in_any_batch(start, count, config):
    images, targets = torch.randn(128, 3, 6, 6), torch.softmax(torch.randn(128, 5), 1)
    part = slice(2 * start, 2 * (start + count))
    mixed, labels = run(config, images, targets)
    some, their = mix(images[part], targets[part], SAMPLES[:128][part], config, seed=2, epoch=0)
    assert torch.equal(mixed[part], some)
    assert torch.equal(labels[part], their)


def test_mix_ignores_the_order_within_a_pair():
    images, targets = torch.randn(40, 3, 6, 6), torch.softmax(torch.randn(40, 5), 1)
    swapped = np.arange(40) ^ 1
    mixed, labels = run(BOTH, images, targets)
    turned, their = mix(images[swapped], targets[swapped], SAMPLES[:40][swapped], BOTH, seed=2, epoch=0)
    assert torch.equal(turned[swapped], mixed)
    assert torch.equal(their[swapped], labels)


def test_pairs_of_numbers_in_a_row_draw_apart():
    images, targets = batch(400)
    labels = mix(images, targets, np.arange(400, dtype=np.uint64), AugmentConfig(mixup=1), seed=2, epoch=0)[1]
    assert len(labels[::2, 1].unique()) == 200


def test_draws_change_with_the_epoch():
    images, targets = batch(20)
    assert not torch.equal(run(BOTH, images, targets)[0], run(BOTH, images, targets, epoch=1)[0])


@pytest.mark.parametrize("alpha", [1e-3, 1000.0])
def test_extreme_concentrations_give_numbers(alpha):
    for config in (AugmentConfig(mixup=alpha), AugmentConfig(cutmix=alpha)):
        mixed, labels = run(config, *batch(200))
        assert mixed.isfinite().all() and labels.isfinite().all()


def test_mix_keeps_an_empty_batch():
    images, targets = batch(0)
    assert run(BOTH, images, targets)[0].shape == (0, 2, 8, 10)
