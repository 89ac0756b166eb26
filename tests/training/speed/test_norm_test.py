import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from neocog.training.speed import PLAIN, Candidate
from neocog.training.speed.norm_test import find_norm_fault
from neocog.training.speed.selftest import SelfTest

FP32, BF16 = Candidate("fp32", channels_last=True), Candidate("bf16", channels_last=True)
WAYS = [PLAIN, FP32, BF16, Candidate("bf16")]
IMAGES = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Shifted(nn.Module):
    def __init__(self, mean):
        super().__init__()
        self.mean = mean

    def forward(self, maps):
        return 5 * maps + self.mean  # of deviation 1, roughly


def network(norm, mean=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3), Shifted(mean), norm, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(16), nn.GroupNorm(4, 16), nn.InstanceNorm2d(16), nn.LayerNorm([16, 10, 10])], ids=str
)
def test_norms_of_usual_maps_pass(norm, way):
    for mean in (0.0, 3.0):
        assert find_norm_fault(network(norm, mean), IMAGES, way) is None


@pytest.mark.parametrize(("way", "tolerance"), [(FP32, "1e-03"), (BF16, "5e-02")])
def test_group_norm_of_maps_with_a_large_mean_is_named_in_channels_last(way, tolerance):
    test = SelfTest(network(nn.GroupNorm(4, 16), mean=300.0), torch.rand(2, 3, 40, 40))
    with pytest.raises(AssertionError, match=rf"output of 2 \(group_norm\) is off by .*, more than {tolerance}"):
        raise AssertionError(test.fault(way))
    assert test.fault(replace(way, channels_last=False)) is None
    assert test.fault(way.compiled_instead) is None  # the compiler makes norms of its own


def test_nan_is_named_and_so_is_a_norm_without_a_layer():
    def normalise(images):
        return torch.layer_norm(images / 0 - images / 0, [12])

    model = nn.Module()
    model.forward = normalise
    assert (
        find_norm_fault(model, IMAGES, PLAIN) == "the output of the network (layer_norm) is off by nan, more than 1e-03"
    )


def test_network_is_left_as_it_was():
    model = network(nn.BatchNorm2d(16)).eval()
    model(IMAGES)
    before = copy.deepcopy(model.state_dict())
    assert find_norm_fault(model, IMAGES, FP32) is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[0].weight.is_contiguous()
    assert not model.training
    assert not model[2]._forward_pre_hooks
