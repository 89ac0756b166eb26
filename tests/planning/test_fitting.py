"""What is said where a network and an input do not fit."""

import re

import pytest
import torch
from torch import nn

from neocog import create_model
from neocog.errors import GeometryError, PlanError
from neocog.planning import plan
from tests.support.networks import alexnet, resnet, vgg


class Uneven(nn.Module):
    """Halves and doubles the size, and adds what was before: fits even sizes alone."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 2, 2), nn.ConvTranspose2d(4, 1, 2, 2)

    def forward(self, x):
        return x + self.up(self.down(x))


class Functional(nn.Module):
    """A product with a bare parameter."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(400, 10))

    def forward(self, x):
        return x.flatten(1) @ self.table


MESSAGES = [
    (
        lambda: create_model("lenet5_relu"),
        (1, 36, 36),
        (
            "An input of 1x36x36 does not fit. head.1 Linear(in_features=400, out_features=120, bias=True) takes 400 "
            "features and receives 16x6x6 = 576. Use an input from 1x32x32 to 1x35x35, which gives 400."
        ),
    ),
    (
        Functional,
        (4, 9, 9),
        (
            "An input of 4x9x9 does not fit. The network Functional takes 400 features and receives 4x9x9 = 324. Use "
            "an input of 4x10x10, which gives 400."
        ),
    ),
    (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 7, 2), nn.Conv2d(8, 8, 5)),
        (3, 9, 9),
        (
            "An input of 3x9x9 does not fit. 1 Conv2d(8, 8, kernel_size=(5, 5), stride=(1, 1)) reads windows of 5x5, "
            "more than the 2x2 that is left of the input. The network works from 3x15x15 on."
        ),
    ),
    (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(4)),
        (3, 5, 5),
        "reads windows of 4x4, more than the 3x3 that is left of the input. The network works from 3x6x6 on.",
    ),
    (
        lambda: create_model("lenet5_relu"),
        (1, 10, 10),
        "reads windows of 5x5, more than the 3x3 that is left of the input. Use an input from 1x32x32 to 1x35x35",
    ),
    (
        lambda: nn.Conv2d(3, 8, 3, dilation=4),
        (3, 8, 8),
        "reads windows of 9x9, more than the 8x8 that is left of the input. The network works from 3x9x9 on.",
    ),
    (
        lambda: create_model("lenet5_relu"),
        (3, 32, 32),
        "takes 1 input channel and receives 3, in 3x32x32. Use 1x32x32, or build the layer with 3 input channels.",
    ),
    (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3)),
        (3, 8, 8),
        (
            "1 Conv2d(4, 8, kernel_size=(3, 3), stride=(1, 1)) takes 4 input channels and receives 8, in 8x6x6. Build "
            "the layer with 8 input channels."
        ),
    ),
    (
        Uneven,
        (1, 9, 9),
        "An input of 1x9x9 does not fit. The network Uneven, at add of 1x1x9x9 and 1x1x8x8: ",
    ),
    (Uneven, (1, 9, 9), "Use an input of 1x10x10, which does."),
    (
        lambda: nn.Conv1d(1, 4, 9),
        (1, 5),
        "reads windows of 9, more than the 5 that is left of the input. The network works from 1x9 on.",
    ),
    (lambda: nn.Conv2d(3, 4, 3), (32, 32, 3), "Received: 32x32x3. Use 3x32x32."),
    (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 7 * 8, 10)),
        (3, 9, 9),
        "receives 4x7x7 = 196. Use an input of 3x10x9, which gives 224.",
    ),
    (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 5), Uneven()),
        (1, 4, 4),
        "more than the 4x4 that is left of the input. Use an input of 1x6x6, which does.",
    ),
    (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(5, 4, 3)),
        (3, 8, 8),
        "1 ConvTranspose2d(5, 4, kernel_size=(3, 3), stride=(1, 1)) takes 5 input channels and receives 4, in 4x6x6.",
    ),
    (
        resnet,
        (1, 3, 64, 64),
        "An input is channels and then sizes, without the batch. Received: 1x3x64x64. Use 3x64x64.",
    ),
    (resnet, (64, 65), "An input is channels and then sizes, without the batch. Received: 64x65. Use 3x64x65."),
    (
        lambda: nn.Linear(3, 2),
        (3, 4, 4),
        "The network Linear(in_features=3, out_features=2, bias=True) takes 3 features and receives",
    ),
]


@pytest.mark.parametrize(("build", "shape", "message"), MESSAGES)
def test_the_layer_the_sizes_and_what_would_fit_are_named(build, shape, message):
    with pytest.raises(GeometryError, match=re.escape(message)):
        plan(build(), shape)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: create_model("lenet5_relu"), (1, 40, 40)),
        (alexnet, (3, 128, 128)),
        (lambda: vgg((2, 2, 3, 3, 3), 8), (3, 250, 260)),
        (Uneven, (1, 31, 33)),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 9, 3), nn.Conv2d(2, 2, 9, 3)), (1, 20, 20)),
    ],
)
def test_what_is_named_as_fitting_fits_and_its_neighbours_do_not(build, shape):
    with torch.device("meta"):
        model = build()
    with pytest.raises(GeometryError) as caught:
        plan(model, shape)
    advice = str(caught.value).split(". ")[-1]
    named = [tuple(map(int, text.split("x"))) for text in re.findall(r"\d+(?:x\d+)+", advice)]
    assert named
    for size in named:
        plan(model, size)
    smaller = (named[0][0], *(n - 1 for n in named[0][1:]))
    with pytest.raises(GeometryError):
        plan(model, smaller)


def test_nothing_near_fits():
    class Never(nn.Module):
        def forward(self, x):
            return x.flatten(1) @ x.new_zeros(x[0].numel() + 1, 2)

    with pytest.raises(GeometryError, match=r"takes 17 features and receives 1x4x4 = 16. No size near it gives them."):
        plan(Never(), (1, 4, 4))


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.first, self.error = nn.Conv2d(3, 3, 1), error

    def forward(self, x):
        x = self.first(x)
        raise self.error


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (lambda: Raises(ValueError("boom")), (3, 4, 4), "The network Raises failed on an input of 3x4x4"),
        (lambda: Raises(AssertionError()), (3, 4, 4), ": AssertionError. Look at the layer."),
        (lambda: nn.BatchNorm2d(3), (3, 8), "The network BatchNorm2d(3, "),
        (lambda: nn.Embedding(9, 4), (5,), "Plan token ids with dtype=torch.int64, or --dtype int64."),
        (
            lambda: nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2).half()),
            (5,),
            "all tensors must have one type, received torch.float16 and torch.float32",
        ),
        (nn.Module, (3,), 'failed on an input of 3: Module [Module] is missing the required "forward" function'),
    ],
)
def test_error_that_no_size_would_fix_names_no_size(build, shape, message):
    with pytest.raises(PlanError, match=re.escape(message)):
        plan(build(), shape)


def test_sizes_far_below_are_not_advised():
    """At 3x3 one of the branches is 1x1 and broadcast, which nobody means."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x):
            return self.a(x) + self.b(x)

    with pytest.raises(PlanError, match=r"at add of 1x8x10x10 and 1x8x12x12.*Look at the layer."):
        plan(Branches(), (3, 12, 12))
    plan(Branches(), (3, 3, 3))


def test_an_output_padding_that_torch_refuses_is_refused():
    with pytest.raises(GeometryError, match=r"output_padding must be smaller than stride or dilation."):
        plan(nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=3), (1, 8, 8))


def test_a_residual_network_takes_any_size():
    with torch.device("meta"):
        model = resnet((1, 1, 1, 1))
    for size in (1, 2, 33, 65):
        assert plan(model, (3, size, size)).output_shapes == ((1000,),)
