"""Evaluating a bundle on any data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle import Predictor, load
from neocog.data import TTA, Source, fingerprint, open_source, tell
from neocog.data.open import Opened, find_format
from neocog.dataset.targets import LABEL_TASKS
from neocog.doctor.skip_list import read_skip_list
from neocog.errors import ConfigError, DataError
from neocog.evaluation import Evaluation
from neocog.modalities.image.choose import find_pages
from neocog.modalities.image.pages import SeveralPages
from neocog.modalities.table import MODALITIES
from neocog.progress import note
from neocog.runs.channels import match_channels
from neocog.runs.measure import evaluate_records
from neocog.runs.split import count_seen, leave_out, split_as_trained

__all__ = ["Chosen", "Reading", "choose_calibration", "choose_samples", "choose_validation", "evaluate", "score"]


OF_SAMPLES = frozenset({"split", "skip_list", "tta", "test_fold"})
"""Options that do not concern how a data set is opened, or are found out first."""


class Reading(TypedDict, total=False):
    """How a data set is opened and which of its samples are scored, as `evaluate` takes it."""

    split: str | None
    format: str | None
    class_level: int | None
    test_fold: str | None
    skip_list: str | Path | None
    tta: TTA | None
    download: bool
    window: int | None
    step: int | None
    columns: Sequence[str] | None
    file_column: str | None
    text_column: str | None
    label_column: str | None
    task: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The samples of a source that are scored."""

    source: Source
    indices: NDArray[np.int64]
    split: str

    @property
    def keys(self) -> list[str]:
        return [self.source.key(index) for index in self.indices.tolist()]


def evaluate(
    bundle: str | Path | Predictor,
    data: object,
    *,
    unlike: object = None,
    backend: str = "eager",
    **reading: Unpack[Reading],
) -> Evaluation:
    """Evaluate a bundle, or a predictor, on a data set; classes are matched by name.

    `data` is a path, a name, or a Python object, as for `open_source`. `split` is train, val, test or all. The default
    is the test split; of a set without splits, the part that was kept for testing if the network was trained on that
    very set, else all of it. `format`, `class_level`, `test_fold`, `file_column`, `text_column`, `label_column` and
    `task` are those of `open_source`; the default test fold is that of training, and labels are read for the task of
    the network.
    `tta` names a test-time augmentation of images; the default is that of the bundle. `skip_list` is a file of
    `neocog check` with records to leave out; no record is ever replaced by another. Long recordings are cut into
    windows, and columns chosen, as for training, unless `window`, `step` and `columns` say otherwise; channels are
    matched by name.
    `unlike` is other data of the same kind, whose inputs a classifier should find unusual: how many of them it flags,
    and how well it tells them from those of `data`, is then part of the evaluation.
    `backend` names the engine that computes a bundle, or auto for the fastest one, as `load` takes it.
    Raises DataError for a record that can't be read, a split that doesn't exist, a class that the network does not
    know, and data of another kind; ConfigError for `unlike` with a network that can't tell.
    """
    predictor = bundle if isinstance(bundle, Predictor) else load(bundle, backend=backend)
    if unlike is not None and not predictor.task.flags_unusual:
        raise ConfigError(
            "Only classifiers tell unusual inputs, by a threshold that training has set on validation data.",
            received=f"a network for {predictor.task.name}, without such a threshold",
            fix="Leave out the other data; a classifier from before this threshold learns it when it is trained again.",
        )
    chosen = choose_samples(predictor, data, **reading)
    scored, targets = score(predictor, chosen, reading.get("tta"))
    found = evaluate_records(predictor.task, scored, targets, chosen.source, chosen.indices, chosen.split)
    if unlike is None:
        return found
    name, other = score_unlike(predictor, unlike, reading)
    unusual = predictor.task.find_unusual(chosen.split, torch.from_numpy(scored), name, torch.from_numpy(other))
    return replace(found, unusual=unusual)  # type: ignore[call-arg]


def choose_samples(predictor: Predictor, data: object, **reading: Unpack[Reading]) -> Chosen:
    """The samples of a data set to score, read as in training; raises what `evaluate` does."""
    format, test_fold, columns = reading.get("format"), reading.get("test_fold"), reading.get("columns")
    signal = with_trained({name: reading.get(name) for name in ("window", "step", "columns")}, predictor)
    if columns is None and signal["columns"] and not names_channels(data, format):
        signal["columns"] = None
    given = {name: value for name, value in reading.items() if name not in OF_SAMPLES}
    given["task"] = reading.get("task") or task_to_read(data, format, predictor)
    options: dict[str, Any] = {**given, **signal}
    source = open_source(data, test_fold=test_fold, **options)
    if test_fold is None and (fold := trained_fold(predictor, source)):
        note(f"The test fold is {fold}, as in training.")
        source = open_source(data, test_fold=fold, **options)
    tell(source)
    if source.task != predictor.task.name:
        raise DataError(
            f"This network can only be evaluated on data for {predictor.task.name}.",
            received=f"data for {source.task}",
            where=f"{source.name} ({source.format})",
        )
    check_modality(predictor, source)
    indices, called = choose_records(source, reading.get("split"), predictor)
    skip_list = reading.get("skip_list")
    if skip_list is not None:
        kept = leave_out(source, indices, read_skip_list(Path(skip_list)))
        note(f"{len(indices) - len(kept):,} samples are left out, as {skip_list} lists them")
        indices = kept
    return Chosen(source, indices, called)


def choose_validation(predictor: Predictor, data: object, **reading: Unpack[Reading]) -> Chosen:
    """The validation samples of a data set; of one without a validation split, those that `evaluate` takes.

    For comparisons from which something is decided: the test split is for the figure at the end.
    """
    return choose_split(predictor, data, "val", reading)


def choose_calibration(predictor: Predictor, data: object, **reading: Unpack[Reading]) -> Chosen:
    """The training samples of a data set; of one without a training split, those that `evaluate` takes."""
    return choose_split(predictor, data, "train", reading)


def choose_split(predictor: Predictor, data: object, split: str, reading: Reading) -> Chosen:
    """A split, or the usual one where the data set lacks it."""
    wanted = reading.copy()
    wanted["split"] = split
    try:
        return choose_samples(predictor, data, **wanted)
    except DataError as error:
        if error.kind != "no split":
            raise
    return choose_samples(predictor, data, **reading)


def check_modality(predictor: Predictor, source: Source) -> None:
    """Raises DataError for data of another kind than the network takes."""
    if source.modality != predictor.preprocess.modality:
        raise DataError(
            f"A network can only be evaluated on the kind of data that it was trained on: "
            f"{MODALITIES[predictor.preprocess.modality].plural}.",
            received=MODALITIES[source.modality].plural,
            where=source.name,
        )


def score(predictor: Predictor, chosen: Chosen, tta: TTA | None = None) -> tuple[Any, NDArray[Any]]:
    """Logits of these samples, or comparisons of a dense task, as its `evaluate` takes them; and their targets."""
    source, indices = match_channels(chosen.source, predictor.preprocess), chosen.indices
    targets = predictor.task.match_targets(source, indices)
    several = SeveralPages()
    find_pages(source, indices, several)
    for notice in several.notices:
        note(notice)
    if predictor.task.dense:
        return predictor.compare_records(source, indices, tta), targets
    return predictor.logits_of(source, indices, tta=tta or predictor.tta), targets


def score_unlike(predictor: Predictor, data: object, reading: Reading) -> tuple[str, NDArray[np.float32]]:
    """The name of other data, and the logits of its test split, or of all of it; its targets don't matter."""
    source = open_source(data, download=reading.get("download", False))
    tell(source)
    check_modality(predictor, source)
    source = match_channels(source, predictor.preprocess)
    indices = source.splits.get("test", np.arange(len(source)))
    return source.name, predictor.logits_of(source, indices, "other data", tta=reading.get("tta") or predictor.tta)


def with_trained(options: Mapping[str, object], predictor: Predictor) -> dict[str, object]:
    """How recordings are read: as asked for, else as in training; a step goes with its window."""
    trained = predictor.manifest.get("data", {}).get("signal", {})
    if options["window"] is not None:
        trained = {**trained, "step": None}
    return {name: trained.get(name) if value is None else value for name, value in options.items()}


def task_to_read(data: object, format: str | None, predictor: Predictor) -> str | None:
    """The task of the network, if the layout of the data leaves open what labels are."""
    task = predictor.task.name
    if isinstance(data, Source | Opened):
        return None
    if not isinstance(data, str | Path):
        return task if task in LABEL_TASKS else None
    try:
        known = find_format(data, format=format).layout.tasks
    except DataError:  # opening the data says so
        return None
    return task if len(known) > 1 and task in known else None


def names_channels(data: object, format: str | None) -> bool:
    """Whether the layout of the data has channel names; if the layout is not known, opening the data says so."""
    if not isinstance(data, str | Path):
        return False
    try:
        return "columns" in find_format(data, format=format).layout.options
    except DataError:
        return True


def trained_fold(predictor: Predictor, source: Source) -> str | None:
    """The test fold of training, if these data have it too and their own test fold is another one."""
    folders, fold = getattr(source, "folders", None), predictor.manifest.get("data", {}).get("test_fold")
    return str(fold) if folders is not None and fold in folders.folds and fold != folders.test_fold else None


def choose_records(source: Source, split: str | None, predictor: Predictor) -> tuple[NDArray[np.int64], str]:
    """Which records to score, and the name of this split."""
    splits = {**source.splits, "all": np.arange(len(source))}
    trained_on, identity = predictor.manifest.get("data", {}), fingerprint(source)
    if trained_on.get("fingerprint") == identity:
        parts = split_as_trained(source, trained_on)
        splits |= {"train": parts.train, "val": parts.val}
        if "test" not in splits and parts.test.size:
            splits["test"] = parts.test
            if split in (None, "test"):
                note("The network was trained on this very data set; the part that was kept for testing is evaluated.")
    if split is None:
        split = next((name for name in ("test", "val") if name in splits), "all")
        if split == "val":
            note("There is no test split, so the validation split is evaluated.")
        if split == "all" and "train" in source.splits:
            note("There is no test or validation split, so all samples are evaluated, training data included.")
    if split not in splits:
        raise DataError(
            f"{source.name} has no split {split!r}.", fix=f"Choose one of {', '.join(splits)}.", kind="no split"
        )
    if not len(splits[split]):
        raise DataError("Evaluation needs at least one sample.", received="none", where=f"{source.name}, {split}")
    before = predictor.manifest.get("trained before on", [])
    if split not in ("train", "all") and before:
        num_seen, _ = count_seen(before, source, identity, splits[split])
        if num_seen:
            note(
                f"warning: {num_seen:,} of the {len(splits[split]):,} samples were used to train or select the model "
                "that this network started from, so its metrics are too optimistic."
            )
    return splits[split], split
