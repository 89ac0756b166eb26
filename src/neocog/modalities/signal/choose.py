"""Settings of signals, and choosing their preprocessing: what they leave open follows from the data."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from neocog.dataset.record import Source
from neocog.errors import DataError
from neocog.modalities.choose import Choices
from neocog.modalities.signal.preprocess import MAX_LENGTH, FitRule, MissingRule, ScaleRule, SignalPreprocess
from neocog.modalities.signal.source import SignalSource
from neocog.settings import SETTINGS

__all__ = ["SignalConfig", "choose_signal"]


def listed(names: object) -> object:
    """Names in one text, as a flag has them, as a list.

    >>> listed("x, y")
    ['x', 'y']
    """
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else names


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class SignalConfig:
    """How signals are preprocessed, and how long recordings are cut into windows."""

    length: Annotated[int, Field(ge=2, le=MAX_LENGTH)] | None = None
    """Samples of each signal; unset: the length of the data, or of the longest."""
    fit: FitRule | None = None
    """crop: longer signals are centre-cropped, shorter ones padded with the mean; pad: longer ones are resampled
    instead; resample: all are resampled."""
    missing: MissingRule | None = None
    """Missing values: interpolate linearly, replace by zero, or refuse the signal."""
    scale: ScaleRule | None = None
    """Mean 0 and standard deviation 1 over each series, or over all training data by channel, or neither."""
    window: Annotated[int, Field(ge=2, le=MAX_LENGTH)] | None = None
    """Samples of the windows into which long recordings are cut."""
    step: Annotated[int, Field(ge=1)] | None = None
    """Samples from the start of one window to that of the next; unset: the length of a window."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """Samples per second that the times in a recording must agree with; unset: any."""
    columns: Annotated[tuple[str, ...], BeforeValidator(listed), Field(min_length=1)] | None = None
    """The columns of a table that are channels, such as x,y,z; unset: all but times, labels, counters and groups."""

    def ignored(self) -> dict[str, str]:
        return {} if self.window else dict.fromkeys(("step", "rate"), "nothing is cut into windows")


def choose_signal(
    source: Source, indices: NDArray[np.int64], settings: SignalConfig, input_shape: tuple[int, ...], **_: object
) -> tuple[SignalPreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`; the settings that are set are kept.

    The length is that of the data: networks for signals take any, and one that does not is refused when it is built.
    Raises DataError for a length that is out of range.
    """
    if isinstance(source, SignalSource):
        channels, lengths = source.channels, source.lengths(indices).tolist()
    else:
        shapes = [np.shape(source.read(i).payload) for i in indices.tolist()]
        channels, lengths = shapes[0][0], [shape[1] for shape in shapes]
    longest = max(lengths)
    one = min(lengths) == longest
    choices = Choices(settings)
    whose = "of every signal" if one else "of the longest signal"
    made_for = "x".join(map(str, input_shape[1:]))
    length = choices.pick("length", longest, f"that {whose}; the network was made for {made_for}")
    choices.pick("fit", "crop", "nothing to fit" if one else "keeps the time scale")
    choices.pick("missing", "interpolate", "a missing value is close to its neighbours")
    choices.pick("scale", "channel", "keeps the differences between signals")
    if not 2 <= length <= MAX_LENGTH:
        rule = f"Signals must have 2 to {MAX_LENGTH:,} samples. The longest of {source.name} has {longest:,}."
        raise DataError(rule, fix="Cut it into windows, or set --signal.length.")
    names, unused = getattr(source, "channel_names", ()), getattr(source, "unused", ())
    return SignalPreprocess(channels=channels, names=names, unused=unused, **choices.values), choices.reasons
