"""Every method on every kind of network: the right shape, and the network left as it was."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.faithfulness import insertion_deletion
from neocog.explaining.methods import METHODS, default_layer, explain_with
from neocog.explaining.synthesis import synthesise
from neocog.explaining.twins import randomised_twin
from neocog.tasks import Detection, MultiLabel, NextMove, Regression, Segmentation, SignalSegmentation, Task
from neocog.tasks.target import Target
from neocog.zoo.networks.centernet import Points
from neocog.zoo.networks.text_cnn import TextCNN
from neocog.zoo.networks.unet import UNet
from neocog.zoo.networks.unet_1d import UNet1d
from tests.support.explained import Branched, images

FAST = {"smoothgrad": {"samples": 4}, "integrated": {"steps": 8}, "scorecam": {"channels": 3}}


class Heads(nn.Module):
    """The three maps of a detector with two classes, at a quarter of the input's size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU())
        self.heat, self.size, self.offset = nn.Conv2d(6, 2, 3, padding=1), nn.Conv2d(6, 2, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Points:
        maps = self.stem(x)
        return Points(self.heat(maps), self.size(maps), self.offset(maps))


def convolutional(channels: int, outputs: int, axes: int = 2) -> nn.Sequential:
    conv = {1: nn.Conv1d, 2: nn.Conv2d}[axes]
    pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}[axes]
    layers = [conv(channels, 6, 3, padding=1), nn.ReLU(), conv(6, 8, 3, 2, 1), nn.ReLU(inplace=True), pool(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, outputs))


def names(count: int) -> tuple[str, ...]:
    return tuple(f"class {k}" for k in range(count))


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Task | None]] = {
    "image": (lambda: Branched(F.relu), (2, 8, 8), None),
    "several labels": (lambda: convolutional(3, 4), (3, 12, 14), MultiLabel(names(4))),
    "numbers": (lambda: convolutional(1, 2), (1, 12, 12), Regression(("length", "mass"), mean=(1, 2), std=(3, 4))),
    "signal": (lambda: convolutional(2, 3, axes=1), (2, 60), None),
    "spectrogram": (lambda: convolutional(1, 3), (1, 24, 10), None),
    "text": (lambda: TextCNN(in_channels=40, vector_size=6), (9,), None),
    "board": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.Flatten()),
        (4, 5, 5),
        NextMove(names(25)),
    ),
    "masks": (lambda: UNet(num_classes=3, widths=(4, 8, 8), norm=True), (1, 16, 16), Segmentation(names(3))),
    "boxes": (Heads, (3, 32, 32), Detection(names(2))),
    "signal segments": (lambda: UNet1d(in_channels=1, num_classes=2), (1, 64), SignalSegmentation(names(2))),
}


def case(name: str) -> tuple[Explainer, Tensor]:
    make, shape, task = CASES[name]
    torch.manual_seed(0)
    net = make()
    tokens = name == "text"
    explainer = Explainer(net, shape, task=task, classes=names(3), dtype=torch.int64 if tokens else None)
    return explainer, torch.randint(1, 40, (1, *shape)) if tokens else images((1, *shape)).float()


@pytest.fixture(scope="module")
def cases() -> dict[str, tuple[Explainer, Tensor]]:
    return {name: case(name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_method_maps_every_kind_of_input(cases, name):
    explainer, inputs = cases[name]
    target = explainer.target(inputs)
    places = explainer.input_shape[-1:] if inputs.ndim < 4 else explainer.input_shape[1:]
    logit = float(target.of(explainer.outputs(inputs)))
    for method in METHODS:
        found = explain_with(explainer, inputs, target, method, **FAST.get(method, {}))
        assert found.map.shape == places and found.map.isfinite().all(), method
        assert found.method == method and found.logit == pytest.approx(logit, abs=1e-5)
        assert found.signed or bool((found.map >= 0).all()), method
        assert (found.layer is None) != METHODS[method].on_layer
        assert found.scale > 0 or METHODS[method].on_layer or method in ("guided", "deconvnet"), method


@pytest.mark.parametrize("name", ["masks", "boxes", "signal segments"])
def test_target_at_one_place_is_explained_near_it(cases, name):
    explainer, inputs = cases[name]
    spec = {"masks": "class 1@3,4", "boxes": "0", "signal segments": "class 1@10"}[name]
    target = explainer.target(inputs, spec)
    found = explain_with(explainer, inputs, target, "gradient")
    layer = default_layer(explainer, inputs, target)
    near = [4 * at for at in target.place] if name == "boxes" else list(target.place)
    reached = (found.map > 0).nonzero()
    assert len(reached) and int((reached - torch.tensor(near)).abs().amin(0).max()) <= 8
    assert layer.row.operation < len(explainer.layers.plan.trace.operations) - 1


class State:
    """All that a method might change in a network, and in torch."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.calls: list[str] = []
        self.handles = [
            net.register_forward_hook(lambda *_: self.calls.append("forward")),
            next(net.children()).register_forward_pre_hook(lambda *_: self.calls.append("before")),
            next(net.children()).register_full_backward_hook(lambda *_: self.calls.append("backward")),
        ]
        for i, parameter in enumerate(net.parameters()):
            parameter.grad = torch.full_like(parameter, 0.5) if i % 2 else None
            parameter.requires_grad_(i % 3 != 0)
        self.before = self.look()

    def look(self) -> list[object]:
        tensors = [tensor.clone() for tensor in self.net.state_dict().values()]
        grads = [None if p.grad is None else p.grad.clone() for p in self.net.parameters()]
        modes = [module.training for module in self.net.modules()]
        hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in self.net.modules()]
        ids = [id(tensor) for tensor in (*self.net.parameters(), *self.net.buffers())]
        needs = [p.requires_grad for p in self.net.parameters()]
        return [tensors, grads, modes, hooks, ids, needs, torch.get_rng_state(), torch.is_grad_enabled()]

    def check(self) -> None:
        after = self.look()
        for old, new in zip(self.before[:2], after[:2], strict=True):
            assert all(a is b is None or torch.equal(a, b) for a, b in zip(old, new, strict=True))
        assert self.before[2:6] == after[2:6]
        assert torch.equal(self.before[6], after[6]) and self.before[7] == after[7]
        assert self.calls == []


@pytest.fixture(params=[True, False], ids=["train", "eval"])
def watched(request) -> tuple[Explainer, State]:
    net = UNet(num_classes=2, widths=(4, 8), norm=True).train(request.param)  # batch norm and dropout
    state = State(net)
    return Explainer(net, (1, 16, 16), task=Segmentation(names(2))), state


USES: dict[str, Callable[[Explainer, Tensor, Target], object]] = {
    **{name: (lambda e, x, t, name=name: explain_with(e, x, t, name, **FAST.get(name, {}))) for name in METHODS},
    "twin": lambda e, x, t: randomised_twin(e, x, t, "gradcam"),
    "synthesis": lambda e, x, t: synthesise(e, t, steps=3),
    "insertion and deletion": lambda e, x, t: insertion_deletion(e, [x, x], ["gradient"], steps=3),
}


@pytest.mark.parametrize("use", USES)
def test_network_is_left_as_it_was(watched, use):
    explainer, state = watched
    inputs = images((1, 1, 16, 16)).float()
    before = inputs.clone()
    USES[use](explainer, inputs, explainer.target(inputs, "class 1"))
    state.check()
    assert torch.equal(inputs, before) and not inputs.requires_grad


@pytest.mark.parametrize("use", USES)
def test_network_is_left_as_it_was_by_an_error_in_the_middle(watched, use, monkeypatch):
    explainer, state = watched

    def fail(*_: object, **__: object) -> Tensor:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(type(explainer.network.head.classify), "_conv_forward", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        USES[use](explainer, images((1, 1, 16, 16)).float(), Target("class 1", 1, place=(3, 3)))
    state.check()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", ["gradient", "integrated", "gradcam", "scorecam", "occlusion"])
def test_maps_are_the_same_where_gradients_are_off(cases, mode, method):
    explainer, inputs = cases["image"]
    expected = explain_with(explainer, inputs, Target("", 2), method)
    with mode():
        found = explain_with(Explainer(explainer.model, (2, 8, 8)), inputs.clone(), Target("", 2), method)
        made = synthesise(explainer, Target("", 0), steps=2)
    assert torch.allclose(found.map, expected.map, atol=1e-6) and found.scale > 0
    assert str(found.layer) == str(expected.layer)
    assert made.value_after > made.value_before


def test_unknown_method_is_refused_with_the_nearest(cases):
    explainer, inputs = cases["image"]
    with pytest.raises(ConfigError, match=r"named as in METHODS\. Received: 'grad-cam'\. Did you mean 'gradcam"):
        explain_with(explainer, inputs, Target("", 0), "grad-cam")


def test_several_inputs_at_once_are_refused(cases):
    explainer, inputs = cases["image"]
    with pytest.raises(ConfigError, match=r"One input at a time.*\(1, 2, 8, 8\)\. Received: \(2, 2, 8, 8\)"):
        explain_with(explainer, torch.cat([inputs, inputs]), Target("", 0), "gradient")


def test_methods_say_what_they_show():
    assert list(METHODS) == [
        "gradient", "smoothgrad", "integrated", "guided", "deconvnet",
        "gradcam", "gradcam++", "layercam", "scorecam", "occlusion",
    ]  # fmt: skip
    assert all(row.title and row.about.endswith(".") for row in METHODS.values())
