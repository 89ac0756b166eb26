import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.tasks import Classification
from neocog.training import OptimizerConfig, make_optimizer
from neocog.training import executor as executor_module
from neocog.training.executor import StepExecutor, lay_out_like, to_channels_last
from neocog.training.speed import PLAIN, Candidate
from neocog.training.state import build_seeded
from neocog.zoo import WithAuxiliary

CPU = torch.device("cpu")
TASK = Classification(("a", "b", "c"))
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(16, 3, 8, 8, generator=GENERATOR)
LABELS = torch.randint(0, 3, (16,), generator=GENERATOR)


def small():
    return build_seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(64, 3)
        ),
        seed=1,
    )


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, fused=True)


def trained(chosen, steps=3, model=None, optimizer=None):
    model = model or small()
    executor = StepExecutor(model, TASK.loss, chosen, CPU)
    optimizer = optimizer or sgd(model)
    for _ in range(steps):
        loss, _ = executor.forward(IMAGES, LABELS)
        optimizer.zero_grad()
        executor.backward(loss)
        executor.unscale(optimizer)
        executor.step(optimizer)
    return model, executor, optimizer


def largest_difference(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max((a.double() - b.double()).abs().max().item() for a, b in pairs)


def test_fp32_has_the_bits_of_plain_code():
    model = small()
    optimizer = sgd(model)
    for _ in range(3):
        loss = TASK.loss(model(IMAGES), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert largest_difference(trained(PLAIN)[0], model) == 0


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_in_lower_precision_only_convolutions_and_products_round(precision, channels_last):
    seen = []
    plain, lower = small(), small()
    for i in (0, 1, 3, 5):
        lower[i].register_forward_hook(lambda _, __, maps: seen.append(maps.dtype))
    executor = StepExecutor(lower, TASK.loss, Candidate(precision, channels_last), CPU)
    loss, outputs = executor.forward(IMAGES, LABELS)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert seen == [half] * 4
    assert loss.dtype == outputs.dtype == torch.float32
    optimizer = sgd(lower)
    executor.backward(loss)
    executor.unscale(optimizer)
    TASK.loss(plain(IMAGES), LABELS).backward()
    for mine, own in zip(lower.parameters(), plain.parameters(), strict=True):
        assert mine.dtype == mine.grad.dtype == torch.float32
        if own.grad.norm() > 1e-6:  # a bias before a norm has none but rounding
            assert (mine.grad - own.grad).norm() < 0.05 * own.grad.norm()
    executor.step(optimizer)
    assert {buffer.dtype for buffer in optimizer.state[lower[0].weight].values()} == {torch.float32}
    assert lower[1].running_mean.dtype == lower[1].running_var.dtype == torch.float32
    torch.testing.assert_close(lower[1].running_var, plain[1].running_var, rtol=1e-2, atol=1e-3)


def test_statistics_of_norms_are_summed_in_float32():
    # In bf16 a sum of 4,096 values near 1 would stand still at 256.
    norm = nn.BatchNorm2d(1, momentum=1.0)
    images = torch.full((16, 1, 16, 16), 1.0)
    executor = StepExecutor(
        nn.Sequential(nn.Conv2d(1, 1, 1), norm), lambda maps, _: maps.mean(), Candidate("bf16"), CPU
    )
    nn.init.ones_(executor.model[0].weight)
    nn.init.zeros_(executor.model[0].bias)
    executor.forward(images, LABELS)
    assert norm.running_mean.item() == 1.0


def test_the_loss_is_computed_from_float32_outside_of_autocast():
    def loss(outputs, labels):
        assert not torch.is_autocast_enabled("cpu")
        return TASK.loss(outputs, labels)

    StepExecutor(small(), loss, Candidate("bf16"), CPU).forward(IMAGES, LABELS)


class Auxiliary(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = small()

    def forward(self, images):
        logits = self.layers(images)
        return WithAuxiliary(logits, (logits * 2,), 0.3)


def test_outputs_with_auxiliary_classifiers_come_in_float32_too():
    loss, outputs = StepExecutor(Auxiliary(), TASK.loss, Candidate("bf16"), CPU).forward(IMAGES, LABELS)
    assert isinstance(outputs, WithAuxiliary)
    assert outputs.logits.dtype == outputs.auxiliary[0].dtype == loss.dtype == torch.float32
    assert outputs.weight == 0.3


def test_wider_outputs_keep_their_type():
    outputs = StepExecutor(small().double(), TASK.loss, PLAIN, CPU).forward(IMAGES.double(), LABELS)[1]
    assert outputs.dtype == torch.float64
    assert executor_module.to_float32([torch.ones(1).bfloat16(), 3])[0].dtype == torch.float32


def test_channels_last_keeps_names_values_and_parameters():
    model = small()
    model[3].weight.grad = torch.arange(288.0).reshape(4, 8, 3, 3)
    before, parameters = copy.deepcopy(model.state_dict()), list(model.parameters())
    StepExecutor(model, TASK.loss, Candidate(channels_last=True), CPU)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(one is other for one, other in zip(parameters, model.parameters(), strict=True))
    assert model[3].weight.stride() == model[3].weight.grad.stride() == (72, 1, 24, 8)
    assert torch.equal(model[3].weight.grad, torch.arange(288.0).reshape(4, 8, 3, 3))


def test_channels_last_trains_as_contiguous_does():
    assert 0 < largest_difference(trained(Candidate(channels_last=True))[0], trained(PLAIN)[0]) < 1e-5


def test_optimizer_state_takes_the_layout_of_its_weight():
    whole = trained(Candidate(channels_last=True), steps=4)[0]
    half, _, optimizer = trained(Candidate(channels_last=True), steps=2)
    second = small()
    second.load_state_dict(half.state_dict())
    executor = StepExecutor(second, TASK.loss, Candidate(channels_last=True), CPU)
    again = sgd(second)
    for one, other in zip(half.parameters(), second.parameters(), strict=True):
        from_file = optimizer.state[one]["momentum_buffer"].contiguous().clone()
        again.state[other] = {"momentum_buffer": lay_out_like(from_file, other)}
    trained(executor.chosen, steps=2, model=second, optimizer=again)
    assert largest_difference(second, whole) == 0


def test_compiled_keeps_the_networks_names_and_is_made_at_the_first_step(monkeypatch):
    made = []

    def fake(model, **_):
        def run(images):
            made.append(tuple(images.shape))
            return model(images)

        return run

    monkeypatch.setattr(torch, "compile", fake)
    model, executor, _ = trained(Candidate(compiled=True))
    assert made == [(16, 3, 8, 8)] * 3
    assert executor.model is model
    assert list(model.state_dict()) == list(small().state_dict())
    assert largest_difference(model, trained(PLAIN)[0]) == 0


def test_fp16_scales_its_loss_and_skips_a_step_that_overflowed():
    model, executor, optimizer = trained(Candidate("fp16"))
    start = executor.tensors()["scale"].item()
    before = copy.deepcopy(model.state_dict())
    loss, _ = executor.forward(IMAGES, LABELS)
    optimizer.zero_grad()
    executor.backward(loss)
    model[0].weight.grad[0] = torch.inf
    executor.unscale(optimizer)
    executor.step(optimizer)
    assert executor.tensors()["scale"].item() == start / 2
    assert all(torch.equal(p, before[key]) for key, p in model.named_parameters())


def test_the_scale_is_saved_and_restored():
    _, executor, _ = trained(Candidate("fp16"), steps=2)
    executor.scaler.update(new_scale=1024.0)
    other = StepExecutor(small(), TASK.loss, Candidate("fp16"), CPU)
    other.restore(executor.tensors())
    assert other.tensors() == executor.tensors()
    assert other.tensors()["scale"].item() == 1024.0
    assert other.tensors()["growth_tracker"].item() == 2
    assert StepExecutor(small(), TASK.loss, PLAIN, CPU).tensors() == {}


def test_first_fp16_step_that_overflows_leaves_momenta_at_zero():
    """torch's fused SGD leaves them uninitialised, and would use them in the next step."""
    model = nn.Linear(64, 64, bias=False)
    executor = StepExecutor(model, F.cross_entropy, Candidate("fp16"), torch.device("cpu"))
    optimizer = make_optimizer(model, OptimizerConfig(lr=0.1, momentum=0.9))
    before = model.weight.detach().clone()
    executor.scaler.scale(torch.ones(()))
    model.weight.grad = torch.full((64, 64), math.inf)
    executor.unscale(optimizer)
    junk = [torch.full((64, 64), 1e30) for _ in range(50)]
    del junk  # such memory is what a momentum would be made of
    executor.step(optimizer)
    assert torch.equal(model.weight, before)
    assert optimizer.state[model.weight]["momentum_buffer"].abs().max() == 0


def test_one_channel_images_leave_the_first_layer_with_channels_last():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    layouts = []
    model[0].register_forward_hook(
        lambda _, __, maps: layouts.append(maps.is_contiguous(memory_format=torch.channels_last))
    )
    executor = StepExecutor(model, TASK.loss, Candidate("fp32", channels_last=True), CPU)
    executor.forward(IMAGES[:, :1], LABELS)  # a view with gaps
    executor.forward(IMAGES[:, :1].contiguous(), LABELS)
    assert layouts == [True, True]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_values_with_channels_last(channels):
    laid_out = to_channels_last(IMAGES[:, :channels])
    assert torch.equal(laid_out, IMAGES[:, :channels])
    assert laid_out.stride() == (64 * channels, 1, 8 * channels, channels)
