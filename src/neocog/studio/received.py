"""An input as the network receives it, in the form in which the page draws it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neocog.dataset.record import Payload
from neocog.explaining.explainer import Explainer, Sample
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.table import MODALITIES
from neocog.modalities.text.draw import read_tokens
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = ["drawn_input", "kind_of"]


def kind_of(explainer: Explainer) -> str:
    """The way an input is drawn: image, curves, spectrogram, text, board, or numbers, for a kind that isn't known."""
    spec = explainer.preprocess
    if isinstance(spec, BoardPreprocess):
        return "board"
    if isinstance(spec, TextPreprocess):
        return "text"
    if isinstance(spec, AudioPreprocess):
        return "curves" if spec.features == "waveform" else "spectrogram"
    if isinstance(spec, ImagePreprocess):
        return "image"
    return "curves" if len(explainer.input_shape) == 2 else "numbers"


def drawn_input(explainer: Explainer, decoded: Tensor, sample: Sample | None = None) -> tuple[dict[str, Any], Any]:
    """Tensors and facts from which the page draws a decoded input, (*shape).

    image           pixels (1 or 3, H, W) of bytes
    curves          curves (C, L), and the names of the channels
    spectrogram     bands (bands, frames), the lowest band last, and the seconds of a frame
    text            ids (L,), and the tokens, each with whether the vocabulary has it
    board           the position as an image, and the points of a side
    numbers         values (*shape)
    """
    spec, kind = explainer.preprocess, kind_of(explainer)
    meta: dict[str, Any] = {"kind": kind, "shape": list(decoded.shape)}
    if kind == "image":
        return {"pixels": as_bytes(decoded)}, meta
    if kind == "curves":
        rows = decoded.float()
        if isinstance(spec, SignalPreprocess):
            meta["names"] = channel_names(spec)
        if isinstance(spec, AudioPreprocess):
            meta["seconds"] = 1 / spec.sample_rate
        return {"curves": rows}, meta
    if isinstance(spec, AudioPreprocess):
        meta |= {"seconds": spec.hop / spec.sample_rate, "features": spec.features}
        return {"bands": decoded[0].T.flip(0)}, meta
    if isinstance(spec, TextPreprocess):
        meta["tokens"] = seen_tokens(spec, decoded, sample.payload if sample is not None else None)
        return {"ids": decoded}, meta
    if isinstance(spec, BoardPreprocess):
        payload = sample.payload if sample is not None and sample.payload is not None else decoded.numpy()
        drawing = MODALITIES[spec.modality].draw(payload, decoded, sample.name if sample else "")
        return {"planes": decoded}, meta | {"address": drawing.address, "size": spec.size}
    return {"values": decoded.float()}, meta


def as_bytes(decoded: Tensor) -> Tensor:
    """Pixels (C, H, W) of 8 or 16 bits as 8 bits, in colour if there are three channels or more."""
    planes = decoded[:3] if len(decoded) >= 3 else decoded[:1]
    if planes.dtype == torch.uint16:
        planes = torch.from_numpy((planes.numpy() >> 8).astype(np.uint8))
    return planes.to(torch.uint8)


def channel_names(spec: SignalPreprocess) -> list[str]:
    """Of all channels that the network receives, those that mark missing values and padding, too."""
    names = list(spec.names) or [f"channel {k}" for k in range(spec.channels)]
    return names + ([f"{name} missing" for name in names] if spec.flag_missing else []) + ["mask"] * spec.mask


def seen_tokens(spec: TextPreprocess, decoded: Tensor, payload: Payload | None) -> list[tuple[str, bool]]:
    """Each token that reaches the network, and whether the vocabulary has it; from the ids if the text isn't known.

    >>> spec = TextPreprocess(level="word", length=4, vocabulary=("good", "film"))
    >>> seen_tokens(spec, spec.decode("A good film"), None)
    [('?', False), ('good', True), ('film', True)]
    """
    if payload is not None:
        return read_tokens(payload, spec)
    known = dict(enumerate(spec.vocabulary, spec.unknown + 1))
    return [(known.get(k, "?"), k in known) for k in decoded.tolist() if k]
