"""Signals that stay on disk, of which a window is read when it is needed: recordings longer than memory."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.npy_files import npy_header
from neocog.errors import DataError

__all__ = ["LARGE", "DiskSignal", "cut_signal", "open_npy"]

LARGE = 2**26
"""Bytes of a file from which on it is read in pieces."""

AnySignal = Any  # an array (C, L) or a DiskSignal


@dataclass(frozen=True, slots=True)
class DiskSignal:
    """A stretch of a signal (C, L) in a file of plain numbers.

    The file is mapped for each read and let go of afterwards, so that memory holds no more than what was asked for.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.bin")
    ...     _ = path.write_bytes(np.arange(6, dtype="<f4").tobytes())  # 3 samples of 2 channels
    ...     signal = DiskSignal(path, np.dtype("<f4"), 0, (3, 2), turned=True)
    ...     signal.shape, signal.cut(1, 3).read().tolist(), signal.pick([1]).read().tolist()
    ((2, 3), [[2.0, 4.0], [3.0, 5.0]], [[1.0, 3.0, 5.0]])
    """

    path: Path
    dtype: np.dtype[Any]
    offset: int
    """Bytes before the first number."""
    stored: tuple[int, int]
    """The shape of the array in the file."""
    turned: bool = False
    """Whether it is stored as (L, C)."""
    fortran: bool = False
    start: int = 0
    stop: int | None = None
    """The samples that are meant; None: to the end."""
    places: tuple[int, ...] | None = None
    """The channels that are meant; None: all."""
    keeps: object = None
    """An object that must live as long as the file is needed, such as a temporary folder."""

    @property
    def num_channels(self) -> int:
        return self.stored[1] if self.turned else self.stored[0]

    @property
    def num_samples(self) -> int:
        """Of the whole file."""
        return self.stored[0] if self.turned else self.stored[1]

    @property
    def shape(self) -> tuple[int, int]:
        stop = self.num_samples if self.stop is None else self.stop
        return self.num_channels if self.places is None else len(self.places), stop - self.start

    @property
    def ndim(self) -> int:
        return 2

    @property
    def T(self) -> "DiskSignal":  # noqa: N802  as arrays call it
        """The other axis as that of the channels, of a whole file."""
        return replace(self, turned=not self.turned)

    def __len__(self) -> int:
        return self.shape[0]

    def cut(self, start: int, stop: int) -> "DiskSignal":
        """The samples from `start` to `stop` of this stretch."""
        return replace(self, start=self.start + start, stop=min(self.start + stop, self.start + self.shape[1]))

    def pick(self, places: list[int]) -> "DiskSignal":
        """These channels, in this order."""
        own = range(self.num_channels) if self.places is None else self.places
        return replace(self, places=tuple(own[k] for k in places))

    def read(self) -> NDArray[np.float32]:
        """(C, L). Raises DataError if the file has been moved or changed."""
        order = "F" if self.fortran else "C"
        try:
            array = np.memmap(self.path, self.dtype, "r", self.offset, self.stored, order)  # type: ignore[call-overload]
        except (OSError, ValueError) as error:
            rule, fix = f"{self.path} can't be read: {error}.", "It was moved or changed: start again."
            raise DataError(rule, fix=fix) from error
        signal = (array.T if self.turned else array)[:, self.start : self.start + self.shape[1]]
        # Values too large for float32 become infinite, and are refused when they are decoded.
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.array(signal, np.float32, order="C")
        return values if self.places is None else values[list(self.places)]


def cut_signal(signal: AnySignal, start: int, stop: int | None) -> AnySignal:
    """A stretch of a signal (C, L), in memory or on disk."""
    if isinstance(signal, DiskSignal):
        return signal.cut(start, signal.shape[1] if stop is None else stop)
    return signal[:, start:stop]


def open_npy(path: Path) -> DiskSignal | None:
    """A large .npy file of real numbers (L,) or (C, L) as a signal that stays on disk; None for any other file.

    Raises DataError if the file is shorter or longer than its header says.
    """
    size = path.stat().st_size
    if size < LARGE:
        return None
    with path.open("rb") as file:
        shape, fortran, dtype = npy_header(file)
        offset = file.tell()
    if dtype.kind not in "fiu" or dtype.names or len(shape) not in (1, 2) or 0 in shape:
        return None
    expected = math.prod(shape) * dtype.itemsize
    if size - offset != expected:
        received = f"{size - offset:,} bytes of values, and its header promises {expected:,}"
        raise DataError(f"{path} can't be read as a NumPy array.", received=received, fix="Save it again.")
    return DiskSignal(path, dtype, offset, (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1]), fortran=fortran)
