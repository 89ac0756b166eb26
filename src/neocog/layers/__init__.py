"""Layers that torch lacks, each with the paper that introduced it."""

from neocog.layers.partial_conv import PartialConv2d
from neocog.layers.radial_basis import RadialBasis
from neocog.layers.scaled_tanh import ScaledTanh
from neocog.layers.subsampling import TrainableSubsampling

__all__ = ["PartialConv2d", "RadialBasis", "ScaledTanh", "TrainableSubsampling"]
