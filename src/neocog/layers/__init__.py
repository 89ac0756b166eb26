"""Layers that torch lacks, each with the paper that introduced it, and how weights begin."""

from neocog.layers.blur_pool import BlurPool2d
from neocog.layers.c_cells import CCells
from neocog.layers.initialization import dirac, gaussian_with_ones, glorot, he, patch_whitening, zero_last_norm
from neocog.layers.local_response_norm import LocalResponseNorm
from neocog.layers.partial_conv import PartialConv2d
from neocog.layers.radial_basis import RadialBasis
from neocog.layers.s_cells import SCells
from neocog.layers.scaled_conv import ScaledConv2d
from neocog.layers.scaled_tanh import ScaledTanh
from neocog.layers.squeeze_excitation import SqueezeExcitation
from neocog.layers.stochastic_depth import StochasticDepth
from neocog.layers.subsampling import TrainableSubsampling
from neocog.layers.unpooling import Switches, SwitchPool2d, Unpool2d

__all__ = [
    "BlurPool2d",
    "CCells",
    "LocalResponseNorm",
    "PartialConv2d",
    "RadialBasis",
    "SCells",
    "ScaledConv2d",
    "ScaledTanh",
    "SqueezeExcitation",
    "StochasticDepth",
    "SwitchPool2d",
    "Switches",
    "TrainableSubsampling",
    "Unpool2d",
    "dirac",
    "gaussian_with_ones",
    "glorot",
    "he",
    "patch_whitening",
    "zero_last_norm",
]
