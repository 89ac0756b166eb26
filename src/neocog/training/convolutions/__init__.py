"""Convolutions in bf16 on a CPU that Neocog computes otherwise than torch, where that is faster.

Each variant is a mode: within its block, calls of conv2d that it takes are computed its way. Modes nest; a call goes to
the innermost that takes it.
"""

from neocog.training.convolutions.depthwise import DepthwiseGradients
from neocog.training.convolutions.library import build_seconds, lacks_kernels, load_kernels
from neocog.training.convolutions.packed import PackedGradients
from neocog.training.convolutions.winograd import WinogradConvolutions, has_enough_channels

__all__ = [
    "DepthwiseGradients",
    "PackedGradients",
    "WinogradConvolutions",
    "build_seconds",
    "has_enough_channels",
    "lacks_kernels",
    "load_kernels",
]
