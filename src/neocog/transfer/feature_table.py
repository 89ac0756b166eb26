"""Features of the samples of a data set, with their names, splits and targets: a batch of them, and all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.evaluation import Evaluation
from neocog.transfer.feature_file import About, FeatureRows, feature_file
from neocog.transfer.score import LabelledFeatures, score_knn, score_probe

__all__ = ["FeatureRows", "FeatureTable"]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """A row for each sample.

    >>> rows = FeatureRows(("a", "b"), np.array(["train", "test"]), np.array([1, 0]), np.zeros((2, 3), np.float32))
    >>> table = FeatureTable(About("pets", "classification", ("cat", "dog"), "resnet18"), rows)
    >>> table.features.shape, table.labels, table.part("test").keys
    ((2, 3), ['dog', 'cat'], ('b',))
    """

    about: About
    """Their origin: the data set, its task and classes, and the network."""
    rows: FeatureRows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples' names, (N,)."""
        return self.rows.keys

    @property
    def splits(self) -> NDArray[np.str_]:
        """The split of each sample, (N,)."""
        return self.rows.splits

    @property
    def targets(self) -> NDArray[Any]:
        """(N,) classes; (N, K) labels of 1, 0 and NaN; (N,) or (N, K) numbers; -1 each for masks and boxes."""
        return self.rows.targets

    @property
    def features(self) -> NDArray[np.float32]:
        """(N, D)."""
        return self.rows.features

    @property
    def labels(self) -> list[Any]:
        """Targets as the table of a file has them: a class, a list of labels, a number or a list of numbers."""
        return self.about.cells(self.targets)

    def part(self, split: str) -> LabelledFeatures:
        """Features and targets of a split. Raises DataError if no sample is in it."""
        here = np.flatnonzero(self.splits == split)
        if not len(here):
            there = ", ".join(dict.fromkeys(self.splits.tolist())) or "none"
            raise DataError(
                f"Features of the split {split!r} are needed.", received=there, where=self.about.data,
                fix="Compute the features of all splits.",
            )  # fmt: skip
        return LabelledFeatures(self.features[here], self.targets[here], tuple(self.keys[i] for i in here.tolist()))

    def knn(self, k: int = 20, *, fit: str = "train", score: str = "test") -> Evaluation:
        """The metrics of k-nearest neighbours on a split; see `score_knn`, which also says what it raises."""
        about = self.about
        return score_knn(
            self.part(fit), self.part(score), task=about.task, classes=about.classes, k=k, data=about.data, split=score
        )

    def probe(self, *, fit: str = "train", score: str = "test") -> Evaluation:
        """The metrics of a linear probe on a split; see `score_probe`, which also says what it raises."""
        about = self.about
        return score_probe(
            self.part(fit), self.part(score), task=about.task, classes=about.classes, data=about.data, split=score
        )

    def save(self, path: str | Path) -> None:
        """Write `.parquet` or `.npz`; see `feature_file`."""
        with feature_file(Path(path), self.about, len(self)) as add:
            add(self.rows)
