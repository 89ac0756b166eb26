import pytest
import torch

from neocog.layers.stochastic_depth import StochasticDepth


@pytest.mark.parametrize("shape", [(1000, 3, 2, 2), (1000, 5, 4), (1000, 6)])
def test_a_branch_is_dropped_whole_for_each_sample_or_scaled(shape):
    torch.manual_seed(2016)
    branch = torch.rand(shape) + 0.5
    factors = (StochasticDepth(0.2)(branch) / branch).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    dropped = factors[:, 0] == 0
    torch.testing.assert_close(factors[~dropped, 0], torch.full_like(factors[~dropped, 0], 1 / (1 - 0.2)))
    assert 0.15 < dropped.float().mean() < 0.25  # 0.2 within 4 standard deviations of 1,000 draws


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_expectation_is_the_branch_itself(rate):
    torch.manual_seed(0)
    mean = StochasticDepth(rate)(torch.ones(100_000, 1)).mean().item()
    assert mean == pytest.approx(1, abs=5 * (rate / (1 - rate) / 100_000) ** 0.5)


def test_nothing_happens_in_evaluation_or_at_rate_zero():
    branch = torch.randn(64, 3, 2, 2)
    assert StochasticDepth(0.9).eval()(branch) is branch
    assert StochasticDepth(0)(branch) is branch


def test_gradients_reach_only_the_branches_that_survive():
    torch.manual_seed(1)
    branch = torch.ones(200, 4, requires_grad=True)
    found = StochasticDepth(0.5)(branch)
    found.sum().backward()
    assert torch.equal(branch.grad, found.detach())
    assert 0 < (found == 0).sum() < found.numel()


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_rates_outside_of_0_to_1_are_refused(rate):
    with pytest.raises(ValueError, match=rf"drop_rate must lie in \[0, 1\)\. Received: {rate}\. Use 0 to keep"):
        StochasticDepth(rate)


def test_it_is_exported_as_nothing_in_evaluation_and_with_any_batch():
    layer, branch = StochasticDepth(0.5).eval(), torch.randn(2, 3)
    batches = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(layer, (branch,), dynamic_shapes=batches)
    assert torch.equal(exported.module()(branch), branch)
    torch.export.export(layer.train(), (branch,), dynamic_shapes=batches)
    assert str(layer) == "StochasticDepth(drop_rate=0.5)"
