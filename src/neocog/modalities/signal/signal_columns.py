"""Which columns of a table are channels, and which are times, labels, counters or groups.

A column is left out only if its name says so and its values agree: `index` counts, `subject_id` keeps its value for
long. A measured channel that happens to rise stays one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.column_names import TIME_LABELS, TIMES
from neocog.dataset.dialect import Dialect, is_missing
from neocog.errors import DataError, some
from neocog.modalities.signal.channel_names import SHOWN, match_names
from neocog.modalities.signal.times import NAMED_TIMES, all_numbers, is_time

__all__ = ["UNCHOSEN", "Facts", "Roles", "find_roles", "hint", "in_all", "look_at", "look_at_numbers"]

Hint = Literal["time", "index", "counter", "number", "id", "group"]
ROW_NAMES = frozenset(
    {"", "index", "idx", "row", "row id", "row number", "rownum", "row no", "level 0", "index level 0"}
)
COUNTERS = frozenset({
    "sample", "frame", "packet", "seq", "sequence", "counter", "record", "line", "entry", "reading", "scan", "serial",
    "sr", "sl", "obs", "observation", "timestep", "time step", "cycle",
})  # fmt: skip
NUMBERS = frozenset(
    {"no", "nr", "num", "number", "n", "i", "k", "count", "step", "tick", "point", "item", "key", "#", "s no"}
)
PERSONS = frozenset({
    "subject", "subj", "person", "participant", "user", "volunteer", "patient", "individual", "speaker", "animal",
    "proband", "athlete", "driver", "rider",
})  # fmt: skip
SESSIONS = frozenset({
    "session", "recording", "trial", "experiment", "visit", "group", "file", "filename", "source", "run", "epoch",
})  # fmt: skip
DEVICES = frozenset({"device", "unit", "sensor", "phone", "watch", "machine", "site", "lab"})
NUMBERING = re.compile(r" ?(id|ids|idx|index|no|nr|num|number|name|code|counter|count)$")
UNNAMED = re.compile(r"unnamed \d+( \d+)*$")
EVEN = 1e-3  # share by which steps differ that are the same but for rounding
MOSTLY = 0.9  # share of the steps from row to row that are as a rule says


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that hold for all values of a column, in every file."""

    numeric: bool  # numbers, or missing
    whole: bool  # whole numbers, or missing
    rises: bool  # nearly every step is up
    counts: bool  # whole numbers that never fall, or go up by the same nearly always
    by_one: bool  # whole numbers, each one more than that before it
    evenly: bool  # each step is up by the same
    distinct: bool  # no value occurs twice
    steady: bool  # a value stays for two rows or more, on average
    time: bool  # dates or times of day, as texts

    def __and__(self, other: "Facts") -> "Facts":
        return Facts(*(getattr(self, name) and getattr(other, name) for name in Facts.__slots__))


@dataclass(frozen=True, slots=True)
class Roles:
    """The role of each column of a table."""

    channels: tuple[str, ...]
    time: str | None = None
    label: str | None = None
    groups: tuple[str, ...] = ()
    """Columns that tell the group of a sample, those of persons first."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The other columns, each with its reason."""
    suspects: tuple[str, ...] = ()
    """Channels that rise by the same from row to row, as counters do."""

    @property
    def unused(self) -> tuple[str, ...]:
        return tuple(self.left_out)

    @property
    def told(self) -> str:
        """
        >>> Roles((), left_out={"index": "counts the rows", "subject": "a group"}).told
        'not channels: index (counts the rows), subject (a group)'
        """
        return f"not channels: {some((f'{name} ({reason})' for name, reason in self.left_out.items()), SHOWN)}"


def hint(name: str) -> Hint | None:
    """The role, other than a channel, that a name suggests; None for most names.

    >>> [hint(name) for name in ("Unnamed: 0", "subjectID", "frame_no", "event_id", "time (ms)", "acc_x", "i")]
    ['index', 'group', 'counter', 'id', 'time', None, 'number']
    """
    if NAMED_TIMES.fullmatch(name.strip()):
        return "time"
    plain = spaced(name)
    if plain in ROW_NAMES or UNNAMED.match(plain):
        return "index"
    variants = {plain, NUMBERING.sub("", plain), plain.rstrip("s")}
    if not variants.isdisjoint(PERSONS | SESSIONS | DEVICES):
        return "group"
    if not variants.isdisjoint(COUNTERS):
        return "counter"
    if plain in NUMBERS:
        return "number"
    return "id" if re.search(r"(^| )(id|ids|uid|uuid|guid)$", plain) else None


def look_at(cells: Sequence[str], dialect: Dialect) -> Facts:
    """The facts of a column's cells."""
    plain = all_numbers(cells, dialect)
    if plain is None and all(is_missing(cell) or dialect.number(cell) is not None for cell in cells):
        plain = np.array([np.nan if is_missing(cell) else dialect.number(cell) for cell in cells])
    if plain is not None:
        return look_at_numbers(plain)
    codes = {cell: k for k, cell in enumerate(dict.fromkeys(cells))}
    changes = np.count_nonzero(np.diff([codes[cell] for cell in cells]))
    known = next((cell for cell in cells if not is_missing(cell)), "")
    no = dict.fromkeys(("numeric", "whole", "rises", "counts", "by_one", "evenly"), False)
    return Facts(**no, distinct=len(codes) == len(cells), steady=bool(2 * changes <= len(cells)), time=is_time(known))


def look_at_numbers(values: NDArray[np.floating]) -> Facts:
    """The facts of numbers, of which NaN is a missing one; (T,)."""
    numbers = values[~np.isnan(values)]
    finite = bool(np.isfinite(numbers).all())
    whole = finite and bool((numbers == np.floor(numbers)).all())
    with np.errstate(invalid="ignore", over="ignore"):  # of infinite values
        steps = np.diff(numbers)
    usual = float(np.median(steps)) if finite and len(steps) else 0.0
    same = np.abs(steps - usual) <= EVEN * abs(usual) if finite else np.zeros(len(steps), bool)
    return Facts(
        numeric=True,
        whole=whole,
        rises=usual > 0 and float((steps > 0).mean()) >= MOSTLY,
        counts=whole and bool((steps >= 0).all() or (usual > 0 and same.mean() >= MOSTLY)),
        by_one=whole and bool((steps == 1).all()),
        evenly=len(steps) > 1 and usual > 0 and bool(same.all()),
        distinct=whole and len(np.unique(numbers)) == len(numbers),
        steady=bool(2 * np.count_nonzero(steps) <= len(numbers)),
        time=False,
    )


def find_roles(
    columns: Sequence[str],
    facts: Mapping[str, Facts],
    where: str,
    chosen: Sequence[str] = (),
    *,
    labelled: bool = False,
) -> Roles:
    """The role of each column with facts; all have some unless the user has `chosen` the channels.

    If the table is `labelled`, numbers in the midst of it may be labels too, if the name of their column says so.
    Raises DataError if a chosen column is missing, or no channel is left.
    """
    named = match_names(chosen, columns)
    missing = [name for name in chosen if name not in named]
    if missing:
        received = f"{some(missing, SHOWN)}; there are {some(columns, SHOWN)}"
        rule, fix = "signal.columns names columns of the table.", "Correct the names."
        raise DataError(rule, received=received, where=where, fix=fix)
    hints = {name: hint(name) for name in columns if name not in named.values() and name in facts}
    left_out = {name: why for name, kind in hints.items() if (why := why_left_out(name, kind, facts[name]))}
    rest = [name for name in hints if name not in left_out]
    label = find_label([name for name in rest if hints[name] != "time"], facts, labelled=labelled or bool(chosen))
    time = find_time([name for name in rest if name != label], hints, left_out, facts)
    left_out.pop(time or "", None)
    others = [name for name in rest if name not in (time, label)]
    left_out |= {name: "another time" for name in others if hints[name] == "time" and is_clock(name, facts[name])}
    if chosen:
        others = [name for name in columns if name not in (time, label, *named.values(), *left_out)]
        left_out |= dict.fromkeys(others, UNCHOSEN)
    channels = [named[name] for name in chosen] or [name for name in others if name not in left_out]
    groups = [name for name in left_out if left_out[name] == GROUP and rank(name) is not None]
    roles = Roles(
        channels=tuple(channels),
        time=time,
        label=label,
        groups=tuple(sorted(groups, key=lambda name: rank(name) or 0)),
        left_out={name: left_out[name] for name in columns if name in left_out},
        suspects=tuple(name for name in channels if not chosen and facts[name].evenly),
    )
    if not channels:
        received = f"columns {some(columns, SHOWN)}" + (f"; {roles.told}" if left_out else "")
        fix = f"Name those that are: --signal.columns {columns[-1]}." if left_out else ""
        raise DataError("A recording has at least one channel.", received=received, where=where, fix=fix)
    return roles


UNCHOSEN = "not named by signal.columns"
GROUP = "a group"


def why_left_out(name: str, kind: Hint | None, facts: Facts) -> str | None:
    """Why a column with such a name and such values is not a channel; None if it may be one, or is a time.

    Whole numbers of an id or a person are never measured; those under other names may be.
    """
    texts, whole = not facts.numeric, facts.whole
    counts = whole and facts.counts and not facts.steady
    named = bool(name.strip()) and not UNNAMED.match(spaced(name))  # by a person, not by pandas
    if kind == "index" and ((whole and (facts.counts or facts.distinct)) or texts or facts.evenly or not named):
        return "names the rows" if texts else "counts the rows"
    if kind == "group" and (texts or (whole and (facts.steady or (rank(name) == 0 and not counts)))):
        return GROUP
    if kind == "id" and (texts or whole):
        return GROUP if facts.steady else "counts up" if counts else "an id"
    if kind in ("counter", "group") and (texts or (whole and facts.counts)):
        return "names the rows" if texts else "counts up"
    return "counts up" if kind == "number" and whole and facts.by_one else None


def spaced(name: str) -> str:
    """A name in small letters with spaces between its words.

    >>> spaced("subjectID"), spaced("Unnamed: 0"), spaced("frame_no.")
    ('subject id', 'unnamed 0', 'frame no')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_\-.:]+", " ", words).strip().casefold()


def find_label(columns: Sequence[str], facts: Mapping[str, Facts], *, labelled: bool) -> str | None:
    """The last column, if its name is that of labels; else the only such column, if it holds texts or must exist."""
    if columns and columns[-1].lower() in TIME_LABELS:
        return columns[-1]
    named = [name for name in columns if name.lower() in TIME_LABELS]
    found = [name for name in named if not facts[name].numeric] or (named if labelled else [])
    return found[0] if len(found) == 1 else None


def find_time(
    columns: Sequence[str], hints: Mapping[str, Hint | None], left_out: Iterable[str], facts: Mapping[str, Facts]
) -> str | None:
    """The first column if it has one of the plainest names; else a column that is named as a time and is one."""
    if columns and columns[0].lower() in TIMES:
        return columns[0]
    named = [name for name in columns if hints[name] == "time" and is_clock(name, facts[name])]
    clocks = [name for name in named if not facts[name].numeric or facts[name].rises]
    moving = [name for name in clocks if not facts[name].steady]  # beside a column of dates
    dated = [name for name in left_out if hints[name] == "index" and facts[name].time]
    return next(iter([*moving, *clocks, *dated]), None)


def is_clock(name: str, facts: Facts) -> bool:
    """Whether a column named as a time is one: texts are, numbers rise or count; `t` may be a temperature."""
    rises = facts.evenly if name.lower() == "t" else facts.rises or (facts.whole and facts.counts)
    return not facts.numeric or rises


def rank(name: str) -> int | None:
    """0 for a column that tells persons apart, 1 for sessions; None for others."""
    variants = {spaced(name), NUMBERING.sub("", spaced(name))}
    return next((k for k, names in enumerate((PERSONS, SESSIONS)) if variants & names), None)


def in_all(facts: Iterable[Mapping[str, Facts]]) -> dict[str, Facts]:
    """The facts of each column that hold in every one of the tables that have it."""
    found: dict[str, Facts] = {}
    for table in facts:
        for name, own in table.items():
            found[name] = found[name] & own if name in found else own
    return found
