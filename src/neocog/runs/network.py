"""The network of a run: built, given its first weights, and checked against its inputs."""

from dataclasses import replace
from typing import cast

import numpy as np
from torch import Tensor

from neocog.data import ImagePreprocess, Preprocess, check_augment
from neocog.errors import ConfigError
from neocog.loading import Dataset, InMemoryDataset
from neocog.planning import Plan
from neocog.rng import derive_seed
from neocog.runs.config import RunConfig
from neocog.runs.modality import network_options, size_advice
from neocog.runs.start import Start
from neocog.training import build_seeded, check_input
from neocog.zoo import ModelConfig, ModelInfo, Network, create_model

__all__ = ["build_network", "init_from_data"]

NUM_FIRST = 5000  # samples, about, from which a network is initialised


def build_network(
    config: RunConfig, info: ModelInfo, spec: Preprocess, classes: tuple[str, ...], start: Start | None
) -> tuple[Network, Plan, list[str]]:
    """The network with its first weights, its plan for these inputs, and what became of a start's head.

    Raises ConfigError or GeometryError if it does not fit the inputs.
    """
    options = network_options(config, info, spec)
    if info.modality == "image":
        channels, height, width = spec.shape
        check_augment(config.augment, (channels, height, width))

    def build() -> Network:
        return create_model(
            config.model.name,
            num_classes=len(classes),
            in_channels=spec.in_channels,
            pretrained=config.model.pretrained if start is None else None,
            **options,
        )

    model = build_seeded(build, derive_seed(config.train.seed, "weights"))
    told = [] if start is None else [start.put_into(model, options, classes)]
    freeze_stages(model, config.model)
    advice = size_advice(config.model.name, info)
    return model, check_input(model, spec.shape, len(classes), advice, info.input_dtype), told


def freeze_stages(model: Network, config: ModelConfig) -> None:
    """Freeze the stages that the settings name. Raises ConfigError for more stages than there are."""
    if config.freeze is None:
        return
    if config.freeze > len(model.stages):
        raise ConfigError(
            "model.freeze must be at most the number of stages.",
            received=str(config.freeze),
            where=f"{config.name}, which has {len(model.stages)} stages",
            fix="Lower it.",
        )
    model.freeze(config.freeze)


def init_from_data(
    model: Network, spec: Preprocess, train: Dataset, config: RunConfig, start: Start | None
) -> Preprocess:
    """The preprocessing with its statistics, and the network with its data-dependent initial weights.

    Both come from training data. If these are streamed, samples from all of the set are used, as files are often sorted
    by class; so are those that the network is initialised with.
    """
    spread = np.arange(0, len(train), max(1, len(train) // NUM_FIRST))
    first = train.take(spread)[0] if config.model.pretrained is None or not isinstance(train, InMemoryDataset) else None
    if start is not None and (kept := start.keep_statistics(spec)) is not None:
        return kept
    expected = model.normalisation
    if expected is not None and isinstance(spec, ImagePreprocess):
        preprocess: Preprocess = replace(spec, mean=expected.mean, std=expected.std)
    else:
        preprocess = spec.measured(train.inputs if isinstance(train, InMemoryDataset) else cast(Tensor, first))
    if config.model.pretrained is None and first is not None:
        model.init_from_data(preprocess.normalise(first))
    return preprocess
