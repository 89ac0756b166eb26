import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.loading import BlockRandomSampler, ClassBalancedSampler, RandomSampler, RepeatedAugmentationSampler


@given(
    size=st.integers(1, 700),
    block=st.integers(1, 50),
    window=st.integers(1, 9),
    epoch=st.integers(0, 3),
    seed=st.integers(0, 9),
)
def test_block_sampler_gives_each_sample_once(size, block, window, epoch, seed):
    sampler = BlockRandomSampler(size, seed, block, window)
    assert sorted(sampler.records(np.arange(size), epoch)) == list(range(size))


SAMPLERS = [
    RandomSampler(500, 1),
    BlockRandomSampler(500, 1, 10, 4),
    ClassBalancedSampler(np.arange(500) % 7, 1),
    RepeatedAugmentationSampler(RandomSampler(500, 1), 3),
]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sampler_depends_on_the_position_alone(sampler):
    whole = sampler.records(np.arange(500), 2)
    for start, stop in itertools.pairwise([0, 1, 7, 100, 333, 500]):
        np.testing.assert_array_equal(sampler.records(np.arange(start, stop), 2), whole[start:stop])
        np.testing.assert_array_equal(
            sampler.times(np.arange(start, stop), 2), sampler.times(np.arange(500), 2)[start:stop]
        )
    assert (sampler.records(np.arange(500), 3) != whole).mean() > 0.9


def test_block_sampler_reads_few_blocks_at_a_time():
    size, block, window = 100_000, 100, 8
    sampler = BlockRandomSampler(size, 0, block, window)
    found = sampler.records(np.arange(block * window), 0)
    runs = 1 + int((np.diff(np.sort(found)) > 1).sum())
    assert 2 <= runs <= window + 1  # whole blocks, of which two may touch and one may lie around the end


def test_block_sampler_mixes_within_its_window():
    sampler = BlockRandomSampler(64_000, 0, 100, 64)
    found = sampler.records(np.arange(6400), 0)
    in_batch = [len(np.unique(found[i : i + 64] // 100)) for i in range(0, 6400, 64)]
    assert np.mean(in_batch) > 35  # 64 draws from 64 blocks: 41 different ones where all are equally likely


def test_block_sampler_remainder_differs_between_epochs():
    sampler = BlockRandomSampler(1_003, 0, 100, 2)
    last = [set(sampler.records(np.arange(1_000, 1_003), epoch)) for epoch in range(8)]
    assert len(set().union(*last)) > 12


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 5))
def test_class_balanced_sampler_draws_classes_equally_often(labels, seed):
    labels = np.array(labels)
    found = ClassBalancedSampler(labels, seed).records(np.arange(len(labels)), epoch=1)
    counts = np.bincount(labels[found], minlength=5)[np.unique(labels)]
    assert counts.max() - counts.min() <= 1
    for k in np.unique(labels):  # within a class all come equally often
        times = [int((found == row).sum()) for row in np.flatnonzero(labels == k)]
        assert max(times) - min(times) <= 1


def test_class_balanced_sampler_with_power_one_gives_each_sample_once():
    labels = np.array([0] * 90 + [1] * 10)
    assert sorted(ClassBalancedSampler(labels, 0, power=1).records(np.arange(100), 0)) == list(range(100))
    half = labels[ClassBalancedSampler(labels, 0, power=0.5).records(np.arange(100), 0)]
    assert (half == 1).sum() == 25  # sqrt(10) of sqrt(90) + sqrt(10)


def test_block_sampler_needs_no_memory_for_a_trillion_positions():
    sampler = BlockRandomSampler(10**12, 0, 1000)
    assert len(set(sampler.records(np.array([0, 1, 10**11, 10**12 - 1]), 7))) == 4


@given(size=st.integers(1, 200), repeats=st.integers(1, 5), seed=st.integers(0, 9), balance=st.booleans())
def test_repeated_sampler_gives_each_sample_with_each_repeat(size, repeats, seed, balance):
    within = ClassBalancedSampler(np.arange(size) % 3 % 2, seed) if balance else RandomSampler(size, seed)
    sampler, positions = RepeatedAugmentationSampler(within, repeats), np.arange(size)
    for first in (0, repeats):  # `repeats` epochs are one of the inner sampler
        epochs = range(first, first + repeats)
        seen = np.concatenate([sampler.records(positions, epoch) for epoch in epochs])
        times = np.concatenate([sampler.times(positions, epoch) for epoch in epochs])
        expected = within.records(positions, first // repeats)
        assert np.bincount(seen, minlength=size).tolist() == (repeats * np.bincount(expected, minlength=size)).tolist()
        assert len(set(zip(seen.tolist(), times.tolist(), strict=True))) == repeats * size


def test_repeated_sampler_keeps_repeats_close_and_never_adjacent():
    found = RepeatedAugmentationSampler(RandomSampler(960, 0), 3).records(np.arange(960), 1)
    assert len(np.unique(found)) == 320
    spread = [np.ptp(np.flatnonzero(found == record)) for record in np.unique(found)]
    assert max(spread) < 48
    assert (np.diff(found) != 0).all()
    pairs = {frozenset(pair) for pair in found.reshape(-1, 2).tolist()}  # as they are mixed
    assert len(pairs) == 320  # of a record one or another neighbour; 160 if it were always the same


def test_class_balanced_sampler_counts_repeats_of_rare_samples():
    sampler = ClassBalancedSampler(np.array([0] * 90 + [1] * 10), 0)
    found, times = sampler.records(np.arange(100), 4), sampler.times(np.arange(100), 4)
    assert sorted(times[found == 95].tolist()) == [0, 1, 2, 3, 4]
    assert (times[found < 90] == 0).all()
