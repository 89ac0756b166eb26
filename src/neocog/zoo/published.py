"""Published accuracies on the validation images of ImageNet's 1000 classes."""

from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]


@dataclass(frozen=True, slots=True)
class Published:
    """Accuracies in per cent, and who measured them."""

    top1: float
    top5: float
    source: str


# Of the weights that `neocog.zoo.weights.files` lists, at the input size that each was published with.
TORCHVISION = "torchvision, IMAGENET1K_V1, centre crop"
# Of the weights that packages bring, as timm has them: `tf_efficientnet_lite0.in1k` and so on.
TIMM = "timm, from TensorFlow, centre crop"
# One network, averaged over ten patches of each image.
KRIZHEVSKY = "Krizhevsky et al. 2012, table 2"

PUBLISHED: dict[str, Published] = {
    "alexnet":            Published(59.300, 81.800, KRIZHEVSKY),
    "alexnet_one_column": Published(56.522, 79.066, TORCHVISION),
    "vgg11":              Published(69.020, 88.628, TORCHVISION),
    "vgg11_bn":           Published(70.370, 89.810, TORCHVISION),
    "vgg13":              Published(69.928, 89.246, TORCHVISION),
    "vgg13_bn":           Published(71.586, 90.374, TORCHVISION),
    "vgg16":              Published(71.592, 90.382, TORCHVISION),
    "vgg16_bn":           Published(73.360, 91.516, TORCHVISION),
    "vgg19":              Published(72.376, 90.876, TORCHVISION),
    "vgg19_bn":           Published(74.218, 91.842, TORCHVISION),
    "googlenet":          Published(69.778, 89.530, TORCHVISION),
    "inception_v3":       Published(77.294, 93.450, TORCHVISION),
    "resnet18":           Published(69.758, 89.078, TORCHVISION),
    "resnet34":           Published(73.314, 91.420, TORCHVISION),
    "resnet50":           Published(76.130, 92.862, TORCHVISION),
    "resnet101":          Published(77.374, 93.546, TORCHVISION),
    "resnet152":          Published(78.312, 94.046, TORCHVISION),
    "densenet121":        Published(74.434, 91.972, TORCHVISION),
    "densenet161":        Published(77.138, 93.560, TORCHVISION),
    "densenet169":        Published(75.600, 92.806, TORCHVISION),
    "densenet201":        Published(76.896, 93.370, TORCHVISION),
    "squeezenet1_1":      Published(58.178, 80.624, TORCHVISION),
    "mobilenet_v2":       Published(71.878, 90.286, TORCHVISION),
    "shufflenet_v2_x0_5": Published(60.552, 81.746, TORCHVISION),
    "shufflenet_v2":      Published(69.362, 88.316, TORCHVISION),
    "shufflenet_v2_x1_5": Published(72.996, 91.086, TORCHVISION),
    "shufflenet_v2_x2_0": Published(76.230, 93.006, TORCHVISION),
    "efficientnet_b0":    Published(77.692, 93.532, TORCHVISION),
    "efficientnet_b1":    Published(78.642, 94.186, TORCHVISION),
    "efficientnet_b2":    Published(80.608, 95.310, TORCHVISION),
    "efficientnet_b3":    Published(82.008, 96.054, TORCHVISION),
    "efficientnet_b4":    Published(83.384, 96.594, TORCHVISION),
    "efficientnet_lite0": Published(74.830, 92.172, TIMM),
    "efficientnet_lite1": Published(76.644, 93.230, TIMM),
    "efficientnet_lite2": Published(77.464, 93.750, TIMM),
    "convnext_tiny":      Published(82.520, 96.146, TORCHVISION),
    "convnext_small":     Published(83.616, 96.650, TORCHVISION),
    "convnext_base":      Published(84.062, 96.870, TORCHVISION),
    "convnext_large":     Published(84.414, 96.976, TORCHVISION),
}  # fmt: skip
"""By name in the catalogue."""
