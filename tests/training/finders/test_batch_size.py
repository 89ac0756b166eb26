import json

import numpy as np
import pytest

from neocog.errors import ConfigError
from neocog.training.finders import SizeTrial, search_sizes
from neocog.training.finders.batch_size import between

MB = 2**20


def planted(speed, memory, limit):
    """A machine whose speed and memory are functions of the batch size; keeps what was trained."""
    trained = []

    def measure(size):
        trained.append(size)
        took = int(memory(size))
        return SizeTrial(size, took <= limit, took, speed(size) if took <= limit else None)

    measure.trained = trained
    return measure


def test_gpu_gets_the_largest_size_that_fits_to_a_sixteenth():
    for true in (3, 8, 9, 30, 100, 1000, 1234):
        measure = planted(lambda size: 1000.0, lambda size: 50 * MB + size * MB, 50 * MB + true * MB)
        found = search_sizes(measure, most=10**6, limit=50 * MB + true * MB, largest=True)
        assert true * 15 / 16 - 1 <= found.size <= true
        assert len(measure.trained) == len(set(measure.trained)), "no size is measured twice"
        assert found.reason == "the largest that fits"
        assert [tried.size for tried in found.tried] == sorted(measure.trained)
        if true > 64:
            assert found.size % 8 == 0


def test_never_more_than_the_data():
    measure = planted(lambda size: 1000.0, lambda size: size, 10**9)
    found = search_sizes(measure, most=300, limit=10**9, largest=True)
    assert found.size == 300 and found.reason == "all training samples"
    assert measure.trained == [8, 16, 32, 64, 128, 256, 300]
    assert search_sizes(measure, most=5, limit=10**9, largest=True).size == 5


def test_cpu_gets_the_smallest_of_the_fastest_sizes():
    def speed(size):
        return {8: 100, 16: 200, 32: 390, 64: 400, 128: 405}.get(size, 350)

    measure = planted(speed, lambda size: size * MB, 10**12)
    found = search_sizes(measure, most=10**6, limit=10**12, largest=False)
    assert found.size == 32  # 390 is within 5% of 405
    assert found.reason == "the smallest within 5% of the fastest"
    assert measure.trained == [8, 16, 32, 64, 128], "two doublings without a gain are enough"


def test_a_single_slow_doubling_does_not_end_the_search():
    speeds = {8: 100, 16: 90, 32: 180, 64: 181, 128: 182}
    measure = planted(lambda size: speeds.get(size, 10), lambda size: size, 10**9)
    assert search_sizes(measure, most=10**6, limit=10**9, largest=False).size == 32
    assert max(measure.trained) == 128


def test_cpu_does_not_try_sizes_that_should_not_fit():
    limit = 100 * MB
    measure = planted(lambda size: float(size), lambda size: size * MB, limit)
    found = search_sizes(measure, most=10**6, limit=limit, largest=False)
    assert max(measure.trained) <= 100 and found.size >= 94
    assert any(not tried.fits and tried.memory_bytes > limit for tried in found.tried)
    measure = planted(lambda size: float(size), lambda size: 0, limit)
    found = search_sizes(measure, most=10**6, limit=limit, largest=False, expected=lambda size: size * 2 * MB)
    assert max(measure.trained) <= 50 and 46 <= found.size <= 50


def test_result_is_printed_in_one_line():
    measure = planted(lambda size: 1234.0 * size, lambda size: size * MB, 20 * MB)
    found = search_sizes(measure, most=10**6, limit=20 * MB, largest=True)
    assert str(found) == (
        "batch size 20, the largest that fits; 20.0 MiB available. 8: 9,872/s in 8.0 MiB; 16: 19,744/s in 16.0 MiB; "
        "20: 24,680/s in 20.0 MiB; 21: does not fit (21.0 MiB); 22: does not fit (22.0 MiB); 24: does not fit "
        "(24.0 MiB); 32: does not fit (32.0 MiB)"
    )
    assert str(SizeTrial(64, False, 0, None)) == "64: does not fit"
    content = json.loads(json.dumps(found.to_json()))
    assert content["size"] == 20 and content["limit_bytes"] == 20 * MB and len(content["tried"]) == 7


@pytest.mark.parametrize("took", [5 * MB, 0])
def test_not_even_one_sample_fits(took):
    needs = r"5\.0 MiB" if took else "more"
    message = rf"sample must fit into memory\. Received: one that needs {needs}, with 1\.0 MiB available\. Choose a sm"
    with pytest.raises(ConfigError, match=message):
        search_sizes(lambda size: SizeTrial(size, False, took, None), most=100, limit=MB, largest=True)


def test_halving_ends_within_a_sixteenth():
    for fits, too_large in np.random.default_rng(0).integers(1, 2000, (50, 2)).tolist():
        while (middle := between(fits, fits + too_large)) is not None:
            assert fits < middle < fits + too_large
            too_large = middle - fits
        assert too_large <= max(1, fits // 16)
