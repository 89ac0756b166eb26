"""Kernels of Neocog's own against torch in float64."""

import subprocess
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from neocog.errors import ConfigError
from neocog.tasks import Classification
from neocog.training.convolutions import (
    DepthwiseGradients,
    PackedGradients,
    WinogradConvolutions,
    build_seconds,
    has_enough_channels,
    lacks_kernels,
    library,
    load_kernels,
    winograd,
)
from neocog.training.executor import StepExecutor, lower_precision
from neocog.training.speed import PLAIN, Candidate, SpeedConfig, choose_speed
from neocog.training.speed.candidates import candidates

CPU = torch.device("cpu")
NATIVE = Candidate("bf16", channels_last=True, native=True)
TASK = Classification(("a", "b"))
usable = pytest.mark.skipif(lacks_kernels() is not None, reason=str(lacks_kernels()))


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


@pytest.fixture
def keep_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def relative(found, expected):
    return float((found.detach().double() - expected.detach()).norm() / expected.detach().norm())


def gradients(maps, weight, bias, padding, upstream):
    out = F.conv2d(maps, weight, bias, padding=padding)
    return [out, *torch.autograd.grad(out, (maps, weight, bias), upstream.to(out.dtype))]


def count_calls(monkeypatch):
    """The names of the kernels that are called from now on."""
    names, real = [], library.Kernels.run

    def counting(self, name, *arguments):
        names.append(name)
        real(self, name, *arguments)

    monkeypatch.setattr(library.Kernels, "run", counting)
    return names


CASES = (
    (3, (64, 96), (7, 10), 1),
    (2, (32, 64), (12, 9), 0),
    (1, (64, 32), (4, 5), 2),
    (2, (64, 64), (8, 8), "same"),
    (1, (48, 80), (10, 10), 1),  # not in thirty-twos; an odd number of tiles
    (2, (64, 64), (70, 70), 1),  # several blocks for each thread, and several parts
)


@usable
@pytest.mark.parametrize(("n", "channels", "size", "padding"), CASES)
def test_results_and_gradients_are_those_of_float64_but_for_rounding(n, channels, size, padding, monkeypatch):
    calls = count_calls(monkeypatch)
    maps = drawn(n, channels[0], *size).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = (drawn(channels[1], channels[0], 3, 3) / (9 * channels[0]) ** 0.5).requires_grad_()
    bias = drawn(channels[1]).requires_grad_()
    exact = [tensor.detach().double().requires_grad_() for tensor in (maps, weight, bias)]
    upstream = drawn(*F.conv2d(maps, weight, bias, padding=padding).shape, seed=1)
    expected = gradients(*exact, padding, upstream)
    with lower_precision("bf16", CPU, native=True):
        found = gradients(maps, weight, bias, padding, upstream)
    assert sorted(calls) == ["convolve", "convolve", "filter_gradient", "panels", "turned_panels"]
    assert all(relative(ours, truth) < 6e-3 for ours, truth in zip(found, expected, strict=True))
    assert found[0].dtype == torch.bfloat16
    assert found[2].dtype == found[3].dtype == torch.float32
    assert found[0].is_contiguous(memory_format=torch.channels_last)


@usable
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.Conv2d(64, 64, 3, dilation=2),
        nn.Conv2d(64, 64, 3, groups=2),
        nn.Conv2d(64, 64, (3, 1)),
        nn.Conv2d(64, 64, 5),
        nn.Conv2d(64, 40, 3),  # not in sixteens
        nn.Conv2d(16, 16, 3),
        nn.Conv2d(64, 64, 3, padding=(1, 2)),
        nn.Conv2d(64, 64, 3, padding=3),
    ],
    ids=str,
)  # fmt: skip
def test_other_convolutions_are_left_to_torch(layer, monkeypatch):
    calls = count_calls(monkeypatch)
    maps = drawn(2, layer.in_channels, 9, 9).contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), lower_precision("bf16", CPU, native=True):
        found = layer(maps)
    with torch.no_grad(), lower_precision("bf16", CPU):
        assert torch.equal(found, layer(maps))
    assert not calls


@usable
def test_maps_of_another_layout_or_type_are_left_to_torch(monkeypatch):
    calls, layer = count_calls(monkeypatch), nn.Conv2d(64, 64, 3)
    with torch.no_grad():
        with lower_precision("bf16", CPU, native=True):
            layer(drawn(2, 64, 9, 9))  # channels first
            layer(drawn(64, 9, 9))  # one image
            assert not calls
            layer(drawn(2, 64, 9, 9).contiguous(memory_format=torch.channels_last))
            assert calls == ["panels", "convolve"]
        with lower_precision("fp32", CPU, native=True):
            layer(drawn(2, 64, 9, 9).contiguous(memory_format=torch.channels_last))
    assert len(calls) == 2


def test_maps_of_odd_sizes_must_fill_their_tiles():
    weight = torch.zeros(64, 64, 3, 3)
    sizes = {size: winograd.pays_off(torch.zeros(1, 64, size, size), weight, 1) for size in (1, 2, 3, 4, 5, 7)}
    assert sizes == {1: False, 2: True, 3: True, 4: True, 5: True, 7: True}
    assert not has_enough_channels(torch.zeros(16, 16, 3, 3))
    assert has_enough_channels(torch.zeros(16, 32, 3, 3))


@usable
@pytest.mark.parametrize(("n", "channels", "size", "padding"), CASES)
def test_results_do_not_depend_on_the_number_of_threads(n, channels, size, padding, keep_threads):
    maps = drawn(n, channels[0], *size).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, bias = drawn(channels[1], channels[0], 3, 3).requires_grad_(), drawn(channels[1]).requires_grad_()
    upstream = drawn(*F.conv2d(maps, weight, bias, padding=padding).shape, seed=1)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        with lower_precision("bf16", CPU, native=True):
            found.append(gradients(maps, weight, bias, padding, upstream))
    assert all(torch.equal(one, three) for one, three in zip(*(results[:3] for results in found), strict=True))


def test_too_little_memory_is_an_error_of_its_own():
    kernels = library.Kernels(SimpleNamespace(neocog_convolve=lambda *_: 1))
    with pytest.raises(MemoryError, match="can't allocate memory"):
        kernels.run("convolve", 1)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64),
        nn.ReLU(), nn.Conv2d(64, 64, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2),
    )  # fmt: skip


def trained(chosen, steps=3):
    model = network()
    executor = StepExecutor(model, TASK.loss, chosen, CPU)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for step in range(steps):
        loss, _ = executor.forward(drawn(6, 3, 10, 10, seed=step), torch.arange(6) % 2)
        optimizer.zero_grad()
        executor.backward(loss)
        executor.step(optimizer)
    return model.state_dict()


@usable
def test_training_is_as_in_bf16_but_for_rounding_and_the_same_each_time():
    found, again, expected, plain = (trained(way) for way in (NATIVE, NATIVE, Candidate("bf16", True), PLAIN))
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert list(found) == list(expected)
    error = max(float((found[name] - plain[name]).abs().max()) for name in found if "weight" in name)
    usual = max(float((expected[name] - plain[name]).abs().max()) for name in found if "weight" in name)
    assert 0 < error < 4 * usual


@usable
def test_candidate_is_checked_and_a_wrong_result_is_named(monkeypatch):
    load_kernels()  # compiled: no part of the trial
    images = drawn(4, 3, 10, 10)
    assert NATIVE in candidates(network(), images)[0]
    optimizer = lambda model: torch.optim.SGD(model.parameters(), 0.1)  # noqa: E731
    choose = {"loss": TASK.loss, "optimizer": optimizer, "steps": 10**7, "several_sizes": True}  # so never compiled
    decision = choose_speed(network(), images, torch.arange(4) % 2, **choose, config=SpeedConfig(budget=1e-3))
    assert NATIVE.name in decision.timings
    real = library.Kernels.run

    def flawed(self, name, *arguments):
        real(self, name, *arguments)
        if name == "filter_gradient":
            arguments[2].mul_(1.1)

    monkeypatch.setattr(library.Kernels, "run", flawed)
    images = drawn(5, 3, 10, 10)  # not measured yet
    decision = choose_speed(network(), images, torch.arange(5) % 2, **choose, config=SpeedConfig(budget=1e-3))
    assert not decision.native
    assert "the weight gradient of 2 (conv2d) is off by 1.0e-01" in decision.dropped[NATIVE.name]


def test_networks_without_wide_filters_have_no_such_candidate():
    small = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Flatten(), nn.LazyLinear(2))
    small(drawn(1, 3, 8, 8))
    ways, dropped = candidates(small, drawn(1, 3, 8, 8))
    assert NATIVE not in ways
    assert NATIVE.name not in dropped


def manual(**settings):
    config = SpeedConfig(mode="manual", native=True, **settings)
    optimizer = lambda model: torch.optim.SGD(model.parameters(), 0.1)  # noqa: E731
    labels = torch.arange(2) % 2
    return choose_speed(
        network(), drawn(2, 3, 8, 8), labels, loss=TASK.loss, optimizer=optimizer, steps=9, config=config
    )


def test_manual_native_needs_bf16_and_channels_last():
    assert manual(precision="bf16", channels_last=True).native
    with pytest.raises(
        ConfigError, match=r"speed.native is for bf16 with channels last .* precision fp32, channels_la"
    ):
        manual(channels_last=True)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Nothing is compiled yet."""
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))
    monkeypatch.setattr(library, "has_avx512_bf16", lambda: True)
    return tmp_path / "native"


@usable
def test_library_is_compiled_once_and_again_if_it_is_damaged(fresh, monkeypatch):
    fresh.mkdir()
    library.library_file().write_bytes(b"damaged")
    calls, real = [], subprocess.run
    monkeypatch.setattr(library.subprocess, "run", lambda *args, **more: calls.append(args) or real(*args, **more))
    load_kernels()
    load_kernels()
    assert (len(calls), build_seconds()) == (1, 0)
    assert [path.name for path in fresh.iterdir()] == [library.library_file().name]


def test_without_a_compiler_the_reason_is_given(fresh, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build_seconds() > 0
    assert lacks_kernels() == "no C compiler was found (CC, cc, gcc or clang)"
    assert candidates(network(), drawn(2, 3, 8, 8))[1] == {NATIVE.name: lacks_kernels()}
    with pytest.raises(ConfigError, match=r"kernels must be usable .* no C compiler was found .* Install a C compiler"):
        StepExecutor(network(), TASK.loss, NATIVE, CPU)


def test_other_systems_and_processors_are_named(monkeypatch):
    monkeypatch.setattr(library, "has_avx512_bf16", lambda: False)
    monkeypatch.setattr(library.sys, "platform", "linux")
    assert lacks_kernels() == "this CPU has no AVX-512 instructions for bf16"
    monkeypatch.setattr(library.sys, "platform", "darwin")
    assert lacks_kernels() == "Neocog's kernels are for Linux"


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (
            SimpleNamespace(returncode=1, stderr="k.c:1:\nk.c:2: error: unknown option\n"),
            "failed: k.c:2: error: unknown",
        ),
        (SimpleNamespace(returncode=1, stderr=""), "failed: no message"),
        (subprocess.TimeoutExpired("cc", 120), "timed out after 120 seconds"),
    ],
)
def test_a_failing_compiler_is_quoted(outcome, message, fresh, monkeypatch):
    def run(*_, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(library.subprocess, "run", run)
    monkeypatch.setattr(library, "compiler", lambda: "/usr/bin/cc")
    with pytest.raises(ConfigError, match=message):
        load_kernels()
    assert list(fresh.iterdir()) == []


@usable
def test_each_convolution_goes_to_the_innermost_mode_that_takes_it(monkeypatch):
    calls = count_calls(monkeypatch)
    taken = []
    for mode in (DepthwiseGradients, PackedGradients):
        real = mode.weight_gradient
        monkeypatch.setattr(
            mode, "weight_gradient", lambda self, *args, real=real: taken.append(type(self)) or real(self, *args)
        )
    layers = [nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 32, 5, padding=2, groups=32), nn.Conv2d(32, 8, 1)]
    maps = drawn(2, 32, 9, 9).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16), DepthwiseGradients(), PackedGradients(), WinogradConvolutions():
        maps = nn.Sequential(*layers)(maps)
    maps.float().sum().backward()
    assert taken == [PackedGradients, DepthwiseGradients]
    assert calls == ["panels", "convolve", "filter_gradient"]
