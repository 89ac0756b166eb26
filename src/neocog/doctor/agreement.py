"""Properties that should agree in all samples: sizes, shapes, channels, depths, lengths, sampling rates."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Modality, Source
from neocog.doctor import kinds
from neocog.doctor.facts import Columns
from neocog.doctor.findings import Tally
from neocog.doctor.kinds import Kind
from neocog.errors import some

__all__ = ["examine_agreement"]

ASPECT_RATIO = 3.0  # to the usual ratio of the sides
SMALL = 0.25  # of the usual short side
LONG = 10  # times the usual text
NAMES_OF_CHANNELS = {1: "grey", 3: "in colour"}
Indices = NDArray[np.int64]
Sizes = NDArray[np.int32]
Depths = NDArray[np.uint8]


def examine_agreement(source: Source, columns: Columns, tally: Tally) -> None:
    """Compare all samples that could be read."""
    places = np.flatnonzero(columns.readable)
    if not places.size:
        return
    examine = COMPARISONS.get(source.modality, examine_shapes)
    examine(places, columns.sizes[places], columns.depths[places], tally)


def examine_shapes(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Of boards, and of anything else without a comparison of its own."""
    shapes, numbers = np.unique(sizes, axis=0, return_inverse=True)
    named = {k: "x".join(map(str, shape)) for k, shape in enumerate(shapes.tolist())}
    examine_rare(kinds.BOARD_SIZES, places, numbers.reshape(-1), named, tally)


def examine_texts(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are length, 0, 0."""
    tally.add_records(kinds.TEXT_LONG, places[sizes[:, 0] > LONG * np.median(sizes[:, 0])])


def examine_signals(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are channels, length, 0."""
    named = {int(c): f"{c} channel{'s' if c > 1 else ''}" for c in np.unique(sizes[:, 0])}
    examine_rare(kinds.SIGNAL_CHANNELS, places, sizes[:, 0], named, tally)
    examine_lengths("signals", places, sizes[:, 1], "", tally)


def examine_images(places: Indices, sizes: Sizes, depths: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are height, width, channels."""

    def name(place: int) -> str:
        return f"{sizes[place, 1]} x {sizes[place, 0]}"

    area = sizes[:, 0].astype(np.int64) * sizes[:, 1]
    by_area = np.unique(np.column_stack([area, sizes[:, :2]]), axis=0, return_inverse=True)[1].reshape(-1)
    examine_range(kinds.MIXED_SIZES, places, by_area, name, tally)
    named = {int(c): NAMES_OF_CHANNELS.get(int(c), f"of {c} channels") for c in np.unique(sizes[:, 2])}
    examine_rare(kinds.MIXED_CHANNELS, places, sizes[:, 2], named, tally)
    examine_rare(kinds.MIXED_DEPTHS, places, depths, {8: "8", 16: "16"}, tally)
    ratio = np.log(sizes[:, 1] / sizes[:, 0])
    odd = np.abs(ratio - np.median(ratio)) > np.log(ASPECT_RATIO)
    short = sizes[:, :2].min(axis=1)
    small = (short < SMALL * np.median(short)) & ~odd
    for kind, chosen in ((kinds.ASPECT, odd), (kinds.MUCH_SMALLER, small)):
        for place in np.flatnonzero(chosen).tolist():
            tally.add_record(kind, int(places[place]), name(place))


def examine_sounds(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are channels, length, rate."""
    named = {int(c): "one channel" if c == 1 else f"{c} channels" for c in np.unique(sizes[:, 0])}
    examine_rare(kinds.SOUND_CHANNELS, places, sizes[:, 0], named, tally)
    rates = {int(rate): str(rate) for rate in np.unique(sizes[:, 2])}
    examine_rare(kinds.MIXED_RATES, places, sizes[:, 2], rates, tally)
    examine_lengths("sounds", places, np.round(sizes[:, 1] / np.maximum(sizes[:, 2], 1), 2), " s", tally)


def examine_rare(kind: Kind, places: Indices, values: NDArray[np.integer], named: dict[int, str], tally: Tally) -> None:
    """Look for samples whose value is not the most frequent one."""
    found, counts = np.unique(values, return_counts=True)
    if len(found) < 2:
        return
    usual, *rare = found[np.argsort(-counts, kind="stable")].tolist()
    tally.say(kind, usual=named[usual], rare=some(named[value] for value in rare))
    for place in np.flatnonzero(values != usual).tolist():
        tally.add_record(kind, int(places[place]), named[int(values[place])])


def examine_range(
    kind: Kind, places: Indices, values: NDArray[Any], name: Callable[[int], str], tally: Tally, **words: str
) -> None:
    """Say how many values there are, if several, and show the least and the greatest."""
    low, high = int(values.argmin()), int(values.argmax())
    if values[low] == values[high]:
        return
    tally.say(kind, low=name(low), high=name(high), **words)
    for place in (low, high):
        tally.add_record(kind, int(places[place]), name(place), count=0)
    tally.entries[kind].count = len(np.unique(values))


def examine_lengths(what: str, places: Indices, lengths: NDArray[Any], unit: str, tally: Tally) -> None:
    examine_range(kinds.MIXED_LENGTHS, places, lengths, lambda place: f"{lengths[place]:g}{unit}", tally, what=what)


COMPARISONS: dict[Modality, Callable[[Indices, Sizes, Depths, Tally], None]] = {
    "image": examine_images,
    "signal": examine_signals,
    "audio": examine_sounds,
    "text": examine_texts,
}
