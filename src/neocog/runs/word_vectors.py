"""Word vectors from a file as the first weights of a network of texts."""

from pathlib import Path

import numpy as np
import torch

from neocog.data import Preprocess, TextPreprocess
from neocog.errors import ConfigError, agree
from neocog.modalities.text.vectors import find_layout, read_vectors
from neocog.progress import note
from neocog.runs.config import ResolvedConfig, RunConfig
from neocog.runs.start import Start
from neocog.zoo import Network, model_info
from neocog.zoo.networks.text_cnn import WordVectors

__all__ = ["resolve_vectors", "start_from_vectors"]


def resolve_vectors(resolved: ResolvedConfig, start: Start | None) -> ResolvedConfig:
    """The settings with the size of word vectors, which is that of the file, if there is one.

    Raises ConfigError if the network has no word vectors, or those of a model to start from; DataError for a file that
    is not one of word vectors.
    """
    config = resolved.config
    if config.text.vectors is None:
        return resolved
    if start is not None:
        raise ConfigError(
            "A fine-tuned network keeps its word vectors.",
            received=f"text.vectors={config.text.vectors}", where=str(start.path), fix="Leave it out.",
        )  # fmt: skip
    if "vector_size" not in model_info(config.model.name).options:
        raise ConfigError(
            "text.vectors is for networks with word vectors.", received=config.model.name, fix="Choose text_cnn."
        )
    if config.model.vector_size is not None:  # by the user, or by the run that is resumed
        return resolved
    size = find_layout(Path(config.text.vectors)).size
    return resolved.choose({"model.vector_size": (size, f"that of {Path(config.text.vectors).name}")})


def start_from_vectors(model: Network, spec: Preprocess, config: RunConfig) -> tuple[str, ...]:
    """Give the words of the vocabulary their vectors; returns sentences on how many have one.

    Raises ConfigError for vectors of another size than those of the network, or of none of the words; DataError for a
    file that can't be read.
    """
    if config.text.vectors is None:
        return ()
    assert isinstance(spec, TextPreprocess)
    assert isinstance(model.stem, WordVectors)
    path = Path(config.text.vectors)
    vectors = read_vectors(path, spec.vocabulary)
    size, wanted = vectors.values.shape[1], model.stem.embedding_dim
    if size != wanted:
        raise ConfigError(
            f"The network's word vectors have {wanted} numbers each.", received=f"{size}", where=str(path),
            fix="Leave model.vector_size out.",
        )  # fmt: skip
    places = np.flatnonzero(vectors.found)
    if not len(places):
        raise ConfigError(
            "Word vectors must be those of words in the training texts.",
            received=f"{vectors.num_words:,} words, of which the vocabulary has none", where=str(path),
            fix="Check its language, and text.lowercase.",
        )  # fmt: skip
    first = spec.in_channels - len(spec.vocabulary)  # the id of the first word
    model.stem.start_from(torch.tensor(vectors.values[places]), torch.from_numpy(places + first))
    total = len(spec.vocabulary)
    share = f"{len(places):,} of the {total:,} words of the vocabulary ({len(places) / total:.1%})"
    others = "the others start at random, with the same variance" if len(places) < total else "none starts at random"
    told = [f"{share} start with the vectors of {path.name}, {size} numbers each; {others}"]
    if vectors.num_repeated:
        again = agree("{n} word(|s) of the vocabulary (comes|come) again in ", vectors.num_repeated)
        told.append(f"{again}{path.name}: the first vector counts")
    for sentence in told:
        note(f"  {sentence}")
    return tuple(told)
