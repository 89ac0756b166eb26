"""Inputs that an exported network refuses before its engine sees them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neocog.errors import DataError
from neocog.exporting.runner import Exported
from neocog.modalities.tensor_spec import ElementType, TensorSpec


def opened(name: str, dtype: ElementType, shape: tuple[int | None, ...], **interface: Any) -> Exported:
    """One whose engine must not be called."""

    def run(array: Any) -> Any:
        raise AssertionError("the engine was called")

    return Exported(Path("m.onnx"), "none", (TensorSpec(name, dtype, shape),), (), interface, run)


IMAGES = opened("images", "uint8", (None, None, None, 3), largest=[64, 48])
SIGNALS = opened("signals", "float32", (None, 2, None))
IDS = opened("ids", "int64", (None, 5), ids=100)


@pytest.mark.parametrize(
    ("exported", "array", "message"),
    [
        (IMAGES, np.ones((1, 8, 8, 3), np.float32), r"images must be an array of uint8.*float32.*not scaled"),
        (IMAGES, [[1]], r"images must be an array of uint8.*received list"),
        (IMAGES, np.ones((8, 8, 3), np.uint8), r"images must have the shape any x any x any x 3.*\(8, 8, 3\)"),
        (IMAGES, np.ones((1, 3, 8, 8), np.uint8), r"any x any x any x 3.*\(1, 3, 8, 8\)"),
        (IMAGES, np.ones((0, 8, 8, 3), np.uint8), r"any x any x any x 3.*\(0, 8, 8, 3\)"),
        (IMAGES, np.ones((1, 65, 8, 3), np.uint8), r"at most 64 x 48 pixels: one tile.*65 x 8.*Use the bundle itself"),
        (SIGNALS, np.full((1, 2, 9), np.nan, np.float32), r"signals must be finite.*NaN.*Fill missing values in"),
        (SIGNALS, np.full((1, 2, 9), np.inf, np.float32), "signals must be finite"),
        (SIGNALS, np.ones((1, 2, 9)), r"an array of float32.*float64.*Convert to float32"),
        (IDS, np.full((1, 5), 100), r"Ids of tokens are from 0 to 99.*100 to 100"),
        (IDS, np.full((1, 5), -1), r"Ids of tokens are from 0 to 99.*-1 to -1"),
    ],
)
def test_input_is_refused_before_the_engine(exported: Exported, array: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        exported(array)


def test_boxes_are_cut_to_the_most_of_a_batch() -> None:
    answers = {"boxes": np.ones((2, 9, 4)), "scores": np.ones((2, 9)), "count": np.array([1, 3])}
    spec = TensorSpec("images", "uint8", (None, None, None, 1))
    exported = Exported(Path("m.onnx"), "none", (spec,), (), {}, lambda array: dict(answers))
    found = exported(np.zeros((2, 4, 4, 1), np.uint8))
    assert [found[name].shape for name in ("boxes", "scores", "count")] == [(2, 3, 4), (2, 3), (2,)]
