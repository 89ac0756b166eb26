import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neocog.rng import bits, derive_seed, integers, normal, permute, philox4x32, uniform

FF = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        # The known-answer tests that the authors of Random123 publish for philox4x32 with 10 rounds.
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FF, FF, FF, FF), (FF, FF), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, words):
    assert philox4x32(np.array(counter, np.uint64), key).tolist() == list(words)


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_a_sample_draws_the_same_alone_and_in_any_batch(seed, epoch, samples):
    together = bits(seed, epoch, samples, "test", 7)
    alone = np.concatenate([bits(seed, epoch, [sample], "test", 7) for sample in samples])
    assert (together == alone).all()


def test_seed_epoch_sample_and_purpose_all_matter():
    base = uniform(1, epoch=2, samples=[3], purpose="a")
    for other in (
        uniform(2, epoch=2, samples=[3], purpose="a"),
        uniform(1, epoch=3, samples=[3], purpose="a"),
        uniform(1, epoch=2, samples=[4], purpose="a"),
        uniform(1, epoch=2, samples=[3], purpose="b"),
    ):
        assert base[0, 0] != other[0, 0]


def test_draws_have_their_distributions():
    samples = np.arange(50_000)
    assert stats.kstest(uniform(0, 0, samples, "u")[:, 0], "uniform").pvalue > 0.001
    assert stats.kstest(normal(0, 0, samples, "n")[:, 0], "norm").pvalue > 0.001
    counts = np.bincount(integers(0, 0, samples, "i", -2, 2)[:, 0] + 2)
    assert stats.chisquare(counts).pvalue > 0.001
    first, second = uniform(0, 0, samples, "u", 2).T
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_uniform_never_reaches_its_ends():
    values = uniform(0, 0, np.arange(100_000), "ends", 4)
    assert 0 < values.min() < values.max() < 1


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_permute_is_a_bijection(size, seed, epoch):
    assert np.array_equal(np.sort(permute(range(size), size, seed, epoch)), np.arange(size))


def test_permute_needs_no_table():
    size = 10**12
    few = permute([0, 1, size - 1], size, seed=0, epoch=0)
    assert len(set(few.tolist())) == 3
    assert (few >= 0).all() and (few < size).all()


def test_permute_gives_each_position_any_index_equally_often():
    """Chi-square over position x index, for small and awkward sizes."""
    for size in (2, 3, 5, 10, 17):
        orders = np.stack([permute(range(size), size, seed, epoch=0) for seed in range(4000)])
        for position in range(size):
            counts = np.bincount(orders[:, position], minlength=size)
            assert stats.chisquare(counts).pvalue > 1e-5, (size, position, counts)


def test_neighbours_do_not_stay_together():
    size = 10_000
    order = permute(range(size), size, seed=0, epoch=0)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.04
    assert (np.abs(np.diff(order)) == 1).sum() < 12  # 2 are expected
    other = permute(range(size), size, seed=0, epoch=1)
    assert (order == other).sum() < 8  # 1 is expected


def test_derived_seeds_differ():
    seeds = {derive_seed(seed, purpose, part) for seed in range(20) for purpose in ("a", "b") for part in range(5)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
