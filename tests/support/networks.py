"""Plain forms of well-known networks, small where asked, so that these tests do not depend on the zoo."""

from torch import Tensor, nn


def alexnet() -> nn.Sequential:
    """The one-column AlexNet; 61,100,840 parameters. Krizhevsky 2014."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000),
    )  # fmt: skip


def vgg(depths: tuple[int, ...] = (2, 2, 3, 3, 3), hidden: int = 4096) -> nn.Sequential:
    """VGG: 16 layers for depths (2, 2, 3, 3, 3), 19 for (2, 2, 4, 4, 4). Simonyan & Zisserman 2014."""
    layers: list[nn.Module] = []
    c_in = 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.ReLU(inplace=True)]
            c_in = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Linear(hidden, 1000))


def conv_norm(c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1, and a shortcut."""

    def __init__(self, c_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_norm(c_in, width, 1), nn.ReLU(inplace=True),
            conv_norm(width, width, 3, stride), nn.ReLU(inplace=True),
            conv_norm(width, 4 * width, 1),
        )  # fmt: skip
        self.shortcut = nn.Identity() if c_in == 4 * width else conv_norm(c_in, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.branch(x) + self.shortcut(x)
        return outputs.relu_()


def resnet(depths: tuple[int, ...] = (3, 4, 6, 3)) -> nn.Sequential:
    """ResNet with bottlenecks: 50 layers for (3, 4, 6, 3), 152 for (3, 8, 36, 3). He et al. 2015."""
    c_in, blocks = 64, []
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        for i in range(depth):
            blocks.append(Bottleneck(c_in, width, 2 if stage > 0 and i == 0 else 1))
            c_in = 4 * width
    stem = [conv_norm(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 1000))


def resnet152() -> nn.Sequential:
    """The deepest of its paper; 60,192,808 parameters."""
    return resnet((3, 8, 36, 3))
