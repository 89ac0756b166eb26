"""Settings of signals, and choosing their preprocessing: what they leave open follows from the data."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from neocog.dataset.record import Source
from neocog.errors import ConfigError, DataError, some
from neocog.modalities.choose import Choices
from neocog.modalities.signal.preprocess import MAX_LENGTH, FitRule, MissingRule, ScaleRule, SignalPreprocess
from neocog.modalities.signal.source import SignalSource
from neocog.settings import SETTINGS
from neocog.zoo.catalog import CATALOG

__all__ = ["SignalConfig", "choose_signal"]

TILE, MOST_WHOLE = 1024, 2048
"""Samples of a tile where each sample has a class, and of the longest signals that are not cut into tiles."""
SPREAD = 1000.0
"""The factor between the deviations of signals, 5% and 95% quantile, beyond which each gets a scale of its own. Rest
and exercise differ by 30 to 100 in acceleration; currents of a charger and of a heater by 100,000."""
MOST_LOOKED_AT = 300


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
    instead; resample: all are resampled; tile: for a class at each sample, longer ones are cut into overlapping
    tiles."""
    missing: MissingRule | None = None
    """Missing values: interpolate linearly, replace by zero, or refuse the signal."""
    flag_missing: bool | None = None
    """Tell the network which values were missing, in one more channel for each; off by default."""
    mask: bool | None = None
    """Mark the padding of shorter signals in a channel of its own, so that the network leaves it out; unset: if lengths
    differ and the network can."""
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
    source: Source,
    indices: NDArray[np.int64],
    settings: SignalConfig,
    input_shape: tuple[int, ...],
    /,
    *,
    network: str = "",
    dense: bool = False,
    **_: object,
) -> tuple[SignalPreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`; the settings that are set are kept.

    The length is that of the data: networks for signals take any, and one that does not is refused when it is built.
    Raises DataError for a length that is out of range, ConfigError for a mask that the network can't read.
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
    if dense and longest > MOST_WHOLE:
        length = choices.pick("length", TILE, f"a tile of a signal of up to {longest:,} samples")
    else:
        length = choices.pick("length", longest, f"that {whose}; the network was made for {made_for}")
    if dense:
        choices.pick("fit", "tile", "every sample gets a class")
    else:
        choices.pick("fit", "crop", "nothing to fit" if one else "keeps the time scale")
    choices.pick("missing", "interpolate", "a missing value is close to its neighbours")
    choices.pick("scale", *scale_of(source, indices) if settings.scale is None else ("channel", ""))
    padded = choices.values["fit"] != "resample" and min(lengths) < length
    choose_mask(choices, network, padded=padded and not dense)
    if not 2 <= length <= MAX_LENGTH:
        rule = f"Signals must have 2 to {MAX_LENGTH:,} samples. The longest of {source.name} has {longest:,}."
        raise DataError(rule, fix="Cut it into windows, or set --signal.length.")
    names, unused = getattr(source, "channel_names", ()), getattr(source, "unused", ())
    choices.values["flag_missing"] = bool(settings.flag_missing)
    return SignalPreprocess(channels=channels, names=names, unused=unused, **choices.values), choices.reasons


def scale_of(source: Source, indices: NDArray[np.int64]) -> tuple[ScaleRule, str]:
    """One scale for all signals, unless their own differ so much that the shape of the small ones would vanish."""
    some_of_them = indices[:: -(-len(indices) // MOST_LOOKED_AT)].tolist()
    rows = np.array([deviations(np.atleast_2d(source.read(i).payload)) for i in some_of_them])
    known = [column[column > 0] for column in rows.T if (column > 0).any()]  # a constant signal has no shape
    spread = max((float(np.divide(*np.quantile(column, [0.95, 0.05]))) for column in known), default=1.0)
    if spread <= SPREAD:
        return "channel", "keeps the differences between signals"
    return (
        "series",
        f"deviations of signals differ by a factor of {spread:,.0f}; on one scale the small ones would vanish",
    )


def deviations(signal: NDArray[np.floating]) -> NDArray[np.float64]:
    """The standard deviation of each channel of (C, L), without missing values; 0 for a channel without two of them."""
    finite = [row[np.isfinite(row)].astype(np.float64) for row in signal]
    return np.array([row.std() if len(row) > 1 else 0.0 for row in finite])


def choose_mask(choices: Choices, network: str, *, padded: bool) -> None:
    """Whether the padding is marked. Raises ConfigError if the user wants it, and the network has no use for it."""
    able = network in CATALOG and "masked" in CATALOG[network].options
    if choices.settings.mask and not able:
        others = some([name for name, info in CATALOG.items() if "masked" in info.options])
        raise ConfigError(
            "signal.mask is for networks that leave padding out of their average.", received=network or "another",
            fix=f"Leave it out, or use one of {others}.",
        )  # fmt: skip
    why = "shorter signals are padded, and the network leaves padding out" if padded else "no signal is padded"
    choices.pick("mask", padded and able, why if able or not padded else f"{network} can't leave padding out")
