"""Images that are small at first, and batch norms that stay as they are."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from neocog.errors import ConfigError
from neocog.training import Interrupt, Interrupted, OptimizerConfig, TrainConfig, Training, check_train
from neocog.training.executor import StepExecutor
from neocog.training.progressive import mean_work, reduce_images, size_at, sizes, work_at
from neocog.training.speed import PLAIN, SpeedConfig, choose_speed
from neocog.training.state import build_seeded
from tests.training import test_loop
from tests.training.test_loop import TASK, Recorder, run, same


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 40), (100, 90), (224, 224), (300, 200)])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.75])
def test_sizes_grow_on_a_grid_to_the_whole(size, share):
    found = sizes(size, share)
    assert len(found) == 5 and found[-1] == size
    assert found == sorted(found)
    for height, width in found[:-1]:
        assert height % 4 == width % 4 == 0 or (height, width) == size or min(size) < 4
        assert 0 < height <= size[0] and 0 < width <= size[1]
    assert abs(found[0][0] - share * size[0]) <= 8


def test_whole_size_begins_at_60_percent():
    assert [size_at((224, 224), 0.5, at)[0] for at in (0, 0.149, 0.15, 0.3, 0.45, 0.599, 0.6, 0.99)] == [
        112, 112, 144, 176, 192, 192, 224, 224,
    ]  # fmt: skip


def test_mean_work_is_the_mean_of_the_work_to_come():
    for start in (0.0, 0.1, 0.37, 0.59, 0.6, 0.9):
        points = np.linspace(start, 1, 20_001)[:-1]
        mean = np.mean([work_at((224, 160), 0.4, at) for at in points])
        assert mean_work((224, 160), 0.4, start) == pytest.approx(mean, rel=1e-3)
    assert mean_work((224, 160), 0.4, 1.0) == 1


def test_images_are_reduced_with_antialiasing_as_pillow_does():
    image = np.random.default_rng(0).random((40, 32)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((20, 24), Image.Resampling.BILINEAR))
    found = reduce_images(torch.from_numpy(image)[None, None], (24, 20))
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=2e-3)
    whole = torch.zeros(1, 1, 40, 32)
    assert reduce_images(whole, (40, 32)) is whole


def pooled() -> nn.Module:
    """A network that takes images of any size."""
    return build_seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        ),
        seed=1,
    )


def fresh(seen=None):
    model = pooled()
    if seen is not None:
        model.register_forward_pre_hook(
            lambda module, inputs: seen.append((tuple(inputs[0].shape[2:]), module.training))
        )
    optimizer = OptimizerConfig(lr=0.05, weight_decay=1e-3)
    return Training(model, optimizer, executor=StepExecutor(model, TASK.loss, PLAIN, torch.device("cpu")))


def test_training_images_grow_and_validation_sees_them_whole():
    seen = []
    run(fresh(seen), epochs=3, progressive=0.5)
    trained = [size[0] for size, training in seen if training]
    assert trained == [4] * 8 + [8] * 16  # 8x8 images: 4x4, then 8x8 from half of the growth on
    assert {size for size, training in seen if not training} == {(8, 8)}
    assert not same(run(fresh(), progressive=0.5).tensors(), run(fresh()).tensors())


def test_sizes_follow_the_position_of_a_run_that_was_replanned():
    seen = []
    run(fresh(seen), epochs=3, progressive=0.5, replanned=("0 48",))
    assert [size[0] for size, training in seen if training] == [4] * 15 + [8] * 33


@pytest.mark.parametrize("settings", [{"progressive": 0.5}, {"freeze_bn": True}])
@pytest.mark.parametrize("stop", [3, 8, 11])
def test_resuming_gives_the_same_bits(stop, settings):
    whole = run(fresh(), **settings)
    interrupt = Interrupt()
    recorder = Recorder(interrupt, stop_after=stop)
    with pytest.raises(Interrupted):
        run(fresh(), recorder, interrupt, **settings)
    resumed = fresh()
    resumed.restore(*copy.deepcopy(recorder.saved[-1]))
    assert same(run(resumed, **settings).tensors(), whole.tensors())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_frozen_batch_norms_keep_statistics_and_scale(optimizer):
    first = test_loop.small()[1].state_dict()
    config = OptimizerConfig(name=optimizer, lr=0.05, weight_decay=0.1)
    frozen = run(optimizer=config, freeze_bn=True).model
    assert all(torch.equal(value, first[key]) for key, value in frozen[1].state_dict().items())
    assert not torch.equal(frozen[0].weight, test_loop.small()[0].weight)
    learned = run(optimizer=config).model[1].state_dict()
    assert not any(torch.equal(learned[key], first[key]) for key in ("weight", "bias", "running_mean", "running_var"))


@pytest.mark.parametrize(
    ("settings", "pretrained", "message"),
    [
        ({"freeze_bn": True}, False, "freeze_bn needs pretrained weights"),
        ({"freeze_bn": True, "precise_bn": 3}, True, "Batch norms are frozen or measured.*precise_bn=3"),
    ],
)
def test_frozen_batch_norms_need_weights_and_no_measurement(settings, pretrained, message):
    with pytest.raises(ConfigError, match=message):
        check_train(TrainConfig(**settings), num_processes=1, pretrained=pretrained)
    check_train(TrainConfig(freeze_bn=True), num_processes=1, pretrained=True)


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match="progressive"):
        TrainConfig(progressive=share)


def test_network_of_several_sizes_is_not_compiled(monkeypatch):
    lengths = []
    monkeypatch.setattr("neocog.training.speed.choose.measure", lambda known, ways, bench, run: lengths.append(run))
    monkeypatch.setattr("neocog.training.speed.choose.read_measurements", lambda key: known())
    for several in (False, True):
        decision = choose_speed(
            pooled(), torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.long), loss=TASK.loss,
            optimizer=lambda model: torch.optim.SGD(model.parameters(), 0.1), steps=10**9, config=SpeedConfig(),
            several_sizes=several,
        )  # fmt: skip
        assert decision.compiled == (not several)
    assert lengths[0].compile_seconds < 1000 < lengths[1].compile_seconds


def known():
    from neocog.training.speed.measurements import Measurements

    compiled = PLAIN.name.replace("eager", "compiled")
    return Measurements(seconds={PLAIN.name: 1.0, compiled: 0.1}, compiling={compiled: 5.0})
