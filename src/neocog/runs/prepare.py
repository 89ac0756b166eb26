"""Everything that can fail before a run exists: data opened, split and decoded; network built and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from neocog.data import Preprocess, Source, Splits, fingerprint, tell
from neocog.loading import Dataset, InMemoryDataset, Loader, choose_sampler, keep_payloads
from neocog.loading.choose import memory_budget
from neocog.planning import Plan
from neocog.progress import note
from neocog.runs.channels import match_channels
from neocog.runs.config import ResolvedConfig, RunConfig
from neocog.runs.data import (
    check_data,
    choose_inputs,
    cut_parts,
    drop_inactive,
    load_datasets,
    open_configured,
    resolve_loading,
)
from neocog.runs.head import check_head, fit_head, limit_head
from neocog.runs.modality import augment_settings, classes_of, find_network, network_options
from neocog.runs.network import build_network, check_progressive, init_from_data
from neocog.runs.split import describe_seen, split_source, trial_splits
from neocog.runs.start import Start, open_start
from neocog.runs.word_vectors import start_from_vectors
from neocog.tasks import TASKS, Task
from neocog.training import check_schedule, check_train
from neocog.training.distributed import World
from neocog.training.monitoring import check_monitor
from neocog.zoo import Network, model_info

__all__ = ["Prepared", "check_fit", "prepare"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """All that training needs, ready."""

    resolved: ResolvedConfig
    source: Source
    fingerprint: str
    splits: Splits
    preprocess: Preprocess
    train: Dataset
    val: Dataset
    test: InMemoryDataset | None
    """The decoded test data, if they fit in memory and are not arrays already."""
    loader: Loader
    """Of this process's part of the training batches."""
    model: Network
    plan: Plan
    """Of the network for one sample."""
    task: Task
    device: torch.device
    options: dict[str, Any]
    """The options of the network, apart from channels and classes."""
    start: Start | None = None
    """The user's own model that this run starts from."""
    notes: tuple[str, ...] = ()
    """Notices about that start, a sentence each."""

    @property
    def model_spec(self) -> dict[str, Any]:
        """How to rebuild this network."""
        model = self.resolved.config.model
        shape = {"num_classes": len(self.task.classes), "in_channels": self.preprocess.in_channels}
        return {"name": model.name, **shape, "options": self.options}

    def close(self) -> None:
        """Stop all background work of the datasets."""
        self.train.close()
        self.val.close()


def prepare(
    resolved: ResolvedConfig,
    world: World,
    *,
    data: object = None,
    download: bool = False,
    start_file: Path | None = None,
    begins: bool = True,
    scored: int | None = None,
    least_scored: int = 0,
) -> Prepared:
    """Open, split and decode the data; choose what was left open; build the network and check that it fits.

    `data` is a Python object that holds the data, if the settings name none. `start_file` is the run's copy, if there
    is one, of the model that it started from. `begins` is False if a checkpoint will replace the first weights, so that
    no head has to be fitted and no word vectors read. A trial is `scored` on at most that number of validation samples
    and not tested; training gives it some if there are fewer than `least_scored`.
    Writes nothing.
    Raises DataError, GeometryError, ConfigError, or BundleError for a damaged model to start from.
    """
    resolved = resolve_pretrained(resolved)
    start = open_start(resolved.config.model.pretrained, start_file)
    resolved, told = (resolved, []) if start is None else start.resolve(resolved)
    config = resolved.config
    check_config(config, world)
    source = open_configured(config, data, world, download=download)
    info, identity = find_network(config.model.name, source), fingerprint(source)
    if start is not None:
        source = match_channels(source, start.preprocess)
    check_data(config, source)
    resolved = drop_inactive(resolved, source)
    splits = split_source(source, config.data, config.train.seed)
    if scored is not None:
        splits = trial_splits(source, splits, scored, config.train.seed, least_scored)
    tell(source)
    for line in splits.notes:
        note(f"  {line}")
    source = keep_payloads(source, memory_budget(source) // world.local_size)
    resolved, spec, splits, of_inputs = choose_inputs(resolved, source, splits, info, start)
    resolved = resolve_device(resolved, world)
    config = resolved.config
    classes = classes_of(source, info)
    task_kind = TASKS[source.task]
    model, plan, of_head = build_network(config, info, spec, classes, start, task_kind)
    notes = describe_start(start, [*told, *of_inputs, *of_head], source, identity, splits)
    notes += start_from_vectors(model, spec, config) if begins else ()
    parts = cut_parts(source, splits, spec)
    resolved = resolve_loading(resolved, source, parts, spec)
    train, val, test = load_datasets(resolved.config, source, splits, parts, spec, world)
    preprocess = init_from_data(model, spec, train, config, start)
    check_progressive(config, model, spec, dense=task_kind.dense)
    model.to(world.device)
    task = task_kind.for_training(classes, config.loss, train.labels)
    if begins and config.model.head == "logistic":
        resolved = limit_head(resolved, model, train, preprocess, task, world)
        fit_head(model, train, preprocess, resolved.config, source, task, splits.train)
    return Prepared(
        resolved=resolved, source=source, fingerprint=identity, splits=splits, preprocess=preprocess,
        train=train, val=val, test=test, model=model, plan=plan,
        loader=make_loader(resolved.config, source, train, preprocess, len(classes), world),
        task=task, device=world.device,
        options=network_options(config, info, spec), start=start, notes=notes,
    )  # fmt: skip


def check_fit(resolved: ResolvedConfig, world: World, source: Source, splits: Splits) -> None:
    """Raises what `prepare` would for settings that don't fit the data, without decoding all of it."""
    resolved = resolve_pretrained(resolved)
    start = open_start(resolved.config.model.pretrained)
    resolved = resolved if start is None else start.resolve(resolved)[0]
    check_config(resolved.config, world)
    source = source if start is None else match_channels(source, start.preprocess)
    info = find_network(resolved.config.model.name, source)
    resolved, spec, *_ = choose_inputs(drop_inactive(resolved, source), source, splits, info, start)
    task = TASKS[source.task]
    model, *_ = build_network(resolved.config, info, spec, classes_of(source, info), start, task)
    resolve_loading(resolved, source, cut_parts(source, splits, spec), spec)
    check_progressive(resolved.config, model, spec, dense=task.dense)


def check_config(config: RunConfig, world: World) -> None:
    """Raises ConfigError for settings that are wrong for any data; called before any data are read."""
    model_info(config.model.name)  # raises if there is none
    check_monitor(config.monitor)
    check_schedule(config.schedule, config.train.epochs)
    check_head(config)
    check_train(config.train, num_processes=world.size, pretrained=bool(config.model.pretrained))


def resolve_pretrained(resolved: ResolvedConfig) -> ResolvedConfig:
    """The settings with the weights that `auto` finds on this machine, and why; none if there are none."""
    model = resolved.config.model
    if model.pretrained != "auto":
        return resolved
    from neocog.zoo.weights import available, none_available  # imported late, with a dozen files that few calls need

    found = available(model.name)
    if found is None:
        note(f"Training from scratch. {none_available(model.name)}")
        return resolved.choose({"model.pretrained": (None, "none is installed or cached")})
    where = "installed" if found == "package" else "cached"
    note(f"Weights start from pretrained ones: {found}, {where}")
    return resolved.choose({"model.pretrained": (found, where)})


def resolve_device(resolved: ResolvedConfig, world: World) -> ResolvedConfig:
    """The settings with the device that was found, and why."""
    if resolved.config.train.device != "auto":
        return resolved
    name = str(world.device) if world.size == 1 else world.device.type
    found = "there is no GPU" if name == "cpu" else "the fastest that is there"
    return resolved.choose({"train.device": (name, found)})


def make_loader(
    config: RunConfig, source: Source, train: Dataset, preprocess: Preprocess, num_classes: int, world: World
) -> Loader:
    """The training samples as batches, of which this process gets its part; on the device if they are in memory."""
    in_memory = isinstance(train, InMemoryDataset)
    augment = augment_settings(config, source.modality)
    sampler = choose_sampler(
        train.labels.numpy(),
        config.train.seed,
        balance=config.data.balance,
        repeats=config.data.repeats,
        block_size=None if in_memory else getattr(source, "block_size", None),
    )
    return Loader(
        train.to(world.device) if isinstance(train, InMemoryDataset) else train,
        preprocess,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        augment=augment,
        move=TASKS[source.task].mover(augment, preprocess),
        sampler=sampler,
        num_classes=num_classes,
        rank=world.rank,
        world=world.size,
        device=world.device,
    )


def describe_start(
    start: Start | None, told: Sequence[str], source: Source, identity: str, splits: Splits
) -> tuple[str, ...]:
    """Notices about the model that a run starts from, a sentence each; they are printed, too."""
    if start is None:
        return ()
    seen = describe_seen(start.path.name, start.lineage, source, identity, splits)
    notes = (start.describe(), *told, *seen)
    for i, line in enumerate(notes):
        note(f"  {line}" if i and not line.startswith("warning") else line)
    return notes
