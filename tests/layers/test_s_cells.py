import math

import pytest
import torch

from neocog.layers.s_cells import SCells


def one_cell(*inputs, **options):
    """S-cells with a 1x1 window, so that each position sees one vector; as many planes as vectors, each knows one.

    Of D channels, c is 1/D, so that a win adds 1000/D times the vector.
    """
    known = torch.tensor(inputs)
    cells = SCells(known.shape[1], len(known), kernel_size=1, **options)
    cells.reinforce(torch.arange(len(known)), known[..., None, None])
    return cells


def seen(*vectors):
    """Vectors side by side, as maps of height 1."""
    return torch.tensor(vectors).T[None, :, None]


def test_one_unit_by_loops_over_its_window():
    torch.manual_seed(0)
    cells = SCells(3, 4, kernel_size=5, padding=2, threshold=0.6).double()
    cells.reinforce(torch.arange(4), torch.rand(4, 3, 5, 5, dtype=torch.float64))
    cells.a /= 1000  # so that the 1 beside excitation and inhibition counts
    cells.b /= 1000
    maps = torch.rand(2, 3, 8, 9, dtype=torch.float64)
    n, k, y, x, r = 1, 2, 1, 6, 1.5  # r / (1 + r) is the threshold
    excitation, energy = 0.0, 0.0
    weights = {(i, j): math.exp(-((i - 2) ** 2 + (j - 2) ** 2) / (2 * 2.5**2)) for i in range(5) for j in range(5)}
    for c in range(3):
        for (i, j), weight in weights.items():
            row, column = y + i - 2, x + j - 2
            if 0 <= row < 8 and 0 <= column < 9:
                excitation += (cells.a[k, c, i, j] * maps[n, c, row, column]).item()
                energy += weight / (3 * sum(weights.values())) * maps[n, c, row, column].item() ** 2
    inhibition = r / (1 + r) * cells.b[k].item() * math.sqrt(energy)
    expected = r * max((1 + excitation) / (1 + inhibition) - 1, 0)
    assert expected > 0
    assert cells(maps)[n, k, y, x].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.8])
def test_a_strong_input_is_judged_by_its_angle_alone(threshold):
    cells = one_cell([1.0, 0.0], threshold=threshold)
    for cosine in (1.0, 0.9, 0.7, 0.4, 0.0):
        vector = [100 * cosine, 100 * math.sqrt(1 - cosine**2)]
        expected = max(cosine / threshold - 1, 0) * threshold / (1 - threshold)
        assert cells(seen(vector)).item() == pytest.approx(expected, abs=1e-3)


def test_a_weak_input_excites_little():
    cells = one_cell([1.0, 0.0])
    strong, weak, none = cells(seen([1.0, 0.0], [0.001, 0.0], [0.0, 0.0])).flatten().tolist()
    assert strong > 0.99
    assert 0 < weak < 0.5
    assert none == 0


def test_the_winner_gets_stronger_and_the_others_stay():
    cells = one_cell([1.0, 0.2], [0.6, 0.8], learning_threshold=0.5)
    before = cells.a.clone()
    dim = seen([0.01, 0.0])
    response = cells(dim)[0, :, 0, 0]
    assert response[0] > response[1] > 0  # both recognise it
    cells.learn(seen([1.0, 0.0]))
    assert cells(dim)[0, 0] > response[0]
    assert torch.equal(cells.a[0, :, 0, 0] - before[0, :, 0, 0], torch.tensor([500.0, 0.0]))
    assert torch.equal(cells.a[1], before[1])


def test_neighbours_compete_and_distant_cells_do_not():
    best, second = [1.0, 0.0, 0.0], [0.0, 1.0, 0.3]
    for gap, changed in ((0, [True, False]), (3, [True, True])):
        cells = one_cell([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        before = cells.a.clone()
        cells.learn(seen(best, *[[0.0, 0.0, 0.0]] * gap, second))
        assert (cells.a != before).flatten(1).any(1).tolist() == changed


def test_one_place_teaches_a_plane_for_the_whole_image():
    cells = one_cell([1.0, 0.0])
    before = cells.a.clone()
    cells.learn(seen([1.0, 0.1], *[[0.0, 0.0]] * 5, [1.0, 0.0], *[[0.0, 0.0]] * 5, [1.0, 0.2]))
    assert torch.equal(cells.a[0, :, 0, 0] - before[0, :, 0, 0], torch.tensor([500.0, 0.0]))


def test_a_plane_begins_where_all_are_silent_as_long_as_there_are_planes():
    cells = SCells(2, 2, kernel_size=1)
    across, down, both = seen([1.0, 0.0]), seen([0.0, 1.0]), seen([1.0, 1.0])
    assert cells.num_used == 0
    for maps, num_used in ((across, 1), (across, 1), (down, 2), (both, 2)):
        cells.learn(maps)
        assert cells.num_used == num_used
    assert torch.equal(cells.a[:, :, 0, 0] > 0, torch.eye(2, dtype=torch.bool))


def test_the_strongest_unknown_thing_gets_the_plane_and_faint_ones_get_none():
    nothing = [[0.0, 0.0]] * 3
    cells = SCells(2, 3, kernel_size=1)
    cells.learn(seen([0.1, 0.0], *nothing, [1.0, 0.0], *nothing, [0.0, 0.2]))
    assert cells.num_used == 1
    assert cells.a[0, 0] == 500
    cells.learn(seen([1.0, 0.0], *nothing, [0.0, 0.2]))
    assert cells.num_used == 1
    cells.learn(seen([0.0, 0.2]))  # where it is alone it is not faint
    assert cells.num_used == 2


def test_learning_takes_a_higher_threshold_than_recognition():
    cells = SCells(2, 2, kernel_size=1, threshold=0.5, learning_threshold=0.8)
    cells.learn(seen([1.0, 0.0]))
    between = seen([0.6, 0.8])
    assert cells(between)[0, 0] > 0  # recognised
    cells.learn(between)
    assert cells.num_used == 2  # and yet worth a plane of its own


def test_empty_image_teaches_nothing():
    cells = SCells(1, 4, kernel_size=3, padding=1)
    cells.learn(torch.zeros(1, 1, 6, 6))
    assert not cells.a.any()
    assert not cells.b.any()


def test_untaught_planes_are_silent():
    cells = SCells(2, 5, kernel_size=3)
    cells.learn(torch.rand(1, 2, 3, 3))
    responses = cells(torch.rand(4, 2, 9, 9))
    assert responses.shape == (4, 5, 7, 7)
    assert responses[:, 0].any()
    assert not responses[:, 1:].any()


def test_there_is_nothing_to_differentiate():
    cells = SCells(1, 2, kernel_size=3)
    assert not list(cells.parameters())
    cells.learn(torch.rand(1, 1, 5, 5, requires_grad=True))
    assert not cells.a.requires_grad and not cells.b.requires_grad
    with torch.inference_mode():
        cells.learn(torch.rand(1, 1, 5, 5))
    assert list(cells.state_dict()) == ["a", "b"]
