"""Everything that can go wrong before a run exists: data opened, divided, decoded; network built and fitted."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.data import (
    DataConfig,
    ImagePreprocess,
    Preprocess,
    Source,
    Splits,
    check_augment,
    check_test,
    check_trainable,
    divide,
    fingerprint,
    keeps_test,
    open_source,
    tell,
)
from neocog.data.formats import COLUMNS, FOLDERS
from neocog.doctor.skip_list import read_skip_list
from neocog.errors import ConfigError, DataError
from neocog.loading import Corrupt, Dataset, InMemoryDataset, check_decodes, choose_loading, open_dataset
from neocog.modalities.image.choose import find_pages
from neocog.modalities.image.pages import SeveralPages
from neocog.progress import note
from neocog.rng import derive_seed
from neocog.runs.channels import match_channels
from neocog.runs.config import RunConfig, Settled
from neocog.runs.modality import (
    NOUNS,
    changes,
    choose,
    classes_of,
    fitting,
    network_options,
    size_advice,
    value_of,
    without_other_modalities,
    without_vocabulary,
)
from neocog.runs.start import Start, open_start
from neocog.tasks import Classification
from neocog.training import TrainConfig, build_seeded, check_input, check_schedule
from neocog.training.distributed import World, on_first
from neocog.training.watching import check_watch
from neocog.zoo import ModelConfig, ModelInfo, Network, create_model, model_info

__all__ = ["Prepared", "find_device", "leave_out", "prepare"]

BEGIN_WITH = 5000  # records, about, from which a network takes what it begins with


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that training needs, ready."""

    settled: Settled
    source: Source
    fingerprint: str
    splits: Splits
    preprocess: Preprocess
    train: Dataset
    val: Dataset
    model: nn.Module
    task: Classification
    device: torch.device
    options: dict[str, Any]
    """What the network was built with, beside channels and classes."""
    start: Start | None = None
    """The model of the user's own that this run starts from."""
    notes: tuple[str, ...] = ()
    """What is to be known of that start, a sentence each."""

    @property
    def model_spec(self) -> dict[str, Any]:
        """How to build this network again."""
        model = self.settled.config.model
        shape = {"num_classes": len(self.task.classes), "in_channels": self.preprocess.in_channels}
        return {"name": model.name, **shape, "options": self.options}


def prepare(
    settled: Settled,
    *,
    data: object = None,
    download: bool = False,
    world: World | None = None,
    start_file: Path | None = None,
) -> Prepared:
    """Open, divide and decode the data; choose what was left open; build the network and check that it fits.

    `data` is a Python object that holds the data, where the settings name none. Of the processes of a `world` the first
    downloads, and each takes its own device. `start_file` is the copy, if there is one, of a model that the run started
    from. Writes nothing.
    Raises DataError, GeometryError, ConfigError, or BundleError for a model to start from that is damaged.
    """
    start = open_start(settled.config.model.pretrained, start_file)
    notes: list[str] = []
    if start is not None:
        settled, notes = start.settle(settled)
    config = settled.config
    model_info(config.model.name)  # raises where there is none, before any data is read
    check_watch(config.watch)
    check_schedule(config.schedule, config.train.epochs)
    if config.train.freeze_epochs and not config.model.pretrained:
        raise ConfigError(
            "train.freeze_epochs is for a network that was trained before. Received: "
            f"{config.train.freeze_epochs}, and no model.pretrained. Name weights, or set freeze_epochs to 0."
        )
    world = world or World(device=find_device(config.train.device))
    device = world.device
    if download and world.size > 1:
        on_first(lambda: opened(config, data, download=True), world)
    source = opened(config, data, download=download)
    info, identity = fitting(config.model.name, source), fingerprint(source)
    if start is not None:
        source = match_channels(source, start.preprocess)
    check_train(config.train, source, world)
    check_repeats(config, source)
    check_trainable(source)
    settled = without_unused(settled, source)
    splits = divided(source, config.data, config.train.seed)
    tell(source)
    for line in splits.notes:
        note(f"  {line}")
    several = SeveralPages()
    spec, reasons = chosen(source, splits, config, info, several, start, notes)
    splits = with_pages(source, splits, several)
    settled = settled.choose({key: (value_of(spec, key), reason) for key, reason in reasons.items()})
    settled = with_device(settled, device if world.size == 1 else torch.device(device.type))
    classes = classes_of(source, info)
    model = build_network(config, info, spec, classes, start, notes)
    if start is not None:
        notes = [start.tell(), *notes, *start.tell_seen(source, identity, splits)]
        tell_lines(notes)
    settled = with_feeding(settled, source, len(splits.train) + len(splits.val), spec)
    train, val = open_feeds(settled.config.data, source, splits, spec, pin=device.type == "cuda")
    return Prepared(
        settled=settled,
        source=source,
        fingerprint=identity,
        splits=splits,
        preprocess=begin(model, spec, train, config, start),
        train=train,
        val=val,
        model=model.to(device),
        task=Classification(classes, config.loss, train.labels),
        options=network_options(config, info, spec),
        device=device,
        start=start,
        notes=tuple(notes),
    )


def chosen(
    source: Source,
    splits: Splits,
    config: RunConfig,
    info: ModelInfo,
    several: SeveralPages,
    start: Start | None,
    notes: list[str],
) -> tuple[Preprocess, dict[str, str]]:
    """The preprocessing and the reasons for what was left open; what there is to say of a start is added to `notes`."""
    if start is None:
        return choose(source, splits.train, config, info, several)
    if source.modality == "text":  # its vocabulary is what the weights know
        spec, known = start.texts(config.text.length, source, splits.train)
        notes.append(known)
        return spec, {}
    found, reasons = choose(source, splits.train, config, info, several)
    start.check_inputs(found, source)
    return found, reasons


def tell_lines(notes: Sequence[str]) -> None:
    """A line, and what belongs to it below."""
    note(notes[0])
    for line in notes[1:]:
        note(line if line.startswith("warning") else f"  {line}")


def check_train(config: TrainConfig, source: Source, world: World) -> None:
    """Raises ConfigError for settings that would have no effect, or fail when all is trained."""
    if config.views != "none" and source.modality != "image":
        raise ConfigError(
            f"train.views are of pictures. Received: {config.views!r}, and {source.name} holds "
            f"{NOUNS[source.modality]}. Remove it."
        )
    if config.accumulate > config.batch_size:
        raise ConfigError(
            "train.accumulate must be at most train.batch_size. "
            f"Received: {config.accumulate} parts of a batch of {config.batch_size}. Use fewer."
        )
    if world.size == 1 and (config.bf16_gradients or not config.sync_batch_norm):
        name = "bf16_gradients" if config.bf16_gradients else "sync_batch_norm"
        raise ConfigError(
            f"A setting must have an effect. train.{name} would be ignored, because one process trains alone. Remove "
            "it, or train with several: --devices."
        )


def check_repeats(config: RunConfig, source: Source) -> None:
    """Raises ConfigError where records would come several times in the same way."""
    change = changes(config, source.modality)
    if config.data.repeats > 1 and (change is None or change == type(change)()):
        raise ConfigError(
            "A setting must have an effect. data.repeats shows a record several times, augmented in another way each "
            f"time. Received: repeats={config.data.repeats}, and no augmentation. Remove it, or augment."
        )


def opened(config: RunConfig, data: object, *, download: bool) -> Source:
    """The data that the settings name, or a Python object that holds it."""
    options = {name: getattr(config.signal, name) for name in ("window", "step", "rate", "columns")}
    named = config.data.source if data is None else data
    options |= {name: getattr(config.data, name) for name in (*COLUMNS, *FOLDERS)}
    return open_source(named, format=config.data.format, download=download, **options)


def with_pages(source: Source, splits: Splits, several: SeveralPages) -> Splits:
    """The splits with a note, which is also shown, on image files of which only the first page is read."""
    find_pages(source, np.concatenate([splits.val, splits.test]), several)
    for notice in several.notices:
        note(f"  {notice}")
    return replace(splits, notes=(*splits.notes, *several.notices))


def without_unused(settled: Settled, source: Source) -> Settled:
    """The settings that have an effect on this data. Raises ConfigError where the user has set another."""
    settled = without_other_modalities(without_shares(settled, source), source)
    return without_vocabulary(settled) if source.modality == "text" else settled


def with_device(settled: Settled, device: torch.device) -> Settled:
    """The settings with the device that was found, and why."""
    if settled.config.train.device != "auto":
        return settled
    found = "the fastest that is there" if device.type != "cpu" else "there is no GPU"
    return settled.choose({"train.device": (str(device), found)})


def with_feeding(settled: Settled, source: Source, count: int, spec: Preprocess) -> Settled:
    """The settings with the way in which so many records are fed, and why.

    Raises ConfigError where the user wants streamed records in the cache, DataError as `choose_loading` does.
    """
    wanted = settled.config.data.feeding
    feeding, why = choose_loading(source, count, spec, wanted)
    note(f"  {feeding}: {why}")
    if wanted == "auto":
        settled = settled.choose({"data.feeding": (feeding, why)})
    if feeding == "streaming":
        settled = settled.decide({"data.cache"}, "what is streamed is decoded as it is needed, and not kept")
    return settled


def open_feeds(
    config: DataConfig, source: Source, splits: Splits, spec: Preprocess, *, pin: bool
) -> tuple[Dataset, Dataset]:
    """Training and validation data, decoded or ready to be; test data are decoded once, and not kept.

    Raises DataError for records that can't be read, save training records where such are skipped.
    """
    assert config.feeding != "auto", "chosen before"
    feeding, cache = config.feeding, config.cache

    def feed(indices: NDArray[np.int64], label: str, on_corrupt: Corrupt) -> Dataset:
        return open_dataset(
            source, indices, spec, label, feeding=feeding, on_corrupt=on_corrupt, cache=cache, pin=pin
        )  # fmt: skip

    train = feed(splits.train, "decoding training data", config.on_corrupt)
    if not len(train):
        raise DataError(
            f"Training needs a record that can be read. None of {source.name} can, the first because: "
            f"{next(iter(train.skipped.values()))}"
        )
    val = feed(splits.val, "decoding validation data", "stop")
    if feeding == "resident":  # what is streamed is too much to be decoded only to be checked
        # A record that can't be read must not be found out when all is trained.
        check_decodes(source, splits.test, spec, "checking test data")
    return train, val


def freeze(model: Network, config: ModelConfig) -> None:
    """Freeze what the settings ask for. Raises ConfigError for more stages than there are."""
    if config.freeze is None:
        return
    if config.freeze > len(model.stages):
        raise ConfigError(
            f"model.freeze must be at most the number of stages. {config.name} has {len(model.stages)}. "
            f"Received: {config.freeze}."
        )
    model.freeze(config.freeze)


def build_network(
    config: RunConfig,
    info: ModelInfo,
    spec: Preprocess,
    classes: tuple[str, ...],
    start: Start | None,
    notes: list[str],
) -> Network:
    """The network with its first weights; what became of a start's head is added to `notes`.

    Raises ConfigError or GeometryError where it does not fit the inputs.
    """
    num_classes, options = len(classes), network_options(config, info, spec)
    if info.modality == "image":
        channels, height, width = spec.shape
        check_augment(config.augment, (channels, height, width))

    def build() -> Network:
        return create_model(
            config.model.name,
            num_classes=num_classes,
            in_channels=spec.in_channels,
            pretrained=config.model.pretrained if start is None else None,
            **options,
        )

    model = build_seeded(build, derive_seed(config.train.seed, "weights"))
    if start is not None:
        notes.append(start.put_into(model, options, classes))
    freeze(model, config.model)
    check_input(model, spec.shape, num_classes, size_advice(config.model.name, info), info.input_dtype)
    return model


def begin(
    model: Network, spec: Preprocess, train: Dataset, config: RunConfig, start: Start | None = None
) -> Preprocess:
    """The preprocessing with what it takes from training data, and the network with what it begins with.

    Of a set that is streamed some records from everywhere are looked at, as files are often sorted by class; so are
    those that the network begins with.
    """
    spread = np.arange(0, len(train), max(1, len(train) // BEGIN_WITH))
    first = train.take(spread)[0] if config.model.pretrained is None or not isinstance(train, InMemoryDataset) else None
    if start is not None and (kept := start.measured(spec)) is not None:
        return kept
    expected = model.normalisation
    if expected is not None and isinstance(spec, ImagePreprocess):
        preprocess: Preprocess = replace(spec, mean=expected.mean, std=expected.std)
    else:
        preprocess = spec.measured(train.inputs if isinstance(train, InMemoryDataset) else cast(Tensor, first))
    if config.model.pretrained is None and first is not None:
        model.init_from_data(preprocess.normalise(first))
    return preprocess


def divided(source: Source, config: DataConfig, seed: int) -> Splits:
    """The parts of a source, without what a skip list names."""
    splits = divide(source, val_fraction=config.val_fraction, test_fraction=config.test_fraction, seed=seed)
    check_test(source, splits)
    if config.skip_list is None:
        return splits
    skip = read_skip_list(Path(config.skip_list))
    kept = {name: leave_out(source, getattr(splits, name), skip) for name in ("train", "val", "test")}
    num_left_out = sum(len(getattr(splits, name)) - len(part) for name, part in kept.items())
    return Splits(**kept, notes=(*splits.notes, f"{num_left_out:,} records are left out by {config.skip_list}"))


def leave_out(source: Source, indices: NDArray[np.int64], skip: Container[str]) -> NDArray[np.int64]:
    """These records without those whose keys are to be skipped. Raises DataError where none is left."""
    kept = np.array([index for index in indices.tolist() if source.key(index) not in skip], np.int64)
    if len(indices) and not len(kept):
        raise DataError(f"Each split needs at least one record. The skip list names all of one of {source.name}.")
    return kept


def without_shares(settled: Settled, source: Source) -> Settled:
    """The settings without those shares that the set decides by bringing splits of its own.

    Raises ConfigError where the user has set one of them.
    """
    shares = {"data.val_fraction": "val" in source.splits, "data.test_fraction": not keeps_test(source)}
    own = [key for key, unused in shares.items() if unused]
    return settled.decide(own, f"{source.name} brings its own splits: {', '.join(source.splits)}")


def find_device(name: str) -> torch.device:
    """The device of this name; auto is a GPU where there is one. Raises ConfigError where it can't be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"train.device must be a device of this machine. Received: {name!r}: {reason}") from error
    if device.type == "meta":
        raise ConfigError("train.device must be a device that computes. Received: 'meta'.")
    return device
