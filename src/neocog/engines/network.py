"""A network as engines see it: its modules, the inputs that it takes, and how decoded inputs become these."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from neocog.modalities.preprocess import Preprocess
from neocog.planning import shared_copy
from neocog.zoo.network import join_outputs

if TYPE_CHECKING:
    import onnx

__all__ = ["Affine", "EngineNetwork", "Joined", "describe_network"]


@dataclass(frozen=True, slots=True)
class Affine:
    """normalised = decoded * factor - shift, with a pair for each channel; (C,) float32 each."""

    factor: Tensor
    shift: Tensor


class Joined(nn.Module):
    """A network with its outputs as one tensor; several maps (N, K, h, w) are joined channel by channel."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return join_outputs(self.model(inputs))


@dataclass(frozen=True, slots=True)
class EngineNetwork:
    """A network and its inputs. The modules are a copy that shares the tensors of the original."""

    model: nn.Module
    shape: tuple[int, ...]
    """Of one normalised input."""
    dtype: torch.dtype
    """Of normalised inputs."""
    decoded_dtype: torch.dtype
    affine: Affine | None
    """How decoded integers are normalised, if that is one factor and one shift for each channel."""
    tokens: int | None
    """How many different tokens there are, for inputs that are numbers of tokens."""
    normalise: Callable[[Tensor], Tensor]
    """Decoded inputs -> normalised ones."""
    written: "dict[tuple[int, ...], onnx.ModelProto]" = field(default_factory=dict, compare=False, repr=False)
    """The network as ONNX, by the shape of an input: engines share it, since it takes seconds to write."""

    def example(self, num: int = 2) -> Tensor:
        """Some normalised inputs, always the same."""
        generator = torch.Generator().manual_seed(0)
        if self.tokens is not None:
            return torch.randint(0, self.tokens, (num, *self.shape), generator=generator)
        return torch.randn(num, *self.shape, generator=generator)


def describe_network(model: nn.Module, preprocess: Preprocess) -> EngineNetwork:
    """A network with all that engines need to know of it. Raises PlanError for one whose modules can't be copied."""
    zeros = torch.zeros(2, *preprocess.shape, dtype=preprocess.dtype)
    normalised = preprocess.normalise(zeros)
    ids = not normalised.is_floating_point()
    return EngineNetwork(
        Joined(shared_copy(model)).eval(), tuple(normalised.shape[1:]), normalised.dtype, preprocess.dtype,
        find_affine(preprocess), count_tokens(preprocess) if ids else None, preprocess.normalise,
    )  # fmt: skip


def count_tokens(preprocess: Preprocess) -> int:
    """How many ids a text may have; if unknown tokens share the id of the padding, that has no channel."""
    return preprocess.in_channels + (getattr(preprocess, "unknown", 1) == 0)


def find_affine(preprocess: Preprocess) -> Affine | None:
    """The factor and shift of a preprocessing of whole numbers; None if its normalisation is anything else.

    It is asked for the values of black and white, and then whether numbers between them follow.
    """
    if preprocess.dtype not in (torch.uint8, torch.uint16):
        return None
    white = torch.iinfo(preprocess.dtype).max
    values = torch.tensor([0, white, white // 3, white // 2, 1], dtype=preprocess.dtype)
    probe = values.view(-1, *[1] * len(preprocess.shape)).expand(-1, *preprocess.shape)
    found = preprocess.normalise(probe.contiguous())
    if found.dtype != torch.float32 or found.shape != probe.shape:
        return None
    by_channel = found.flatten(2).double()
    low, high = by_channel[0, :, 0], by_channel[1, :, 0]
    affine = Affine(((high - low) / white).float(), (-low).float())
    predicted = values.double()[:, None] * affine.factor.double() - affine.shift.double()
    same = torch.allclose(by_channel, predicted[:, :, None].expand_as(by_channel), rtol=1e-5, atol=1e-5)
    return affine if same else None
