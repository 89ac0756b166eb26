"""A preprocessing from what a bundle says of it."""

from typing import Any

from neocog.errors import DataError
from neocog.modalities.audio.preprocess import SoundPreprocess
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = ["KINDS", "read_preprocess"]

KINDS: dict[str, type[Preprocess]] = {
    kind.modality: kind
    for kind in (ImagePreprocess, SignalPreprocess, SoundPreprocess, TextPreprocess, BoardPreprocess)
}


def read_preprocess(spec: dict[str, Any]) -> Preprocess:
    """The inverse of any preprocessing's `to_json`. Raises DataError for what this program does not know.

    >>> spec = ImagePreprocess(size=(28, 28), channels=1)
    >>> read_preprocess(spec.to_json()) == spec
    True
    """
    if not isinstance(spec, dict):
        raise DataError(f"Preprocessing is described by a mapping. Received: {spec!r}.")
    modality = spec.get("modality", "image")  # the first bundles held pictures only, and did not say so
    if modality not in KINDS:
        raise DataError(f"Preprocessing is known for {', '.join(KINDS)}. Received: {modality!r}. Update Neocog.")
    return KINDS[modality].from_json(spec)
