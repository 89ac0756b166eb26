"""Kernels of Neocog's own for training in bf16 on CPUs with AVX-512, compiled on this machine by its C compiler."""

from neocog.training.native.library import build_seconds, lacks_kernels, load_kernels
from neocog.training.native.winograd import WinogradConvolutions, has_enough_channels

__all__ = ["WinogradConvolutions", "build_seconds", "has_enough_channels", "lacks_kernels", "load_kernels"]
