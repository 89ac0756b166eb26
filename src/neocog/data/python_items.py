"""A torch Dataset, or anything else that gives (input, label) by index."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from neocog.data.python_arrays import payload_bytes, payload_of
from neocog.data.python_records import Given
from neocog.dataset.labels import Labels, is_hidden, plain_label, plain_labels
from neocog.dataset.record import Payload
from neocog.errors import DataError
from neocog.progress import track

__all__ = ["given_items"]

SAMPLE = 64
"""Records that enter a fingerprint, spread evenly: reading all could take hours."""


class Items:
    """The records of a dataset, read by one thread at a time, for few datasets are made for more."""

    def __init__(self, dataset: Any, where: str) -> None:
        self.dataset, self.where = dataset, where
        self.lock = threading.Lock()
        self.modality = payload_of(self.pair(0)[0], f"{where}, record 0")[0]

    def pair(self, index: int) -> tuple[Any, Any]:
        try:
            with self.lock:
                item = self.dataset[index]
        except Exception as error:  # it is the user's code
            raise DataError(f"{self.where}, record {index} can't be read: {type(error).__name__}: {error}") from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(
                f"A dataset gives (input, label). Received: {type(item).__name__}"
                f"{f' of {len(item)}' if isinstance(item, tuple | list) else ''}, at {self.where}, record {index}. "
                "Wrap it so that it does."
            )
        return item[0], item[1]

    def read(self, index: int) -> Payload:
        return payload_of(self.pair(index)[0], f"{self.where}, record {index}", self.modality)[1]

    def content(self) -> Iterator[bytes]:
        count = len(self.dataset)
        places = sorted({k * (count - 1) // max(1, SAMPLE - 1) for k in range(SAMPLE)})
        return (payload_bytes(self.read(place)) for place in places)

    def labels(self) -> Labels | None:
        """All labels: from the attribute `targets` where it holds what the records say, else from each record.

        None where they are hidden.
        """
        count = len(self.dataset)
        listed: Any = getattr(self.dataset, "targets", None)
        if hasattr(listed, "__len__") and len(listed) == count:
            try:
                labels = plain_labels(listed, self.where)
            except DataError:  # it holds something else by the same name
                labels = None
            # A transform of the targets would not have been applied to the attribute.
            if labels is not None and all(
                labels[k] == plain_label(self.pair(k)[1]) for k in {0, count // 2, count - 1}
            ):
                return labels
        found = [self.pair(k)[1] for k in track(range(count), f"reading labels of {self.where}")]
        return None if is_hidden(found) else plain_labels(found, self.where)


def gives_inputs(dataset: Any, where: str) -> bool:
    """Whether the first record is an input without a label."""
    try:
        item = dataset[0]
        if not isinstance(item, tuple | list):
            payload_of(item, where)
            return True
    except Exception:  # it is the user's code; what is wrong is said when it is read
        return False
    return False


def given_items(dataset: Any, where: str, *, hides_labels: bool) -> Given | None:
    """The records of a map-style dataset; None where no record has a label.

    One that `hides_labels` may give inputs alone. Raises DataError where it is empty or gives anything but
    (input, label).
    """
    try:
        count = len(dataset)
    except TypeError as error:
        raise DataError(f"A dataset needs a length. Received: {type(dataset).__name__}, {where}: {error}.") from error
    if not count:
        raise DataError(f"A dataset needs at least one record. Received: none, in {where}.")
    if hides_labels and gives_inputs(dataset, where):
        return None
    items = Items(dataset, where)
    labels = items.labels()
    if labels is None or is_hidden(labels):
        return None
    names = getattr(dataset, "classes", None)
    named = isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(n, str) for n in names)
    return Given(
        modality=items.modality,
        labels=labels,
        read=items.read,
        content=items.content,
        classes=tuple(names) if named and names else None,
    )
