"""The interface of engines, and the steps that all share: a look at the inputs, and batches of a fast size."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor, nn

from neocog.errors import DataError

if TYPE_CHECKING:
    from neocog.engines.network import EngineNetwork  # with the planner, which eager PyTorch does not need

__all__ = ["BATCH", "Backend", "Engine", "Program", "compute_logits", "name_of_backend", "takes_decoded"]

BATCH = 16
"""Inputs that are computed at once, unless measurements say otherwise: larger batches leave the caches."""

Program = Callable[[Tensor], Tensor]
"""A compiled network for inputs of one shape and type."""


class Backend(Protocol):
    """The part that computes: a batch of inputs (N, *shape), normalised -> logits (N, K) on the CPU.

    With `takes_decoded = True` its inputs are decoded and not normalised: it normalises them itself.
    """

    def __call__(self, inputs: Tensor, /) -> Tensor: ...


def takes_decoded(backend: Backend) -> bool:
    """Whether a backend normalises its inputs itself."""
    return bool(getattr(backend, "takes_decoded", False))


def name_of_backend(backend: Backend) -> str:
    """The name of an engine; `eager` for PyTorch as it is, and for any other function."""
    return str(getattr(backend, "name", "eager"))


def compute_logits(backend: Backend, normalise: Callable[[Tensor], Tensor], decoded: Tensor) -> Tensor:
    """The logits of decoded inputs (N, *shape), which are normalised where the backend does not do that itself.

    An engine with a `batch` of its own gets no more than that at once, so that normalised inputs are still in the
    caches when it reads them.
    """
    if takes_decoded(backend):
        return backend(decoded)
    size = getattr(backend, "batch", None) or max(len(decoded), 1)
    parts = [backend(normalise(part)) for part in torch.split(decoded, size)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Engine(ABC):
    """A network computed by something other than plain PyTorch, on this machine's CPU.

    A program is made for each shape and type of inputs that comes; any number of inputs may come at once.
    Inputs that an engine would misread without an error are refused: another type, another rank, numbers that are not
    finite, numbers of tokens that the network does not have.
    """

    name: ClassVar[str]

    def __init__(self, network: "EngineNetwork", *, threads: int, batch: int = BATCH) -> None:
        self.network, self.threads, self.batch = network, threads, batch
        self.programs: dict[tuple[torch.Size, torch.dtype], Program] = {}

    @property
    def takes_decoded(self) -> bool:
        """Whether it normalises decoded inputs itself; it takes normalised ones as well."""
        return self.network.affine is not None

    @abstractmethod
    def compile(self, example: Tensor) -> Program:
        """A program for inputs of this shape and type; the example has two inputs."""

    def __call__(self, inputs: Tensor, /) -> Tensor:
        self.check(inputs)
        key = inputs.shape[1:], inputs.dtype
        if key not in self.programs:
            self.programs[key] = self.compile(torch.zeros(2, *inputs.shape[1:], dtype=inputs.dtype))
        program = self.programs[key]
        if not len(inputs):
            return program(torch.zeros(1, *inputs.shape[1:], dtype=inputs.dtype))[:0]
        parts = [program(part) for part in torch.split(inputs, self.batch)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def check(self, inputs: Tensor) -> None:
        """Raises DataError for inputs that the engine would misread."""
        network = self.network
        known = [network.dtype, *([network.decoded_dtype] if self.takes_decoded else [])]
        if inputs.dtype not in known:
            raise DataError(
                f"The engine takes inputs of {' or '.join(map(type_name, known))}.",
                received=type_name(inputs.dtype), where=self.name,
                fix="Decode them with the preprocessing of the network.",
            )  # fmt: skip
        if inputs.ndim != len(network.shape) + 1 or inputs.shape[1] != network.shape[0]:
            wanted = ", ".join(map(str, network.shape))
            raise DataError(
                f"The engine takes inputs of shape (N, {wanted}).", received=str(tuple(inputs.shape)), where=self.name,
                fix="Stack decoded inputs along a new first axis.",
            )  # fmt: skip
        if inputs.is_floating_point() and not all_finite(inputs):
            raise DataError(
                "Inputs must be finite: other engines turn NaN and infinity into ordinary numbers without an error.",
                received="NaN or infinity", where=self.name, fix="Replace or leave out such values.",
            )  # fmt: skip
        if network.tokens is not None and inputs.numel() and not within(inputs, network.tokens):
            raise DataError(
                f"Numbers of tokens are at least 0 and below {network.tokens}.",
                received=f"{int(inputs.min())} to {int(inputs.max())}", where=self.name,
                fix="Decode texts with the preprocessing of the network.",
            )  # fmt: skip


def within(ids: Tensor, count: int) -> bool:
    return bool(ids.min() >= 0 and ids.max() < count)


def all_finite(inputs: Tensor) -> bool:
    """Whether no value is NaN or infinite; one pass, and a second only if their sum overflows."""
    return bool(torch.isfinite(inputs.sum())) or bool(torch.isfinite(inputs).all())


def type_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def is_on_cpu(model: nn.Module) -> bool:
    return all(tensor.device.type == "cpu" for tensor in model.parameters())
