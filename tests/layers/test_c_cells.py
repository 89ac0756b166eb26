import math

import pytest
import torch
import torch.nn.functional as F

from neocog.layers.c_cells import CCells, bell


def test_one_unit_by_loops_over_its_window():
    torch.manual_seed(0)
    maps = torch.rand(2, 3, 9, 8, dtype=torch.float64)
    cells = CCells(5, stride=2, sigma=1.3).double()
    n, k, y, x = 1, 0, 4, 1
    sums = [0.0] * 3
    for plane in range(3):
        for i in range(-2, 3):
            for j in range(-2, 3):
                row, column = 2 * y + i, 2 * x + j
                if 0 <= row < 9 and 0 <= column < 8:
                    sums[plane] += math.exp(-(i**2 + j**2) / (2 * 1.3**2)) * maps[n, plane, row, column].item()
    inhibited = max((1 + sums[k]) / (1 + sum(sums) / 3) - 1, 0)
    assert inhibited > 0
    assert cells(maps)[n, k, y, x].item() == pytest.approx(inhibited / (0.5 + inhibited), rel=1e-6)


def test_a_shift_changes_c_cells_much_less_than_s_cells():
    torch.manual_seed(0)
    sparse = torch.rand(8, 4, 24, 24) * (torch.rand(8, 4, 24, 24) < 0.03)  # S-cells that respond here and there
    for pixels, s_limit, c_limit in ((1, 0.1, 0.7), (2, 0.1, 0.3)):
        shifted = sparse.roll(pixels, 3)
        cells = CCells(5, stride=2, sigma=1.5)
        s_alike, c_alike = (
            F.cosine_similarity(one.flatten(1), other.flatten(1)).mean()
            for one, other in ((sparse, shifted), (cells(sparse), cells(shifted)))
        )
        assert s_alike < s_limit
        assert c_alike > c_limit


def test_a_shift_by_the_stride_is_a_shift_by_one():
    maps = torch.zeros(1, 2, 16, 16)
    maps[0, :, 6:9, 7] = torch.tensor([[1.0], [0.3]])
    cells = CCells(5, stride=2, sigma=1.0)
    assert torch.equal(cells(maps.roll((2, 4), (2, 3))), cells(maps).roll((1, 2), (2, 3)))


def test_planes_inhibit_each_other():
    alone, together = torch.zeros(1, 3, 5, 5), torch.zeros(1, 3, 5, 5)
    alone[0, 0, 2, 2] = 1.0
    together[0, :2, 2, 2] = 1.0
    everywhere = torch.ones(1, 3, 5, 5)
    cells = CCells(3, stride=1, sigma=1.0)
    assert cells(alone)[0, 0, 2, 2] > cells(together)[0, 0, 2, 2] > 0
    assert cells(everywhere).max() < 1e-6  # what all planes say tells nothing


def test_responses_saturate_below_one():
    cells = CCells(3, stride=1, sigma=1.0)
    maps = torch.zeros(1, 50, 3, 3)
    responses = []
    for strength in (1.0, 10.0, 100.0):
        maps[0, 0, 1, 1] = strength
        responses.append(cells(maps)[0, 0, 1, 1].item())
    assert responses == sorted(responses)
    assert 0.6 < responses[0] < responses[-1] < 1


@pytest.mark.parametrize(("size", "out"), [(28, 14), (7, 4), (1, 1)])
def test_shapes(size, out):
    assert CCells(5, stride=2, sigma=1.0)(torch.rand(2, 3, size, size)).shape == (2, 3, out, out)


def test_the_bell_is_one_in_the_middle_and_the_same_in_all_directions():
    window = bell(5, sigma=2.0)
    assert window[2, 2] == 1
    assert torch.equal(window, window.T) and torch.equal(window, window.flip(0))
    assert window[2, 0].item() == pytest.approx(math.exp(-4 / 8))
    assert torch.equal(bell(4, sigma=1.0), bell(4, sigma=1.0).flip(1))  # even sizes have their middle between cells
