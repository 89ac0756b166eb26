"""The recipes of papers against the numbers that stand in the papers."""

from itertools import pairwise

import pytest

from neocog.recipes import recipe
from neocog.training import learning_rate

# name: (rate, momentum, Nesterov's, weight decay, batch, epochs)
SGD = {
    "alexnet": (0.01, 0.9, False, 0.0005, 128, 90),
    "vgg": (0.01, 0.9, False, 0.0005, 256, 74),
    "googlenet": (0.01, 0.9, False, 0.0002, 32, 250),
    "inception_v3": (0.045, 0.9, False, 0.00004, 32, 100),
    "resnet_imagenet": (0.1, 0.9, True, 0.0001, 256, 90),
    "densenet_imagenet": (0.1, 0.9, True, 0.0001, 256, 90),
    "resnet_cifar": (0.1, 0.9, False, 0.0001, 128, 164),
    "densenet_cifar": (0.1, 0.9, True, 0.0001, 64, 300),
}
# name: (rate, weight decay, epochs, size, magnitude of RandAugment, MixUp, CutMix); table 2 of Wightman et al. 2021
LAMB = {
    "strong_a1": (5e-3, 0.01, 600, None, 7, 0.2, 1.0),
    "strong_a2": (5e-3, 0.02, 300, None, 7, 0.1, 1.0),
    "strong_a3": (8e-3, 0.02, 100, (160, 160), 6, 0.1, 1.0),
}
IMAGENET, CIFAR = 1_281_167, 50_000


def rate_after(name, num_pictures):
    """The rate as a function of the steps made, as the loop takes it."""
    config = recipe(name, "x")
    epoch_steps = -(-num_pictures // config.train.batch_size)
    num_steps = epoch_steps * config.train.epochs

    def rate(step):
        return learning_rate(config.schedule, config.optimizer.lr, step, num_steps, epoch_steps)

    return rate, epoch_steps, num_steps


@pytest.mark.parametrize("name", SGD)
def test_optimisers_are_the_papers(name):
    config = recipe(name, "x")
    assert config.optimizer.name == "sgd" and config.optimizer.decay == "all"
    found = (config.optimizer.lr, config.optimizer.momentum, config.optimizer.nesterov, config.optimizer.weight_decay)
    assert (*found, config.train.batch_size, config.train.epochs) == SGD[name]


@pytest.mark.parametrize("name", LAMB)
def test_strong_recipes_are_the_papers(name):
    config = recipe(name, "x")
    assert config.optimizer.name == "lamb" and config.optimizer.decay == "weights" and config.train.batch_size == 2048
    assert (config.loss.kind, config.loss.label_smoothing) == (
        "binary_cross_entropy",
        0.1 if name == "strong_a1" else 0,
    )
    augment = config.augment
    assert (augment.policy, augment.number, augment.flip, augment.crop_area) == ("randaugment", 2, 0.5, 0.08)
    assert LAMB[name] == (
        config.optimizer.lr,
        config.optimizer.weight_decay,
        config.train.epochs,
        config.image.size,
        augment.magnitude,
        augment.mixup,
        augment.cutmix,
    )


def test_resnet_on_cifar_falls_at_32000_and_48000_steps():
    rate, epoch_steps, num_steps = rate_after("resnet_cifar", CIFAR)
    assert epoch_steps == 391
    found = [rate(step) for step in (0, 31_999, 32_000, 47_999, 48_000, num_steps - 1)]
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert num_steps == pytest.approx(64_000, abs=epoch_steps)


def test_densenet_on_cifar_falls_at_half_and_at_three_quarters():
    rate, _, num_steps = rate_after("densenet_cifar", CIFAR)
    half, three_quarters = num_steps // 2, num_steps * 3 // 4
    steps = (0, half - 1, half, three_quarters - 1, three_quarters, num_steps - 1)
    assert [rate(step) for step in steps] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize("name", ["resnet_imagenet", "densenet_imagenet"])
def test_residual_and_dense_networks_fall_after_30_and_60_epochs(name):
    rate, epoch, num_steps = rate_after(name, IMAGENET)
    steps = (0, 30 * epoch - 1, 30 * epoch, 60 * epoch - 1, 60 * epoch, num_steps - 1)
    assert [rate(step) for step in steps] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_alexnet_and_vgg_fall_three_times(name):
    rate, epoch, num_steps = rate_after(name, IMAGENET)
    rates = [rate(step) for step in range(0, num_steps, epoch // 4)]
    levels = sorted(set(rates), reverse=True)
    assert levels == pytest.approx([1e-2, 1e-3, 1e-4, 1e-5])
    assert all(rates.count(level) == pytest.approx(len(rates) / 4, abs=1) for level in levels)


def test_the_steps_of_vgg_are_the_papers_370000():
    assert rate_after("vgg", IMAGENET)[2] == pytest.approx(370_000, rel=0.002)


def test_googlenet_loses_four_per_cent_every_eight_epochs():
    rate, epoch, _ = rate_after("googlenet", IMAGENET)
    assert 8 * epoch == pytest.approx(320_000, rel=0.002)  # the replication's stepsize
    found = [rate(step) for step in (8 * epoch - 1, 8 * epoch, 16 * epoch, 240 * epoch)]
    assert found == pytest.approx([0.01, 0.0096, 0.01 * 0.96**2, 0.01 * 0.96**30])


def test_inception_v3_loses_six_per_cent_every_two_epochs():
    rate, epoch, _ = rate_after("inception_v3", IMAGENET)
    found = [rate(step) for step in (2 * epoch - 1, 2 * epoch, 98 * epoch)]
    assert found == pytest.approx([0.045, 0.045 * 0.94, 0.045 * 0.94**49])
    config = recipe("inception_v3", "x")
    assert (config.train.clip_norm, config.loss.label_smoothing) == (2.0, 0.1)


@pytest.mark.parametrize("name", LAMB)
def test_strong_recipes_rise_for_five_epochs_and_fall_as_a_cosine(name):
    rate, epoch, num_steps = rate_after(name, IMAGENET)
    peak, first = LAMB[name][0], 5 * epoch
    assert [rate(0), rate(first - 1), rate(first)] == pytest.approx([peak / first, peak, peak])
    assert rate((first + num_steps) // 2) == pytest.approx(peak / 2, rel=1e-3)
    assert 0 < rate(num_steps - 1) < peak * 1e-6


def test_fine_tuning_rises_for_a_tenth_and_ends_at_a_32nd():
    rate, _, num_steps = rate_after("finetune", 3200)
    peak, rates = recipe("finetune", "x").optimizer.lr, [rate(step) for step in range(num_steps)]
    assert num_steps == 1000 and max(rates) == rates[99] == pytest.approx(peak)
    falls = [before - after for before, after in pairwise(rates[100:])]
    assert falls == pytest.approx([peak * (1 - 1 / 32) / 900] * len(falls))
    assert rates[-1] == pytest.approx(peak / 32 + falls[0])
