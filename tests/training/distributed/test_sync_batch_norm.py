import pytest
import torch
from torch import nn

from neocog.training.distributed import SyncBatchNorm, convert_batch_norms
from neocog.training.distributed.statistics import moments
from neocog.training.precise_bn import freeze_norms
from tests.support.rank_tasks import NORMS, make_norm, norm_inputs, norm_pass


@pytest.fixture(scope="module")
def found(ranks):
    return ranks(3, "norms")


@pytest.mark.parametrize("name", NORMS)
def test_it_equals_torch_on_the_whole_batch(found, name):
    kind, shape, settings = NORMS[name]
    norm, (maps, pulls) = make_norm(kind, **settings).double(), norm_inputs(shape)
    for turn, scale in enumerate((1, 2)):
        expected = norm_pass(norm, maps * scale, pulls, slice(None))
        parts = [of_rank[name][turn] for of_rank in found]
        for key in ("outputs", "maps"):
            close(torch.cat([part[key] for part in parts]), expected[key])
        for key, gradient in expected["gradients"].items():  # of one process each, to be added up
            close(sum(part["gradients"][key] for part in parts), gradient)
        for part in parts:
            assert part["state"].keys() == expected["state"].keys()
            for key, value in expected["state"].items():
                close(part["state"][key], value)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)


def test_unsynchronised_norm_computes_as_before(found):
    assert [of_rank["modes"] for of_rank in found] == [{"eval": True, "frozen": True, "apart": True}] * 3


def test_in_bfloat16_statistics_are_float32(found):
    maps, pulls = norm_inputs((16, 4, 8, 8), torch.bfloat16)
    expected = norm_pass(make_norm(nn.BatchNorm2d).double(), maps.double(), pulls.double(), slice(None))
    parts = [of_rank["bf16"] for of_rank in found]
    for key in ("outputs", "maps"):
        actual = torch.cat([part[key] for part in parts])
        assert actual.dtype == torch.bfloat16
        torch.testing.assert_close(actual.double(), expected[key], rtol=0.02, atol=0.02)
    for part in parts:
        for key in ("running_mean", "running_var"):
            assert part["state"][key].dtype == torch.float32
            torch.testing.assert_close(part["state"][key].double(), expected["state"][key], rtol=1e-5, atol=1e-6)


def test_precise_statistics_of_parts_are_put_together(found):
    # Parts have 3, 3 and 4 values; the last norm is frozen.
    for rank, (values, mean, var, frozen) in enumerate(of_rank["precise"] for of_rank in found):
        torch.testing.assert_close(mean, values.mean(0))
        torch.testing.assert_close(var, values.var(0, correction=0))
        assert frozen.tolist() == [rank] * 3


def test_one_value_in_all_processes_has_no_variance(found):
    assert "needs two values of each channel" in found[0]["uneven"]


def test_both_ways_to_the_moments_agree():
    maps = torch.randn(6, 4, 5, 3) * 0.01 + 100
    mean, var = moments(maps)
    axes = (0, 2, 3)
    torch.testing.assert_close(mean.double(), maps.double().mean(axes), rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), maps.double().var(axes, correction=0), rtol=1e-3, atol=0)
    assert moments(maps[:0])[0].tolist() == [0] * 4


def test_names_values_and_modes_stay():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm1d(2), nn.ReLU()), nn.GroupNorm(1, 2))
    model[1][0].eval()
    before, parameters = model.state_dict(), list(model.parameters())
    convert_batch_norms(model)
    convert_batch_norms(model)  # once is enough
    assert [type(module).__name__ for module in model.modules()] == [
        "Sequential", "SyncBatchNorm2d", "Sequential", "SyncBatchNorm1d", "ReLU", "GroupNorm",
    ]  # fmt: skip
    assert isinstance(model[0], nn.BatchNorm2d)
    assert isinstance(model[0], SyncBatchNorm)
    assert model[0].training
    assert not model[1][0].training
    assert all(map(torch.equal, model.state_dict().values(), before.values()))
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))


def test_a_frozen_norm_stays_frozen():
    model = nn.Sequential(nn.BatchNorm2d(3))
    freeze_norms(model)
    convert_batch_norms(model)
    assert not model.train()[0].training
