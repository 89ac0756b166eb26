"""One pass over all records, each read and examined once, by as many threads as there are num_cpus."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.annotations.annotated import AnnotatedImages
from neocog.cpus import num_cpus
from neocog.dataset.record import Modality, Payload, Record, Source
from neocog.doctor import kinds
from neocog.doctor.annotations import examine_target, knows_boxes, refused_target
from neocog.doctor.facts import Facts
from neocog.doctor.images import add_thumbs, examine_array, examine_arrays, examine_picture
from neocog.doctor.signals import examine_signal
from neocog.doctor.sounds import examine_sound
from neocog.doctor.texts import examine_text
from neocog.errors import DataError
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.table import MODALITIES
from neocog.modalities.text.tokens import text_of

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

    def examine(index: int) -> Facts:
        return examine_one(source, index, max_pixels)

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


def examine_one(source: Source, index: int, max_pixels: int) -> Facts:
    """Read and examine a record."""
    try:
        if isinstance(source, AnnotatedImages):
            return examine_annotated(source, index, max_pixels)
        record = source.read(index)
        facts = examine_payload(source, record, max_pixels)
        examine_target(record.target, len(source.classes), facts, with_boxes=not knows_boxes(source))
    except DataError as error:
        facts = Facts()
        facts.fault(kinds.UNREADABLE, str(error))
    except Exception as error:  # whatever a reader stumbles over, the other records are still looked at
        facts = Facts()
        facts.fault(kinds.UNREADABLE, f"{type(error).__name__}: {error}")
    return facts


def examine_annotated(source: AnnotatedImages, index: int, max_pixels: int) -> Facts:
    """The image and what was drawn on it, each apart, so that a fault of the one does not hide the other."""
    payload = source.file_bytes(index)
    facts = examine_picture(payload, source.key(index), max_pixels)
    if facts.size != (0, 0, 0):
        try:
            target = source.target_for(index, payload)
        except DataError as error:
            facts.fault(refused_target(error), str(error))
        else:
            examine_target(target, len(source.classes), facts, with_boxes=not knows_boxes(source))
    return facts


def examine_payload(source: Source, record: Record, max_pixels: int) -> Facts:
    """Look at what was measured; at numbers of any other kind as at signals."""
    payload, key = record.payload, record.key
    examine = EXAMINERS.get(source.modality)
    if examine is not None and (facts := examine(payload, key, max_pixels)) is not None:
        return facts
    if not isinstance(payload, np.ndarray):
        noun = MODALITIES[source.modality].noun
        raise DataError(f"{key} should be a {noun}.", received=type(payload).__name__)
    return examine_signal(payload)


def examine_image(payload: Payload, key: str, max_pixels: int) -> Facts:
    if isinstance(payload, bytes):
        return examine_picture(payload, key, max_pixels)
    return examine_array(np.asarray(payload))


def examine_board(payload: Payload, _: str, __: int) -> Facts:
    """A board's shape; equal positions are not a fault, so no digest is made."""
    if isinstance(payload, np.ndarray) and payload.ndim == 3:
        planes, height, width = payload.shape
        return Facts(size=(height, width, planes))
    return Facts(size=(1, 1, 1))


EXAMINERS: dict[Modality, Callable[[Payload, str, int], Facts | None]] = {
    "image": examine_image,
    "audio": lambda payload, key, _: examine_sound(payload, key) if isinstance(payload, bytes) else None,
    "text": lambda payload, key, _: examine_text(text_of(payload, key)),
    "board": examine_board,
}
"""By payload, key, and limit of pixels; None: the payload is an array of numbers."""
