"""Each piece of advice where there is reason for it, and none where there is not."""

import torch
from torch import nn

from neocog import create_model
from neocog.planning import advise, plan
from tests.support.networks import alexnet, resnet


def advice_for(model, shape, object_size=None):
    return advise(plan(model, shape), object_size)


def one(lines, start):
    found = [line for line in lines if line.startswith(start)]
    assert len(found) == 1, lines
    return found[0]


def test_a_receptive_field_smaller_than_the_object():
    lines = advice_for(create_model("lenet5_relu"), (1, 32, 32), object_size=20)
    line = one(lines, "A receptive field smaller than the object")
    assert "of stages.0.2 (max_pool2d 2x2, stride 2), see 16x16, and the object is 20" in line
    assert not [x for x in advice_for(create_model("lenet5_relu"), (1, 32, 32), 16) if "smaller than" in x]
    assert "see 16x16 of 32x32" in one(
        advice_for(create_model("lenet5_relu"), (1, 32, 32)), "A receptive field smaller than the image"
    )


def test_advice_names_a_receptive_field_larger_than_the_image():
    with torch.device("meta"):
        model = resnet((3, 4, 6, 3))
    line = one(advice_for(model, (3, 224, 224)), "A receptive field larger than the image")
    assert "from 14.branch.2.0 (conv2d 3x3, padding 1) on, units see 235x235 of 224x224" in line


def test_strides_that_discard_samples():
    line = one(advice_for(nn.Conv2d(8, 8, 3, 3, bias=False), (8, 7, 7)), "A stride that discards samples")
    assert "the network (conv2d 3x3, stride 3) never sees 6 along an axis of its 7x7. Sizes of 6 or 9 there" in line
    jumping = nn.Sequential(nn.Conv2d(8, 8, 1, 2), nn.Conv2d(8, 8, 1, 2))
    line = one(advice_for(jumping, (8, 8, 8)), "A stride that discards samples")
    assert "0, 1, 1x1, stride 2 reads 25% of its input, as the stride is larger than the kernel" in line
    for fine in (nn.Conv2d(8, 8, 3, 2, 1), nn.MaxPool2d(2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(8, 8, 3)):
        assert not [x for x in advice_for(fine, (8, 8, 8)) if "discards" in x and "never sees 7" not in x], fine


def test_a_bias_before_batch_norm():
    model = nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 8, 3, bias=False), nn.BatchNorm2d(8))
    line = one(advice_for(model, (8, 9, 9)), "A bias before batch norm")
    assert line.startswith("A bias before batch norm: 0. ") and "saves 16 parameters" in line


def test_uneven_channels():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 16, 3))
    assert "in 1 of 2 convolutions: 0: 6." in one(advice_for(model, (3, 9, 9)), "Channels not a multiple of 8")


def test_most_parameters_in_one_dense_layer():
    with torch.device("meta"):
        line = one(advice_for(alexnet(), (3, 224, 224)), "Most parameters in one dense layer")
    assert "15 holds 37,752,832 of 61,100,840 (62%)" in line


def test_parameters_that_nothing_reads_and_operations_that_are_not_known():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = nn.Linear(3, 2)

        def forward(self, x):
            return torch.fft.rfft2(x).real

    lines = advice_for(Odd(), (8, 8, 8))
    assert "idle.weight, idle.bias; 8 in all" in one(lines, "Parameters that this pass does not read")
    assert "upper bounds" in one(lines, "An operation that is not known: the network (fft_r2c)")


def test_weights_that_are_not_parameters():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Conv2d(8, 8, 3)]

        def forward(self, x):
            return self.layers[0](x)

    assert "nn.ModuleList" in one(advice_for(Listed(), (8, 8, 8)), "Weights that are not parameters")


def test_a_pooling_that_reaches_over_the_end_discards_nothing():
    assert advice_for(nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True)), (8, 8, 8), 3) == []


def test_nothing_to_say():
    """A network that sees all of its image, leaves nothing out and has even channels."""
    model = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    assert advice_for(model, (8, 5, 5)) == []
