"""The Bench: its numbers against torch in float64, from the engine and from the routes."""

import random

import numpy as np
import pytest

from neocog.errors import GeometryError
from neocog.reference import kernel
from neocog.studio.bench_setting import PATTERNS, Setting, operation_of
from neocog.studio.wire import unpack
from tests.support.bench import by_torch, random_setting
from tests.support.studio import client_of


@pytest.mark.parametrize("seed", range(4))
def test_engine_equals_torch_in_all_its_parts(seed):
    """Outputs, matrix, terms of each output and outputs of each input say the same."""
    draw = random.Random(seed)
    for _ in range(15):
        setting = random_setting(draw)
        operation = operation_of(Setting(**setting))
        expected = by_torch(setting).numpy()
        np.testing.assert_allclose(operation.y, expected, atol=1e-9, err_msg=str(setting))
        assert operation.output_size == expected.shape[1:]
        entries, bias = operation.entries, np.zeros(expected.shape[0]) if operation.bias is None else operation.bias
        matrix = np.zeros((operation.y.size, operation.x.size))
        matrix[entries.rows, entries.columns] = entries.weights
        rest = expected - bias.reshape(-1, *[1] * (expected.ndim - 1))
        np.testing.assert_allclose(matrix @ operation.x.ravel(), rest.ravel(), atol=1e-9)
        for row in draw.sample(range(operation.y.size), min(5, operation.y.size)):
            terms = operation.terms(row)
            assert terms.products.sum() == pytest.approx(rest.ravel()[row], abs=1e-9)
            read = terms.counted.astype(bool)
            flat = np.ravel_multi_index((terms.channels[read], *terms.places[read].T), operation.x.shape)
            assert sorted(flat) == sorted(entries.columns[entries.rows == row])
            np.testing.assert_array_equal(terms.values[read], operation.x.ravel()[flat])
        for column in draw.sample(range(operation.x.size), 3):
            feeds = operation.feeds(column)
            np.testing.assert_array_equal(matrix[feeds.rows, column], feeds.weights)
            assert set(np.nonzero(matrix[:, column])[0]) <= set(feeds.rows)


def test_formula_has_the_numbers_in():
    operation = operation_of(
        Setting(size=[6, 7], kernel=[3, 2], stride=[2, 1], padding=[(0, 0), (1, 2)], dilation=[1, 2])
    )
    assert operation.formulas == [
        "floor((6 + 0 + 0 - 1·(3 - 1) - 1) / 2) + 1 = floor(3 / 2) + 1 = 2",
        "floor((7 + 1 + 2 - 2·(2 - 1) - 1) / 1) + 1 = floor(7 / 1) + 1 = 8",
    ]
    assert operation.fits[0] == (
        "does not fit: 1 left behind the last window, 1 sample never read: 5. Size 5 or 7 or padding 0 + 1 fits"
    )
    assert operation.output_size == (2, 8)
    turned = Setting(
        op="transposed", size=[3], kernel=[3], stride=[2], padding=[(1, 0)], dilation=[1], output_padding=[1]
    )
    assert operation_of(turned).formulas == ["2·(3 - 1) + 1·(3 - 1) + 1 - 1 - 0 + 1 = 7"]
    up = Setting(
        op="max", size=[5], kernel=[2], stride=[2], padding=[(1, 1)], dilation=[1], output_padding=[0], ceil_mode=True
    )
    (said,) = operation_of(up).formulas
    assert said.startswith("ceil((5 + 1 + 1 - 1·(2 - 1) - 1) / 2) + 1 = ceil(5 / 2) + 1 = 4, less 1 as the last window")
    assert said.endswith("would begin in the padding: 3")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"kernel": [9, 3]},
            "A kernel must not be larger than its padded input. Received: kernel_size=9 for 5. Use a size of",
        ),
        ({"stride": [0, 1]}, "stride must be a whole number of at least 1. Received: 0."),
        ({"padding": [(-1, 0), (0, 0)]}, "padding must not be negative. Received: (-1, 0). Crop the input instead."),
        (
            {"op": "max", "padding": [(1, 0), (0, 0)]},
            "padding of a pooling is one number for both sides. Received: (1, 0).",
        ),
        ({"op": "max", "padding": [(2, 2), (0, 0)]}, "padding must be at most half of a pooling window."),
        ({"op": "average", "dilation": [2, 1]}, "Average pooling has no dilation. Received: dilation=(2, 1). Use 1."),
        ({"groups": 2}, "groups must divide the channels of input and output. Received: 1 and 1 channels, groups=2."),
        ({"size": [0, 5]}, "size must be at least 1. Received: [0, 5]."),
        ({"size": [99, 99]}, "The Bench holds 4096 numbers. Received: an input of 9801."),
        ({"in_channels": 64, "out_channels": 64}, "The Bench holds 4096 numbers. Received: kernels of 36864."),
        ({"op": "transposed", "output_padding": [1, 0]}, "output_padding must be smaller than stride or dilation."),
        ({"op": "transposed", "padding": [(4, 4), (0, 0)]}, "A transposed convolution must leave something."),
    ],
)
def test_what_does_not_fit_is_an_answer_with_the_reason(wrong, message):
    answer = client_of().post("/api/bench/run", json=wrong)
    assert answer.status_code == 200
    assert answer.json()["error"].startswith(message)


def test_work_that_is_too_large_is_refused():
    large = {"op": "transposed", "size": [9, 9], "stride": [40, 40], "kernel": [3, 3]}
    assert client_of().post("/api/bench/run", json=large).json()["error"].startswith("The Bench holds 4096 outputs")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flip": True, "op": "max"}, "flip would be ignored. Received: max. It is for conv."),
        ({"ceil_mode": True}, "ceil_mode would be ignored. Received: conv. It is for max and average."),
        ({"output_padding": [1, 0]}, "output_padding would be ignored. Received: conv."),
        ({"op": "max", "count_include_pad": False}, "count_include_pad=False would be ignored. Received: max."),
        ({"x": [1, 2]}, "x has 25 numbers: 1 x 5 x 5. Received: 2."),
        ({"w": [1]}, "w has 9 numbers: 1 x 1 x 3 x 3. Received: 1."),
        (
            {"filter": "sobel_x", "w": [0] * 9},
            "A filter would be ignored, as the kernels are given. Received: sobel_x.",
        ),
        ({"filter": "sobl"}, "No filter is called 'sobl'."),
        ({"pattern": "rampp"}, "No example is called 'rampp'. Did you mean 'ramp'?"),
        ({"stride": [1]}, "stride has an entry for each of the 2 axes. Received: (1,)."),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    answer = client_of().post("/api/bench/run", json=wrong)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)


def test_choice_that_is_not_there_is_refused():
    client = client_of()
    for at, message in (
        ("y,0,9,9", "The output is 1 x 3 x 3. Received: y,0,9,9."),
        ("x,0", "The input is 1 x 5 x 5."),
        ("z,1", "An output is chosen as y,channel,row,column"),
        ("", "An output is chosen as"),
    ):
        refused = client.post("/api/bench/unit", json={"at": at})
        assert refused.status_code == 400 and refused.json()["error"].startswith(message)


def test_unit_is_said_as_a_sum():
    client = client_of()
    given = {"size": [4], "kernel": [2], "stride": [1], "padding": [(1, 0)], "dilation": [1], "output_padding": [0],
             "x": [1, 2, 3, 4], "w": [10, -1], "bias": [5]}  # fmt: skip
    meta, found = unpack(client.post("/api/bench/unit", json=given | {"at": "y,0,0"}).content)
    assert meta["text"] == "y[0, 0] = 10·0 + (-1)·1 + 5 = 4" and meta["value"] == 4
    assert found["counted"].tolist() == [0, 1] and found["places"].tolist() == [[-1], [0]]
    meta, found = unpack(client.post("/api/bench/unit", json=given | {"at": "x,0,1"}).content)
    assert meta["text"] == "x[0, 1] = 2 feeds 2 outputs"
    assert found["places"].tolist() == [[0, 1], [0, 2]] and found["weights"].tolist() == [-1, 10]
    pool = given | {"op": "max", "w": None, "bias": None, "padding": [(1, 1)]}
    assert (
        unpack(client.post("/api/bench/unit", json=pool | {"at": "y,0,0"}).content)[0]["text"]
        == "y[0, 0] = max(-inf, 1) = 1"
    )
    assert "largest in 2" in unpack(client.post("/api/bench/unit", json=pool | {"at": "x,0,3"}).content)[0]["text"]


def test_filters_and_examples_are_those_of_the_library():
    client = client_of()
    presets = client.get("/api/bench/presets").json()
    assert presets["patterns"] == list(PATTERNS) and "sobel" not in [each["name"] for each in presets["filters"]]
    for each in presets["filters"]:
        given = {"filter": each["name"], "size": [9, 9], "in_channels": 2, "out_channels": 2}
        meta, found = unpack(client.post("/api/bench/run", json=given).content)
        assert meta["kernel"] == each["size"]
        np.testing.assert_array_equal(found["w"], np.broadcast_to(kernel(each["name"]), found["w"].shape))
    for pattern in PATTERNS:
        meta, found = unpack(client.post("/api/bench/run", json={"pattern": pattern, "in_channels": 2}).content)
        assert found["x"].shape == (2, 5, 5)


@pytest.mark.parametrize("seed", range(8))
def test_code_makes_the_same_numbers(seed):
    meta, found = unpack(client_of().post("/api/bench/run", json=random_setting(random.Random(seed))).content)
    names = {}
    exec(meta["code"], names)
    np.testing.assert_allclose(names["y"][0], found["y"], atol=1e-12)


def test_geometry_error_reaches_python():
    with pytest.raises(GeometryError, match="A kernel must not be larger"):
        _ = operation_of(Setting(kernel=[9, 9])).y
