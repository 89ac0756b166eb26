"""The tokens of a text as a network reads them, and a map over them."""

import itertools
from typing import Any

from torch import Tensor

from neocog.dataset.record import Payload
from neocog.modalities.draw_map import Heat, draw_places, heat_colours
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.modalities.text.tokens import text_of, tokens

__all__ = ["draw_words", "read_tokens"]

SIZE, WIDTH = 9, 0.602
"""Of the letters: points, and how wide each is, as a share of that."""
LINE = 0.27  # inches from one line to the next
UNKNOWN_INK, INK = "#8a949e", "#39424d"


def read_tokens(payload: Payload, preprocess: Preprocess) -> list[tuple[str, bool]]:
    """Each token that reaches the network, in its order, and whether it is in the vocabulary.

    >>> spec = TextPreprocess(level="word", length=3, vocabulary=("good", "film"))
    >>> read_tokens("A good film!", spec)
    [('a', False), ('good', True), ('film', True)]
    """
    assert isinstance(preprocess, TextPreprocess)
    every = tokens(text_of(payload, "the text"), preprocess.level, lowercase=preprocess.lowercase)
    found = [(token, token in preprocess.ids) for token in itertools.islice(every, preprocess.length)]
    return found[::-1] if preprocess.backward else found


def draw_words(axes: Any, payload: Payload | None, decoded: Tensor, preprocess: Preprocess | None, heat: Heat) -> None:
    """The tokens with coloured backgrounds, in lines; those that are not in the vocabulary in grey."""
    if payload is None or not isinstance(preprocess, TextPreprocess):
        draw_places(axes, payload, decoded, preprocess, heat)
        return
    words, gap = read_tokens(payload, preprocess), int(preprocess.level == "word")
    width = axes.figure.get_size_inches()[0]
    most = max(20, int((width - 1.1) * 72 / (SIZE * WIDTH)))
    places, line, column = [], 0, 0
    for token, _ in words:
        if column and column + len(token) > most:
            line, column = line + 1, 0
        places.append((column, line))
        column += len(token) + gap
    axes.figure.set_size_inches(width, max(1.0, 0.5 + LINE * (line + 1)))
    axes.set(xlim=(0, most), ylim=(line + 0.7, -0.7), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    colours = heat_colours(heat.shares)
    for (token, known), (x, y), colour in zip(words, places, colours[: len(words)], strict=True):
        shown = token if token.isprintable() else "\u2423"
        axes.text(
            x, y, shown, fontsize=SIZE, family="monospace", parse_math=False, color=INK if known else UNKNOWN_INK,
            va="center", bbox={"facecolor": tuple(colour), "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip
