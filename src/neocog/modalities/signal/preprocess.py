"""The preprocessing of a signal, as data."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.errors import ConfigError, DataError, some
from neocog.modalities.preprocess import Preprocess, exact_sum
from neocog.modalities.signal.channel_names import SHOWN, check_names
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import View, Views, tile_starts

__all__ = ["MAX_LENGTH", "FitRule", "MissingRule", "ScaleRule", "SignalPreprocess", "stretch"]

FitRule = Literal["crop", "resample", "pad", "tile"]
MissingRule = Literal["interpolate", "zero", "refuse"]
ScaleRule = Literal["none", "series", "channel"]
MAX_LENGTH = 2**20
FLAT = 1e-7  # a deviation below this share of the largest value is rounding, and the signal is constant


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalPreprocess(Preprocess):
    """Fill in missing values, bring to one length, normalise.

    A call maps one payload (C, L) to (channels, length) float32. In this order: missing values; with scale "series",
    z-normalisation of each channel of this signal; the length; with scale "channel", the training data's mean and
    deviation of each channel. Further channels, which are never scaled, may follow: one for each channel that marks
    missing values, and the mask of the signal's length.

    >>> pre = SignalPreprocess(channels=1, length=4, scale="none", mask=True)
    >>> pre(np.array([[1.0, np.nan, 3.0]])).tolist()
    [[1.0, 2.0, 3.0, 0.0], [1.0, 1.0, 1.0, 0.0]]
    """

    modality: ClassVar[Modality] = "signal"
    newest: ClassVar[int] = 2
    statistics_of: ClassVar[tuple[str, ...] | None] = ("channels", "scale")

    channels: int
    """Of a payload; `shape` counts those that are added, too."""
    length: int
    """Samples."""
    fit: FitRule = "crop"
    """crop: longer signals are centre-cropped, shorter ones padded at the right. pad: longer signals are resampled,
    shorter ones padded. resample: both are resampled. tile: as crop, but where outputs have places, longer signals are
    cut into overlapping tiles. Padding is NaN when decoded, and zero, the mean, when normalised; resampling is linear
    interpolation."""
    missing: MissingRule = "interpolate"
    """Linear interpolation, the nearest value at an end; zero; or an error."""
    scale: ScaleRule = "channel"
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from each channel."""
    std: tuple[float, ...] = (1.0,)
    """Divides each channel."""
    names: tuple[str, ...] = ()
    """Of the channels, by which they are matched; none if the data had none."""
    unused: tuple[str, ...] = ()
    """Columns of the data that are not channels, such as a running number."""
    mask: bool = False
    """Whether the last channel is 1 where the signal is, and 0 in its padding, for networks that are `masked`."""
    flag_missing: bool = False
    """Whether there is a channel more for each, 1 where its value was missing and has been filled in, else 0."""
    version: int = field(default=2)

    def __post_init__(self) -> None:
        if self.names:
            check_names(self.names, self.channels, "the preprocessing")

    @property
    def shape(self) -> tuple[int, int]:
        return self.channels + self.num_marks, self.length

    @property
    def num_marks(self) -> int:
        """Channels after those of the signal, which say something about its samples."""
        return self.channels * self.flag_missing + self.mask

    @property
    def fill(self) -> Tensor:
        """Each channel's mean, and zero for those that are added; (channels, 1), or (1, 1) if it is zero for all."""
        marks = [0.0] * (self.num_marks if len(self.mean) > 1 else 0)
        return torch.tensor([*self.mean, *marks])[:, None]

    @property
    def payload_spec(self) -> TensorSpec:
        """Signals of one length, (N, C, L)."""
        return TensorSpec("signals", "float32", (None, self.channels, None))

    def decode(self, payload: Payload, where: str = "the signal") -> Tensor:
        """One signal (C, L) or (L,) as (*shape) float32, with NaN after the end of a shorter one.

        Raises DataError with `where` for other channels, and for values that are not numbers, infinite or missing.
        """
        signal = self.check(payload, where)
        return self.finish(fill_missing(signal, self.missing, where), np.isnan(signal))

    def finish(self, signal: NDArray[np.float64], missing: NDArray[np.bool_]) -> Tensor:
        """A signal without missing values, and where they were, (C, L) each, as `decode` gives it."""
        rows = [self.fitted(z_normalised(signal) if self.scale == "series" else signal)]
        if self.flag_missing:
            rows.append(self.fitted(missing.astype(np.float64)))
        if self.mask:
            rows.append(np.where(np.isnan(rows[0][:1]), np.nan, 1.0))
        joined = np.concatenate(rows) if len(rows) > 1 else rows[0]
        return torch.from_numpy(np.ascontiguousarray(joined, dtype=np.float32))

    def views(self, payload: Payload, where: str = "the signal") -> Views:
        """Overlapping tiles of a signal; all of it at once if `fit` resamples one of this length."""
        given = self.check(payload, where)
        signal, missing = fill_missing(given, self.missing, where), np.isnan(given)
        length = signal.shape[1]
        if self.resamples(length):
            view = View(self.finish(signal, missing), (0.0,), (self.length / length,))
            return Views((length,), 1, lambda: iter([view]))
        starts = tile_starts(length, self.length)

        def make() -> Iterator[View]:
            for start in starts:
                part = slice(start, start + self.length)
                yield View(self.finish(signal[:, part], missing[:, part]), (float(start),), (1.0,))

        return Views((length,), len(starts), make)

    def resamples(self, length: int) -> bool:
        """Whether a signal of this length is resampled."""
        return length != self.length and (self.fit == "resample" or (self.fit == "pad" and length > self.length))

    def check_continues(self, before: Preprocess, model: str, data: str) -> None:
        if self.in_channels != before.in_channels:
            rule = f"A fine-tuned network keeps its channels: {model} has {before.in_channels}."
            fix = "Choose the same channels, or train a new network."
            raise ConfigError(rule, received=f"{self.in_channels} channels", where=data, fix=fix)

    def check(self, payload: Payload, where: str) -> NDArray[np.float64]:
        """The payload as (C, L)."""
        if not isinstance(payload, np.ndarray) or payload.dtype.kind not in "fiu" or payload.ndim not in (1, 2):
            kind = f"{payload.dtype} {payload.shape}" if isinstance(payload, np.ndarray) else type(payload).__name__
            raise DataError("A signal must be an array (channels, length) of real numbers.", received=kind, where=where)
        signal = np.atleast_2d(payload)
        if len(signal) != self.channels or signal.shape[1] < 1:
            named = f" ({some(self.names, SHOWN)})" if self.names else ""
            rule = f"Signals must have {self.channels} channels{named} and at least one value per channel."
            raise DataError(rule, received=str(signal.shape), where=where)
        infinite = np.isinf(signal) | (np.abs(signal) > np.finfo(np.float32).max)
        if infinite.any():
            channel, place = np.argwhere(infinite)[0]
            received, fix = f"{signal[channel, place]} in channel {channel}, sample {place}", "Fix it, or write NaN."
            raise DataError("Signals must be finite.", received=received, where=where, fix=fix)
        with np.errstate(invalid="ignore"):  # of the many bit patterns that are NaN, some are flagged
            return signal.astype(np.float64)

    def fitted(self, signal: NDArray[np.float64]) -> NDArray[np.float64]:
        """(C, L) as (C, length)."""
        length = signal.shape[1]
        if length == self.length:
            return signal
        if self.resamples(length):
            return stretch(signal, self.length)
        if length > self.length:
            start = (length - self.length) // 2
            return signal[:, start : start + self.length]
        return np.pad(signal, ((0, 0), (0, self.length - length)), constant_values=np.nan)

    def normalise(self, inputs: Tensor) -> Tensor:
        """(N, C, L) float32 -> the same, around zero if `scale` says so, and zero in the padding."""
        mean, std = (torch.tensor(values)[:, None].to(inputs.device) for values in (self.mean, self.std))
        scaled = (inputs[:, : self.channels].float() - mean) / std
        if self.num_marks:
            scaled = torch.cat([scaled, inputs[:, self.channels :].float()], dim=1)
        return torch.where(scaled.isnan(), 0.0, scaled)

    def measured(self, inputs: Tensor) -> Self:
        """With scale "channel", this preprocessing with each channel's mean and deviation; inputs (N, C, L).

        Padding is not counted. The sums of the signals are added exactly, so that their order makes no difference.
        """
        if self.scale != "channel":
            return self
        inputs = inputs[:, : self.channels]

        def signals() -> Iterator[NDArray[np.float64]]:
            return (signal[:, ~np.isnan(signal[0])].astype(np.float64) for signal in inputs.numpy())

        count = sum(signal.shape[1] for signal in signals())
        mean = exact_sum(signal.sum(axis=1) for signal in signals()) / count
        squares = exact_sum(((signal - mean[:, None]) ** 2).sum(axis=1) for signal in signals())
        highest = inputs.nan_to_num(0).abs().amax(dim=(0, 2)).double().numpy()
        std = np.sqrt(squares / count)
        # A constant channel keeps its scale, rather than being divided by zero.
        std = np.where(std > FLAT * highest, std, 1.0)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def fill_missing(signal: NDArray[np.float64], rule: MissingRule, where: str) -> NDArray[np.float64]:
    """The signal without NaN."""
    missing = np.isnan(signal)
    if not missing.any():
        return signal
    if rule == "refuse":
        channel, place = np.argwhere(missing)[0]
        received = f"{missing.sum():,} missing values, the first in channel {channel}, sample {place}"
        fix = "Fix them, or train with --signal.missing interpolate."
        raise DataError("No value may be missing.", received=received, where=where, fix=fix)
    filled = signal.copy()
    if rule == "zero":
        filled[missing] = 0
        return filled
    for channel, holes in enumerate(missing):
        if holes.all():
            fix = "Remove it, or train with --signal.missing zero."
            received = f"no value at all in channel {channel}"
            raise DataError("Missing values are interpolated between others.", received=received, where=where, fix=fix)
        there = np.flatnonzero(~holes)
        filled[channel, holes] = np.interp(np.flatnonzero(holes), there, signal[channel, there])
    return filled


def z_normalised(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each channel minus its mean, divided by its standard deviation; a constant channel becomes zero; (C, L)."""
    centred = signal - signal.mean(axis=1, keepdims=True)
    std = signal.std(axis=1, keepdims=True)
    flat = std <= FLAT * np.abs(signal).max(axis=1, keepdims=True)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, std))


def stretch(signal: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Linear interpolation at `length` places from the first sample to the last; (C, L) -> (C, length).

    >>> stretch(np.array([[0.0, 2.0, 4.0]]), 5).tolist()
    [[0.0, 1.0, 2.0, 3.0, 4.0]]
    """
    places = np.linspace(0, signal.shape[1] - 1, length)
    return np.stack([np.interp(places, np.arange(signal.shape[1]), channel) for channel in signal])
