"""Places along an axis as a graph computes them, beside what runs on the host."""

import numpy as np
import pytest
import torch

from neocog.exporting.axes import blend, cut, enlarge, number, tiles_of
from neocog.modalities.views import tile_starts
from neocog.tasks.stitch import edge_weights, linear_rows


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16, 37])
def test_tiles_begin_where_those_of_the_host_do(size: int) -> None:
    for length in range(1, 6 * size + 2):
        assert tiles_of(length, size).starts.tolist() == tile_starts(length, size)


@pytest.mark.parametrize("size", [2, 3, 8, 13])
def test_blended_tiles_are_the_weighted_means_of_all_that_cover_a_place(size: int) -> None:
    generator = np.random.default_rng(size)
    for length in range(1, 4 * size + 2, 1 + size // 8):
        starts = tile_starts(length, size)
        values = torch.from_numpy(generator.normal(size=(2, len(starts) * size)).astype(np.float32))
        sums, weights = torch.zeros(2, length), torch.zeros(length)
        for k, start in enumerate(starts):
            stop = min(length, start + size)
            ramp = edge_weights((size,))[: stop - start]
            sums[:, start:stop] += values[:, k * size : k * size + stop - start] * ramp
            weights[start:stop] += ramp
        found, shares = blend(values, 1, tiles_of(length, size))
        torch.testing.assert_close(found, sums)
        torch.testing.assert_close(shares, weights)


def test_tiles_of_a_short_axis_end_where_it_ends() -> None:
    parts, inside = cut(torch.arange(5.0)[None], 1, tiles_of(5, 8))
    assert parts[0, :5].tolist() == [0, 1, 2, 3, 4]
    assert inside.tolist() == [True] * 5 + [False] * 3


@pytest.mark.parametrize(("offset", "parts", "length"), [(0, 9, 9), (2, 5, 17), (1, 7, 3), (3, 1, 4)])
def test_enlarged_maps_are_those_of_the_stitcher(offset: int, parts: int, length: int) -> None:
    maps = torch.randn(3, 9, 2)
    found = enlarge(maps, 1, length, number(offset), number(parts))
    torch.testing.assert_close(found, linear_rows(maps[:, offset : offset + parts], length, 0, length))
