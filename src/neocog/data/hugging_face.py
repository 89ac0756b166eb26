"""Datasets of Hugging Face's `datasets`, whose images and sounds stay encoded as they are stored.

Nothing here imports `datasets`: an object that is one brings it along.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.split_data import SplitData
from neocog.dataset.class_folders import SPLITS
from neocog.dataset.column_names import COMMON_TEXTS, FILE_LABELS, TAGS
from neocog.dataset.labels import blank_label, cell_label, is_hidden, plain_labels
from neocog.dataset.record import Modality, Payload, other_split
from neocog.dataset.split_names import SPLIT_NAMES, splits_meant
from neocog.dataset.targets import AnyTargets, known_rows, plain_targets
from neocog.errors import DataError, some
from neocog.modalities.table import MODALITIES

__all__ = ["is_hugging_face", "known_splits", "read_hugging_face"]

MEDIA: dict[str, Modality] = {"Image": "image", "Audio": "audio"}
BATCH = 1000
USUAL = (*FILE_LABELS, "labels", "cls")
LISTS = ("Sequence", "List", "LargeList")


def is_hugging_face(data: object, kind: str) -> bool:
    """Whether this is a `Dataset`, `DatasetDict` and so on of `datasets`."""
    return any(c.__module__.split(".")[0] == "datasets" and c.__name__ == kind for c in type(data).__mro__)


def known_splits(data: Mapping[str, Any], name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The splits of a `DatasetDict`, and a notice on each that is not train, val or test."""
    found: dict[str, Any] = {}
    meant = splits_meant([str(key) for key in data])
    for key, dataset in data.items():
        split = meant.get(str(key))
        if split in found:
            rule = f"{name} can be read in two ways: two of {', '.join(data)} mean {split}."
            raise DataError(rule, fix="Remove one.")
        if split:
            found[split] = dataset
    if not found:
        rule = f"A DatasetDict has splits called {', '.join(SPLIT_NAMES)}."
        raise DataError(rule, received=some(data, 8) or "none", where=name, fix="Rename them, or pass one Dataset.")
    notices = tuple(other_split(str(key), len(part)) for key, part in data.items() if str(key) not in meant)
    return {split: found[split] for split in SPLITS if split in found}, notices


def read_hugging_face(dataset: Any, where: str, *, hides_labels: bool) -> SplitData | None:
    """The samples of a `Dataset` with an image, a sound or a text, and a label; None if no sample has a label.

    One that `hides_labels` may lack a column of them. Samples without a label are left out: those that have none, and
    those with -1 if the classes have names. Raises DataError if its columns are missing or ambiguous.
    """
    if not len(dataset):
        raise DataError("A dataset needs at least one sample.", received="none", where=where)
    features = dataset.features
    labelled = label_columns(features)
    if hides_labels and not labelled:
        return None
    if len(labelled) != 1:
        kind = "a ClassLabel, or a number or text called " + ", ".join(USUAL)
        raise wrong_columns("label", kind, labelled, features, where)
    label = labelled[0]
    column, modality = input_column(features, label, where)
    plain = dataset.with_format(None)
    names = getattr(features[label], "names", None)
    found = list(plain.select_columns([label])[label])
    if holds_values(features[label]):
        return read_values(plain, found, label, column, modality, where, hides_labels=hides_labels)
    if hides_labels and all(blank_label(value, where) for value in found):
        return None
    found = [cell_label(value, f"{where}, sample {k}") for k, value in enumerate(found)]
    kept = [k for k, value in enumerate(found) if value is not None and (value != -1 or not names)]
    if not kept or is_hidden([found[k] for k in kept]):
        return None
    if len(kept) < len(found):
        plain = plain.select(kept)
    labels, classes = plain_labels([found[k] for k in kept], where), tuple(names) if names else None
    return with_payloads(plain, labels, classes, len(found) - len(kept), column, modality, where)


def with_payloads(
    plain: Any,
    labels: AnyTargets,
    classes: tuple[str, ...] | None,
    missing: int,
    column: str,
    modality: Modality,
    where: str,
) -> SplitData:
    """The samples with their labels; encoded ones stay as they are stored."""
    encoded = not MODALITIES[modality].is_text
    if encoded:
        plain = plain.cast_column(column, type(plain.features[column])(decode=False))
    payloads = Column(plain.select_columns([column]), column, where, encoded=encoded)
    return SplitData(modality, labels, payloads.read, payloads.content, classes=classes, num_unlabelled=missing)


def holds_values(feature: Any) -> bool:
    """Whether a column holds numbers with fractions, or a list for each sample."""
    if isinstance(feature, list) or type(feature).__name__ in LISTS:
        return True
    return type(feature).__name__ == "Value" and str(feature.dtype).startswith(("float", "decimal"))


def read_values(
    plain: Any, found: list[Any], label: str, column: str, modality: Modality, where: str, *, hides_labels: bool
) -> SplitData | None:
    """The samples with a number, several numbers, or several labels; None if none of them is known."""
    feature = plain.features[label]
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    names = getattr(inner, "names", None)
    if inner is not None:
        found = [None if value is None else list(value) for value in found]
    else:
        found = [None if value is None else float(value) for value in found]
    kept = [k for k, value in enumerate(found) if value is not None]
    if not kept or (inner is None and is_hidden(np.array([found[k] for k in kept], np.float64))):
        return None
    if names is not None:
        rows = np.zeros((len(kept), len(names)), bool)
        for row, k in enumerate(kept):
            rows[row, found[k]] = True
        labels: AnyTargets = rows
    else:
        labels = plain_targets([found[k] for k in kept], where)
        if not isinstance(labels, list) and hides_labels and not known_rows(labels).any():
            return None
    if len(kept) < len(found):
        plain = plain.select(kept)
    return with_payloads(
        plain, labels, tuple(names) if names else None, len(found) - len(kept), column, modality, where
    )


class Column:
    """The payloads of one column."""

    def __init__(self, dataset: Any, column: str, where: str, *, encoded: bool) -> None:
        self.dataset, self.column, self.where, self.encoded = dataset, column, where, encoded

    def read(self, index: int) -> Payload:
        where = f"{self.where}, sample {index}"
        value = self.dataset[index][self.column]
        if isinstance(value, dict):  # as Image(decode=False) gives it
            value = value["bytes"] if value["bytes"] is not None else self.read_file(value["path"], where)
        if not isinstance(value, str | bytes):
            received = f"none in column {self.column!r}"
            raise DataError("Each sample needs a value.", received=received, where=where, fix="Drop it.")
        return value

    def read_file(self, path: str | None, where: str) -> bytes | None:
        try:
            if path is not None and not Path(path).is_file():
                rule = f"The file of {where}, {path}, is not on this machine."
                raise DataError(rule, fix="Fetch it, or drop the sample.")
            return Path(path).read_bytes() if path is not None else None
        except (OSError, ValueError) as error:
            raise DataError(f"{where} can't be read from {path}: {error}.") from error

    def content(self) -> Iterator[bytes]:
        """All texts; of encoded media the sizes and names, since they may be many gigabytes."""
        import pyarrow.compute as pc  # comes with datasets

        for batch in self.dataset.with_format("arrow").iter(BATCH):
            values = batch.column(self.column)
            if self.encoded:
                yield str(pc.binary_length(pc.struct_field(values, "bytes")).to_pylist()).encode()
                yield str([path and Path(path).name for path in pc.struct_field(values, "path").to_pylist()]).encode()
            else:
                yield str(values.to_pylist()).encode()


def label_columns(features: Mapping[str, Any]) -> list[str]:
    """The columns that may hold the labels: a ClassLabel, or a number or text under a usual name."""
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    usual = [name for name, kind in kinds.items() if name.lower() in USUAL and kind in ("ClassLabel", "Value")]
    named = (*USUAL, *TAGS)
    lists = [name for name, kind in kinds.items() if kind in (*LISTS, "list") and name.lower() in named]
    lists = lists or [name for name, feature in features.items() if lists_classes(feature)]
    usual = usual or lists
    return [name for name in labels if name in usual] or labels or usual


def lists_classes(feature: Any) -> bool:
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    return type(inner).__name__ == "ClassLabel"


def input_column(features: Mapping[str, Any], label: str, where: str) -> tuple[str, Modality]:
    """The column of the inputs, and its modality."""
    kinds = {name: type(feature).__name__ for name, feature in features.items() if name != label}
    media = [name for name, kind in kinds.items() if kind in MEDIA]
    if len(media) == 1:
        return media[0], MEDIA[kinds[media[0]]]
    texts = [name for name, kind in kinds.items() if kind == "Value" and "string" in str(features[name].dtype)]
    found = media or [name for name in texts if name.lower() in COMMON_TEXTS] or texts
    if len(found) != 1:
        raise wrong_columns("input", "an Image, an Audio, or text", found, features, where)
    return found[0], "text"


def wrong_columns(what: str, kind: str, found: list[str], features: Mapping[str, Any], where: str) -> DataError:
    listed = ", ".join(f"{name}: {type(feature).__name__}" for name, feature in features.items())
    many = f"can be read in {len(found)} ways, as {' or '.join(map(repr, found))}" if found else f"has none ({listed})"
    rule = f"A dataset needs one column for the {what}: {kind}. {where} {many}."
    return DataError(rule, fix="Use remove_columns, rename_column or cast_column.")
