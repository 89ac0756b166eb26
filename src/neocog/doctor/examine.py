"""One pass over all records, each read and examined once, by one thread for each CPU."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.annotations.annotated import AnnotatedImages
from neocog.cpus import num_cpus
from neocog.dataset.record import Source
from neocog.doctor import kinds
from neocog.doctor.annotations import examine_target
from neocog.doctor.facts import Facts
from neocog.doctor.images import add_thumbs, examine_arrays, examine_encoded
from neocog.doctor.payloads import examine_payload
from neocog.errors import DataError
from neocog.modalities.image.arrays import ArraySource

__all__ = ["examine_all", "in_threads"]

AT_ONCE = 16  # records that a thread takes at a time; it costs to hand each over alone
ARRAYS_AT_ONCE = 1024  # images of one array
Indices = NDArray[np.int64]
Given = TypeVar("Given")
Made = TypeVar("Made")


def examine_all(
    source: Source, indices: Indices, max_pixels: int, workers: int | None
) -> Generator[tuple[int, Facts], None, None]:
    """Each record's index and facts, in order."""
    if isinstance(source, ArraySource):
        for start in range(0, len(indices), ARRAYS_AT_ONCE):
            part = indices[start : start + ARRAYS_AT_ONCE]
            yield from zip(part.tolist(), examine_arrays(source.pictures(part)), strict=True)
        return

    examine = partial(examine_one, source, max_pixels)
    facts = in_threads(examine, indices.tolist(), workers, finish=add_thumbs)
    yield from zip(indices.tolist(), facts, strict=True)


def in_threads(
    make: Callable[[Given], Made],
    items: Sequence[Given],
    workers: int | None = None,
    finish: Callable[[list[Made]], object] | None = None,
) -> Iterator[Made]:
    """The result of each item, in order; `finish` may complete several at once, still in their thread.

    Left early, by Ctrl-C or otherwise, no further item is begun.
    """
    stopped = threading.Event()

    def several(start: int) -> list[Made]:
        made = [make(item) for item in items[start : start + AT_ONCE] if not stopped.is_set()]
        if finish is not None:
            finish(made)
        return made

    pool = ThreadPoolExecutor(workers or num_cpus())
    try:
        for made in pool.map(several, range(0, len(items), AT_ONCE)):
            yield from made
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def examine_one(source: Source, max_pixels: int, index: int) -> Facts:
    """Read and examine a record."""
    try:
        if isinstance(source, AnnotatedImages):
            return examine_annotated(source, index, max_pixels)
        record = source.read(index)
        facts = examine_payload(record.payload, record.key, source.modality, max_pixels)
        examine_target(source, record.target, facts)
        return facts
    except Exception as error:  # whatever a reader stumbles over, the other records are still looked at
        detail = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
        return Facts().fault(kinds.UNREADABLE, detail)


def examine_annotated(source: AnnotatedImages, index: int, max_pixels: int) -> Facts:
    """The image and its annotation, each apart, so that a fault of the one does not hide the other."""
    payload = source.file_bytes(index)
    facts = examine_encoded(payload, source.key(index), max_pixels)
    if facts.size != (0, 0, 0):
        try:
            examine_target(source, source.target_for(index, payload), facts)
        except DataError as error:
            facts.fault(kinds.BY_NAME.get(error.kind, kinds.ANNOTATION_UNREADABLE), str(error))
    return facts
