"""The data of a run: opened, checked against the settings, split, given a preprocessing, and loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.data import Preprocess, Source, Splits, check_trainable, keeps_test, open_source
from neocog.errors import ConfigError, DataError
from neocog.loading import (
    Corrupt,
    Dataset,
    InMemoryDataset,
    check_decodes,
    choose_loading,
    load_in_memory,
    open_dataset,
)
from neocog.loading.choose import memory_budget, size_in_memory
from neocog.loading.payload_cache import CachedSource
from neocog.loading.tiles import cut_records
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.choose import find_pages
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.pages import SeveralPages
from neocog.modalities.table import MODALITIES
from neocog.progress import note
from neocog.runs.config import ResolvedConfig, RunConfig, flat, reading_options
from neocog.runs.modality import augment_settings, choose, value_of, without_other_modalities
from neocog.runs.start import Start
from neocog.runs.word_vectors import resolve_vectors
from neocog.tasks import TASKS, Task
from neocog.training.distributed import World, on_first
from neocog.zoo import ModelInfo

__all__ = [
    "Parts",
    "check_data",
    "choose_inputs",
    "cut_parts",
    "drop_inactive",
    "load_datasets",
    "open_configured",
    "resolve_loading",
]


def open_configured(config: RunConfig, data: object, world: World, *, download: bool) -> Source:
    """The source that the settings name, or that a Python object makes; only the first process downloads."""
    named = config.data.source if data is None else data

    def open_it(download: bool) -> Source:
        return open_source(named, download=download, **reading_options(config))

    if download and world.size > 1:
        on_first(lambda: open_it(download=True), world)
    return open_it(download)


def check_data(config: RunConfig, source: Source) -> None:
    """Raises DataError for data that can't be learned from, ConfigError for settings that have no effect on it."""
    if config.train.tta != "none" and TASKS[source.task].dense:
        raise ConfigError(
            "train.tta (test-time augmentation) is for outputs without places.",
            received=f"{config.train.tta!r}, for {source.task}",
            where=source.name,
            fix="Remove it.",
        )
    if config.train.tta != "none" and not MODALITIES[source.modality].tta:
        raise ConfigError(
            "train.tta (test-time augmentation) needs images.",
            received=f"{config.train.tta!r}, for {MODALITIES[source.modality].plural}",
            where=source.name,
            fix="Remove it.",
        )
    if config.train.calibrate and not TASKS[source.task].calibrates:
        raise ConfigError(
            "train.calibrate needs a classifier.", received=f"data for {source.task}", where=source.name,
            fix="Remove it.",
        )  # fmt: skip
    augment = augment_settings(config, source.modality)
    if config.data.repeats > 1 and (augment is None or augment == type(augment)()):
        raise ConfigError(
            "data.repeats needs augmentation: without it, all copies of a sample are equal.",
            received=f"repeats={config.data.repeats}, and no augmentation",
            fix="Remove it, or augment.",
        )
    check_trainable(source)
    if not TASKS[source.task].by_class:
        check_without_classes(config, source)


def check_without_classes(config: RunConfig, source: Source) -> None:
    """Raises ConfigError for settings that only work with classes."""
    needs_classes = {"augment.mixup or augment.cutmix": config.augment.mixes, "data.balance": config.data.balance < 1}
    for key, is_set in needs_classes.items():
        if is_set:
            raise ConfigError(
                f"{key} needs classes.", received=f"data for {source.task}", where=source.name,
                fix="Leave it at its default.",
            )  # fmt: skip


def drop_inactive(resolved: ResolvedConfig, source: Source) -> ResolvedConfig:
    """The settings without those that have no effect on this data. Raises ConfigError if the user has set one."""
    shares = {"data.val_fraction": "val" in source.splits, "data.test_fraction": not keeps_test(source)}
    unused = [key for key, inactive in shares.items() if inactive]
    resolved = resolved.mark_inactive(unused, f"{source.name} brings its own splits: {', '.join(source.splits)}")
    resolved = without_other_modalities(resolved, source)
    task = TASKS[source.task]
    if not task.by_class:
        resolved = resolved.mark_inactive({"data.balance"}, f"{source.name} is for {source.task}")
    return resolve_loss(resolved, source, task)


def resolve_loss(resolved: ResolvedConfig, source: Source, task: type[Task]) -> ResolvedConfig:
    """The settings with the loss of the task. Raises ConfigError for that of another, and what it does not use."""
    settings = {key for key, _ in flat(resolved.config) if key.startswith("loss.")}
    why = f"{source.name} is for {source.task}"
    if not task.losses:
        return resolved.mark_inactive(settings, why)
    kind = resolved.config.loss.kind
    if kind is None:
        resolved = resolved.choose({"loss.kind": (task.losses[0], f"the usual loss for {source.task}")})
    elif kind not in task.losses:
        raise ConfigError(
            f"The loss must be one for {source.task}: {', '.join(task.losses)}.", received=f"loss.kind={kind}",
            where=source.name, fix="Choose one, or leave it out.",
        )  # fmt: skip
    unused = resolved.config.loss.ignored()
    return resolved.mark_inactive(
        {f"loss.{name}" for name in unused}, f"loss.kind is {resolved.config.loss.kind}, as {why}"
    )


class Parts(NamedTuple):
    """The samples that are decoded: records, or tiles of their images, each with their source and indices."""

    train: tuple[Source, NDArray[np.int64]]
    val: tuple[Source, NDArray[np.int64]]

    @property
    def num_samples(self) -> int:
        return len(self.train[1]) + len(self.val[1])


def cut_parts(source: Source, splits: Splits, spec: Preprocess) -> Parts:
    """Training and validation samples; large images are cut into tiles if the preprocessing says so."""

    def size_of(index: int) -> tuple[int, int]:
        record = source.read(index)
        if not isinstance(record.payload, bytes):
            height, width = np.shape(record.payload)[:2]
            return height, width
        header = image_header(record.payload, f"{source.name}: {record.key}", getattr(spec, "max_pixels", 2**28))
        return header.height, header.width

    train, val = (cut_records(source, part, spec, size_of) for part in (splits.train, splits.val))
    if train[0] is not source:
        note(f"  images are cut into tiles: {len(train[1]):,} to train on, {len(val[1]):,} to validate on")
    return Parts(train, val)


def choose_inputs(
    resolved: ResolvedConfig, source: Source, splits: Splits, info: ModelInfo, start: Start | None
) -> tuple[ResolvedConfig, Preprocess, Splits, list[str]]:
    """The preprocessing, the settings with what was chosen for it, the splits with notes on pages, notes on a start.

    Raises DataError for samples that can't be read, unless those are skipped; ConfigError for inputs that differ from
    what the start's network knows.
    """
    resolved = resolve_vectors(resolved, start)
    several = SeveralPages()
    told: list[str] = []
    reasons: dict[str, str] = {}
    spec: Preprocess
    if start is not None and start.preprocess.has_vocabulary:  # the weights know one vocabulary
        spec, known = start.adapt_texts(resolved.config.text.length, source, splits.train)
        told.append(known)
    else:
        spec, reasons = choose(source, splits.train, resolved.config, info, several)
        if start is not None:
            start.check_inputs(spec, source)
    find_pages(source, np.concatenate([splits.val, splits.test]), several)
    for notice in several.notices:
        note(f"  {notice}")
    splits = replace(splits, notes=(*splits.notes, *several.notices))
    return resolved.choose({key: (value_of(spec, key), reason) for key, reason in reasons.items()}), spec, splits, told


def resolve_loading(resolved: ResolvedConfig, source: Source, parts: Parts, spec: Preprocess) -> ResolvedConfig:
    """The settings with how samples are loaded, and why.

    Raises ConfigError if the user wants streamed samples in the cache, DataError as `choose_loading` does.
    """
    wanted = resolved.config.data.loading
    loading, why = choose_loading(source, parts.num_samples, spec, wanted)
    note(f"  {loading}: {why}")
    if wanted == "auto":
        resolved = resolved.choose({"data.loading": (loading, why)})
    if loading == "stream":
        resolved = resolved.mark_inactive(
            {"data.cache"}, "streamed samples are decoded as they are needed, and not kept"
        )
    return resolved


def load_datasets(
    config: RunConfig, source: Source, splits: Splits, parts: Parts, spec: Preprocess, world: World
) -> tuple[Dataset, Dataset, InMemoryDataset | None]:
    """Training and validation data, decoded or ready to be, and the decoded test data if the first process can keep it.

    Payloads that the source keeps may take what decoded data leave of the memory budget. Raises DataError for samples
    that can't be read, except training samples if those are skipped.
    """
    loading, cache, task = config.data.loading, config.data.cache, TASKS[source.task]
    encode = partial(task.encode_records, preprocess=spec)
    assert loading != "auto", "resolved before"
    budget = memory_budget(source) // world.local_size  # each process of this machine keeps its own
    budget -= size_in_memory(parts.num_samples, spec)
    # A dense task is tested at the size of the images, not at that of the network.
    keeps_decoded = world.first and not task.dense and size_in_memory(len(splits.test), spec) <= budget
    if keeps_decoded:
        budget -= size_in_memory(len(splits.test), spec)
    if isinstance(source, CachedSource):
        source.shrink(max(0, budget) if loading == "memory" else 0)

    def load(part: tuple[Source, NDArray[np.int64]], label: str, on_corrupt: Corrupt) -> Dataset:
        return open_dataset(
            *part, spec, label,
            loading=loading, on_corrupt=on_corrupt, encode=encode, cache=cache, pin=world.device.type == "cuda",
        )  # fmt: skip

    train = load(parts.train, "decoding training data", config.data.on_corrupt)
    check_any_left(train, source)
    with explain_skipping(config.data.on_corrupt):
        val = load(parts.val, "decoding validation data", "stop")
    if isinstance(source, CachedSource):  # what is measured is drawn for the report, too
        source.forget([*splits.train.tolist(), *(splits.val.tolist() if len(splits.test) else [])])
    with explain_skipping(config.data.on_corrupt):
        test = load_test(source, splits.test, spec, keep=keeps_decoded) if loading == "memory" else None
    return train, val, test


@contextmanager
def explain_skipping(on_corrupt: Corrupt) -> Iterator[None]:
    """An error about samples that are held out says why they are not skipped, if the user wants to skip."""
    try:
        yield
    except DataError as error:
        if on_corrupt != "skip":
            raise
        more = (
            "Only training samples are skipped; to leave out others, use --data.skip_list, which `neocog check` writes."
        )
        raise DataError(f"{error}\n{more}") from None


def check_any_left(train: Dataset, source: Source) -> None:
    """Raises DataError if all training samples were skipped."""
    if not len(train):
        raise DataError(
            "Training needs a sample that can be read.",
            received="none",
            where=source.name,
            fix=f"The first error: {next(iter(train.skipped.values()))}",
        )


def load_test(source: Source, indices: NDArray[np.int64], spec: Preprocess, *, keep: bool) -> InMemoryDataset | None:
    """The decoded test data, or None if they are not to be kept; an unreadable sample must not be found after training.

    Raises DataError that names all samples that can't be read.
    """
    if not keep or isinstance(source, ArraySource):
        check_decodes(source, indices, spec, "checking test data")
        return None
    return load_in_memory(source, indices, spec, "decoding test data") if len(indices) else None
