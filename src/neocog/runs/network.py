"""The network of a run: built, given its first weights, and checked against its inputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from neocog.data import ImagePreprocess, Preprocess
from neocog.errors import CheckpointError, ConfigError, GeometryError
from neocog.loading import Dataset, InMemoryDataset
from neocog.modalities.table import MODALITIES
from neocog.planning import Plan
from neocog.rng import derive_seed
from neocog.runs.config import RunConfig
from neocog.runs.modality import augment_settings, network_options, size_advice
from neocog.runs.start import Start
from neocog.tasks import Classification, Task
from neocog.training import build_seeded, check_input
from neocog.training.progressive import sizes
from neocog.zoo import ModelConfig, ModelInfo, Network, Normalisation, create_model
from neocog.zoo.network import BuildSpec

__all__ = ["build_network", "check_progressive", "init_from_data"]

NUM_FIRST = 5000  # samples, about, from which a network is initialised


def build_network(
    config: RunConfig,
    info: ModelInfo,
    spec: Preprocess,
    classes: tuple[str, ...],
    start: Start | None,
    task: type[Task] = Classification,
) -> tuple[Network, Plan, list[str]]:
    """The network with its first weights, its plan for these inputs, and what became of a start's head.

    Raises ConfigError or GeometryError if it does not fit the inputs.
    """
    options = network_options(config, info, spec)
    if check_augment := MODALITIES[info.modality].check_augment:
        check_augment(augment_settings(config, info.modality), spec.shape)

    def build() -> Network:
        return create_model(
            config.model.name,
            num_classes=len(classes),
            in_channels=spec.in_channels,
            pretrained=config.model.pretrained if start is None else None,
            **options,
        )

    model = build_seeded(build, derive_seed(config.train.seed, "weights"))
    told = [] if start is None else [transfer_weights(start, model, options, classes)]
    freeze_stages(model, frozen_model(config))
    advice = size_advice(config.model.name, info)
    return model, check_input(model, spec.shape, len(classes), advice, info.input_dtype, task), told


def frozen_model(config: RunConfig) -> ModelConfig:
    """The settings of the network; word vectors that are kept as they are freeze its stem."""
    keeps = config.text.vectors_frozen and config.model.freeze is None
    return replace(config.model, freeze=0) if keeps else config.model


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


def check_progressive(config: RunConfig, model: Network, spec: Preprocess, *, dense: bool = False) -> None:
    """Raises ConfigError if the network can't be trained on images that get larger; it is left as it was."""
    share = config.train.progressive
    if share is None:
        return
    rule = "train.progressive is for images and networks that take several sizes."
    if dense:
        raise ConfigError(
            "train.progressive is for targets without places: masks and boxes keep the size of their images.",
            received=f"train.progressive={share:g}",
            fix="Leave it out.",
        )
    if spec.modality != "image":
        raise ConfigError(rule, received=f"data of the kind {spec.modality}", fix="Leave it out.")
    if config.speed.mode == "manual" and config.speed.compile:
        raise ConfigError(
            "A network that is compiled has images of one size.",
            received="train.progressive and speed.compile",
            fix="Leave one out.",
        )
    channels, height, width = spec.shape
    first = sizes((height, width), share)[0]
    if first == (height, width):
        raise ConfigError(
            "A setting must have an effect.",
            received=f"train.progressive={share:g}, with which images of {height}x{width} are whole from the start",
            fix="Use a smaller share, or leave it out.",
        )
    training = model.training
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(2, channels, *first))
    except (GeometryError, RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(
            rule,
            received=f"{config.model.name}, which can't take {first[0]}x{first[1]} pixels ({reason:.200})",
            fix="Use a larger share, another network, or leave it out.",
        ) from error
    finally:
        model.train(training)


def transfer_weights(start: Start, model: Network, options: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Copy the weights of the user's own model to a fresh network; returns a sentence on its head.

    Raises ConfigError for options that change the shapes of layers, and what `load_own` does.
    """
    from neocog.zoo.weights import load_own  # imported late, with a dozen files that few calls need
    from neocog.zoo.weights.pretrained import adapted_normalisation

    trained, spec = start.predictor.model, model.build_spec
    assert trained is not None
    assert spec is not None
    check_shapes(start, model, spec, options)
    if isinstance(start.preprocess, ImagePreprocess):
        expected = Normalisation(start.preprocess.mean, start.preprocess.std)
        model.normalisation = adapted_normalisation(expected, spec.in_channels)
    try:
        return load_own(model, trained.state_dict(), start.predictor.classes, classes)
    except CheckpointError as error:
        before, now = start.preprocess.in_channels, spec.in_channels
        if before == now:
            raise
        raise ConfigError(
            f"The first layers of {start.network} can't be adapted to other channels.",
            received=f"{now}, and the model was trained with {before}",
            where=str(start.path),
            fix="Leave --image.channels out, or train a new network.",
        ) from error


def check_shapes(start: Start, model: Network, spec: BuildSpec, options: Mapping[str, Any]) -> None:
    """Raises ConfigError for options that change the shapes of layers."""
    before, now = start.options, dict(options)
    differ = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if not differ:
        return
    with torch.device("meta"):
        there = create_model(start.network, num_classes=spec.num_classes, in_channels=spec.in_channels, **before)
    shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (there, model)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"A fine-tuned network keeps the shapes of its layers, built with {list_options(before, differ)}.",
            received=list_options(now, differ),
            where=str(start.path),
            fix="Leave it out.",
        )


def list_options(options: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={options.get(name, 'its own default')}" for name in names)
