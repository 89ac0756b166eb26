"""bfloat16 learns as well as float32: the same recipe in both, from the same seeds."""

import statistics

import pytest

from neocog.recipes import recipe
from neocog.runs import FLAG, Provenance, SetBy, resolve, train

pytestmark = pytest.mark.slow


def accuracy(data, precision, seed, folder, **flags):
    """The test accuracy of a run of `fast` in this precision."""
    flags |= {"train.seed": seed, "train.tta": "none", "speed.mode": "manual", "speed.precision": precision}
    resolved = resolve(
        recipe("fast", data), Provenance(SetBy.RECIPE, "fast"), [(FLAG, {**flags, "speed.channels_last": True})]
    )
    return train(resolved, runs=folder).evaluation.top1.value


def test_mnist_on_five_seeds(tmp_path):
    found = {
        precision: [accuracy("mnist", precision, seed, tmp_path, **{"train.epochs": 1}) for seed in range(5)]
        for precision in ("fp32", "bf16")
    }
    means = {precision: statistics.mean(values) for precision, values in found.items()}
    noise = (sum(statistics.variance(values) for values in found.values()) / 5) ** 0.5
    print(*(f"{precision} {mean:.3%} of {found[precision]}" for precision, mean in means.items()), sep="\n")
    assert min(means.values()) > 0.99
    assert abs(means["bf16"] - means["fp32"]) < 3 * noise, f"{means}, with a standard error of {noise:.3%}"


def test_cifar10_in_one_run(tmp_path):
    """Two epochs; three standard errors of the difference of two shares of 10,000 near 85% are 1.5%."""
    found = {
        precision: accuracy("cifar10", precision, 0, tmp_path, **{"train.epochs": 2}) for precision in ("fp32", "bf16")
    }
    print(found)
    assert min(found.values()) > 0.8
    assert abs(found["bf16"] - found["fp32"]) < 0.015
