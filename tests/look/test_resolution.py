import numpy as np
import pytest
import torch

from neocog.data import open_source
from neocog.look import look_at_images
from neocog.look.probe import share
from neocog.look.resolution import Detail, choose_size, lost_energy, mean_lost_energy
from tests.support import textures


def wave(cycles, side=128, direction=0):
    phase = 2 * np.pi * cycles * torch.arange(side) / side
    rows = torch.sin(phase)[:, None].expand(side, side)
    return (rows if direction == 0 else rows.T)[None] * 100 + 128


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize(("cycles", "lost"), [(8, (0, 0, 0)), (24, (1, 0, 0)), (40, (1, 1, 0)), (60, (1, 1, 1))])
def test_lost_energy_of_a_wave_is_all_or_nothing(cycles, lost, direction):
    found = lost_energy(wave(cycles, direction=direction), (32, 64, 96))
    np.testing.assert_allclose(found, lost, atol=0.01)


def test_lost_energy_ignores_the_mean_and_the_scale():
    one, other = wave(24) + wave(8), 3 * (wave(24) + wave(8)) + 77
    np.testing.assert_allclose(lost_energy(one, (32,)), lost_energy(other, (32,)), atol=1e-5)


def test_flat_images_lose_nothing():
    assert mean_lost_energy([torch.full((1, 64, 64), 9.0)], (32,)) == pytest.approx((0.0,), abs=1e-6)
    assert mean_lost_energy([], (32, 64)) == (0.0, 0.0)


def look(images, labels):
    return look_at_images(open_source((images, labels)), np.arange(len(labels)), seconds=120)


def test_useful_size_is_small_for_coarse_classes():
    found = look(*textures.blobs(120, 128, spread=10.0))
    assert found.useful_size == 32
    assert found.resolution.detail[0].accuracy.low > 0.9


def test_useful_size_holds_detail_that_tells_classes_apart():
    found = look(*textures.checks(120))
    small, large = found.resolution.detail[0], found.resolution.detail[-1]
    assert small.accuracy.value < 0.75 and large.accuracy.value > 0.95
    assert found.useful_size >= 96


def outcomes(*hits, num=1000):
    return [np.arange(num) < each for each in hits]


def detail(losses, sides=(32, 64, 96)):
    return tuple(Detail(side, lost, share(1, 2)) for side, lost in zip(sides, losses, strict=True))


def test_size_with_significant_gain_beyond_it_is_too_small():
    size, reason = choose_size(detail([0.0, 0.0, 0.0]), outcomes(700, 800, 805))
    assert size == 64 and "at most" in reason


def test_probe_without_gain_outweighs_the_spectrum():
    size, reason = choose_size(detail([0.5, 0.2, 0.0]), outcomes(800, 800, 801))
    assert size == 32
    assert reason == "a larger side gains the probe at most 0.4 points; 50.0% of the images' energy is lost"


def test_spectrum_decides_where_the_probe_is_unsure():
    draw = np.random.default_rng(0)
    correct = [draw.random(100) < 0.5 for _ in range(3)]
    correct[2] = correct[0]
    size, reason = choose_size(detail([0.03, 0.02, 0.0]), correct)
    expected = "the probe gains nothing significant from a larger side, and 2.0% of the images' energy is lost"
    assert (size, reason) == (64, expected)


def test_spectrum_decides_without_a_probe():
    assert choose_size(detail([0.1, 0.001, 0.0]), []) == (64, "no probe; 0.1% of the images' energy is lost")
    assert choose_size(detail([0.1, 0.1, 0.1]), []) == (96, "each smaller side loses detail")
    assert choose_size(detail([0.0], (28,)), []) == (28, "the images' own size")
