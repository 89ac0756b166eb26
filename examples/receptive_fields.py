"""Receptive fields on MNIST-1D: a network that sees too little of a signal can't tell its class.

python examples/receptive_fields.py       # pip install mnist1d, which makes the signals
"""

# %% The signals: 40 samples each, a digit's outline somewhere in noise
import sys
import warnings

import torch
import torch.nn.functional as F
from mnist1d.data import get_dataset_args, make_dataset
from torch import nn

import neocog

SMALL = "--small" in sys.argv
warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.set_num_threads(1)  # layers as small as these lose time to a second thread
made = make_dataset(get_dataset_args())
signals, labels = torch.from_numpy(made["x"]).float()[:, None], torch.from_numpy(made["y"])
test_signals, test_labels = torch.from_numpy(made["x_test"]).float()[:, None], torch.from_numpy(made["y_test"])
print(f"{len(signals)} signals for training, {len(test_signals)} for testing")


# %% Networks that differ in nothing but the size of their kernels
def network(kernel_size: int, width: int = 24) -> nn.Sequential:
    """Three convolutions, whose units see 3 * kernel_size - 2 samples, and the mean over time."""
    layers: list[nn.Module] = []
    for channels in (1, width, width):
        layers += [nn.Conv1d(channels, width, kernel_size, padding=kernel_size // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, 10))


plan = neocog.plan(network(kernel_size=3), (1, 40))
print(plan)


# %% Train each of them in the same way, and compare what they see with what they reach
def accuracy(model: nn.Module, epochs: int) -> float:
    """The share of test signals that are right after training; batches are rolled, as the signals were."""
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=epochs * (len(labels) // 100))
    for _ in range(epochs):
        for batch in torch.randperm(len(labels)).split(100):
            shifted = signals[batch].roll(int(torch.randint(-4, 5, ())), dims=2)
            loss = F.cross_entropy(model(shifted), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return float((model(test_signals).argmax(1) == test_labels).float().mean())


print("kernel  sees  parameters  accuracy")
for kernel_size in (1, 3, 5):
    model = network(kernel_size)
    plan = neocog.plan(model, (1, 40))
    (sees,) = next(row for row in reversed(plan.rows) if row.operator.startswith("conv")).receptive_field
    print(f"{kernel_size:>6}  {sees:>4}  {plan.parameters:>10,}  {accuracy(model, 1 if SMALL else 40):.1%}")
