import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.selftest import SelfTest, collect_cases, draw_tensors, draw_upstream, select_cases
from neocog.training.state import build_seeded

BF16 = Candidate("bf16")


class Varied(nn.Module):
    """Every kind of convolution, one of them without a module of its own."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, stride=2, padding="valid")
        self.grouped = nn.Conv2d(12, 24, 3, padding=1, groups=6)
        self.depthwise = nn.Conv2d(24, 24, (1, 3), padding="same", groups=24)
        self.up = nn.ConvTranspose2d(24, 8, 2, stride=2)
        self.up_grouped = nn.ConvTranspose2d(8, 10, 3, groups=2, output_padding=1, stride=2)
        self.own = nn.Parameter(torch.ones(5, 10, 1, 1))
        self.head = nn.Linear(5, 7)

    def forward(self, images):
        maps = self.up_grouped(self.up(self.depthwise(self.grouped(self.stem(images)))))
        return self.head(F.conv2d(maps, self.own, dilation=2).mean(dim=(2, 3)))


@pytest.fixture
def varied():
    return build_seeded(Varied, seed=0)


IMAGES = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))


def test_calls_are_found_with_their_layers_and_costs(varied):
    cases = collect_cases(varied, IMAGES)
    assert [case.layer for case in cases][:5] == ["stem", "grouped", "depthwise", "up", "up_grouped"]
    assert [case.operation for case in cases] == ["conv2d"] * 3 + ["conv_transpose2d"] * 2 + ["conv2d", "linear"]
    assert cases[0].num_macs == 4 * 12 * 4 * 4 * 3 * 9
    assert cases[1].num_macs == 4 * 24 * 4 * 4 * 2 * 9
    assert cases[3].num_macs == 4 * 24 * 4 * 4 * 8 * 4
    assert cases[-1].num_macs == 4 * 5 * 7
    assert cases[5].weight == (5, 10, 1, 1)


def test_the_network_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)).eval()
    before = copy.deepcopy(model.state_dict())
    collect_cases(model, IMAGES)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.training
    assert not model[0]._forward_pre_hooks


def test_the_largest_of_each_kind_are_taken():
    model = nn.Sequential(
        *(nn.Conv2d(c, c + 1, 3, padding=1) for c in range(3, 9)), nn.Conv2d(9, 3, 1), nn.Conv2d(3, 3, 1)
    )
    chosen = select_cases(collect_cases(model, IMAGES), largest=2)
    assert [case.layer for case in chosen] == ["4", "5", "6"]
    assert len(select_cases(collect_cases(model, IMAGES), most=1)) == 1


def test_the_truth_of_a_part_is_that_of_the_whole(varied):
    for case in (test := SelfTest(varied, IMAGES)).cases:
        tensors = [tensor.double().requires_grad_() for tensor in draw_tensors(case)]
        maps = case.run(*tensors, case.groups)
        gradients = torch.autograd.grad(maps, tensors, draw_upstream(maps, case).double())
        true = test.truths[test.cases.index(case)]
        for part, whole in zip(true, (maps, *gradients), strict=True):
            corner = whole[tuple(slice(size) for size in part.shape)]
            torch.testing.assert_close(part, corner, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", [PLAIN, Candidate("fp32", True), BF16, Candidate("bf16", True)])
def test_right_arithmetic_passes(varied, way):
    assert SelfTest(varied, IMAGES).fault(way) is None


def test_signals_and_volumes_pass_too():
    signals = nn.Sequential(nn.Conv1d(3, 8, 5), nn.ConvTranspose1d(8, 4, 5))
    assert SelfTest(signals, torch.randn(2, 3, 30)).fault(BF16) is None
    volumes = nn.Sequential(nn.Conv3d(2, 8, 3), nn.ConvTranspose3d(8, 4, 3))
    assert SelfTest(volumes, torch.randn(2, 2, 6, 6, 6)).fault(BF16) is None


def wrong(change):
    """A convolution that a CPU computes wrong in bf16 alone."""
    right = F.conv2d

    def conv2d(*args, **kwargs):
        maps = right(*args, **kwargs)
        return change(maps) if maps.dtype == torch.bfloat16 else maps

    return conv2d


class Backward(torch.autograd.Function):
    """Leaves values, and spoils the gradient."""

    @staticmethod
    def forward(ctx, maps):
        return maps.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 1.1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda maps: maps * 1.1, r"the forward of stem \(conv2d\) is off by (9.9e-02|1.0e-01), more than 3e-02"),
        (lambda maps: maps * torch.nan, r"the forward of stem \(conv2d\) is off by nan, more than 3e-02"),
        (Backward.apply, r"the input gradient of stem \(conv2d\) is off by (9.9e-02|1.0e-01), more than 3e-02"),
    ],
)
def test_a_convolution_that_is_wrong_in_bf16_is_named(monkeypatch, varied, change, reason):
    test = SelfTest(varied, IMAGES)
    monkeypatch.setattr(F, "conv2d", wrong(change))
    monkeypatch.setattr("neocog.training.speed.selftest.F.conv2d", F.conv2d)
    assert test.fault(PLAIN) is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(test.fault(BF16))


def test_sums_in_bf16_are_found():
    def summed_in_bf16(inputs, weight, bias=None):
        found = torch.zeros(inputs.shape[0], weight.shape[0], dtype=torch.bfloat16)
        for i in range(inputs.shape[1]):
            found = found + inputs[:, i : i + 1].bfloat16() * weight[:, i].bfloat16()
        return found

    test = SelfTest(nn.Sequential(nn.Linear(3000, 20)), torch.ones(8, 3000))
    case, true = test.cases[0], test.truths[0]
    found = summed_in_bf16(*draw_tensors(case))[:, :4].double()
    assert (found - true.forward).norm() / true.forward.norm() > 3e-2
