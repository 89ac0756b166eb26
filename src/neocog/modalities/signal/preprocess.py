"""What is done to a signal before the network sees it, as data."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as settings
from torch import Tensor

from neocog.dataset.record import Modality, Payload, Source
from neocog.errors import DataError, some
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.channel_names import SHOWN, check_names
from neocog.modalities.signal.source import SignalSource
from neocog.settings import SETTINGS

__all__ = ["SignalConfig", "SignalPreprocess", "choose_signal", "exact_sum", "stretch"]

FitRule = Literal["crop", "resample", "pad"]
MissingRule = Literal["interpolate", "zero", "refuse"]
ScaleRule = Literal["none", "series", "channel"]
MAX_LENGTH = 2**20
FLAT = 1e-7  # share of its largest value below which a deviation is rounding, and a signal is constant


def listed(names: object) -> object:
    """Names that stand in one text, as a flag has them, as a list.

    >>> listed("x, y")
    ['x', 'y']
    """
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else names


@settings(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class SignalConfig:
    """What signals become, and how long recordings are cut."""

    length: Annotated[int, Field(ge=2, le=MAX_LENGTH)] | None = None
    """Samples of each signal; unset: those of the data, or of the longest."""
    fit: FitRule | None = None
    """crop: longer signals are cut to their centre, shorter ones filled up with the mean; pad: longer ones are squeezed
    instead; resample: both are stretched to fit."""
    missing: MissingRule | None = None
    """Missing values: a straight line between their neighbours, zero, or refuse the signal."""
    scale: ScaleRule | None = None
    """Mean 0 and deviation 1 over each series, or over all training data by channel, or neither."""
    window: Annotated[int, Field(ge=2, le=MAX_LENGTH)] | None = None
    """Samples of the windows into which long recordings are cut."""
    step: Annotated[int, Field(ge=1)] | None = None
    """Samples from one window's start to the next; unset: the window's."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """Samples per second that a recording's times must agree with; unset: any."""
    columns: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)] | None = None
    """The columns of a table that are channels, such as x,y,z; unset: all but times, labels, counters and groups."""

    def ignored(self) -> dict[str, str]:
        return {} if self.window else dict.fromkeys(("step", "rate"), "nothing is cut into windows")


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalPreprocess(Preprocess):
    """Fill what is missing, bring to one length, normalise.

    A call maps one payload (C, L) to (channels, length) float32. In this order: missing values; with scale "series",
    z-normalisation of each channel of this signal; the length; with scale "channel", the training data's mean and
    deviation of each channel.

    >>> pre = SignalPreprocess(channels=1, length=4, scale="none")
    >>> pre(np.array([[1.0, np.nan, 3.0]])).tolist()
    [[1.0, 2.0, 3.0, 0.0]]
    """

    modality: ClassVar[Modality] = "signal"

    channels: int
    length: int
    """Samples."""
    fit: FitRule = "crop"
    """crop: longer signals are cut to their centre, shorter ones filled at the right. pad: longer signals are
    resampled, shorter ones filled. resample: both are resampled. Filling is NaN when decoded, and zero when normalised,
    which is the mean; resampling draws straight lines."""
    missing: MissingRule = "interpolate"
    """A line between neighbours, at an end the nearest value; zero; or an error."""
    scale: ScaleRule = "channel"
    mean: tuple[float, ...] = (0.0,)
    """What is subtracted from each channel."""
    std: tuple[float, ...] = (1.0,)
    """What each channel is divided by."""
    names: tuple[str, ...] = ()
    """Of the channels, by which they are matched; none where the data had none."""
    unused: tuple[str, ...] = ()
    """Columns of the data that are no channels, such as a running number."""
    version: int = field(default=1)

    def __post_init__(self) -> None:
        if self.names:
            check_names(self.names, self.channels, "the preprocessing")

    @property
    def shape(self) -> tuple[int, int]:
        return self.channels, self.length

    @property
    def in_channels(self) -> int:
        return self.channels

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @property
    def fill(self) -> Tensor:
        """Each channel's mean; (channels, 1), or (1, 1) where it is zero for all."""
        return torch.tensor(self.mean)[:, None]

    def decode(self, payload: Payload, where: str = "the signal") -> Tensor:
        """One signal (C, L) or (L,) as (channels, length) float32, with NaN behind the end of a shorter one.

        Raises DataError with `where` for other channels, what is no number, infinite, empty, or missing altogether.
        """
        signal = fill_missing(self.check(payload, where), self.missing, where)
        if self.scale == "series":
            signal = z_normalised(signal)
        return torch.from_numpy(np.ascontiguousarray(self.fitted(signal), dtype=np.float32))

    def check(self, payload: Payload, where: str) -> NDArray[np.float64]:
        """The payload as (C, L)."""
        if not isinstance(payload, np.ndarray) or payload.dtype.kind not in "fiu" or payload.ndim not in (1, 2):
            kind = f"{payload.dtype} {payload.shape}" if isinstance(payload, np.ndarray) else type(payload).__name__
            raise DataError(f"A signal is an array (channels, length) of real numbers. Received: {kind}, for {where}.")
        signal = np.atleast_2d(payload)
        if len(signal) != self.channels or signal.shape[1] < 1:
            named = f" ({some(self.names, SHOWN)})" if self.names else ""
            raise DataError(
                f"Signals have {self.channels} channels{named} and at least one sample here. Received: "
                f"{signal.shape}, for {where}."
            )
        infinite = np.isinf(signal) | (np.abs(signal) > np.finfo(np.float32).max)
        if infinite.any():
            channel, place = np.argwhere(infinite)[0]
            raise DataError(
                f"Signals must be finite. Received: {signal[channel, place]} in channel {channel}, sample {place} of "
                f"{where}. Mend it, or mark it as missing by NaN."
            )
        with np.errstate(invalid="ignore"):  # of the many bit patterns that are NaN, some are flagged
            return signal.astype(np.float64)

    def fitted(self, signal: NDArray[np.float64]) -> NDArray[np.float64]:
        """(C, L) as (C, length)."""
        length = signal.shape[1]
        if length == self.length:
            return signal
        if self.fit == "resample" or (self.fit == "pad" and length > self.length):
            return stretch(signal, self.length)
        if length > self.length:
            start = (length - self.length) // 2
            return signal[:, start : start + self.length]
        return np.pad(signal, ((0, 0), (0, self.length - length)), constant_values=np.nan)

    def normalise(self, inputs: Tensor) -> Tensor:
        """(N, C, L) float32 -> the same, around zero where `scale` says so, and zero where there was nothing."""
        mean, std = (torch.tensor(values)[:, None].to(inputs.device) for values in (self.mean, self.std))
        scaled = (inputs.float() - mean) / std
        return torch.where(scaled.isnan(), 0.0, scaled)

    def measured(self, inputs: Tensor) -> Self:
        """With scale "channel", this preprocessing with each channel's mean and deviation; inputs (N, C, L).

        What fills shorter signals is not counted. Each signal's sums are added exactly, so that the result depends on
        no order.
        """
        if self.scale != "channel":
            return self

        def signals() -> Iterator[NDArray[np.float64]]:
            return (signal[:, ~np.isnan(signal[0])].astype(np.float64) for signal in inputs.numpy())

        count = sum(signal.shape[1] for signal in signals())
        mean = exact_sum(signal.sum(axis=1) for signal in signals()) / count
        squares = exact_sum(((signal - mean[:, None]) ** 2).sum(axis=1) for signal in signals())
        highest = inputs.nan_to_num(0).abs().amax(dim=(0, 2)).double().numpy()
        std = np.sqrt(squares / count)
        # A channel without any variation is left at its scale rather than divided by zero.
        std = np.where(std > FLAT * highest, std, 1.0)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def exact_sum(rows: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Rows (C,) added up without rounding between, so that their order makes no difference."""
    return np.array([math.fsum(column) for column in zip(*(row.tolist() for row in rows), strict=True)])


def fill_missing(signal: NDArray[np.float64], rule: MissingRule, where: str) -> NDArray[np.float64]:
    """The signal without NaN."""
    missing = np.isnan(signal)
    if not missing.any():
        return signal
    if rule == "refuse":
        channel, place = np.argwhere(missing)[0]
        raise DataError(
            f"No value may be missing. Received: {missing.sum():,} missing values, the first in channel {channel}, "
            f"sample {place} of {where}. Mend them, or set --signal.missing interpolate in training."
        )
    filled = signal.copy()
    if rule == "zero":
        filled[missing] = 0
        return filled
    for channel, holes in enumerate(missing):
        if holes.all():
            raise DataError(
                f"Missing values lie between others. {where} has no value at all in channel {channel}. Remove it, or "
                "set --signal.missing zero in training."
            )
        there = np.flatnonzero(~holes)
        filled[channel, holes] = np.interp(np.flatnonzero(holes), there, signal[channel, there])
    return filled


def z_normalised(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each channel less its mean, divided by its deviation; a constant channel becomes zero; (C, L)."""
    centred = signal - signal.mean(axis=1, keepdims=True)
    std = signal.std(axis=1, keepdims=True)
    flat = std <= FLAT * np.abs(signal).max(axis=1, keepdims=True)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, std))


def stretch(signal: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Straight lines between the samples, read at `length` places from the first to the last; (C, L) -> (C, length).

    >>> stretch(np.array([[0.0, 2.0, 4.0]]), 5).tolist()
    [[0.0, 1.0, 2.0, 3.0, 4.0]]
    """
    places = np.linspace(0, signal.shape[1] - 1, length)
    return np.stack([np.interp(places, np.arange(signal.shape[1]), channel) for channel in signal])


def choose_signal(
    source: Source, indices: NDArray[np.int64], config: SignalConfig, input_size: tuple[int, ...]
) -> tuple[SignalPreprocess, dict[str, str]]:
    """The preprocessing for these signals, and a reason for each value that was chosen.

    What the config sets is kept. The length is that of the data: networks for signals take any, and one that does not
    says so when it is built. Raises DataError for a length that is out of range.
    """
    channels, lengths = survey(source, indices)
    shortest, longest = min(lengths), max(lengths)
    one = shortest == longest
    whose = "of every signal" if one else "of the longest signal"
    choices: dict[str, tuple[Any, str]] = {
        "length": (longest, f"that {whose}; the network was made for {'x'.join(map(str, input_size))}"),
        "fit": ("crop", "nothing to fit" if one else "keeps the scale of time"),
        "missing": ("interpolate", "a value lies between its neighbours"),
        "scale": ("channel", "keeps what differs from signal to signal"),
    }
    chosen = {key: choice for key, choice in choices.items() if getattr(config, key) is None}
    values = {key: chosen[key][0] if key in chosen else getattr(config, key) for key in choices}
    if not 2 <= values["length"] <= MAX_LENGTH:
        raise DataError(
            f"Signals have 2 to {MAX_LENGTH:,} samples. The longest of {source.name} has {longest:,}. "
            "Cut it into windows, or set --signal.length."
        )
    names, unused = getattr(source, "channel_names", ()), getattr(source, "unused", ())
    spec = SignalPreprocess(channels=channels, names=names, unused=unused, **values)
    return spec, {key: reason for key, (_, reason) in chosen.items()}


def survey(source: Source, indices: NDArray[np.int64]) -> tuple[int, list[int]]:
    """Channels, and the samples of each signal."""
    if isinstance(source, SignalSource):
        return source.channels, source.lengths(indices).tolist()
    shapes = [np.shape(source.read(i).payload) for i in indices.tolist()]
    return shapes[0][0], [shape[1] for shape in shapes]
