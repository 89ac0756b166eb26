"""LeNet in NumPy: forward, backward and the update, with no autograd, checked against PyTorch and trained on MNIST.

python examples/lenet_in_numpy.py         # fetches 11 MB; two minutes on a CPU core
"""

# %% The network is a list of layers; each has a forward pass, and a backward pass that was derived by hand
import sys

import numpy as np
import torch
import torch.nn.functional as F

from neocog import open_source, reference

SMALL = "--small" in sys.argv
network = reference.lenet(seed=0)
print("\n".join(f"{type(layer).__name__:<12} {[w.shape for w in layer.weights]}" for layer in network.layers))

# %% The gradients of one batch are those of PyTorch, to the last digits
rng = np.random.default_rng(0)
images, labels = rng.normal(size=(4, 1, 28, 28)), np.array([3, 1, 4, 1])
loss, gradients = network.loss_and_gradients(images, labels)
weights = [torch.tensor(w, requires_grad=True) for w in network.weights]
maps = torch.tensor(images)
maps = F.max_pool2d(F.conv2d(maps, weights[0], weights[1], padding=2).relu(), 2)
maps = F.max_pool2d(F.conv2d(maps, weights[2], weights[3]).relu(), 2).flatten(1)
maps = F.linear(F.linear(maps, weights[4], weights[5]).relu(), weights[6], weights[7]).relu()
torch_loss = F.cross_entropy(F.linear(maps, weights[8], weights[9]), torch.tensor(labels))
torch_loss.backward()
gap = max(float(np.abs(g - w.grad.numpy()).max()) for g, w in zip(gradients, weights, strict=True))
print(f"loss {loss:.12f}, by PyTorch {torch_loss.item():.12f}; gradients differ by {gap:.1e} at most")

# %% Train it: a few thousand digits are enough to see it learn
if SMALL:
    digits, targets = np.concatenate([images] * 8), np.concatenate([labels] * 8)
    test_digits, test_targets = digits, targets
else:
    source = open_source("mnist", download=True)
    train, test = (source.splits[name] for name in ("train", "test"))

    def read(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, 1, 28, 28) with values from 0 to 1, and their labels."""
        return np.stack([source.read(int(i)).payload for i in indices])[:, None] / 255, source.targets[indices]

    digits, targets = read(train[:12_000])
    test_digits, test_targets = read(test[:2_000])
losses = reference.train_network(network, digits, targets, reference.Momentum(0.03), epochs=3, batch_size=32)
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, accuracy {network.accuracy(test_digits, test_targets):.1%}")
