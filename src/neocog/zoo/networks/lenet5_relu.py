"""LeNet-5 in the form in which it is taught and used today: ReLU, max pooling, full connections, softmax.

After LeCun et al. 1998 (see lenet5.py for the network as published). With three input channels it is the network of
PyTorch's CIFAR-10 tutorial ("Training a classifier"): 62,006 parameters; with one, 61,706.

Shapes (N batch, C channels, K classes):

    stem      (N, C, 32, 32) -> (N, 6, 14, 14)    convolution 6@5x5, ReLU, max pooling 2x2
    stages    (N, 6, 14, 14) -> (N, 16, 5, 5)     convolution 16@5x5, ReLU, max pooling 2x2
    head      (N, 16, 5, 5)  -> (N, K)            dense 120, 84, K
"""

from torch import nn

from neocog.zoo.network import Network

__all__ = ["LeNet5ReLU"]


class LeNet5ReLU(Network):
    """Two layers of convolution and pooling, three dense layers; `dropout` acts on the two hidden dense layers."""

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2))
        self.stages = nn.Sequential(nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(120, 84), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(84, num_classes),
        )  # fmt: skip
