"""What every preprocessing can do, whatever was measured: the one way from a payload to a network's input."""

from abc import ABC, abstractmethod
from dataclasses import asdict, fields
from typing import Any, ClassVar, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError

__all__ = ["Preprocess"]


class Preprocess(ABC):
    """A frozen dataclass of settings that maps one payload to one input.

    Its two halves are used apart in training: `decode` once for each record, giving values that are small in memory,
    and `normalise` for each batch. The same object runs in training, evaluation, prediction and serving.
    """

    __slots__ = ()
    modality: ClassVar[Modality]
    newest: ClassVar[int] = 1
    """The version of the settings that this program writes."""
    stored_names: ClassVar[dict[str, str]] = {}
    """Field -> its key in JSON, for fields that have been renamed."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one input, as the network receives it."""

    @property
    @abstractmethod
    def in_channels(self) -> int:
        """What the network is built for: channels, or how many different tokens there are."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of what `decode` gives."""

    @property
    def fill(self) -> Tensor:
        """What stands for nothing in a decoded input; ()."""
        return torch.zeros(())

    @abstractmethod
    def decode(self, payload: Payload, where: str = "the input") -> Tensor:
        """One payload as (*shape) of `dtype`. Raises DataError with `where` in it."""

    @abstractmethod
    def normalise(self, inputs: Tensor) -> Tensor:
        """Decoded inputs as the network wants them; (N, *shape) -> (N, *shape)."""

    def measured(self, inputs: Tensor) -> Self:
        """This preprocessing with what it takes from decoded training data, such as mean and deviation."""
        return self

    def __call__(self, payload: Payload, where: str = "the input") -> Tensor:
        """One payload as the network receives it; (*shape)."""
        return self.normalise(self.decode(payload, where)[None])[0]

    def decode_many(self, payloads: NDArray[Any]) -> Tensor:
        """Many payloads that are one array, equal to `decode` of each; (N, ...) -> (N, *shape)."""
        return torch.stack([self.decode(payload) for payload in payloads])

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)  # type: ignore[call-overload]
        return {"modality": self.modality} | {self.stored_names.get(key, key): value for key, value in values.items()}

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> Self:
        """The inverse of `to_json`. Raises DataError for a version from the future or an unknown key."""
        if not isinstance(spec, dict):
            raise DataError(f"Preprocessing is described by a mapping. Received: {spec!r}.")
        names = {stored: name for name, stored in cls.stored_names.items()}
        values = {names.get(key, key): value for key, value in spec.items() if key != "modality"}
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        if values.get("version") not in range(1, cls.newest + 1) or not values.keys() <= known:
            raise DataError(
                f"Preprocessing of version {cls.newest} is understood. Received: {str(spec)[:500]}. Update Neocog."
            )
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
