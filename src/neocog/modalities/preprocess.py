"""The interface of every preprocessing, whatever the kind of data: the one way from a payload to a network's input."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import Views

__all__ = ["Preprocess", "exact_sum"]


class Preprocess(ABC):
    """A frozen dataclass of settings that maps one payload to one input.

    Its two halves are used apart in training: `decode` once for each sample, giving values that are small in memory,
    and `normalise` for each batch. The same object runs in training, evaluation, prediction and serving.
    """

    __slots__ = ()
    modality: ClassVar[Modality]
    newest: ClassVar[int] = 1
    """The version of the settings that this program writes."""
    stored_names: ClassVar[dict[str, str]] = {}
    """Field -> its key in JSON, for fields that have been renamed."""
    has_vocabulary: ClassVar[bool] = False
    """Whether it holds a vocabulary of the training data, which weights that are fine-tuned depend on."""
    statistics_of: ClassVar[tuple[str, ...] | None] = None
    """The settings that its mean and deviation depend on; None: it has neither."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one input, as the network receives it."""

    @property
    def in_channels(self) -> int:
        """The channels, or the number of different tokens, that the network is built for."""
        return self.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """Of a decoded input."""
        return torch.float32

    @property
    def fill(self) -> Tensor:
        """The value that means nothing in a decoded input; ()."""
        return torch.zeros(())

    @abstractmethod
    def decode(self, payload: Payload, where: str = "the input") -> Tensor:
        """One payload as (*shape) of `dtype`. Raises DataError with `where` in it."""

    @abstractmethod
    def normalise(self, inputs: Tensor) -> Tensor:
        """Decoded inputs as the network wants them; (N, *shape) -> (N, *shape)."""

    @property
    def payload_spec(self) -> TensorSpec:
        """Several payloads as one array, as programs outside of Neocog send them."""
        return TensorSpec("inputs", "float32", (None, *self.shape))

    def payload_of(self, row: Any) -> Payload:
        """One element of such an array as `decode` takes it."""
        payload: Payload = row
        return payload

    def measured(self, inputs: Tensor) -> Self:
        """This preprocessing with what it takes from decoded training data, such as mean and deviation."""
        return self

    def views(self, payload: Payload, where: str = "the input") -> Views:
        """The inputs of the network that cover a payload of any size, and where each lies in it.

        Raises DataError if it can't be read, and NotImplementedError for a kind of data whose places aren't known.
        """
        raise NotImplementedError(f"{self.modality} inputs have no places")

    def __call__(self, payload: Payload, where: str = "the input") -> Tensor:
        """One payload as the network receives it; (*shape)."""
        return self.normalise(self.decode(payload, where)[None])[0]

    def decode_many(self, payloads: NDArray[Any]) -> Tensor:
        """Many payloads that are one array, equal to `decode` of each; (N, ...) -> (N, *shape)."""
        return torch.stack([self.decode(payload) for payload in payloads])

    def is_one(self, array: NDArray[Any]) -> bool:
        """Whether an array is one payload, rather than several."""
        return array.ndim <= 2

    def check_continues(self, before: "Preprocess", model: str, data: str) -> None:
        """Raises ConfigError if weights that were trained on inputs of `before` would misread these."""
        return  # most kinds have nothing to check

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)  # type: ignore[call-overload]
        return {"modality": self.modality} | {self.stored_names.get(key, key): value for key, value in values.items()}

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> Self:
        """The inverse of `to_json`. Raises DataError for a version from the future or an unknown key."""
        if not isinstance(spec, dict):
            raise DataError("Preprocessing must be described by a mapping.", received=repr(spec)[:500])
        names = {stored: name for name, stored in cls.stored_names.items()}
        values = {names.get(key, key): value for key, value in spec.items() if key != "modality"}
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        if values.get("version") not in range(1, cls.newest + 1) or not values.keys() <= known:
            rule = f"Only preprocessing up to version {cls.newest} is supported."
            raise DataError(rule, received=str(spec)[:500], fix="Update Neocog.")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def exact_sum(rows: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Rows (C,) added up without rounding in between, so that their order makes no difference."""
    return np.array([math.fsum(column) for column in zip(*(row.tolist() for row in rows), strict=True)])
