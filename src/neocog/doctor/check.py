"""The data doctor: looks at every sample of a data set and says what is wrong with it. It only reads."""

import warnings
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.formats import COLUMNS, FORMATS
from neocog.data.known import find_data
from neocog.data.open import data_folder, open_source
from neocog.dataset.record import Source, fingerprint
from neocog.doctor import kinds
from neocog.doctor.agreement import examine_agreement
from neocog.doctor.annotations import add_faults
from neocog.doctor.classes import count_classes, examine_classes, examine_labels
from neocog.doctor.duplicates import examine_repeats
from neocog.doctor.examine import examine_all
from neocog.doctor.facts import Columns
from neocog.doctor.findings import DataReport, Tally
from neocog.doctor.folders import examine_folder
from neocog.doctor.names import examine_class_names, examine_keys, examine_sources
from neocog.errors import ConfigError, DataError, did_you_mean
from neocog.modalities.image.pages import pages_notice
from neocog.modalities.table import MODALITIES
from neocog.progress import track
from neocog.shards import is_address

__all__ = ["check"]

MAX_PIXELS = 40_000_000  # as in training, unless told otherwise


def check(
    data: str | Path | Source,
    *,
    format: str | None = None,
    download: bool = False,
    limit: int | None = None,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    **options: object,
) -> DataReport:
    """Examine a data set: each sample once, then all of them together. Nothing is written.

    `data` is a name, a path or an open source; `limit` examines that many samples, evenly spread over the set;
    `workers` is the number of threads, one for each processor unless given; `options` are those of `open_source`. A set
    that can't be opened is a finding.
    Raises DataError if there is no such data, ConfigError for a layout that does not exist.

    >>> report = check("mnist", limit=1000)
    >>> report.splits, report.errors
    ({'train': 60000, 'test': 10000}, 0)
    """
    if limit is not None and limit < 1:
        raise ConfigError("--limit must be at least 1.", received=f"{limit}")
    layouts = [layout.name for layout in FORMATS]
    if format is not None and format not in layouts:
        raise ConfigError(f"No layout is called {format!r}. {did_you_mean(format, layouts)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a decoder's remarks on damaged files; those that matter become findings
        if not isinstance(data, str | Path):
            return examine(data, str(data.name), Tally(data.key), limit, max_pixels, workers)
        path = None if is_address(data) else find_data(data, download=download)
        try:
            source = open_source(path or data, format=format, download=False, **options)
        except (DataError, OSError) as error:
            return report_unopened(str(data), path, format, str(error))
        columns = {name: str(value) for name, value in options.items() if name in COLUMNS and value is not None}
        folder = data_folder(path, format=format, columns=columns) if path else None
        tally = Tally(source.key)
        if folder is not None and folder.is_dir():
            examine_folder(folder, source.format, tally, getattr(source, "folders", None))
        return examine(source, str(data), tally, limit, max_pixels, workers)


def report_unopened(data: str, path: Path | None, layout: str | None, message: str) -> DataReport:
    """The report on a set that can't be opened."""
    tally = Tally()
    name = path.name if path else data
    tally.add(kinds.CANNOT_OPEN, name, message)
    if path is not None and path.is_dir():
        examine_folder(path, layout or "image-folder", tally)
    return DataReport(data=data, name=name, format=layout or "", findings=tally.findings())


def examine(
    source: Source, data: str, tally: Tally, limit: int | None, max_pixels: int, workers: int | None
) -> DataReport:
    """Examine the samples, and the set as a whole."""
    indices = choose_records(len(source), limit)
    columns = examine_records(source, indices, tally, max_pixels, workers)
    for name, game in getattr(source, "unplayable", {}).items():
        tally.add(kinds.GAME_UNPLAYABLE, name, game.reason)
    add_faults(source, columns.readable, tally)
    examine_labels(source, tally)
    examine_repeats(source, columns, tally, max_pixels, workers)
    examine_membership(source, tally)
    examine_class_names(source.classes, tally)
    keys = [source.key(i) for i in range(len(source))]
    examine_keys(keys, tally)
    examine_sources(source, keys, tally)
    del keys  # those of a million samples take a hundred megabytes
    examine_agreement(source, columns, tally)
    counts = count_classes(source, columns.labels)
    examine_classes(source, counts, tally, whole=len(indices) == len(source))
    name = ""
    with suppress(DataError, OSError, ValueError):  # a file that is gone, a name that is not text: findings already
        name = fingerprint(source)
    pages = {source.key(index): count for index, count in columns.pages.items()}
    return DataReport(
        data=data,
        name=source.name,
        format=source.format,
        what=next((layout.description for layout in FORMATS if layout.name == source.format), ""),
        modality=source.modality,
        task=source.task,
        fingerprint=name,
        records=len(source),
        examined=len(indices),
        classes=source.classes,
        splits={split: len(part) for split, part in source.splits.items()},
        counts={split: tuple(count.tolist()) for split, count in counts.items()},
        notices=(*source.notices, pages_notice(pages)) if pages else source.notices,
        findings=tally.findings(),
        skip=tally.skip,
        source=source,
    )


def choose_records(count: int, limit: int | None) -> NDArray[np.int64]:
    """All indices, or as many as the limit, evenly spread.

    >>> choose_records(10, 4).tolist()
    [0, 2, 5, 7]
    """
    if limit is None or limit >= count:
        return np.arange(count)
    return np.arange(limit) * count // limit


def examine_records(
    source: Source, indices: NDArray[np.int64], tally: Tally, max_pixels: int, workers: int | None
) -> Columns:
    """Examine each sample alone."""
    columns = Columns(len(source), thumbs=MODALITIES[source.modality].near_duplicates == "thumbs")
    with closing(examine_all(source, indices, max_pixels, workers)) as facts_of_all:  # Ctrl-C stops its threads
        for index, facts in track(facts_of_all, "examining", total=len(indices)):
            columns.put(index, facts)
            for kind, detail in facts.faults:
                tally.add_record(kind, index, detail)
    return columns


def examine_membership(source: Source, tally: Tally) -> None:
    """Look for samples in two splits, or in none."""
    times = np.bincount(np.concatenate([np.arange(0), *source.splits.values()]), minlength=len(source))
    tally.add_records(kinds.SPLIT_TWICE, np.flatnonzero(times > 1))
    tally.add_records(kinds.SPLIT_NONE, np.flatnonzero(times == 0))
