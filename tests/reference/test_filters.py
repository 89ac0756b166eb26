import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neocog.errors import ConfigError, GeometryError
from neocog.reference import FILTERS, apply_filter, grey, kernel, shown

MODES = {"edge": "nearest", "reflect": "mirror", "wrap": "wrap", "zero": "constant"}
GREY = np.random.default_rng(0).uniform(size=(13, 17))
COLOUR = np.random.default_rng(1).uniform(size=(9, 8, 3))
# scipy reflects about the pixel's middle under the name "mirror", as numpy does under "reflect".
ORACLES = {
    "box": lambda x, mode: ndimage.uniform_filter(x, 3, mode=mode),
    "gaussian": lambda x, mode: ndimage.gaussian_filter(x, 1.0, mode=mode, radius=3),
    "identity": lambda x, mode: x,
    "laplacian": lambda x, mode: ndimage.laplace(x, mode=mode),
    "sharpen": lambda x, mode: x - ndimage.laplace(x, mode=mode),
    "shift": lambda x, mode: ndimage.shift(x, (0, 1), order=0, mode="grid-wrap" if mode == "wrap" else mode),
    "sobel": lambda x, mode: np.hypot(ndimage.sobel(x, 0, mode=mode), ndimage.sobel(x, 1, mode=mode)),
    "sobel_x": lambda x, mode: ndimage.sobel(x, 1, mode=mode),
    "sobel_y": lambda x, mode: ndimage.sobel(x, 0, mode=mode),
}


def test_every_filter_has_an_oracle():
    assert ORACLES.keys() == FILTERS.keys()


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("name", FILTERS)
def test_filters_agree_with_scipy(name, border):
    np.testing.assert_allclose(apply_filter(GREY, name, border), ORACLES[name](GREY, MODES[border]), atol=1e-12)
    found = apply_filter(COLOUR, name, border)
    for channel in range(3):  # each by itself
        np.testing.assert_allclose(
            found[:, :, channel], ORACLES[name](COLOUR[:, :, channel], MODES[border]), atol=1e-12
        )


@pytest.mark.parametrize("name", FILTERS)
def test_responses_lie_in_the_range_that_is_stated_and_reach_its_ends(name):
    if FILTERS[name].options:
        found = [apply_filter(np.full((9, 9), value), name) for value in (0.0, 1.0)]
    else:  # a response is convex or linear in the image, so its extremes are at images of black and white alone
        pictures = np.array(list(itertools.product((0.0, 1.0), repeat=9))).reshape(-1, 3, 3)
        found = [apply_filter(picture, name)[1, 1] for picture in pictures]
    low, high = FILTERS[name].range
    assert np.isclose(np.min(found), low)
    assert np.isclose(np.max(found), high)


def test_kernels_are_the_published_ones():
    assert kernel("sobel_x").tolist() == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    assert kernel("sobel_y").tolist() == [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]
    assert kernel("laplacian").tolist() == [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    assert kernel("sharpen").tolist() == [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    assert kernel("box", size=5).tolist() == [[0.04] * 5] * 5
    assert kernel("gaussian", sigma=2.0).shape == (13, 13)
    assert np.isclose(kernel("gaussian", sigma=0.5, size=9).sum(), 1)
    assert kernel("identity").tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_the_sign_says_where_it_gets_brighter():
    across = np.tile(np.arange(8.0) / 8, (8, 1))
    assert (apply_filter(across, "sobel_x")[:, 1:-1] == 1).all()
    assert (apply_filter(across, "sobel_y") == 0).all()
    assert (apply_filter(across.T, "sobel_y")[1:-1] == 1).all()
    assert apply_filter(1 - across, "sobel_x")[4, 4] == -1


@given(st.integers(-6, 6), st.integers(-6, 6))
def test_shift_moves_the_image_down_and_to_the_right(down, right):
    picture = np.arange(12.0 * 9).reshape(12, 9)
    moved = apply_filter(picture, "shift", "wrap", down=down, right=right)
    np.testing.assert_allclose(moved, np.roll(picture, (down, right), (0, 1)), atol=1e-9)


def test_large_kernels_go_through_the_frequency_domain_to_the_same_numbers():
    picture = np.random.default_rng(0).uniform(size=(40, 50))
    expected = ndimage.gaussian_filter(picture, 4.0, mode="mirror", radius=12)
    np.testing.assert_allclose(apply_filter(picture, "gaussian", "reflect", sigma=4.0), expected, atol=1e-12)
    np.testing.assert_allclose(
        apply_filter(picture, "box", size=21), ndimage.uniform_filter(picture, 21, mode="nearest"), atol=1e-12
    )


def test_whole_numbers_are_scaled_by_what_their_type_holds():
    for dtype in (np.uint8, np.uint16):
        white = np.full((4, 4), np.iinfo(dtype).max, dtype)
        assert (apply_filter(white, "identity") == 1).all()
        assert (grey(np.stack([white] * 3, 2)) - 1 < 1e-12).all()
    assert grey(GREY[:, :, None]).shape == GREY.shape
    assert np.isclose(grey(np.array([[[0.0, 1.0, 0.0]]])), 0.587)


def test_what_is_shown():
    """Signed responses with 0 as middle grey, magnitudes with 0 as black, the rest as it is, cut off beyond."""
    assert shown([[-4.0, -2.0, 0.0, 4.0, 9.0]], "sobel_y").tolist() == [[0, 64, 128, 255, 255]]
    assert shown([[0.0, 2.0, 4.0, 4.4]], "sobel").tolist() == [[0, 128, 255, 255]]
    assert shown([[-0.2, 0.5, 1.3]], "sharpen").tolist() == [[0, 128, 255]]
    assert shown([[-0.5, 0.0, 0.25]], "laplacian", stretch=True).tolist() == [[0, 128, 191]]
    assert shown([[0.0, 0.5]], "sobel", stretch=True).tolist() == [[0, 255]]
    assert shown([[0.0, 0.0]], "sobel_x", stretch=True).tolist() == [[128, 128]]
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(shown(apply_filter(picture, "identity"), "identity"), picture)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel("sobell"), "No filter is called 'sobell'. Did you mean 'sobel'"),
        (lambda: apply_filter(GREY, "blur"), "No filter is called 'blur'. Known: box, gaussian, identity"),
        (lambda: kernel("sobel"), "sobel is the length of a vector, not one kernel. Take sobel_x and sobel_y"),
        (lambda: kernel("box", sigma=1.0), "sigma would be ignored: the filter box has no such setting. It takes size"),
        (lambda: kernel("sobel_x", size=3), "size would be ignored: the filter sobel_x.*It takes none"),
        (lambda: kernel("box", size=4), "size must be odd.*Received: 4"),
        (lambda: kernel("gaussian", size=-1), "size must be odd.*Received: -1"),
        (lambda: kernel("gaussian", sigma=0.0), "sigma must be at least 0.01. Received: 0.0"),
        (lambda: kernel("box", size=1_000_001), "A kernel is at most 2001 wide. Received: one of 1000001."),
        (lambda: kernel("gaussian", sigma=1e9), "A kernel is at most 2001 wide."),
        (lambda: kernel("gaussian", sigma=1e-300), "sigma must be at least 0.01. Received: 1e-300"),
        (lambda: kernel("shift", right=99_999_999_999), "A kernel is at most 2001 wide."),
        (lambda: kernel("gaussian", sigma=np.inf), "sigma must be at least 0.01. Received: inf"),
        (lambda: apply_filter(GREY, "box", "mirror"), "no border 'mirror'. Known: edge, reflect, wrap, zero"),
        (
            lambda: shown(GREY, "box", stretch=True),
            "stretch would be ignored: box keeps.*for laplacian, sobel, sobel_x",
        ),
    ],
)
def test_unknown_and_ignored_settings_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: apply_filter(GREY, "box", size=27),
            "not reach further than the image.*27 for 13x17. Use at most 25",
        ),
        (lambda: apply_filter(GREY[0], "box"), r"An image is \(H, W\) or \(H, W, C\). Received: \(17,\)"),
        (lambda: apply_filter(GREY[:0], "box"), r"Received: \(0, 17\)"),
        (lambda: grey(np.zeros((3, 3, 4))), r"An image has 1 or 3 channels. Received: \(3, 3, 4\)"),
    ],
)
def test_other_arrays_than_images_are_refused(call, message):
    with pytest.raises(GeometryError, match=message):
        call()
