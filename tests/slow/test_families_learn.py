"""Every family of picture networks learns: digits in one epoch, or half the loss in 30 steps."""

import time
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F

from neocog import create_model, open_source
from neocog.data import AugmentConfig, augment
from neocog.tasks import Classification
from neocog.training import OptimizerConfig
from neocog.training.executor import Precision, StepExecutor
from neocog.training.optim.optimizers import make_optimizer
from neocog.training.speed import Candidate, keep_memory
from neocog.training.state import hidden_parameters

pytestmark = pytest.mark.slow

MOVES = AugmentConfig(shift=2, rotate=10, scale=0.1)


@dataclass(frozen=True, kw_only=True)
class How:
    """How a network learns."""

    lr: float
    muon: bool = False
    """Else AdamW."""
    weight_decay: float = 0.01
    bias_lr_factor: float = 1.0
    """Of the rate, for biases; their decay grows with it."""
    batch: int = 50
    size: int = 32
    """The side to which digits are enlarged: of 32 pixels a network that halves them five times leaves one place."""
    options: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Epoch(How):
    """How a network goes once through the digits."""

    views: int = 1
    """So many views of each digit, each moved in its own way, stand in a step together.

    Where only one place is left of the map, batch norm needs more than 25 of them. Source: Hoffer et al. 2020,
    "Augment your batch".
    """
    temperature: float = 1.0
    """What logits are divided by; squared distances to codes of 84 values are large."""
    precision: Precision = "fp32"
    """Of convolutions and products; in bf16 with channels last, as runs have it."""


PLAIN = {"dropout": 0.0}
# Networks that take 32x32. All are asked for 97% after one epoch.
LEARN_DIGITS = {
    "lenet5": Epoch(lr=4e-3, muon=True, batch=10, temperature=20),
    "lenet5_relu": Epoch(lr=5e-3),
    "vgg11_bn": Epoch(lr=5e-4),
    "googlenet": Epoch(lr=2e-3),
    "plain18": Epoch(lr=2e-3, muon=True, batch=25),
    "resnet18": Epoch(lr=2e-3),
    "resnet20_cifar": Epoch(lr=1e-2),
    "preact_resnet18": Epoch(lr=2e-3),
    "nf_resnet50": Epoch(lr=1e-3, views=2),
    "speednet": Epoch(lr=5e-3),
    "densenet121": Epoch(lr=2e-3),
    "convnext_tiny": Epoch(
        lr=3e-3, muon=True, batch=25, size=64, precision="bf16", options={"stochastic_depth": 0.0, "layer_scale": 1.0}
    ),
    "squeezenet1_1": Epoch(lr=2e-3, muon=True, batch=25, views=4, options=PLAIN),
    "mobilenet_v2": Epoch(lr=4e-3, muon=True, batch=25, views=4, options=PLAIN),
    "shufflenet_v2": Epoch(lr=4e-3, muon=True, batch=25, views=4),
    "efficientnet_b0": Epoch(lr=1e-2, muon=True, batch=25, size=64, options=PLAIN | {"stochastic_depth": 0.0}),
}


@dataclass(frozen=True, kw_only=True)
class Steps(How):
    """How a network takes 30 steps on 2,000 pictures."""

    scale: float = 1.0
    """The deviation of the inputs."""


# Networks that need larger pictures, at about their smallest size.
LEARN_LARGER = {
    # Published for pixels on the scale 0..255 less their mean, for which its first weights are small. Its biases of one
    # make hidden values nearly the same for all inputs; half of them decay in each step, and then it learns.
    "alexnet": Steps(size=227, lr=1e-3, muon=True, scale=69, weight_decay=5, bias_lr_factor=100, options=PLAIN),
    "alexnet_one_column": Steps(size=63, lr=1e-3, muon=True, batch=100, options=PLAIN),
    "inception_v3": Steps(size=107, lr=1e-3),
}
LEARN_PIXELS = {
    "unet": Steps(lr=1e-3),
    "fcn8s": Steps(lr=3e-4, batch=66, bias_lr_factor=3, options=PLAIN),
    "segnet": Steps(lr=1e-3),
}


@pytest.fixture(scope="module")
def digits():
    """20,000 training and 2,000 test digits, padded to 32x32: (N, 1, 32, 32) uint8, and their labels."""
    source = open_source("mnist")
    parts = []
    for split, count in (("train", 20_000), ("test", 2_000)):
        indices = source.splits[split][:count]
        parts += [F.pad(torch.tensor(source.pictures(indices))[:, None], (2, 2, 2, 2))]
        parts += [torch.tensor(source.targets[indices]).long()]
    return parts


def normalised(images):
    return (images.float() / 255 - 0.1) / 0.27


def enlarged(images, size):
    """Digits (N, 1, 32, 32) at another size."""
    return images if size == 32 else F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def build(name, num_classes=10, **options):
    torch.manual_seed(0)
    return create_model(name, num_classes=num_classes, in_channels=1, **options)


def moved(images, rows, view):
    """A view of some digits, each moved, turned and scaled a little in its own way, and normalised."""
    samples = rows.numpy().astype("uint64")
    images = augment(images[rows], samples, MOVES, seed=0, epoch=view, fill=torch.zeros(1))
    return (images / 255 - 0.1) / 0.27


def optimizer_of(model, how):
    name = "muon" if how.muon else "adamw"
    settings = OptimizerConfig(
        name=name,
        lr=how.lr,
        momentum=0.95 if how.muon else 0.9,
        weight_decay=how.weight_decay,
        bias_lr_factor=how.bias_lr_factor,
    )
    return make_optimizer(model, settings, hidden_parameters(model))


@pytest.fixture(autouse=True)
def memory():
    """As in a run."""
    with keep_memory():
        yield


@pytest.mark.parametrize("name", LEARN_DIGITS)
def test_digits_in_one_epoch(name, digits):
    images, labels, test_images, test_labels = digits
    how = LEARN_DIGITS[name]
    model, task, start = build(name, **how.options), Classification(tuple("0123456789")), time.time()
    if name == "speednet":
        model.whiten(normalised(images[:5000]))

    def loss_of(outputs, targets):
        return task.loss(outputs if how.temperature == 1 else outputs / how.temperature, targets)

    executor = StepExecutor(model, loss_of, Candidate(how.precision, how.precision != "fp32"), torch.device("cpu"))
    optimizer = optimizer_of(model, how)
    steps = len(images) // how.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.lr, total_steps=steps, cycle_momentum=not how.muon)
    for rows in torch.randperm(len(images))[: steps * how.batch].view(steps, how.batch):
        seen = normalised(images[rows])
        if how.views > 1:
            seen = torch.cat([moved(images, rows, view) for view in range(how.views)])
        loss, _ = executor.forward(enlarged(seen, how.size), labels[rows].repeat(how.views))
        optimizer.zero_grad()
        executor.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        executor.step(optimizer)
        schedule.step()
    model.eval()
    with torch.inference_mode():
        found = torch.cat([model(enlarged(normalised(part), how.size)).argmax(1) for part in test_images.split(250)])
    accuracy = (found == test_labels).float().mean().item()
    print(f"{name}: {accuracy:.2%} of 2,000 test digits, last loss {loss.item():.3f}, {time.time() - start:.0f} s")
    assert accuracy >= 0.97


def assert_loss_falls_by_half(name, model, loss_of, inputs, targets, how):
    """30 steps over 2,000 pictures, several times where need be; the mean of the last five losses against the first."""
    optimizer = optimizer_of(model, how)
    losses, order = [], torch.cat([torch.randperm(len(inputs)) for _ in range(4)])
    for rows in order[: 30 * how.batch].view(30, how.batch):
        loss = loss_of(model(inputs[rows] * how.scale), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    last = sum(losses[-5:]) / 5
    print(f"{name}: loss {losses[0]:.3f} at first, {last:.3f} after 30 steps")
    assert last < losses[0] / 2


@pytest.mark.parametrize("name", LEARN_LARGER)
def test_half_the_loss_in_thirty_steps(name, digits):
    how = LEARN_LARGER[name]
    images = enlarged(normalised(digits[0][:2000]), how.size)
    model, task = build(name, **how.options), Classification(tuple("0123456789"))
    assert_loss_falls_by_half(name, model, task.loss, images, digits[1][:2000], how)


@pytest.mark.parametrize("name", LEARN_PIXELS)
def test_ink_is_told_from_paper(name, digits):
    how, images = LEARN_PIXELS[name], digits[0][:2000]
    ink = (images[:, 0] > 25).long()
    model = build(name, num_classes=2, **how.options)
    assert_loss_falls_by_half(name, model, F.cross_entropy, normalised(images), ink, how)
