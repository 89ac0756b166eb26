"""Samples to look at: of the data set that is open, or of the data that a run was trained on."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import open_source
from neocog.dataset.record import Source
from neocog.errors import ConfigError, DataError
from neocog.runs.channels import match_channels
from neocog.runs.config import READING, read_config
from neocog.runs.split import digest_split, split_as_trained
from neocog.studio.state import Opened, Studio

__all__ = ["Samples", "find_sample", "find_samples"]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Some samples of a source."""

    source: Source
    indices: NDArray[np.int64]
    title: str
    code: str
    """The Python expression of the source."""

    def number(self, place: int) -> int:
        """The sample at a place among these, as the source counts. Raises ConfigError for a place that isn't there."""
        if not 0 <= place < len(self.indices):
            raise ConfigError(
                f"A sample is a number from 0 to {len(self.indices) - 1}.", received=str(place), where=self.title
            )
        return int(self.indices[place])


def find_samples(studio: Studio, opened: Opened) -> Samples:
    """The samples that a network can read: those of the open data, or of its run's validation split.

    Raises ConfigError if there are none.
    """

    def find() -> Samples:
        modality = opened.predictor.preprocess.modality
        source = studio.source
        if source is not None and source.modality == modality:
            code = f"neocog.open_source({studio.source_path!r})"
            return in_order(opened, Samples(source, np.arange(len(source)), studio.source_name, code))
        if opened.run is None:
            raise ConfigError(
                f"Samples come from data that is open: {modality} data for this network.",
                received=f"{source.modality} data" if source is not None else "none",
                fix="Start the Studio with it: neocog studio model.neocog DATA", kind="samples",
            )  # fmt: skip
        return in_order(opened, samples_of_run(opened))

    found: Samples = studio.remember(("samples", opened.name, studio.source_path), find)
    return found


def find_sample(studio: Studio, opened: Opened, key: str) -> tuple[Samples, int]:
    """The sample with a key, in the data of the network's run, or else in the open data: its source and its number.

    Raises ConfigError if neither has it.
    """
    sets = []
    if opened.run is not None:
        with suppress(ConfigError):
            sets.append(studio.remember(("run", opened.name), lambda: in_order(opened, samples_of_run(opened))))
    sets.append(find_samples(studio, opened))
    for samples in sets:
        places = studio.remember(("keys", opened.name, samples.code), lambda: places_of(samples.source))  # noqa: B023
        if key in places:
            return samples, places[key]
    raise ConfigError("The data have no sample of this name.", received=repr(key), where=sets[-1].title)


def places_of(source: Source) -> dict[str, int]:
    """The number of each sample, by its key."""
    return {source.key(number): number for number in range(len(source))}


def in_order(opened: Opened, samples: Samples) -> Samples:
    """The samples with the channels of signals in the order of the network."""
    matched = match_channels(samples.source, opened.predictor.preprocess)
    if matched is samples.source:
        return samples
    return replace(samples, source=matched, code=f"match_channels({samples.code}, predictor.preprocess)")


def samples_of_run(opened: Opened) -> Samples:
    """The validation samples of a run, or all samples where its split can't be repeated.

    Raises ConfigError for a run on Python objects, or whose data can't be opened any more.
    """
    assert opened.run is not None
    _, values, _ = read_config(opened.run / "config.yaml")
    named = values.get("data.source")
    options: dict[str, Any] = {
        key.partition(".")[2]: values[key] for key in sorted(READING) if values.get(key) not in (None, [], ())
    }
    try:
        if not isinstance(named, str) or not named:
            raise DataError("The data of this run were Python objects.")
        source = open_source(named, **options)
        if source.modality != opened.predictor.preprocess.modality:
            raise DataError("The data has changed.", received=f"{source.modality} data", where=named)
    except DataError as error:
        raise ConfigError(
            f"The data of the run {opened.run.name} can't be opened. {error.rule}", received=error.received,
            where=error.where, fix="Start the Studio with the data as well: neocog studio RUN DATA", kind="samples",
        ) from error  # fmt: skip
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return split_of_run(opened, source, f"neocog.open_source({named!r}{given})")


def split_of_run(opened: Opened, source: Source, code: str) -> Samples:
    trained = opened.predictor.manifest.get("data", {})
    try:
        splits = split_as_trained(source, trained)
        known = "training part" not in trained or trained["training part"] == digest_split(source, splits.train)
    except (DataError, KeyError):
        known = False
    if known and len(splits.val):
        return Samples(source, splits.val, f"validation samples of {source.name}", code)
    return Samples(source, np.arange(len(source)), f"all samples of {source.name}, training samples among them", code)
