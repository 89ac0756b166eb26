"""From a text to the ids of its tokens, by a vocabulary that travels with the network."""

import functools
import itertools
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.text.tokens import Level, text_of, tokens

__all__ = ["PADDING", "UNKNOWN", "TextPreprocess"]

PADDING: Final = 0
UNKNOWN: Final = 1


# Without slots, so that an instance can cache its ids.
@dataclass(frozen=True, kw_only=True)
class TextPreprocess(Preprocess):
    """Split a text into tokens, number them, and cut or pad the row to one length.

    Id 0 is padding; id 1 is any token that is not in the vocabulary; the ids of the vocabulary follow.

    >>> pre = TextPreprocess(level="word", length=5, vocabulary=("good", "film"))
    >>> pre("A good film!").tolist(), pre.in_channels
    ([1, 2, 3, 1, 0], 4)
    """

    modality: ClassVar[Modality] = "text"
    has_vocabulary: ClassVar[bool] = True

    level: Level
    """The kind of token."""
    length: int
    """Tokens of an input: longer texts are cut at their end, shorter ones padded there."""
    vocabulary: tuple[str, ...]
    """The tokens that have an id of their own, in the order of their ids. A token that comes twice has the later id."""
    lowercase: bool = True
    """Whether texts are converted to lower case."""
    unknown: Literal[0, 1] = UNKNOWN
    """The id of a token that is not in the vocabulary; 0: it counts as padding, and the vocabulary starts with 1."""
    backward: bool = False
    """Whether the last token comes first, as in Zhang et al. 2015, section 2.2."""
    version: int = field(default=1)

    @property
    def shape(self) -> tuple[int]:
        return (self.length,)

    @property
    def in_channels(self) -> int:
        """The number of different ids; without 0 if unknown tokens share it, since it then has no channel."""
        return len(self.vocabulary) + 2 * self.unknown

    @property
    def dtype(self) -> torch.dtype:
        return torch.int64

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """The id of each entry of the vocabulary."""
        return {token: k for k, token in enumerate(self.vocabulary, self.unknown + 1)}

    @property
    def payload_spec(self) -> TensorSpec:
        """Texts, (N,)."""
        return TensorSpec("texts", "bytes", (None,))

    def decode(self, payload: Payload, where: str = "the text") -> Tensor:
        """The ids of one text, str or UTF-8 bytes; (length,) int64. Raises DataError with `where` in it."""
        found = tokens(text_of(payload, where), self.level, lowercase=self.lowercase)
        ids = [self.ids.get(token, self.unknown) for token in itertools.islice(found, self.length)]
        if self.backward:
            ids.reverse()
        return torch.tensor(ids + [PADDING] * (self.length - len(ids)), dtype=torch.int64)

    def normalise(self, inputs: Tensor) -> Tensor:
        """Ids stay as they are."""
        return inputs
