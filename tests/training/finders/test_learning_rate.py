import copy
import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import AugmentConfig, ImagePreprocess
from neocog.errors import ConfigError, DivergenceError
from neocog.loading import InMemoryDataset, Loader
from neocog.tasks import Classification
from neocog.training import OptimizerConfig, TrainConfig
from neocog.training.finders import RateCurve, Suggestion, TrialSettings, range_test, suggest
from neocog.training.finders.learning_rate import propose, smooth, valley
from neocog.training.speed import PLAIN, Candidate
from neocog.training.state import build_seeded

GENERATOR = np.random.default_rng(0)
LABELS = torch.from_numpy(GENERATOR.integers(0, 3, 240))
IMAGES = (
    torch.from_numpy(GENERATOR.integers(0, 120, (240, 1, 8, 8), dtype=np.uint8)) + (LABELS * 60)[:, None, None, None]
)
DATA = InMemoryDataset(IMAGES.to(torch.uint8), LABELS, np.arange(240, dtype=np.uint64))
SPEC = ImagePreprocess(size=(8, 8), channels=1, mean=(0.5,), std=(0.3,))
TASK = Classification(("a", "b", "c"))
SGD = OptimizerConfig(momentum=0.0, nesterov=False)


class Quadratic(nn.Module):
    """loss = sum of curvature / 2 * w**2: gradient descent diverges at rates above 2 / the largest curvature."""

    def __init__(self, *curvatures):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(curvatures)))
        self.register_buffer("curvatures", torch.tensor(curvatures))

    def forward(self, inputs):
        return (self.curvatures * self.weight**2).sum() / 2 + inputs.mean()


class ItsOwnLoss:
    weights = None

    def loss(self, outputs, labels):
        return outputs

    def logits(self, outputs):
        return outputs


class Same:
    """Batches that are all the same; `num_steps` in an epoch."""

    def __init__(self, inputs, num_steps=4):
        self.inputs, self.num_steps, self.asked = inputs, num_steps, []

    def batch(self, epoch, step):
        self.asked.append((epoch, step))
        return self.inputs, torch.zeros(len(self.inputs), dtype=torch.long)


ZEROS = Same(torch.zeros(2))


def small():
    return build_seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * 36, 3)
        ),
        seed=1,
    )


def loader():
    return Loader(DATA, SPEC, batch_size=16, seed=0, augment=AugmentConfig(shift=1, flip=0.5))


def curve_on(model=None, batches=None, task=TASK, optimizer=SGD, config=None, arithmetic=PLAIN, **settings):
    trial = TrialSettings(train=config or TrainConfig(), optimizer=optimizer, arithmetic=arithmetic)
    return range_test(model or small(), batches or loader(), task, trial, **settings)


def descend(model, rate, steps):
    """Plain gradient descent, written out; gives the last loss."""
    model = copy.deepcopy(model)
    for _ in range(steps):
        loss = model(torch.zeros(1))
        (gradient,) = torch.autograd.grad(loss, model.weight)
        with torch.no_grad():
            model.weight -= rate * gradient
    return model(torch.zeros(1)).item()


@pytest.mark.parametrize("curvature", [0.1, 1.0, 50.0, 1e4])
def test_proposed_rate_trains_a_quadratic_and_thirty_times_it_diverges(curvature):
    model = Quadratic(curvature, curvature / 3)
    curve = curve_on(model, ZEROS, ItsOwnLoss(), high=1000)
    assert 0.05 / curvature < curve.rate < 2 / curvature
    start = model(torch.zeros(1)).item()
    assert descend(model, curve.rate, 100) < start / 10
    assert not descend(model, 30 * curve.rate, 100) < 1e3 * start
    assert "4 times its best" in curve.stopped


def test_proposed_rate_trains_a_network_and_thirty_times_it_does_not():
    curve = curve_on(optimizer=OptimizerConfig(momentum=0.9))
    losses = {}
    for factor in (1, 30, 1e-3):
        model = small()
        optimizer = torch.optim.SGD(model.parameters(), factor * curve.rate, momentum=0.9, nesterov=True)
        for step in range(60):
            images, labels = loader().batch(*divmod(step, loader().num_steps))
            loss = TASK.loss(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[factor] = TASK.loss(model.eval()(SPEC.normalise(DATA.inputs)), DATA.labels).item()
    assert losses[1] < 0.15
    assert losses[1] < losses[1e-3] / 4
    assert not losses[30] < 4 * losses[1]


def test_the_steps_are_those_of_the_runs_optimizer():
    """The losses of the curve are those of SGD with momentum, decay and clipping, written out with torch."""
    optimizer = OptimizerConfig(momentum=0.9, weight_decay=1e-3)
    model, expected, rates = small().train(), [], np.geomspace(1e-4, 1.0, 20)
    reference = torch.optim.SGD(model.parameters(), 1.0, momentum=0.9, nesterov=True, weight_decay=1e-3)
    without = small()
    model[4].p = without[4].p = 0.0
    found = curve_on(without, optimizer=optimizer, config=TrainConfig(clip_norm=0.5), low=1e-4, high=1.0, steps=20)
    for step, rate in enumerate(rates):
        images, labels = loader().batch(*divmod(step, 15))
        loss = TASK.loss(model(images), labels)
        expected.append(loss.item())
        reference.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        reference.param_groups[0]["lr"] = rate
        reference.step()
    assert found.rates == pytest.approx(rates)
    assert found.losses == pytest.approx(expected, rel=1e-4)


def test_rates_rise_geometrically_and_batches_continue_into_further_epochs():
    batches = Same(torch.zeros(2), num_steps=4)
    curve = curve_on(Quadratic(1e-3), batches, ItsOwnLoss(), low=1e-3, high=1e3, steps=31)
    assert curve.rates == pytest.approx(np.geomspace(1e-3, 1e3, 31))
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) == 31
    assert curve.stopped == "the range ends at 1000"
    assert batches.asked == [divmod(step, 4) for step in range(31)]


class Planted(ItsOwnLoss):
    """These losses, one after the other."""

    def __init__(self, *losses):
        self.left = iter(losses)

    def loss(self, outputs, labels):
        return outputs * 0 + next(self.left)


@pytest.mark.parametrize(("value", "name"), [(math.nan, "NaN"), (math.inf, "infinite")])
def test_non_finite_loss_ends_the_range_test_without_a_point(value, name):
    curve = curve_on(Quadratic(1.0), ZEROS, Planted(*[2.0] * 20, *[1.0] * 20, value))
    assert curve.losses == (2.0,) * 20 + (1.0,) * 20
    assert curve.stopped == f"the loss became {name} after updates up to {curve.rates[-1]:.2g}"


def test_the_stop_rule():
    """A loss that falls to a third, then rises: the test ends when it is above four times its best, smoothed."""
    losses = [3.0] * 30 + list(np.geomspace(3, 1, 20)) + list(np.geomspace(1, 100, 50))
    curve = curve_on(Quadratic(1.0), ZEROS, Planted(*losses))
    assert 4.0 < curve.losses[-1] < 9.0
    assert curve.rates[-1] == pytest.approx(1e-7 * 1e8 ** ((len(curve.rates) - 1) / 99))
    assert curve.stopped == f"the smoothed loss rose to 4 times its best at {curve.rates[-1]:.2g}"


def test_one_outlier_does_not_stop_it():
    losses = [2.0] * 50 + [40.0] + [1.0] * 49
    assert len(curve_on(Quadratic(1.0), ZEROS, Planted(*losses)).losses) == 100


def test_nothing_of_the_callers_is_changed():
    model, data = small(), loader()
    model[0].weight.requires_grad_(False)
    model.eval()
    model[1].train()
    model[5].weight.grad = torch.ones_like(model[5].weight)
    first = data.batch(0, 0)[0].clone()
    block = data.block
    state = copy.deepcopy(model.state_dict())
    generator = torch.get_rng_state()
    found = curve_on(model, data, optimizer=OptimizerConfig(name="adamw"))
    assert len(found.losses) > 50
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * 5]
    assert [m.training for m in model] == [False, True, False, False, False, False]
    assert torch.equal(model[5].weight.grad, torch.ones_like(model[5].weight))
    assert all(p.grad is None for p in list(model.parameters())[:-2])
    assert torch.equal(torch.get_rng_state(), generator)
    assert data.block is block and torch.equal(data.batch(0, 0)[0], first)


def test_it_gives_the_same_curve_again_and_another_with_another_seed():
    first, again = curve_on(), curve_on()
    assert first == again
    assert curve_on(config=TrainConfig(seed=1)).losses != first.losses  # dropout draws differently


def test_the_learning_rate_of_a_group_is_in_proportion():
    """Heads at the full rate and blocks before at a tenth: the curve is that of the run's groups."""
    plain = curve_on(optimizer=OptimizerConfig(momentum=0.0, nesterov=False))
    slower = curve_on(optimizer=OptimizerConfig(momentum=0.0, nesterov=False, layer_decay=0.1))
    assert plain.losses[0] == slower.losses[0] and plain.losses[-10:] != slower.losses[-10:]


def test_parts_of_a_batch_give_the_same_curve_and_sam_and_bf16_another():
    model = build_seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)), seed=1)
    plain = curve_on(model)
    parts = curve_on(model, config=TrainConfig(accumulate=3))
    assert parts.losses[:70] == pytest.approx(plain.losses[:70], rel=1e-4)
    flat = curve_on(model, optimizer=OptimizerConfig(momentum=0.0, nesterov=False, sam_rho=0.05))
    assert flat.losses[0] == plain.losses[0] and flat.losses[50:70] != plain.losses[50:70]
    rounded = curve_on(model, arithmetic=Candidate("bf16"))
    assert rounded.losses[0] != plain.losses[0] and rounded.losses[0] == pytest.approx(plain.losses[0], rel=0.02)


def test_a_loss_that_is_nan_at_once_names_the_layer():
    model = small()
    with torch.no_grad():
        model[5].bias[0] = math.nan
    with pytest.raises(
        DivergenceError,
        match=r"must be finite before the first update\. On the first batch it is NaN; it first appears in",
    ):
        curve_on(model)
    with pytest.raises(DivergenceError, match=r"first appears in the bias of 5 \(Linear\)\. No learning rate helps"):
        curve_on(model)


def test_a_loss_that_does_not_fall():
    labels = torch.from_numpy(np.random.default_rng(5).integers(0, 3, 240))
    noise = torch.from_numpy(np.random.default_rng(6).integers(0, 255, (240, 1, 8, 8), dtype=np.uint8))
    data = Loader(InMemoryDataset(noise, labels, np.arange(240, dtype=np.uint64)), SPEC, batch_size=8, seed=0)
    with pytest.raises(
        DivergenceError,
        match=r"finder needs a loss that falls\. Received: .* between rates 1e-07 and 10, no more than batches dif",
    ):
        curve_on(batches=data)


def test_a_range_that_begins_too_high():
    with pytest.raises(ConfigError, match=r"needs 10 losses before it diverges\. Received: \d, from rates 10 .*--low"):
        curve_on(Quadratic(1.0), ZEROS, ItsOwnLoss(), low=10.0, high=1000.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 1.0, "high": 0.1}, r"Rates must rise from --low to --high, both above 0\. Received: 1 and 0\.1\."),
        ({"low": 0.0}, r"Received: 0 and 10\."),
        ({"high": math.inf}, r"Received: 1e-07 and inf\."),
        ({"high": math.nan}, r"Received: 1e-07 and nan\."),
        ({"steps": 9}, r"needs at least 10 steps\. Received: --steps 9\."),
    ],
)
def test_empty_ranges_are_errors(settings, message):
    with pytest.raises(ConfigError, match=message):
        curve_on(**settings)


def test_smoothing_is_a_gaussian_mean_of_logarithms():
    rates, losses = np.geomspace(1e-3, 1, 20), GENERATOR.uniform(0.5, 2, 20)
    expected = []
    for rate in rates:
        weights = np.array([math.exp(-(math.log10(rate / other) ** 2) / 0.08) for other in rates])
        expected.append(math.exp(sum(weights * np.log(losses)) / sum(weights)))
    assert smooth(rates, losses) == pytest.approx(np.array(expected), rel=1e-12)
    assert smooth(rates, losses, [rates[3]]) == pytest.approx(np.array(expected[3:4]))
    assert smooth(rates, np.zeros(20)).max() < 1e-300  # a loss of zero is no error


def test_suggestions_of_a_known_curve():
    """A fall by a logistic curve around 1e-2, a minimum at 0.1: where it is steepest is known."""
    rates = np.geomspace(1e-6, 1, 61)
    places = np.log10(rates)
    curve = 2 - 1.5 / (1 + np.exp(-4 * (places + 2))) + 20 * np.maximum(places + 1, 0) ** 2
    rules = {s.rule: s.rate for s in suggest(rates.tolist(), curve)}
    assert rules["steepest"] == pytest.approx(1e-2)
    assert rules["minimum / 10"] == pytest.approx(1e-2, rel=0.3)
    assert 1e-5 < rules["valley"] < 1e-2
    assert [s.rate for s in suggest(rates.tolist(), curve)] == sorted(rules.values())


def brute_force_valley(curve):
    """All subsequences of a short curve."""
    best = (0, 0)
    for mask in range(1, 2 ** len(curve)):
        places = [i for i in range(len(curve)) if mask >> i & 1]
        if all(curve[a] > curve[b] for a, b in pairwise(places)):
            best = max(best, (len(places), -places[-1]))
    length, end = best[0], -best[1]
    return end - length // 2


def test_the_valley_against_brute_force():
    for _ in range(40):
        curve = GENERATOR.permutation(9).astype(float)
        assert valley(curve) == brute_force_valley(curve)


def test_which_is_proposed_and_why():
    def of(steep, careful):
        return propose([Suggestion("steepest", steep, "s"), Suggestion("minimum / 10", careful, "m")])

    chosen, why = of(0.05, 0.01)
    assert chosen.rule == "steepest" and why == (
        "s, within a factor of ten of where it is lowest; the other rules are more careful"
    )
    chosen, why = of(1e-5, 0.01)
    assert chosen.rule == "minimum / 10" and why == "m, since the loss falls fastest far below it, at 1e-05"


def test_json_holds_the_curve():
    curve = curve_on(steps=40)
    found = json.loads(json.dumps(curve.to_json()))
    assert found["rate"] == curve.rate == float(f"{curve.proposed.rate:.2g}")
    assert found["rates"] == list(curve.rates) and found["losses"] == list(curve.losses)
    assert {s["rule"] for s in found["suggestions"]} == {"steepest", "minimum / 10", "valley"}
    assert found["stopped"] and found["reason"] == curve.reason
    assert isinstance(curve, RateCurve)
