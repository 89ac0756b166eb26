import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.doctor.near import (
    MAX_BITS,
    MIN_CORRELATION,
    correlations,
    near_pairs,
    perceptual_hashes,
    sample_places,
    samples_of,
    small_images,
    thumbs_of,
)


def all_pairs(hashes):
    return {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= MAX_BITS
    }


def searched(hashes):
    pairs = [part for part in near_pairs(hashes) if part is not None]
    return {(min(i, j), max(i, j)) for a, b in pairs for i, j in zip(a.tolist(), b.tolist(), strict=True)}


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 5), st.integers(0, 10))
def test_near_pairs_match_comparing_all_pairs(seed, count, centres, flips):
    generator = np.random.default_rng(seed)
    middle = generator.integers(0, 2**63, centres, dtype=np.uint64)
    hashes = middle[generator.integers(0, centres, count)]
    for _ in range(flips):
        hashes = hashes ^ (np.uint64(1) << generator.integers(0, 64, count).astype(np.uint64))
    assert searched(hashes) == all_pairs(hashes)


@pytest.mark.parametrize("bits", [*range(MAX_BITS + 1), MAX_BITS + 1])
def test_near_pairs_bound_is_exact_for_any_bits(bits):
    generator = np.random.default_rng(bits)
    for _ in range(200):
        base = generator.integers(0, 2**63, dtype=np.uint64)
        places = generator.choice(64, bits, replace=False)
        other = np.uint64(int(base) ^ sum(1 << int(place) for place in places))
        assert searched(np.array([base, other])) == ({(0, 1)} if bits <= MAX_BITS else set())


def test_near_pairs_stop_after_the_limit_and_say_so():
    parts = list(near_pairs(np.zeros(3000, np.uint64), most=1_000_000))
    assert parts[-1] is None
    assert None not in parts[:-1]
    assert list(near_pairs(np.zeros(0, np.uint64))) == []


def test_correlations_match_numpy():
    thumbs = np.random.default_rng(0).integers(-100, 100, (6, 16, 16)).astype(np.int8)
    first, second = np.array([0, 1, 2, 4]), np.array([1, 3, 2, 5])
    expected = [np.corrcoef(thumbs[i].ravel(), thumbs[j].ravel())[0, 1] for i, j in zip(first, second, strict=True)]
    assert np.allclose(correlations(thumbs, first, second), expected, atol=1e-5)


@pytest.mark.parametrize("side", [2, 15, 16, 17, 28, 63, 64, 65, 375, 4000])
def test_sample_places_cover_the_side_evenly(side):
    places = sample_places(side)
    assert len(places) == 16 * min(4, -(-side // 16))
    assert np.all(np.diff(places) >= 0)
    centres = (np.arange(len(places)) + 0.5) * side / len(places)
    assert np.all((places <= centres) & (centres < places + 1.001))


def test_small_images_match_pillow(noisy):
    image = noisy(3, 300, 420)
    small = small_images(samples_of(image[None]))[0]
    reduced = np.asarray(Image.fromarray(image).convert("L").resize((16, 16), Image.BOX), float)
    assert np.abs(small - reduced).max() < 4
    exact = noisy(4, 32, 64)
    blocks = (exact @ [0.299, 0.587, 0.114]).reshape(16, 2, 16, 4).mean(axis=(1, 3))
    assert np.allclose(small_images(samples_of(exact[None]))[0], blocks, atol=1e-3)
    deep = small_images(samples_of(image[None].astype(np.uint16) * 257))[0]
    assert np.abs(deep - small).max() < 0.01
    grey = small_images(samples_of(image[None, ..., 0]))[0]
    for channels in (1, 2, 5):
        many = np.repeat(image[..., :1], channels, axis=2)[None]
        assert np.abs(small_images(samples_of(many))[0] - grey).max() < 0.01
    with_alpha = np.dstack([image, np.zeros((300, 420), np.uint8)])[None]
    assert np.abs(small_images(samples_of(with_alpha))[0] - small).max() < 0.01


def alike(one, other):
    """Bits of difference and correlation of two images."""
    thumbs = np.concatenate([thumbs_of(samples_of(p[None]))[0] for p in (one, other)])
    hashes = perceptual_hashes(thumbs)
    correlation = correlations(thumbs, np.array([0]), np.array([1]))[0]
    return (int(hashes[0]) ^ int(hashes[1])).bit_count(), correlation


def test_resized_compressed_and_brightened_images_stay_near(noisy):
    def again(image, quality):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "jpeg", quality=quality)
        return np.asarray(Image.open(buffer))

    changes = (
        lambda image: again(image, 60),
        lambda image: np.asarray(Image.fromarray(image).resize((130, 100), Image.BICUBIC)),
        lambda image: (image * 0.8 + 20).astype(np.uint8),
    )
    images = [noisy(seed, 200, 260) for seed in range(40)]
    for change in changes:
        compared = [alike(image, change(image)) for image in images]
        assert min(correlation for _, correlation in compared) >= MIN_CORRELATION
        assert sum(bits > MAX_BITS for bits, _ in compared) <= 1
    for one, other in pairwise(images):
        bits, correlation = alike(one, other)
        assert bits > 2 * MAX_BITS and correlation < 0.9


def test_hashes_have_half_of_their_bits_set(noisy):
    thumbs, clear = thumbs_of(samples_of(np.stack([noisy(i) for i in range(50)])))
    assert clear.all()
    assert set(np.bitwise_count(perceptual_hashes(thumbs)).tolist()) == {32}
    assert not thumbs_of(samples_of(np.full((1, 9, 9), 200, np.uint8)))[1][0]
