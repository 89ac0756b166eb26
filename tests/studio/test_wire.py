"""Tensors on their way to the browser."""

import json
import math
import struct

import numpy as np
import pytest
import torch

from neocog.studio.wire import MEDIA_TYPE, answer, jsonable, pack, unpack


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.arange(6.0).reshape(2, 3), "float64"),
        (torch.arange(6.0).reshape(3, 2).T, "float32"),
        (torch.ones(2, dtype=torch.bfloat16).float(), "float32"),
        (np.array([True, False]), "uint8"),
        (np.array([[3]], np.int64), "int32"),
        (np.zeros((0, 4), np.float32), "float32"),
        (np.array(2.5), "float64"),
        (torch.tensor([1.0, -0.0, math.inf, -math.inf]), "float32"),
    ],
)
def test_tensor_arrives_as_it_was_sent(given, dtype):
    _, found = unpack(pack({"x": given}))
    assert found["x"].dtype.name == dtype
    np.testing.assert_array_equal(found["x"], np.asarray(given))


def test_tensors_begin_at_multiples_of_eight():
    body = pack({"a": np.zeros(3, np.uint8), "b": np.arange(2.0)}, {"text": "é"})
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    assert (4 + length) % 8 == 0
    assert [row["offset"] for row in header["tensors"]] == [0, 8]
    assert unpack(body)[0] == {"text": "é"}


def test_meta_is_json_without_nan():
    meta = {"a": math.nan, "b": (np.float32(0.5), np.int64(3)), "c": {"d": {1}}, 5: math.inf}
    assert jsonable(meta) == {"a": None, "b": [0.5, 3], "c": {"d": [1]}, "5": None}
    assert unpack(pack({}, meta))[0] == jsonable(meta)


def test_answer_says_what_it_is():
    assert answer({"x": np.ones(1)}).media_type == MEDIA_TYPE
