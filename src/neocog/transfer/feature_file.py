"""Features in a file, written a batch at a time: Parquet for data frames, .npz for NumPy.

| column | Parquet | .npz |
|---|---|---|
| key, split | text | text (N,) |
| classification, next move | `label`: text | `target` (N,) int64, numbers of `classes` (K,) |
| multi-label | `labels`: list of text | `target` (N, K) float64 of 1, 0 and NaN; `classes` (K,) |
| regression | a float64 column for each output, by its name | `target` (N, K) float64; `classes` (K,) |
| features | `features`: fixed-size list of float32 | `features` (N, D) float32 |
"""

import importlib
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ConfigError
from neocog.files import whole_file

__all__ = ["About", "FeatureRows", "check_file", "feature_file"]

OWN = ("key", "split", "features")
"""Columns that every file has."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRows:
    """Features of some samples, in the order of the data set."""

    keys: tuple[str, ...]
    splits: NDArray[np.str_]
    targets: NDArray[Any]
    features: NDArray[np.float32]

    def __post_init__(self) -> None:
        assert len(self.keys) == len(self.splits) == len(self.targets) == len(self.features), "a row for each sample"

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class About:
    """The origin of features."""

    data: str
    task: str
    classes: tuple[str, ...]
    model: str
    fingerprint: str = ""
    """Of the data set."""

    @property
    def has_targets(self) -> bool:
        """Whether each sample has a class, labels or numbers; masks and boxes are left out."""
        return self.task in ("classification", "next move", "multi-label", "regression")

    def cells(self, targets: NDArray[Any]) -> list[Any]:
        """Targets as a person reads them: a class, a list of labels, a number, or a list of numbers.

        >>> About("", "multi-label", ("cat", "dog"), "").cells(np.array([[1.0, 1.0], [0.0, np.nan]]))
        [['cat', 'dog'], []]
        """
        if self.task in ("classification", "next move"):
            return [self.classes[k] for k in targets.tolist()]
        if self.task == "multi-label":
            present = np.nan_to_num(targets.astype(np.float64)) > 0.5
            return [[self.classes[k] for k in np.flatnonzero(row).tolist()] for row in present]
        return list(targets.tolist())

    def columns(self, targets: NDArray[Any]) -> dict[str, list[Any]]:
        """The columns of a data frame that hold the targets; none for masks and boxes."""
        if self.task in ("classification", "next move"):
            return {"label": self.cells(targets)}
        if self.task == "multi-label":
            return {"labels": self.cells(targets)}
        if not self.has_targets:
            return {}
        values = targets.reshape(len(targets), -1).astype(np.float64)
        return {name: column.tolist() for name, column in zip(self.output_columns, values.T, strict=True)}

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The columns of numbers: the names of the outputs, unless a file has such a column anyway.

        >>> About("", "regression", ("fat", "key"), "").output_columns
        ('fat', 'target key')
        """
        return tuple(f"target {name}" if name in OWN else name for name in self.classes)


Add = Callable[[FeatureRows], None]


def check_file(path: Path) -> None:
    """Raises ConfigError for a file that can't be written: of another kind, or Parquet without pyarrow."""
    if path.suffix.lower() not in (".parquet", ".npz"):
        raise ConfigError(
            "Features are written as Parquet or .npz.", received=str(path), fix="Name it features.parquet, or .npz."
        )
    if path.suffix.lower() == ".parquet":
        try:
            importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise ConfigError(
                "Writing Parquet needs the package pyarrow, which is not installed.", received=str(path),
                fix=f"Install it: pip install 'neocog[scale]'; or write {path.with_suffix('.npz').name}.",
            ) from error  # fmt: skip


@contextmanager
def feature_file(path: Path, about: About, total: int) -> Iterator[Add]:
    """A file that takes rows until the block ends, and appears whole or not at all; `total` is how many there will be.

    Rows are written as they come, so memory holds one batch of features. Raises ConfigError as `check_file` does.
    """
    check_file(path)
    written = 0
    with whole_file(path) as file:
        writer = (ParquetRows if path.suffix.lower() == ".parquet" else NpzRows)(file, about, total)

        def add(rows: FeatureRows) -> None:
            nonlocal written
            writer.add(rows)
            written += len(rows)

        try:
            yield add
            assert written == total, "samples in = rows written"
            writer.finish()
        finally:
            writer.close()


class ParquetRows:
    """Rows of a Parquet file; a group of rows for each batch."""

    def __init__(self, file: BinaryIO, about: About, total: int) -> None:
        self.file, self.about = file, about
        self.writer: Any = None
        self.pyarrow: Any = importlib.import_module("pyarrow")

    def add(self, rows: FeatureRows) -> None:
        pa, length = self.pyarrow, rows.features.shape[1]
        features = pa.FixedSizeListArray.from_arrays(pa.array(rows.features.reshape(-1)), length)
        kinds = {"regression": pa.float64(), "multi-label": pa.list_(pa.string())}
        kind = kinds.get(self.about.task, pa.string())
        columns = {
            "key": pa.array(rows.keys, pa.string()),
            "split": pa.array(rows.splits.tolist(), pa.string()),
            **{name: pa.array(cells, kind) for name, cells in self.about.columns(rows.targets).items()},
            "features": features,
        }
        table = pa.table(columns).replace_schema_metadata({"neocog": json.dumps(asdict(self.about))})
        if self.writer is None:
            parquet = importlib.import_module("pyarrow.parquet")
            self.writer = parquet.ParquetWriter(self.file, table.schema)
        self.writer.write_table(table)

    def finish(self) -> None:
        """Nothing is left to be written."""

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class NpzRows:
    """The arrays of an .npz file; features go to the file at once, and what is small is kept until the end."""

    def __init__(self, file: BinaryIO, about: About, total: int) -> None:
        self.archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self.about, self.total = about, total
        self.member: Any = None
        self.kept: list[FeatureRows] = []

    def add(self, rows: FeatureRows) -> None:
        if self.member is None:
            self.member = self.archive.open("features.npy", "w", force_zip64=True)
            header = {"descr": "<f4", "fortran_order": False, "shape": (self.total, rows.features.shape[1])}
            np.lib.format.write_array_header_1_0(self.member, header)
        self.member.write(np.ascontiguousarray(rows.features, "<f4").tobytes())
        self.kept.append(FeatureRows(rows.keys, rows.splits, rows.targets, np.empty((len(rows), 0), np.float32)))

    def finish(self) -> None:
        """Write what was kept."""
        if self.member is not None:
            self.member.close()
        arrays: dict[str, NDArray[Any]] = {
            "key": np.array([key for rows in self.kept for key in rows.keys], np.str_),
            "split": np.concatenate([rows.splits for rows in self.kept]),
            "classes": np.array(self.about.classes, np.str_),
        }
        if self.about.has_targets:
            arrays["target"] = np.concatenate([rows.targets for rows in self.kept])
        for name, array in arrays.items():
            with self.archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)

    def close(self) -> None:
        if self.member is not None:
            self.member.close()
        self.archive.close()
