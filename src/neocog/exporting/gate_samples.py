"""The samples of the gate: payloads as an exported network takes them, at their own sizes and at others."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.bundle.predictor import Predictor
from neocog.dataset.record import Payload, Record
from neocog.errors import DataError
from neocog.exporting.program import one_tile
from neocog.modalities.audio.preprocess import AudioPreprocess, centre
from neocog.modalities.audio.waveform import resample, sound_waveform
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.progress import note
from neocog.runs.channels import match_channels
from neocog.runs.evaluate_bundle import Chosen

__all__ = [
    "Sample", "array_of", "batches_of", "other_sizes", "read_samples", "resized", "resized_to",
]  # fmt: skip

Array = NDArray[Any]
AT_ONCE = 64  # records that are read before they are sorted into batches of one size
BATCH = 16
BATCH_BYTES = 2**26
LONGEST = 2  # times the network's length that a waveform keeps: more would be resampled in vain


@dataclass(frozen=True, slots=True)
class Sample:
    """A record, and its payload as an exported network takes it."""

    index: int
    record: Record
    array: Array


def array_of(predictor: Predictor, payload: Payload, where: str) -> Array:
    """One payload as an exported network takes it, without the batch: an image (H, W, C) at its own full size, a signal
    (C, L), a waveform (samples,) at the network's rate, token ids, or the planes of a board.

    Raises DataError for a payload that can't be read, and for a signal with missing values.
    """
    preprocess = predictor.preprocess
    if isinstance(preprocess, ImagePreprocess):
        full = replace(preprocess, dct_scaling=False) if preprocess.dct_scaling else preprocess
        return np.ascontiguousarray(full.pixels(payload, where))
    if isinstance(preprocess, SignalPreprocess):
        signal = preprocess.check(payload, where).astype(np.float32)
        if not np.isfinite(signal).all():
            raise DataError(
                "An exported network takes signals without missing values.", received="missing values", where=where,
                fix="Fill them in as training did before the network is called.",
            )  # fmt: skip
        return signal
    if isinstance(preprocess, AudioPreprocess):
        if not isinstance(payload, bytes):
            return np.asarray(np.atleast_2d(np.asarray(payload)).mean(axis=0), np.float32)
        waveform, rate = sound_waveform(payload, where, preprocess.max_seconds)
        kept = centre(waveform, min(len(waveform), int(LONGEST * preprocess.seconds * rate)))
        return resample(kept, rate, preprocess.sample_rate).astype(np.float32)
    decoded: Array = preprocess.decode(payload, where).numpy()
    return decoded


def read_samples(predictor: Predictor, chosen: Chosen) -> Iterator[list[Sample]]:
    """The samples in the order of `chosen`, some at a time; what the file does not take is left out with a note."""
    source, largest = match_channels(chosen.source, predictor.preprocess), one_tile(predictor)
    missing = large = 0
    for start in range(0, len(chosen.indices), AT_ONCE):
        found = []
        for index in chosen.indices[start : start + AT_ONCE].tolist():
            record = source.read(index)
            if predictor.preprocess.modality == "signal" and np.isnan(np.asarray(record.payload, np.float64)).any():
                missing += 1
                continue
            array = array_of(predictor, record.payload, record.key)
            if largest is not None and (array.shape[0] > largest[0] or array.shape[1] > largest[1]):
                large += 1
                continue
            found.append(Sample(index, record, array))
        if found:
            yield found
    if missing:
        note(f"{missing:,} signals have missing values, which an exported network does not take: they are left out")
    if large:
        note(f"{large:,} images are larger than one tile, which an exported detector does not take: they are left out")


def batches_of(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Samples of one size each, at most 16."""
    by_shape: dict[tuple[int, ...], list[Sample]] = {}
    for sample in samples:
        by_shape.setdefault(sample.array.shape, []).append(sample)
    for same in by_shape.values():
        size = max(1, min(BATCH, BATCH_BYTES // max(1, same[0].array.nbytes)))
        yield from (same[first : first + size] for first in range(0, len(same), size))


def other_sizes(predictor: Predictor, spec: TensorSpec) -> list[tuple[int, ...]]:
    """Sizes of inputs that try an exported network: odd and even, smaller and larger than its own, tall and wide.

    Only axes that may have any size differ; none for inputs of a fixed size.
    """
    preprocess = predictor.preprocess
    if isinstance(preprocess, ImagePreprocess) and spec.shape[1:3] == (None, None):
        height, width = preprocess.size
        small, large = (max(3, 3 * height // 4) | 1, max(3, 3 * width // 4) | 1), (2 * height, 2 * width)
        tall, wide = (3 * height + 1, max(2, width // 2)), (max(2, height // 2), 2 * width + 1)
        sizes = dict.fromkeys([small, large, tall, wide, (height + 1, width), (height, width)])
        largest = one_tile(predictor) or (math.inf, math.inf)
        return [size for size in sizes if size[0] <= largest[0] and size[1] <= largest[1]]
    if spec.shape[-1:] == (None,) and len(spec.shape) > 1:
        shape = preprocess.shape
        length = preprocess.num_samples if isinstance(preprocess, AudioPreprocess) else shape[-1]
        lengths = [length, length + 1, max(2, length - 1), 2 * length + 1, max(2, length // 2), max(3, length // 3) | 1]
        return [(one,) for one in dict.fromkeys(lengths)]
    return []


def resized(array: Array, size: tuple[int, ...]) -> Array:
    """A sample at another size: an image (H, W, C) resampled by Pillow, a signal or waveform linearly."""
    if len(size) == 1:
        places = np.linspace(0, array.shape[-1] - 1, size[0])
        rows = [np.interp(places, np.arange(array.shape[-1]), row) for row in array.reshape(-1, array.shape[-1])]
        return np.stack(rows).reshape(*array.shape[:-1], size[0]).astype(array.dtype)
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((size[1], size[0]), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(array, 2, 0)
    ]
    limit = np.iinfo(array.dtype).max
    return np.stack(planes, axis=2).round().clip(0, limit).astype(array.dtype)


def resized_to(array: Array, shape: tuple[int, ...], number: int) -> Array:
    """A sample in the shape of another one; shifted, if there are too few of them."""
    if array.shape != shape:
        array = resized(array, shape[:2] if array.ndim == 3 else shape[-1:])
    return np.roll(array, number, axis=0 if array.ndim == 3 else -1)
