"""Each recipe's network, on a few inputs that its augmentation has changed, makes a step with its optimiser."""

import numpy as np
import pytest
import torch

from neocog.data import augment
from neocog.modalities.image.augment import mix
from neocog.recipes import list_recipes, recipe
from neocog.tasks import Classification, Segmentation, SignalSegmentation
from neocog.training import build_seeded, make_optimizer
from neocog.training.optim.optimizers import OptimizerConfig
from neocog.zoo import create_model, model_info

CLASSES = 3
SIDES = {"inception_v3": 75}  # of pictures, where 32 are too few
STANDS_FOR = {"resnet50": "resnet18"}  # to be quick
LEFT_OUT = {
    "alexnet": "61 million weights",
    "vgg": "138 million weights",
    "strong_a1": "as strong_a3, save numbers and smoothing",
    "strong_a2": "as strong_a3, save numbers",
    "detection": "its targets are boxes, which tests/tasks/test_every_task.py has",
}


def inputs_of(config, num):
    """Random inputs of the network's kind, changed as the recipe says, and labels."""
    found, generator = model_info(network_of(config)), torch.Generator().manual_seed(0)
    labels = torch.arange(num) % CLASSES
    if found.modality == "text":
        return torch.randint(found.in_channels, (num, *found.input_size), generator=generator), labels
    if found.task == "signal segmentation":
        signals = torch.randn(num, *found.input_shape, generator=generator)
        return signals, torch.randint(CLASSES, (num, found.input_shape[-1]), generator=generator).to(torch.uint8)
    if found.modality != "image":
        return torch.randn(num, *found.input_shape, generator=generator), labels
    size = SIDES.get(network_of(config), 32)
    images = torch.randint(256, (num, found.in_channels, size, size), generator=generator).to(torch.uint8)
    samples, fill = np.arange(num, dtype=np.uint64), torch.full((found.in_channels,), 128.0)
    images = (augment(images, samples, config.augment, seed=0, epoch=0, fill=fill).float() - 128) / 64
    if found.task == "segmentation":
        return images, torch.randint(CLASSES, (num, size, size), generator=generator).to(torch.uint8)
    if config.augment.mixes:
        return mix(images, torch.eye(CLASSES)[labels], samples, config.augment, seed=0, epoch=0)
    return images, labels


def network_of(config):
    return STANDS_FOR.get(config.model.name, config.model.name)


def build(config):
    name = network_of(config)
    classes = {} if name.startswith("go_") else {"num_classes": CLASSES}
    return build_seeded(lambda: create_model(name, **classes, **config.model.options), seed=0)


@pytest.mark.parametrize("name", sorted(set(list_recipes()) - LEFT_OUT.keys()))
def test_first_step(name):
    config = recipe(name, "x")
    model = build(config)
    inputs, labels = inputs_of(config, num=4)
    optimizer = make_optimizer(model, config.optimizer)
    learning = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in learning]
    task = {"segmentation": Segmentation, "signal segmentation": SignalSegmentation}.get(
        model_info(network_of(config)).task, Classification
    )
    loss = task.for_training(tuple("abc"), config.loss, labels).loss(model(inputs), labels)
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    moved = [not torch.equal(old, new) for old, new in zip(before, learning, strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_fine_tuning_moves_early_layers_least():
    """Each block at three quarters of the rate of the one behind it: eight blocks, and the stem before them."""
    config = recipe("finetune", "x")
    model = build(config)
    optimizer = make_optimizer(model, config.optimizer)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    first, last = next(model.stem.parameters()), next(model.head.parameters())
    assert rates[id(last)] == pytest.approx(0.001)
    assert rates[id(first)] == pytest.approx(0.001 * 0.75**9)
    norms = [p for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d) for p in module.parameters()]
    assert {decays[id(p)] for p in norms} == {0.0} and decays[id(first)] == config.optimizer.weight_decay


@pytest.mark.parametrize("name", ["strong_a1", "finetune"])
def test_what_is_left_out_of_the_decay_is_norms_and_biases(name):
    config: OptimizerConfig = recipe(name, "x").optimizer
    model = create_model("resnet18", num_classes=CLASSES)
    free = [
        p for group in make_optimizer(model, config).param_groups if not group["weight_decay"] for p in group["params"]
    ]
    assert {id(p) for p in free} == {id(p) for p in model.parameters() if p.ndim == 1}
