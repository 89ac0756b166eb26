"""From arrays as scikit-learn passes them to samples: images, signals or texts.

| X | kind |
|---|---|
| list or 1-D array of texts | text |
| (N, F) numbers | signals of one channel and F time steps |
| (N, C, L) floats | signals of C channels and L time steps |
| (N, H, W) uint8 or uint16, (N, H, W, C) of any type | images |
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.list_source import ListSource
from neocog.dataset.record import Payload, Task
from neocog.errors import DataError

__all__ = ["ArraySource", "InputError", "InputForm", "Kind", "are_texts", "find_form"]

Kind = Literal["auto", "image", "signal", "text"]
PIXELS = (np.dtype(np.uint8), np.dtype(np.uint16))
LONGER = 4  # times as long as it has channels, an array of floats is taken for signals unasked
WHITE = 0xFFFF  # of images of floats, which become 16-bit images


class InputError(DataError, ValueError):
    """Arrays that an estimator can't take; a ValueError too, as scikit-learn expects."""


@dataclass(frozen=True, slots=True)
class InputForm:
    """How the samples of an array are read; found by `fit`, and the same ever after."""

    kind: Literal["image", "signal", "text"]
    row: tuple[int, ...] = ()
    """The shape of a sample as it is passed."""
    shape: tuple[int, ...] = ()
    """The shape of a sample as it is read, if the rows of a table are reshaped; else that of a row."""
    pixels: Literal["uint8", "uint16", ""] = ""
    """The type of images that are taken as they are."""
    low: float = 0.0
    """Of images of other types: the value that becomes black."""
    high: float = 1.0
    """The value that becomes white."""

    def read(self, X: Any, name: str) -> Sequence[str] | NDArray[Any]:
        """Samples (N, ...) as a source holds them. Raises InputError for those of another shape than in `fit`."""
        if self.kind == "text":
            return [str(text) for text in X]
        if X.shape[1:] != self.row:
            raise InputError(
                f"X must have the shape that {name} was fitted to: {show(self.row)}.", received=show(X.shape[1:])
            )
        array = X.reshape(len(X), *self.shape)
        if self.kind == "signal":
            signals: NDArray[np.float32] = array.astype(np.float32)
            return signals[:, None] if signals.ndim == 2 else signals
        if array.dtype == np.dtype(self.pixels or "f8") and self.pixels:
            return np.ascontiguousarray(array)
        if not np.isfinite(array).all():
            raise InputError("Images must be finite.", received="NaN", where="X", fix="Impute it.")
        scaled = (array.astype(np.float64) - self.low) / ((self.high - self.low) or 1.0)
        white = 255 if self.pixels == "uint8" else WHITE
        images: NDArray[Any] = np.round(scaled.clip(0, 1) * white).astype(self.pixels or np.uint16)
        return images


def show(shape: tuple[int, ...]) -> str:
    """A shape of many samples.

    >>> show((8, 8)), show((3,))
    ('(N, 8, 8)', '(N, 3)')
    """
    return f"(N, {', '.join(map(str, shape))})"


def are_texts(X: Any) -> bool:
    """Whether X is a list or a 1-D array of texts.

    >>> are_texts(["good", "bad"]), are_texts(np.array([["1.5"]])), are_texts([[1.0]])
    (True, False, False)
    """
    if hasattr(X, "ndim") and X.ndim != 1:
        return False
    try:
        return isinstance(next(iter(X)), str) and not hasattr(X, "columns")
    except (StopIteration, TypeError):
        return False


def find_form(X: Any, kind: str, shape: tuple[int, ...] | None) -> InputForm:
    """How these samples are read. Raises InputError if they are not of this kind, or could be of two.

    >>> find_form(np.zeros((5, 28, 28), np.uint8), "auto", None).kind
    'image'
    >>> find_form(np.zeros((5, 12)), "auto", None)
    InputForm(kind='signal', row=(12,), shape=(12,), pixels='', low=0.0, high=1.0)
    >>> find_form(np.zeros((5, 64)), "image", (8, 8)).shape
    (8, 8)
    """
    if kind == "text" or (kind == "auto" and are_texts(X)):
        if not are_texts(X) or not all(isinstance(text, str) for text in X):
            raise InputError("Texts are a list or a 1-D array of str.", received=type(X).__name__)
        return InputForm("text")
    row = tuple(X.shape[1:])
    read = check_shape(row, tuple(shape)) if shape is not None else row
    found = find_kind(X, read) if kind == "auto" else kind
    allowed = (2, 3) if found == "image" else (1, 2)
    if len(read) not in allowed:
        wanted = "(N, H, W) or (N, H, W, C)" if found == "image" else "(N, L) or (N, C, L)"
        raise InputError(
            f"{found.capitalize()}s are an array {wanted}.", received=show(read),
            fix="Pass shape=(H, W) for images in rows." if found == "image" else "",
        )  # fmt: skip
    if found == "signal":
        if read[-1] < 2:
            raise InputError("A signal needs at least two values.", received=f"{read[-1]} feature(s)", where="X")
        return InputForm("signal", row, read)
    if X.dtype in PIXELS:
        return InputForm("image", row, read, X.dtype.name, 0.0, float(np.iinfo(X.dtype).max))
    low, high = float(X.min()), float(X.max())
    if X.dtype.kind in "iub" and low >= 0 and high <= WHITE:
        return InputForm("image", row, read, "uint8" if high <= 255 else "uint16", 0.0, 255.0 if high <= 255 else WHITE)
    return InputForm("image", row, read, "", low, high)


def check_shape(row: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape into which rows are reshaped. Raises InputError if it has another number of values."""
    if math.prod(row) != math.prod(shape):
        raise InputError(
            "shape must have as many values as a row of X.", received=f"shape={shape}, for X of {show(row)}"
        )
    return shape


def find_kind(X: NDArray[Any], shape: tuple[int, ...]) -> Literal["image", "signal"]:
    """Images or signals, by type and shape. Raises InputError for an array that could be both."""
    if len(shape) == 3 or (len(shape) == 2 and X.dtype in PIXELS):
        return "image"
    if len(shape) == 2 and shape[1] < LONGER * shape[0]:
        raise InputError(
            "A 3-D array of floats is signals (N, channels, length) or images (N, H, W), and this could be either.",
            received=show(shape), fix="Pass kind='signal' or kind='image'.",
        )  # fmt: skip
    return "signal"


class ArraySource(ListSource):
    """Samples in arrays, split by their indices."""

    def __init__(
        self,
        samples: Sequence[str] | NDArray[Any],
        form: InputForm,
        task: Task,
        targets: NDArray[Any],
        classes: tuple[str, ...],
        splits: dict[str, NDArray[np.int64]],
    ) -> None:
        super().__init__("arrays", list(map(str, range(len(samples)))), targets, splits, classes)
        self.samples, self.modality, self.task = samples, form.kind, task

    def payload(self, index: int) -> Payload:
        sample: Payload = self.samples[index]
        return sample

    def content(self) -> Iterator[bytes]:
        for sample in self.samples:
            yield sample.encode(errors="surrogatepass") + b"\0" if isinstance(sample, str) else sample.tobytes()
