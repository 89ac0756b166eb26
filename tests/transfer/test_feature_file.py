"""Features in Parquet and .npz files, written a batch at a time."""

import sys

import numpy as np
import pandas
import pytest
from pyarrow import parquet

from neocog.errors import ConfigError, DataError, StorageError
from neocog.transfer import FeatureRows, FeatureTable, feature_file
from neocog.transfer.feature_file import About, check_file

FEATURES = np.arange(15, dtype=np.float32).reshape(5, 3)
SPLITS = np.array(["train", "train", "train", "val", "test"])
KEYS = ("a.png", "b.png", "ä.png", "d.png", "e.png")
TARGETS = {
    "classification": np.array([0, 1, 1, 0, 1]),
    "next move": np.array([0, 1, 1, 0, 1]),
    "multi-label": np.array([[1, 1], [0, 1], [0, 0], [np.nan, 1], [1, np.nan]], float),
    "regression": np.array([[1.5, np.nan], [2, 3], [4, 5], [6, 7], [8, 9]], float),
    "segmentation": np.full(5, -1),
}
COLUMNS = {
    "classification": {"label": ["cat", "key", "key", "cat", "key"]},
    "next move": {"label": ["cat", "key", "key", "cat", "key"]},
    "multi-label": {"labels": [["cat", "key"], ["key"], [], ["key"], ["cat"]]},
    "regression": {"cat": [1.5, 2, 4, 6, 8], "target key": [np.nan, 3, 5, 7, 9]},
    "segmentation": {},
}


def table(task):
    return FeatureTable(
        About("pets", task, ("cat", "key"), "resnet18"), FeatureRows(KEYS, SPLITS, TARGETS[task], FEATURES)
    )


def write_in_batches(path, task):
    whole = table(task).rows
    with feature_file(path, table(task).about, 5) as add:
        for part in (slice(0, 2), slice(2, 5)):
            add(FeatureRows(whole.keys[part], whole.splits[part], whole.targets[part], whole.features[part]))


@pytest.mark.parametrize("task", TARGETS)
def test_parquet_is_a_data_frame(task, tmp_path):
    path = tmp_path / "features.parquet"
    write_in_batches(path, task)
    frame = pandas.read_parquet(path)
    assert list(frame.columns) == ["key", "split", *COLUMNS[task], "features"]
    assert frame["key"].tolist() == list(KEYS) and frame["split"].tolist() == SPLITS.tolist()
    np.testing.assert_array_equal(np.stack(frame["features"]), FEATURES)
    for name, cells in COLUMNS[task].items():
        found = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in frame[name]]
        np.testing.assert_equal(found, cells)
    assert b'"model": "resnet18"' in parquet.read_schema(path).metadata[b"neocog"]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("task", TARGETS)
def test_npz_holds_arrays_without_pickle(task, tmp_path):
    path = tmp_path / "features.npz"
    write_in_batches(path, task)
    with np.load(path, allow_pickle=False) as found:
        assert found["key"].tolist() == list(KEYS) and found["split"].tolist() == SPLITS.tolist()
        np.testing.assert_array_equal(found["features"], FEATURES)
        assert found["classes"].tolist() == ["cat", "key"]
        assert ("target" in found) == (task != "segmentation")
        if task != "segmentation":
            np.testing.assert_array_equal(found["target"], TARGETS[task])


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_table_saves_all_at_once(suffix, tmp_path):
    table("classification").save(tmp_path / f"whole.{suffix}")
    write_in_batches(tmp_path / f"parts.{suffix}", "classification")
    assert (tmp_path / f"whole.{suffix}").is_file()
    if suffix == "npz":
        assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "parts.npz").read_bytes()


def test_file_that_is_not_finished_does_not_appear(tmp_path):
    rows = table("classification").rows
    for suffix in ("npz", "parquet"):
        path = tmp_path / f"features.{suffix}"
        with pytest.raises(RuntimeError, match="stopped"), feature_file(path, table("classification").about, 5) as add:
            add(rows)
            raise RuntimeError("stopped")
        with (
            pytest.raises(AssertionError, match="rows written"),
            feature_file(path, table("next move").about, 6) as add,
        ):
            add(rows)
    assert not list(tmp_path.iterdir())
    with pytest.raises(StorageError):
        table("classification").save(tmp_path / "absent" / "features.npz")


def test_parquet_without_pyarrow_names_the_package_and_the_way_around(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError) as error:
        check_file(tmp_path / "features.parquet")
    assert str(error.value) == (
        "Writing Parquet needs the package pyarrow, which is not installed. "
        f"Received: {tmp_path}/features.parquet. Install it: pip install 'neocog[scale]'; or write features.npz."
    )


def test_split_without_samples_is_refused():
    found = table("classification")
    assert found.part("train").keys == KEYS[:3]
    with pytest.raises(
        DataError, match=r"Features of the split 'holdout' are needed. pets: received train, val, test."
    ):
        found.part("holdout")
