"""TextCNN: convolutional neural networks for sentence classification (Kim, 2014).

Paper: https://arxiv.org/abs/1408.5882, model CNN-rand, in which word vectors are learned with the rest; if they start
from published ones, CNN-non-static, and if they are kept, CNN-static. Windows of 3, 4
and 5 words slide over a sentence in parallel, and of each map only the strongest response counts. The paper also keeps
the norms of the last layer's rows below 3 while it trains.

As in the author's program there are zeros before and behind a sentence, so that a window may hold a single word, and a
sentence may be one. Here enough of them follow it that the last window of each size holds no word: then it makes no
difference how far a sentence is padded in its batch.

Shapes (N batch, L words, D values of a word vector, M maps of each window, K classes):

    stem      (N, L)            -> (N, D, L)            ids of words, integers from 0 to V - 1
    stage     (N, D, L)         -> (N, 3 * M, L + 5)    at place i: windows that end with word i
    head      (N, 3 * M, L + 5) -> (N, K)               maximum over places, dropout, dense
"""

import torch
from torch import Tensor, nn

from neocog.zoo.network import Network

__all__ = ["TextCNN", "Windows", "WordVectors"]

SPREAD = 0.25  # of random word vectors, which is about that of word2vec's


class WordVectors(nn.Embedding):
    """A vector for each id, channels first: (N, L) integers -> (N, D, L); zeros for `padding_idx`."""

    def reset_parameters(self) -> None:
        """Uniform in +-0.25. Source: the author's program."""
        nn.init.uniform_(self.weight, -SPREAD, SPREAD)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].zero_()

    def start_from(self, vectors: Tensor, ids: Tensor) -> None:
        """Set the vectors of some ids, and bring the others, which stay random, to the same variance.

        Shapes: vectors (M, D), ids (M,) of integers. Source: Kim 2014, section 4.3, where uniform numbers in +-a have
        the variance a^2 / 3.
        """
        spread = (3 * vectors.double().var(correction=0)).sqrt().item()
        with torch.no_grad():
            if spread > 0:
                self.weight.mul_(spread / SPREAD)
            self.weight[ids] = vectors.to(self.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens).transpose(1, 2)


class Windows(nn.ModuleList):
    """Convolutions of several sizes in parallel; (N, c_in, L) -> (N, num_maps of each, L + the largest size)."""

    def __init__(self, c_in: int, num_maps: int, sizes: tuple[int, ...]) -> None:
        super().__init__(
            nn.Sequential(nn.ZeroPad1d((size - 1, max(sizes))), nn.Conv1d(c_in, num_maps, size), nn.ReLU())
            for size in sizes
        )

    def forward(self, vectors: Tensor) -> Tensor:
        return torch.cat([window(vectors) for window in self], dim=1)


class TextCNN(Network):
    """Word vectors, parallel windows, maximum over time; for sentences of one word or more.

    `in_channels` is the size V of the vocabulary, since a word's id stands for a channel that is one where all others
    are zero. Id `padding_idx` fills up the shorter sentences of a batch: its vector is zero and stays so. With None all
    ids are words. `dropout` acts on the 300 maxima. A word vector has `vector_size` numbers.
    """

    def __init__(
        self,
        *,
        in_channels: int = 20_000,
        num_classes: int = 2,
        dropout: float = 0.5,
        padding_idx: int | None = 0,
        vector_size: int = 300,
    ) -> None:
        super().__init__()
        self.stem = WordVectors(in_channels, vector_size, padding_idx=padding_idx)
        self.stages = nn.Sequential(Windows(vector_size, num_maps=100, sizes=(3, 4, 5)))
        self.head = nn.Sequential(
            nn.AdaptiveMaxPool1d(1), nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(300, num_classes),
        )  # fmt: skip
