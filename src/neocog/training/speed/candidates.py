"""The ways in which a step could be computed on this device."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from neocog.torch_private import has_mkldnn_bf16
from neocog.training.convolutions import has_enough_channels, lacks_kernels
from neocog.training.executor import Precision

__all__ = ["PLAIN", "Candidate", "candidates", "device_candidates"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compute a step.

    >>> Candidate("bf16", channels_last=True).name
    'bf16, channels_last, eager'
    """

    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False
    native: bool = False
    """With kernels of Neocog's own."""

    @property
    def name(self) -> str:
        layout = "channels_last" if self.channels_last else "contiguous"
        how = "compiled" if self.compiled else "native" if self.native else "eager"
        return f"{self.precision}, {layout}, {how}"

    @property
    def compiled_instead(self) -> "Candidate":
        """The same, compiled by torch.compile; kernels of Neocog's own are left out."""
        return replace(self, compiled=True, native=False)


PLAIN = Candidate()


def candidates(model: nn.Module, images: Tensor) -> tuple[list[Candidate], dict[str, str]]:
    """The eager candidates, plain first, then by expected speed; and those that need no trial, with the reason."""
    native = has_wide_filters(model)
    return device_candidates(images.device, channels_last=takes_channels_last(model, images), native=native)


def device_candidates(
    device: torch.device, *, channels_last: bool = True, native: bool = True
) -> tuple[list[Candidate], dict[str, str]]:
    """The candidates of this device for networks with filters for images (`channels_last`), and wide ones (`native`).

    fp16 is for CUDA: elsewhere it is no faster than bf16, and overflows.
    """
    halves: list[Precision] = ["bf16", "fp16"] if device.type == "cuda" else ["bf16"]
    layouts = [True, False] if channels_last else [False]
    reason = lacks_bf16(device)
    found = [PLAIN, *(Candidate(half, layout) for half in halves for layout in layouts)]
    own = Candidate("bf16", channels_last=True, native=True)
    if channels_last and native and device.type == "cpu":
        found.insert(1, own)
    found += [Candidate("fp32", channels_last=True)] if channels_last else []
    dropped = {way.name: reason for way in found if reason and way.precision == "bf16"}
    if own in found and own.name not in dropped and (missing := lacks_kernels()):
        dropped[own.name] = missing
    return [way for way in found if way.name not in dropped], dropped


def takes_channels_last(model: nn.Module, images: Tensor) -> bool:
    """Whether inputs are images with channels, and the network has filters for them."""
    return images.ndim == 4 and any(weight.ndim == 4 for weight in model.parameters())


def has_wide_filters(model: nn.Module) -> bool:
    """Whether the network has filters that Neocog's kernels may compute: 3x3, on enough channels."""
    return any(has_enough_channels(weight) for weight in model.parameters())


def lacks_bf16(device: torch.device) -> str | None:
    """Why bf16 can't be fast here: without its instructions a step may take a hundred times as long."""
    if device.type == "cpu" and not has_mkldnn_bf16():
        return "this CPU has no bf16 instructions"
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "this GPU has no bf16 instructions"
    return None
