"""From Python objects to a source: arrays, tensors, lists, torch's datasets, Hugging Face's datasets."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from neocog.data.python_arrays import given_pair
from neocog.data.python_hugging_face import given_hugging_face, is_hugging_face, known_splits
from neocog.data.python_items import given_items
from neocog.data.python_records import Given, source_of
from neocog.dataset.labels import is_hidden
from neocog.dataset.record import Source, unlabelled_records, unlabelled_split
from neocog.dataset.split_names import split_meant
from neocog.errors import DataError

__all__ = ["as_source"]


def as_source(data: Any, *, name: str = "data", classes: Sequence[str] | None = None) -> Source:
    """A source over what is in memory, or reads its records itself.

    Taken are: a pair (inputs, labels) of arrays, tensors or lists; a map-style torch Dataset, or a list, that gives
    (input, label); a mapping from train, val and test to any of these; a `Dataset` or `DatasetDict` of Hugging Face.
    Inputs are pictures (N, H, W), (N, H, W, C) or (N, C, H, W) of uint8 or uint16, signals (N, L) or (N, C, L) of
    floats, or texts. Labels are numbers from 0, named by `classes` if given, or names. Raises DataError otherwise.

    >>> import numpy as np
    >>> source = as_source((np.zeros((4, 2, 100)), ["up", "down", "up", "up"]))
    >>> source.modality, source.classes, source.targets, source.read(1).payload.shape
    ('signal', ('down', 'up'), array([1, 0, 1, 1]), (2, 100))
    """
    notices: tuple[str, ...] = ()
    if is_hugging_face(data, "DatasetDict"):
        data, notices = known_splits(data, name)
    elif isinstance(data, Mapping):
        data = own_splits(data, name)
    else:
        data = {"all": data}
    given: dict[str, Given] = {}
    unlabelled: list[str] = []
    for split, part in data.items():
        where = name if split == "all" else f"{name}, {split}"
        found = given_part(part, where, hides_labels=split in ("val", "test"))
        if found is not None:
            given[split] = found = found.labelled() if split in ("val", "test") else found
            if found.num_unlabelled:
                notices += (unlabelled_records(split, found.num_unlabelled),)
        elif split in ("val", "test"):
            unlabelled.append(split)
            notices += (unlabelled_split(split, count_inputs(part, where)),)
        else:
            raise DataError(f"Each record needs a label. {where} has none, or -1 for all. Pass a part that has labels.")
    if not given:
        raise DataError(f"Each record needs a label. {name} has none, or -1 for all. Pass a part that has labels.")
    source = source_of(given, name, tuple(classes) if classes is not None else None, notices)
    source.unlabelled = tuple(unlabelled)
    return source


def count_inputs(part: Any, where: str) -> int:
    """How many records a part without labels has. Raises DataError where its inputs have no length."""
    inputs = part[0] if isinstance(part, tuple) else part
    try:
        return len(inputs)
    except TypeError as error:
        raise DataError(
            f"Inputs are a NumPy array, a torch tensor, or a list. Received: {type(inputs).__name__}, in {where}. "
            "Convert them with numpy.asarray."
        ) from error


def own_splits(data: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """The parts of a mapping by split, in their usual order."""
    found = {(split_meant(key) if isinstance(key, str) else None) or key: part for key, part in data.items()}
    if not found or len(found) < len(data) or not (set(found) <= {"train", "val", "test"} or set(found) == {"all"}):
        raise DataError(
            f"A mapping has one part for each split: train, val, test; or all. Received: "
            f"{', '.join(map(repr, data)) or 'nothing'}, in {name}. Rename them; a pair is (inputs, labels)."
        )
    return {split: found[split] for split in ("train", "val", "test", "all") if split in found}


def given_part(part: Any, where: str, *, hides_labels: bool) -> Given | None:
    """One split's records, whatever holds them; None where no record has a label.

    A part that `hides_labels` may lack even a place for them.
    """
    if is_hugging_face(part, "Dataset"):
        return given_hugging_face(part, where, hides_labels=hides_labels)
    if is_hugging_face(part, "IterableDataset"):
        raise DataError(
            f"Records are read by index. Received: a streamed {type(part).__name__}, in {where}. Load it without "
            "streaming=True."
        )
    if isinstance(part, DataLoader):
        raise DataError(
            f"Records are read one by one. Received: a DataLoader, which gives batches, in {where}. Pass its dataset: "
            "loader.dataset."
        )
    if isinstance(part, IterableDataset):
        raise DataError(
            f"Records are read by index. Received: an IterableDataset ({type(part).__name__}), in {where}. Pass "
            "list(dataset) where it fits in memory, or a dataset with __getitem__ and __len__."
        )
    if isinstance(part, tuple) and len(part) == 2 and not isinstance(part[0], tuple):
        return None if hides_labels and is_hidden(part[1]) else given_pair(*part, where)
    if (
        hasattr(part, "__getitem__")
        and not hasattr(part, "shape")
        and not isinstance(part, (str, bytes, tuple, Mapping))
    ):
        return given_items(part, where, hides_labels=hides_labels)
    raise DataError(
        "Data is a pair (inputs, labels), a dataset that gives (input, label) by index, a mapping from train, val and "
        f"test to such, or a Dataset or DatasetDict of Hugging Face. Received: {type(part).__name__}"
        f"{f' of {len(part)}' if isinstance(part, tuple) else ''}, in {where}. Pass one of these; paths go to "
        "open_source."
    )
