"""The times of a recording: numbers, or dates and times as ISO 8601 writes them, in seconds."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.dialect import Dialect, is_missing
from neocog.errors import DataError

__all__ = ["NAMED_TIMES", "find_gaps", "is_time", "read_times", "usual_step"]

RATE_ERROR = 0.01  # share by which the times may differ from the rate
GAP = 1.5  # steps of time; a window must not reach over a longer one

UNITS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "millis": 1e-3,
    "milliseconds": 1e-3, "us": 1e-6, "usec": 1e-6, "µs": 1e-6, "μs": 1e-6, "micros": 1e-6, "microseconds": 1e-6,
    "ns": 1e-9, "nsec": 1e-9, "nanos": 1e-9, "nanoseconds": 1e-9, "min": 60.0, "minutes": 60.0, "h": 3600.0,
}  # fmt: skip
LONG_UNITS = ("ms", "sec", "secs", "seconds", "msec", "millis", "milliseconds", "microseconds", "nanoseconds")
WORDS = "|".join((*UNITS, "utc", "gmt", "local", "iso", "unix", "elapsed"))
OF_WHAT = (
    "elapsed", "relative", "unix", "epoch", "utc", "local", "device", "system", "sensor", "logging", "sample",
    "sampling", "recording", "acquisition", "event", "server", "phone", "start",
)  # fmt: skip
NAMED_TIMES = re.compile(
    r"(?P<what>(?:" + "|".join(OF_WHAT) + r")?[ _-]*(?:times?|date[ _-]?times?|dates?|epoch|clock)"
    r"|(?:\w+[ _-])?time[ _-]?stamps?|elapsed|ts|t|" + "|".join(LONG_UNITS) + r")"
    r"(?:[ _-]+(?P<after>" + WORDS + r")|[ _-]*[\[(](?P<unit>" + WORDS + r")[\])])?",
    re.IGNORECASE,
)
"""Names of columns of times, with or without its unit: `timestamp`, `time_ms`, `Time (s)`, `unix_time`."""
NAMES_OF_UNITS = {
    1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds", 60.0: "minutes", 3600.0: "hours",
}  # fmt: skip
EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""From where on numbers are nano-, micro- and milliseconds since 1970: in the next larger unit they would be later
than the year 5000."""
TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d\d):(\d\d(?:[.,]\d+)?)", re.ASCII)
COMPACT = re.compile(r"([12]\d{3})([01]\d)([0-3]\d)", re.ASCII)
YEAR_FIRST = re.compile(r"\d{4}/\d\d/\d\d(?!\d)", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONE = re.compile(r"\s*(?:(UTC|GMT|Z)|([+-]\d\d(?::?\d\d)?))$", re.ASCII)
EXAMPLE = "2024-03-01 10:00:00.020"
RULE = f"Times are numbers of seconds, or dates and times such as {EXAMPLE}, one kind in a file."


def is_time(text: str) -> bool:
    """
    >>> [is_time(text) for text in ("2024-03-01T10:00:00.02Z", "10:00:00.5", "2024-03-01", "0.02", "1/3/2024 10:00")]
    [True, True, True, False, False]
    """
    return parse_time(text) is not None


def read_times(
    name: str, cells: Sequence[str], lines: Sequence[int], dialect: Dialect, where: str
) -> tuple[NDArray[np.float64], str | None]:
    """A column of times in seconds, NaN if one is missing, (T,), and a notice on how they are read.

    Raises DataError for a cell that is neither a number nor a time, and for several kinds in one column.
    """

    def refuse(cells: str, line: int, fix: str) -> DataError:
        return DataError(RULE, received=cells, where=f"{where}, line {line}, {name}", fix=fix)

    if "date" in name.lower() and all(COMPACT.fullmatch(cell.strip()) or is_missing(cell) for cell in cells):
        cells = [COMPACT.sub(r"\1-\2-\3", cell.strip()) for cell in cells]
    first = next((cell for cell in cells if not is_missing(cell)), "")
    numeric = dialect.number(first) is not None or not first
    plain = all_numbers(cells, dialect) if numeric else None
    if plain is not None:
        return read_numbers(name, plain)
    numbers = np.full(len(cells), np.nan)
    micros = np.zeros(len(cells), np.int64)
    known = np.zeros(len(cells), bool)
    kinds: dict[str, int] = {}
    for place, (cell, line) in enumerate(zip(cells, lines, strict=True)):
        if is_missing(cell):
            continue
        number, found = (dialect.number(cell), None) if numeric else (None, parse_time(cell))
        if number is not None:
            numbers[place] = number
            continue
        if found is None:
            fix = "Write it so; pandas.to_datetime reads many other forms."
            raise refuse(repr(cell.strip()[:40]), line, fix)
        micros[place], kind = found
        known[place] = True
        kinds.setdefault(kind, place)
        if len(kinds) > 1:
            both = " and ".join(repr(cells[at].strip()) for at in kinds.values())
            raise refuse(both, line, "Write all with the same parts: with a time zone or without.")
    if numeric:
        return read_numbers(name, numbers)
    seconds = np.where(known, (micros - micros[known][0]) / 1e6, np.nan)
    what = "times of day" if "time of day" in kinds else "dates and times"
    return seconds, f"{name} holds {what}, which are read in seconds"


def read_numbers(name: str, numbers: NDArray[np.float64]) -> tuple[NDArray[np.float64], str | None]:
    """Numbers in seconds: by the unit in the column's name, or by their size if they count from 1970."""
    match = NAMED_TIMES.fullmatch(name.strip())
    unit = UNITS.get((match["after"] or match["unit"] or match["what"]).lower()) if match else None
    least = float(np.nanmin(np.abs(numbers))) if not np.isnan(numbers).all() else 0.0
    if unit is None:
        unit = next((unit for limit, unit in EPOCHS if least >= limit), 1.0)
    if unit == 1.0:
        return numbers, None
    # Less the first, for a double has no more than 16 digits.
    return (numbers - numbers[~np.isnan(numbers)][:1].sum()) * unit, f"{name} is read as {NAMES_OF_UNITS[unit]}"


def all_numbers(cells: Sequence[str], dialect: Dialect) -> NDArray[np.float64] | None:
    """Cells as numbers, (N,), if all are numbers in the plainest form; much faster than one by one."""
    if dialect.decimal != "." or any("_" in cell for cell in cells):  # which Python takes for a part of a number
        return None
    try:
        return np.array(cells, np.float64)
    except ValueError:
        return None


def parse_time(text: str) -> tuple[int, str] | None:
    """Microseconds, since 1970 or midnight, and what kind of time it is; None for other texts.

    >>> parse_time("1970-01-01 00:01:00"), parse_time("1970-01-01T02:00:00 +0200"), parse_time("00:01:00,5")
    ((60000000, 'without a zone'), (0, 'with a zone'), (60500000, 'time of day'))
    """
    text = text.strip()
    of_day = TIME_OF_DAY.fullmatch(text)
    if of_day:
        hours, minutes, seconds = int(of_day[1]), int(of_day[2]), float(of_day[3].replace(",", "."))
        if minutes > 59 or seconds >= 60:
            return None
        return (hours * 60 + minutes) * 60_000_000 + round(seconds * 1e6), "time of day"
    if not (text[:4].isdecimal() and (text[4:5] in ("-", "/") or text[8:9] in ("T", " "))):
        return None
    if YEAR_FIRST.match(text):
        text = text.replace("/", "-", 2)
    zone = ZONE.search(text) if len(text) > 10 else None
    if zone:
        text = text[: zone.start()] + ("+00:00" if zone[1] else zone[2])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    kind = "without a zone" if found.tzinfo is None else "with a zone"
    return (found.replace(tzinfo=found.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1), kind


def usual_step(times: NDArray[np.float64], rate: float | None, where: str) -> float:
    """The median step of times (T,), in seconds.

    Raises DataError if it is not above zero, or not 1 / `rate`.
    """
    steps = np.diff(times)
    usual = float(np.median(steps))
    if usual == 0:
        rule, received = "Each row has a time of its own.", "the same time in rows that follow each other"
        fix = "Write times with fractions of a second, or remove their column from tables in folders of classes."
        raise DataError(rule, received=received, where=where, fix=fix)
    if not np.isfinite(times).all() or usual <= 0:
        received, fix = f"steps of {usual:g}", "Sort the rows."
        raise DataError("Times must be numbers that rise.", received=received, where=where, fix=fix)
    if rate is not None and abs(usual * rate - 1) > RATE_ERROR:
        received = f"steps of {usual:g}, which is a rate of {1 / usual:g}, and signal.rate {rate:g}"
        fix = "Correct one of them, add the unit to the column's name, such as time_ms, or leave signal.rate out."
        raise DataError(
            "Times are in seconds, and their steps 1 / signal.rate.", received=received, where=where, fix=fix
        )
    return usual


def find_gaps(times: NDArray[np.float64], usual: float, where: str) -> NDArray[np.bool_]:
    """Whether each step of time is missing samples, or leads back; (T,) -> (T - 1,). Raises DataError for NaN.

    >>> find_gaps(np.array([0.0, 1.0, 2.0, 5.0, 4.0]), 1.0, "a.csv").tolist()
    [False, False, True, True]
    """
    if not np.isfinite(times).all():
        received, fix = f"{times[~np.isfinite(times)][0]}", "Fill in the times that are missing, or remove their rows."
        raise DataError("Times must be numbers that rise.", received=received, where=where, fix=fix)
    steps = np.diff(times)
    return np.asarray((steps > GAP * usual) | (steps <= 0))
