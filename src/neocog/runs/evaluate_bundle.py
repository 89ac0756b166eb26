"""Measuring a bundle on any data set."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import Predictor, load
from neocog.data import Source, Views, fingerprint, open_source, tell
from neocog.data.open import find_format
from neocog.doctor.skip_list import read_skip_list
from neocog.errors import DataError, some
from neocog.evaluation import Evaluation
from neocog.modalities.image.choose import find_pages
from neocog.modalities.image.pages import SeveralPages
from neocog.modalities.table import MODALITIES
from neocog.progress import note
from neocog.runs.channels import match_channels
from neocog.runs.measure import evaluated
from neocog.runs.prepare import leave_out
from neocog.runs.start import divide_as, seen_before

__all__ = ["evaluate"]

NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?", re.ASCII)


def evaluate(
    bundle: str | Path | Predictor,
    data: str | Path,
    *,
    split: str | None = None,
    format: str | None = None,
    class_level: int | None = None,
    test_fold: str | None = None,
    skip_list: str | Path | None = None,
    views: Views = "none",
    download: bool = False,
    window: int | None = None,
    step: int | None = None,
    columns: Sequence[str] | None = None,
    **named: str | None,
) -> Evaluation:
    """Measure a bundle, or a predictor, on a data set; classes are matched by name.

    `split` is train, val, test or all. Without it the test split is taken; of a set without splits, the part that was
    kept for the test if the network was trained on that very set, else all of it. `format`, `class_level`, `test_fold`
    and `named` (`file_column`, `text_column`, `label_column`) are those of `open_source`; unless given, the fold for
    the test is that of training.
    With `views` the predictions for several views of each picture are averaged. `skip_list` names a file of
    `neocog check` with records to leave out; no record is ever substituted. Long recordings are cut into windows, and
    columns chosen, as for training, unless `window`, `step` and `columns` say otherwise; channels are matched by name.
    Raises DataError for a record that can't be read, a split that is not there, a class that the network does not know,
    and data of another kind.
    """
    predictor = bundle if isinstance(bundle, Predictor) else load(bundle)
    reading = with_trained({"window": window, "step": step, "columns": columns}, predictor)
    if columns is None and reading["columns"] and not names_channels(data, format):
        reading["columns"] = None
    options: dict[str, Any] = {"format": format, "class_level": class_level, "download": download, **reading, **named}
    source = open_source(data, test_fold=test_fold, **options)
    if test_fold is None and (fold := trained_fold(predictor, source)):
        note(f"The test is {fold}, as in training.")
        source = open_source(data, test_fold=fold, **options)
    tell(source)
    if source.task not in ("classification", "next move"):
        raise DataError(
            f"Measured is one class for each record. {source.name} ({source.format}) is for {source.task}. Name data "
            "with one label each."
        )
    trained, given = (MODALITIES[name].plural for name in (predictor.preprocess.modality, source.modality))
    if trained != given:
        rule = "A network must be evaluated on the kind of data that it was trained on."
        raise DataError(f"{rule} It takes {trained}, and {source.name} holds {given}.")
    indices, called = choose_records(source, split, predictor)
    source = match_channels(source, predictor.preprocess)
    if skip_list is not None:
        kept = leave_out(source, indices, read_skip_list(Path(skip_list)))
        note(f"{len(indices) - len(kept):,} records are left out by {skip_list}")
        indices = kept
    targets = matched_targets(source, indices, predictor.classes)
    several = SeveralPages()
    find_pages(source, indices, several)
    for notice in several.notices:
        note(notice)
    before, predictor.views = predictor.views, views
    try:
        logits = predictor.logits_of(source, indices)
    finally:
        predictor.views = before
    return evaluated(logits, predictor, source, indices, called, targets)


def with_trained(options: Mapping[str, object], predictor: Predictor) -> dict[str, object]:
    """How recordings are read: as is asked for, else as for training; a step goes with its window."""
    trained = predictor.manifest.get("data", {}).get("signal", {})
    if options["window"] is not None:
        trained = {**trained, "step": None}
    return {name: trained.get(name) if value is None else value for name, value in options.items()}


def names_channels(data: str | Path, format: str | None) -> bool:
    """Whether the layout of the data has names of channels; where it is not known, opening says so."""
    try:
        return "columns" in find_format(data, format=format).layout.options
    except DataError:
        return True


def trained_fold(predictor: Predictor, source: Source) -> str | None:
    """The fold that was kept for the test in training, where these data have it too, and another one is the test."""
    folders, fold = getattr(source, "folders", None), predictor.manifest.get("data", {}).get("test_fold")
    return str(fold) if folders is not None and fold in folders.folds and fold != folders.test_fold else None


def choose_records(source: Source, split: str | None, predictor: Predictor) -> tuple[NDArray[np.int64], str]:
    """Which records to score, and what this part is called."""
    splits = {**source.splits, "all": np.arange(len(source))}
    trained_on, identity = predictor.manifest.get("data", {}), fingerprint(source)
    if trained_on.get("fingerprint") == identity:
        parts = divide_as(source, trained_on)
        splits |= {"train": parts.train, "val": parts.val}
        if "test" not in splits and parts.test.size:
            note("The network was trained on this very set, of which a part was kept for the test.")
            splits["test"] = parts.test
    if split is None:
        split = next((name for name in ("test", "val") if name in splits), "all")
        if split == "val":
            note("There is no test split: scored is the validation split.")
        if split == "all" and "train" in source.splits:
            note("There is neither a test nor a validation split: scored are all records, training data included.")
    if split not in splits:
        raise DataError(f"{source.name} has no split {split!r}. It has {', '.join(splits)}.")
    if not len(splits[split]):
        raise DataError(f"Measuring needs at least one record. {source.name} has none in {split}.")
    before = predictor.manifest.get("trained before on", [])
    if split not in ("train", "all") and before:
        num_seen, _ = seen_before(before, source, identity, splits[split])
        if num_seen:
            note(
                f"warning: {num_seen:,} of the {len(splits[split]):,} records trained the model that this network "
                "started from, or chose its weights: the figures are too good."
            )
    return splits[split], split


def matched_targets(source: Source, indices: NDArray[np.int64], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """The targets of these records in the network's numbering. Raises DataError for a class that it does not know."""
    number = {name: k for k, name in enumerate(classes)}
    same = same_numbers([name for name in source.classes if name not in number], source.classes, classes)
    if same:
        shown = some([f"{found!r} is {known!r}" for found, known in same.items()], 10)
        note(f"Classes of {source.name} are matched by their number: {shown}.")
    number |= {found: number[known] for found, known in same.items()}
    foreign = [name for name in source.classes if name not in number]
    if foreign:
        raise DataError(
            f"A network can be measured on the classes that it was trained on: {some(classes, 10)}. {source.name} also "
            f"has {some(foreign)}. Rename or remove them."
        )
    absent = [name for name in classes if name not in source.classes and name not in same.values()]
    if absent:
        note(f"{source.name} has no record of {some(absent)}.")
    return np.array([number[name] for name in source.classes])[source.targets[indices]]


def same_numbers(foreign: Sequence[str], found: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Of the classes that a network does not know by name, the one that it knows by another spelling of their number.

    A number that two classes of the data, or two of the network, have is left alone: their spelling tells them apart.

    >>> same_numbers(["1.0", "2.0"], ["1.0", "2.0"], ["1", "2"]), same_numbers(["1.0"], ["1", "1.0"], ["1", "2"])
    ({'1.0': '1', '2.0': '2'}, {})
    """
    values = {name: Decimal(name) for name in {*found, *known} if NUMBER.fullmatch(name)}
    matched = {}
    for name in foreign:
        alike = [other for other in known if name in values and values.get(other) == values[name]]
        rivals = [other for other in found if name in values and values.get(other) == values[name]]
        if len(alike) == 1 and len(rivals) == 1:
            matched[name] = alike[0]
    return matched
