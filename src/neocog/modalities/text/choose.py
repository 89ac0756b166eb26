"""Settings of texts, and choosing their preprocessing: vocabulary and length, from the training texts alone."""

from collections import Counter
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.dataset.record import Source
from neocog.errors import ConfigError, DataError
from neocog.modalities.choose import Choices
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.modalities.text.tokens import Level, text_of, tokens
from neocog.progress import track
from neocog.settings import SETTINGS

__all__ = ["ALPHABET", "TextConfig", "choose_text", "inactive_settings", "known_share"]

ALPHABET = tuple("abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}\n")
"""The 70 characters of Zhang et al. 2015, section 2.2; the hyphen comes twice, as there."""
SHARE = 0.99  # of the training texts fit without being cut
CHARACTERS = "char_cnn"  # how the names of networks begin that were published with an alphabet


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TextConfig:
    """How texts are split into tokens."""

    level: Level | None = None
    """The kind of token; unset: characters for networks of characters, words for others."""
    lowercase: bool = True
    """Convert texts to lower case."""
    length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Tokens of an input; unset: enough for 99% of the training texts, or what the network was made for."""
    vocabulary: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    """Size of the vocabulary, at most: the most frequent tokens."""
    min_count: Annotated[int, Field(ge=1)] = 2
    """How often a token must occur in the training texts to be in the vocabulary."""
    vectors: Annotated[str, Field(min_length=1)] | None = None
    """Word vectors to start from: a file of word2vec (text or binary) or GloVe, perhaps packed with gzip."""
    vectors_frozen: bool | None = None
    """Keep all word vectors as they are when training begins (CNN-static of Kim 2014)."""

    def ignored(self) -> dict[str, str]:
        return {} if self.vectors else {"vectors_frozen": "no word vectors are read"}


def choose_text(
    source: Source,
    indices: NDArray[np.int64],
    settings: TextConfig,
    input_shape: tuple[int, ...],
    *,
    network: str = "",
    **_: object,
) -> tuple[TextPreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`; the settings that are set are kept.

    A network of characters, char_cnn_*, gets its own alphabet and the length it was made for. For others the tokens are
    counted: the vocabulary is ordered by count, then by the tokens themselves.
    Raises ConfigError for settings that a network of characters can't take, DataError if no token is frequent.
    """
    choices = Choices(settings)
    if network.startswith(CHARACTERS):
        return choose_characters(choices, settings, input_shape[0], network)
    level = choices.pick("level", "word", "the network was not made for single characters")
    counts, lengths = survey(source, indices, level, settings.lowercase)
    frequent = sorted((-count, token) for token, count in counts.items() if count >= settings.min_count)
    if not frequent:
        rule, fix = (
            f"A vocabulary needs tokens that occur {settings.min_count} times.",
            "Set --text.min_count 1, or add texts.",
        )
        raise DataError(rule, received=f"{len(indices):,} training texts without any", where=source.name, fix=fix)
    vocabulary = tuple(token for _, token in frequent[: settings.vocabulary])
    choices.reasons["vocabulary"] = (
        f"{len(vocabulary):,} of {len(counts):,} different tokens in the training texts; "
        f"covers {covered_share(counts, vocabulary):.1%} of their occurrences"
    )
    length = max(1, sorted(lengths)[int(np.ceil(SHARE * len(lengths))) - 1])
    choices.pick("length", length, f"{SHARE:.0%} of the training texts are no longer; the longest has {max(lengths):,}")
    return TextPreprocess(**choices.values, lowercase=settings.lowercase, vocabulary=vocabulary), choices.reasons


def choose_characters(
    choices: Choices, settings: TextConfig, length: int, network: str
) -> tuple[TextPreprocess, dict[str, str]]:
    """Texts as the networks of Zhang et al. 2015 read them."""
    if settings.level == "word" or not settings.lowercase:
        rule, fix = f"{network} reads single characters in lower case.", "Remove the setting, or choose text_cnn."
        received = "text.level=word" if settings.level == "word" else "text.lowercase=false"
        raise ConfigError(rule, received=received, fix=fix)
    choices.reasons["vocabulary"] = f"the {len(ALPHABET)} characters that {network} was published with"
    choices.pick("level", "character", f"{network} reads single characters")
    choices.pick("length", length, f"{network} was made for {length:,} characters")
    return TextPreprocess(**choices.values, vocabulary=ALPHABET, unknown=0, backward=True), choices.reasons


def inactive_settings(network: str) -> tuple[frozenset[str], str]:
    """The settings of a vocabulary and its vectors, if the network has an alphabet of its own."""
    of_words = {"text.vocabulary", "text.min_count", "text.vectors", "text.vectors_frozen"}
    own = of_words if network.startswith(CHARACTERS) else ()
    return frozenset(own), f"{network} reads the characters that it was published with"


def survey(source: Source, indices: NDArray[np.int64], level: Level, lowercase: bool) -> tuple[Counter[str], list[int]]:
    """How often each token occurs in these texts, and the number of tokens of each text."""
    counts: Counter[str] = Counter()
    lengths = [0]
    for index in track(indices.tolist(), "counting words"):
        record = source.read(index)
        found = list(tokens(text_of(record.payload, f"{source.name}: {record.key}"), level, lowercase=lowercase))
        counts.update(found)
        lengths.append(len(found))
    return counts, lengths[1:] or lengths


def known_share(source: Source, indices: NDArray[np.int64], spec: TextPreprocess) -> float:
    """The share of the tokens of these texts that are in a vocabulary."""
    counts, _ = survey(source, indices, spec.level, spec.lowercase)
    return covered_share(counts, tuple(spec.ids)) if counts else 0.0


def covered_share(counts: Counter[str], vocabulary: tuple[str, ...]) -> float:
    """The share of all tokens that are in the vocabulary."""
    return sum(counts[token] for token in vocabulary) / counts.total()
