"""Properties that should agree in all records: sizes, shapes, channels, depths, lengths, sampling rates."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Modality, Source
from neocog.doctor import kinds
from neocog.doctor.facts import Columns
from neocog.doctor.finding import Tally
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
    """Compare all records that could be read."""
    places = np.flatnonzero(columns.readable)
    if not places.size:
        return
    compare = COMPARISONS.get(source.modality, examine_shapes)
    compare(places, columns.sizes[places], columns.depths[places], tally)


def examine_shapes(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Of boards, and of anything else without a comparison of its own."""
    shapes, numbers = np.unique(sizes, axis=0, return_inverse=True)
    named = {k: "x".join(map(str, shape)) for k, shape in enumerate(shapes.tolist())}
    examine_rare(kinds.BOARD_SIZES, places, numbers.reshape(-1), named, tally)


def examine_texts(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    tally.add_records(kinds.TEXT_LONG, places[sizes[:, 0] > LONG * np.median(sizes[:, 0])])


def examine_signals(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are channels, length, 0."""
    named = {int(c): f"{c} channel{'s' if c > 1 else ''}" for c in np.unique(sizes[:, 0])}
    examine_rare(kinds.SIGNAL_CHANNELS, places, sizes[:, 0], named, tally)
    examine_lengths("signals", places, sizes[:, 1], "", tally)


def examine_pictures(places: Indices, sizes: Sizes, depths: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are height, width, channels."""
    sides = np.unique(sizes[:, :2], axis=0)
    if len(sides) > 1:
        by_area = sides[np.argsort(sides.astype(np.int64).prod(axis=1), kind="stable")]
        low, high = (f"{width} x {height}" for height, width in (by_area[0].tolist(), by_area[-1].tolist()))
        tally.say(kinds.MIXED_SIZES, low=low, high=high)
        area = sizes[:, 0].astype(np.int64) * sizes[:, 1]
        for place in (int(area.argmin()), int(area.argmax())):
            index = int(places[place])
            tally.add_record(kinds.MIXED_SIZES, index, f"{sizes[place, 1]} x {sizes[place, 0]}", count=0)
        tally.entries[kinds.MIXED_SIZES].count = len(sides)
    examine_rare(kinds.MIXED_CHANNELS, places, sizes[:, 2], NAMES_OF_CHANNELS, tally)
    examine_rare(kinds.MIXED_DEPTHS, places, depths, {8: "8", 16: "16"}, tally)
    ratio = np.log(sizes[:, 1] / sizes[:, 0])
    odd = np.abs(ratio - np.median(ratio)) > np.log(ASPECT_RATIO)
    short = sizes[:, :2].min(axis=1)
    small = (short < SMALL * np.median(short)) & ~odd
    for kind, chosen in ((kinds.ASPECT, odd), (kinds.MUCH_SMALLER, small)):
        for place in np.flatnonzero(chosen).tolist():
            tally.add_record(kind, int(places[place]), f"{sizes[place, 1]} x {sizes[place, 0]}")


def examine_sounds(places: Indices, sizes: Sizes, _: Depths, tally: Tally) -> None:
    """Sizes (N, 3) are channels, length, rate."""
    named = {int(c): "one channel" if c == 1 else f"{c} channels" for c in np.unique(sizes[:, 0])}
    examine_rare(kinds.SOUND_CHANNELS, places, sizes[:, 0], named, tally)
    rates = {int(rate): str(rate) for rate in np.unique(sizes[:, 2])}
    examine_rare(kinds.MIXED_RATES, places, sizes[:, 2], rates, tally)
    examine_lengths("sounds", places, np.round(sizes[:, 1] / np.maximum(sizes[:, 2], 1), 2), " s", tally)


def examine_rare(kind: Kind, places: Indices, values: NDArray[np.integer], named: dict[int, str], tally: Tally) -> None:
    """Records whose value is not the most frequent one."""
    found, counts = np.unique(values, return_counts=True)
    if len(found) < 2:
        return
    usual = found[counts.argmax()]
    rare = [int(value) for value in found[np.argsort(-counts, kind="stable")] if value != usual]
    tally.say(kind, usual=named[int(usual)], rare=some(named[value] for value in rare))
    for place in np.flatnonzero(values != usual).tolist():
        tally.add_record(kind, int(places[place]), named[int(values[place])])


def examine_lengths(what: str, places: Indices, lengths: NDArray[np.number], unit: str, tally: Tally) -> None:
    """Whether all have one length."""
    short, long = int(lengths.argmin()), int(lengths.argmax())
    if lengths[short] == lengths[long]:
        return
    tally.say(kinds.MIXED_LENGTHS, what=what, low=f"{lengths[short]:g}{unit}", high=f"{lengths[long]:g}{unit}")
    for place in (short, long):
        tally.add_record(kinds.MIXED_LENGTHS, int(places[place]), f"{lengths[place]:g}{unit}", count=0)
    tally.entries[kinds.MIXED_LENGTHS].count = len(np.unique(lengths))


COMPARISONS: dict[Modality, Callable[[Indices, Sizes, Depths, Tally], None]] = {
    "image": examine_pictures,
    "signal": examine_signals,
    "audio": examine_sounds,
    "text": examine_texts,
}
