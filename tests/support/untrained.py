"""Predictors without training: a network with random weights, and the preprocessing that a run would choose."""

import numpy as np
import torch
from torch import nn

from neocog.bundle import Predictor, torch_backend
from neocog.data import DataConfig, Source
from neocog.loading import load_in_memory
from neocog.runs import RunConfig
from neocog.runs.modality import choose, classes_of, network_options
from neocog.tasks import TASKS
from neocog.zoo import ModelConfig, create_model, model_info

__all__ = ["untrained"]


def untrained(name: str, source: Source) -> Predictor:
    """A predictor for a source; its batch norms have statistics that are not trivial."""
    info, config = model_info(name), RunConfig(data=DataConfig(source=""), model=ModelConfig(name=name))
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
