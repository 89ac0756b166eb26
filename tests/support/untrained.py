"""Predictors without training: a network with random weights, and the preprocessing that a run would choose."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neocog.bundle import Predictor, torch_backend, write_bundle
from neocog.data import DataConfig, Source
from neocog.loading import load_in_memory
from neocog.modalities.image.choose import ImageConfig
from neocog.runs import RunConfig
from neocog.runs.modality import choose, classes_of, network_options
from neocog.tasks import TASKS
from neocog.zoo import ModelConfig, create_model, model_info
from neocog.zoo.network import Network

__all__ = ["untrained", "write_untrained"]


def untrained(name: str, source: Source, size: tuple[int, int] | None = None) -> Predictor:
    """A predictor for a source; its batch norms have statistics that are not trivial. `size` is that of images."""
    config = RunConfig(data=DataConfig(source=""), model=ModelConfig(name=name), image=ImageConfig(size=size))
    info = model_info(name)
    every = np.arange(len(source))
    spec, _ = choose(source, every, config, info)
    classes = classes_of(source, info)
    torch.manual_seed(0)
    model = create_model(
        name, num_classes=len(classes), in_channels=spec.in_channels, **network_options(config, info, spec)
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)  # type: ignore[arg-type]
    if not TASKS[source.task].dense:
        spec = spec.measured(load_in_memory(source, every, spec).inputs)
    task = TASKS[source.task](classes)
    return Predictor(torch_backend(model), spec, task, manifest={"model": {"name": name}}, model=model)


def write_untrained(
    path: Path,
    name: str,
    source: Source,
    size: tuple[int, int] | None = None,
    change: Callable[[nn.Module], object] = lambda _: None,
) -> Predictor:
    """The same as a bundle at this path, after a `change` of the network."""
    predictor = untrained(name, source, size)
    model = predictor.model
    assert isinstance(model, Network) and model.build_spec is not None
    change(model)
    spec = model.build_spec
    about = {
        "name": name, "num_classes": spec.num_classes, "in_channels": spec.in_channels, "options": dict(spec.options)
    }  # fmt: skip
    write_bundle(path, model, predictor, [source.read(0).payload], {"model": about})
    return predictor
