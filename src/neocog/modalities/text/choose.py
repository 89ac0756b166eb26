"""Choosing the preprocessing of texts: the vocabulary and the length, from the training texts alone."""

from collections import Counter
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.dataset.record import Source
from neocog.errors import ConfigError, DataError
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.modalities.text.tokens import Level, text_of, tokens
from neocog.progress import track
from neocog.settings import SETTINGS

__all__ = ["ALPHABET", "TextConfig", "choose_text", "known_share"]

ALPHABET = tuple("abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}\n")
"""The 70 characters of Zhang et al. 2015, section 2.2; the hyphen stands twice, as it does there."""
SHARE = 0.99
"""Of the training texts, how many are to fit without being cut."""


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TextConfig:
    """What a text becomes."""

    level: Level | None = None
    """What a token is; unset: characters for a network of characters, else words."""
    lowercase: bool = True
    """Read capital letters as small ones."""
    length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Tokens of an input; unset: so many that 99% of the training texts fit, or what the network was made for."""
    vocabulary: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    """At most so many different tokens get an id of their own, the most frequent first."""
    min_count: Annotated[int, Field(ge=1)] = 2
    """A token needs to come so often in the training texts."""


def choose_text(
    source: Source, indices: NDArray[np.int64], config: TextConfig, input_size: tuple[int, ...], network: str | None
) -> tuple[TextPreprocess, dict[str, str]]:
    """The preprocessing for these training texts and a network, and a reason for each value that was chosen.

    A network of characters, char_cnn_*, gets its own alphabet and the length it was made for. For others the tokens are
    counted: the vocabulary is ordered by count, then by the tokens themselves.
    Raises ConfigError for settings that a network of characters can't take, DataError where no token is frequent.
    """
    if network is not None and network.startswith("char_cnn"):
        return zhang(config, input_size[0], network)
    level = config.level or "word"
    counts, lengths = survey(source, indices, level, config.lowercase)
    frequent = sorted((-count, token) for token, count in counts.items() if count >= config.min_count)
    if not frequent:
        raise DataError(
            f"A vocabulary needs tokens that come {config.min_count} times. Received: {len(indices):,} training texts "
            f"of {source.name}, without any. Set --text.min_count 1, or add texts."
        )
    vocabulary = tuple(token for _, token in frequent[: config.vocabulary])
    reasons = {
        "vocabulary": f"{len(vocabulary):,} of {len(counts):,} different tokens of the training texts; "
        f"{covered(counts, vocabulary):.1%} of what stands there"
    }
    if config.level is None:
        reasons["level"] = "the network was not made for single characters"
    length = config.length
    if length is None:
        length = max(1, sorted(lengths)[int(np.ceil(SHARE * len(lengths))) - 1])
        reasons["length"] = f"{SHARE:.0%} of the training texts have no more tokens; the longest has {max(lengths):,}"
    pre = TextPreprocess(level=level, lowercase=config.lowercase, length=length, vocabulary=vocabulary)
    return pre, reasons


def zhang(config: TextConfig, length: int, network: str) -> tuple[TextPreprocess, dict[str, str]]:
    """Texts as the networks of Zhang et al. 2015 read them."""
    if config.level == "word" or not config.lowercase:
        raise ConfigError(
            f"{network} reads single characters, of which the letters are small. Received: "
            f"{'text.level=word' if config.level == 'word' else 'text.lowercase=false'}. Remove the setting, or choose "
            "text_cnn."
        )
    reasons = {"vocabulary": f"the {len(ALPHABET)} characters that {network} was published with"}
    if config.level is None:
        reasons["level"] = f"{network} reads single characters"
    if config.length is None:
        reasons["length"] = f"{network} was made for {length:,} characters"
    pre = TextPreprocess(
        level="character", length=config.length or length, vocabulary=ALPHABET, unknown=0, backward=True
    )
    return pre, reasons


def survey(source: Source, indices: NDArray[np.int64], level: Level, lowercase: bool) -> tuple[Counter[str], list[int]]:
    """How often each token comes in these texts, and how many tokens each text has."""
    counts: Counter[str] = Counter()
    lengths = [0]
    for index in track(indices.tolist(), "counting words"):
        record = source.read(index)
        found = list(tokens(text_of(record.payload, f"{source.name}: {record.key}"), level, lowercase=lowercase))
        counts.update(found)
        lengths.append(len(found))
    return counts, lengths[1:] or lengths


def known_share(source: Source, indices: NDArray[np.int64], spec: TextPreprocess) -> float:
    """The share of the tokens of these texts that have an id of their own in a vocabulary."""
    counts, _ = survey(source, indices, spec.level, spec.lowercase)
    return covered(counts, tuple(spec.ids)) if counts else 0.0


def covered(counts: Counter[str], vocabulary: tuple[str, ...]) -> float:
    """The share of all tokens that the vocabulary holds."""
    return sum(counts[token] for token in vocabulary) / counts.total()
