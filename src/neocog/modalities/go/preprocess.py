"""From a position of Go to the planes that a network sees, and choosing which."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass as settings_section
from torch import Tensor

from neocog.dataset.record import Modality, Payload, Source
from neocog.errors import ConfigError, DataError
from neocog.modalities.go.features import FEATURES, FeatureSet
from neocog.modalities.go.game import replay
from neocog.modalities.go.records import last_position
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.settings import SETTINGS

__all__ = ["BoardConfig", "BoardPreprocess", "choose_board"]


@settings_section(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class BoardConfig:
    """How positions of Go become the inputs of a network."""

    features: FeatureSet | None = None
    """The planes: zero17, stones of the last eight positions (AlphaGo Zero), or alphago48, which adds liberties,
    captures, atari and ladders (AlphaGo); unset: those that the network was made for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BoardPreprocess(Preprocess):
    """Replay the moves that led to a position, and compute its planes: zeros and ones.

    A payload is a position as `neocog.modalities.go.game` writes it, or an SGF record, of which it is the last one.

    >>> pre = BoardPreprocess(features="zero17", size=9)
    >>> planes = pre(b"(;SZ[9];B[aa])")
    >>> planes.shape, planes[1, 0, 0].item(), planes[16].sum().item()
    (torch.Size([17, 9, 9]), 1.0, 0.0)
    """

    modality: ClassVar[Modality] = "board"

    features: FeatureSet
    """The 17 planes of AlphaGo Zero, or the 48 of AlphaGo."""
    size: int
    """Points on each side of the board."""
    version: int = field(default=1)

    @property
    def shape(self) -> tuple[int, int, int]:
        return FEATURES[self.features].num_planes, self.size, self.size

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8

    @property
    def payload_spec(self) -> TensorSpec:
        """Records in SGF, of which the last position counts, (N,)."""
        return TensorSpec("records", "bytes", (None,))

    def decode(self, payload: Payload, where: str = "the position") -> Tensor:
        """One position as (planes, size, size) uint8.

        Raises DataError with `where` for an illegal move, a damaged record, or a board of another size.
        """
        if isinstance(payload, str):
            payload = payload.encode(errors="replace")
        code = last_position(payload, where) if isinstance(payload, bytes) else np.ravel(payload)
        position = replay(code, where)
        if position.board.size != self.size:
            rule, size = f"This network takes boards of {self.size} x {self.size} points.", position.board.size
            raise DataError(rule, received=f"{size} x {size} points", where=where)
        return torch.from_numpy(FEATURES[self.features].compute(position))

    def check_continues(self, before: Preprocess, model: str, data: str) -> None:
        if self.shape != before.shape:
            size = before.shape[-1]
            rule = f"A fine-tuned network keeps the size of its boards: {model} has {size} x {size} points."
            fix = "Choose games on boards of that size, or train a new network."
            raise ConfigError(rule, received=f"{self.size} x {self.size} points", where=data, fix=fix)

    def normalise(self, inputs: Tensor) -> Tensor:
        """Zeros and ones as float32; (N, planes, S, S) -> the same."""
        return inputs.float()


def choose_board(
    source: Source, indices: NDArray[np.int64], settings: BoardConfig | None, input_shape: tuple[int, ...], **_: object
) -> tuple[BoardPreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`, for an input (planes, S, S).

    Unless they are set, the number of planes tells the features that the network takes; the board's size is that of
    the games. Raises DataError if no features have that number of planes.
    """
    payload = source.read(int(indices[0])).payload
    size = int(np.ravel(payload)[0]) if isinstance(payload, np.ndarray) else int(input_shape[1])
    if settings is not None and settings.features is not None:
        return BoardPreprocess(features=settings.features, size=size), {}
    for name, features in FEATURES.items():
        if features.num_planes == input_shape[0]:
            return BoardPreprocess(features=name, size=size), {"features": f"the network takes {input_shape[0]} planes"}
    known = " or ".join(f"{features.num_planes} ({name})" for name, features in FEATURES.items())
    rule, received = (
        f"A network for positions of Go must take {known} planes.",
        f"a network for {input_shape[0]} planes",
    )
    raise DataError(rule, received=received, where=source.name, fix="Choose go_policy or go_residual.")
