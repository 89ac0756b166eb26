import pytest
import torch
from torch import nn

from neocog import plan
from neocog.layers.local_response_norm import LocalResponseNorm

torch.manual_seed(0)
MAPS = torch.randn(2, 7, 3, 2, dtype=torch.float64) * 20


def by_the_paper(maps, n, alpha, beta, k):
    """Section 3.3, one value at a time."""
    count = maps.shape[1]
    result = torch.empty_like(maps)
    for sample, i, x, y in torch.cartesian_prod(*(torch.arange(size) for size in maps.shape)).tolist():
        total = sum(maps[sample, j, x, y] ** 2 for j in range(max(0, i - n // 2), min(count - 1, i + n // 2) + 1))
        result[sample, i, x, y] = maps[sample, i, x, y] / (k + alpha * total) ** beta
    return result


@pytest.mark.parametrize(("n", "alpha", "beta", "k"), [(5, 1e-4, 0.75, 2), (3, 0.1, 0.5, 1), (9, 1e-3, 2, 0.5)])
def test_every_value_is_what_the_paper_says(n, alpha, beta, k):
    found = LocalResponseNorm(n, alpha=alpha, beta=beta, k=k)(MAPS)
    torch.testing.assert_close(found, by_the_paper(MAPS, n, alpha, beta, k), rtol=1e-12, atol=0)


def test_the_papers_constants_are_the_defaults():
    torch.testing.assert_close(LocalResponseNorm()(MAPS), by_the_paper(MAPS, 5, 1e-4, 0.75, 2), rtol=1e-12, atol=0)


def test_alpha_is_not_divided_by_the_number_of_channels_as_in_torch():
    found = LocalResponseNorm()(MAPS)
    torch.testing.assert_close(found, nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)(MAPS))
    assert not torch.allclose(found, nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(MAPS), rtol=1e-3)


def test_gradients_are_those_of_finite_differences():
    layer = LocalResponseNorm(3, alpha=0.01)
    assert torch.autograd.gradcheck(layer, MAPS[:, :4].clone().requires_grad_())


def test_signals_and_volumes_are_normalised_in_the_same_way():
    layer = LocalResponseNorm()
    flat = layer(MAPS).flatten(2)
    torch.testing.assert_close(layer(MAPS.flatten(2)), flat)
    torch.testing.assert_close(layer(MAPS[..., None]).flatten(2), flat)


def test_a_plan_knows_which_channels_a_value_is_made_of():
    found = plan(LocalResponseNorm(), (9, 4, 4))
    assert all(row.known and row.exact for row in found.rows)
    reads = found.support(found.rows[-1], (2, 3), channel=3)
    assert reads.sum() == 5 and reads[1:6, 2, 3].all()


def test_an_exported_layer_computes_the_same():
    exported = torch.export.export(LocalResponseNorm(), (MAPS,)).module()
    torch.testing.assert_close(exported(MAPS), LocalResponseNorm()(MAPS))
