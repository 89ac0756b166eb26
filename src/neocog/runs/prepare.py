"""Everything that can go wrong before a run exists: data opened, divided, decoded; network built and fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from neocog.data import (
    ImagePreprocess,
    Preprocess,
    Resident,
    Source,
    Splits,
    check_decodes,
    check_trainable,
    choose_preprocess,
    describe,
    divide,
    fingerprint,
    load_resident,
    open_source,
)
from neocog.errors import ConfigError
from neocog.progress import note
from neocog.rng import derive_seed
from neocog.runs.config import Settled
from neocog.tasks import Classification
from neocog.training import build_seeded, check_input
from neocog.zoo import Entry, ModelConfig, Network, create_model, entry

__all__ = ["Prepared", "prepare"]

BEGIN_WITH = 5000  # pictures, about, from which a network takes what it begins with


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that training needs, ready."""

    settled: Settled
    source: Source
    fingerprint: str
    splits: Splits
    preprocess: Preprocess
    train: Resident
    val: Resident
    model: nn.Module
    task: Classification
    device: torch.device

    @property
    def model_spec(self) -> dict[str, Any]:
        """How to build this network again."""
        model = self.settled.config.model
        shape = {"num_classes": len(self.source.classes), "in_channels": self.preprocess.in_channels}
        return {"name": model.name, **shape, "options": model.options}


def prepare(settled: Settled, *, download: bool = False) -> Prepared:
    """Open, divide and decode the data; choose what was left open; build the network and check that it fits.

    Writes nothing. Raises DataError, GeometryError or ConfigError.
    """
    config = settled.config
    height, width = trainable(config.model.name).input_size
    device = find_device(config.train.device)
    source = open_source(config.data.source, download=download)
    check_trainable(source)
    splits = divide(
        source,
        val_fraction=config.data.val_fraction,
        test_fraction=config.data.test_fraction,
        seed=config.train.seed,
    )
    settled = without_decided(settled, source)
    note(describe(source))
    for notice in (*source.notices, *splits.notes):
        note(f"  {notice}")
    spec, reasons = choose_preprocess(source, splits.train, config.data, (height, width))
    settled = settled.choose(chosen_values(spec, reasons))
    if config.train.device == "auto":
        found = "the fastest that is there" if device.type != "cpu" else "there is no GPU"
        settled = settled.choose({"train.device": (str(device), found)})

    def build() -> Network:
        return create_model(
            config.model.name,
            num_classes=len(source.classes),
            in_channels=spec.channels,
            pretrained=config.model.pretrained,
            **config.model.options,
        )

    if config.augment.shift >= min(spec.shape[1:]):
        raise ConfigError(
            f"augment.shift must be smaller than the pictures. Received: {config.augment.shift} for pictures of "
            f"{spec.shape[1]}x{spec.shape[2]}."
        )
    model = build_seeded(build, derive_seed(config.train.seed, "weights"))
    freeze(model, config.model)
    advice = f"{config.model.name} was made for {height}x{width}: leave --data.size and --data.pad out."
    check_input(model, spec.shape, len(source.classes), advice)
    train = load_resident(source, splits.train, spec, "decoding training data")
    val = load_resident(source, splits.val, spec, "decoding validation data")
    # A picture that can't be read must not be found out when all is trained; nothing of the test data is kept.
    check_decodes(source, splits.test, spec, "checking test data")
    preprocess = normalised(spec, train, model)
    if config.model.pretrained is None:
        some = train.inputs[:: max(1, len(train) // BEGIN_WITH)]  # from everywhere, as files are often sorted by class
        model.begin_with(preprocess.normalise(some))
    return Prepared(
        settled=settled,
        source=source,
        fingerprint=fingerprint(source),
        splits=splits,
        preprocess=preprocess,
        train=train,
        val=val,
        model=model.to(device),
        task=Classification(source.classes, config.loss),
        device=device,
    )


def trainable(name: str) -> Entry:
    """The catalogue's entry of a network that learns to classify pictures.

    Raises ConfigError for other networks.
    """
    found = entry(name)
    if not found.by_gradients:
        raise ConfigError(
            f"{name} does not learn by gradients. In Python: create_model({name!r}).learn(images, labels)."
        )
    if (found.task, found.modality) != ("classification", "image"):
        kind = {"image": "pictures"}.get(found.modality, f"{found.modality}s")
        raise ConfigError(
            f"Pictures are classified by networks made for that. {name} is for {found.task} of {kind}. "
            f"Choose another from `neocog zoo`, such as resnet18."
        )
    return found


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


def normalised(spec: Preprocess, train: Resident, model: Network) -> Preprocess:
    """The preprocessing with the mean and deviation that published weights expect, else with those of the data."""
    expected = model.normalisation
    if expected is not None and isinstance(spec, ImagePreprocess):
        return replace(spec, mean=expected.mean, std=expected.std)
    return spec.measured(train.inputs)


def without_decided(settled: Settled, source: Source) -> Settled:
    """The settings without those shares that the set decides by bringing splits of its own.

    Raises ConfigError where the user has set one of them.
    """
    shares = {"data.val_fraction": "val" in source.splits, "data.test_fraction": "all" not in source.splits}
    decided = frozenset(key for key, unused in shares.items() if unused)
    for key in decided:
        if not settled.origins[key].startswith(("default", "recipe")):
            raise ConfigError(
                f"A setting must have an effect. {key} ({settled.origins[key]}) would be ignored: {source.name} "
                f"brings its own splits: {', '.join(source.splits)}. Remove it."
            )
    return Settled(settled.config, settled.origins, decided)


def chosen_values(spec: Preprocess, reasons: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """The chosen parts of the preprocessing as settings."""
    return {f"data.{key}": (getattr(spec, key), reason) for key, reason in reasons.items()}


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
