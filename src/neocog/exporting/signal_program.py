"""The preprocessing of signals as a part of a graph: from signals of any length to a network's inputs."""

import torch
from torch import Tensor, nn

from neocog.exporting.axes import Length, cut, number, tiles_of
from neocog.modalities.signal.preprocess import FLAT, SignalPreprocess

__all__ = ["SignalReader", "SignalTiles", "kept_samples"]


class SignalReader(nn.Module):
    """Signals brought to one length, normalised; (N, C, L) float32 -> (N, *shape). None of their values is missing."""

    def __init__(self, spec: SignalPreprocess) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, signals: Tensor) -> Tensor:
        spec, length = self.spec, signals.shape[2]
        if spec.scale == "series":
            signals = z_normalised(signals, None)
        places, inside = fitted_places(spec, length)
        first = places.floor()
        last = number(length) - 1
        low = signals.index_select(2, torch.minimum(first, last).long())
        high = signals.index_select(2, torch.minimum(first + 1, last).long())
        share = places - first
        fitted = (low.double() + (high.double() - low.double()) * share).float()
        return finish(spec, fitted, inside)


class SignalTiles(nn.Module):
    """Overlapping tiles of signals as one batch; (N, C, L) -> (N * tiles, *shape)."""

    def __init__(self, spec: SignalPreprocess) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, signals: Tensor) -> Tensor:
        spec, (num, channels, length) = self.spec, signals.shape
        tiles = tiles_of(length, spec.length)
        parts, inside = cut(signals, 2, tiles)
        split = parts.reshape(num, channels, tiles.count, spec.length).transpose(1, 2)
        there = inside.reshape(1, tiles.count, 1, spec.length)
        if spec.scale == "series":
            split = z_normalised(split, there)
        found = finish(spec, split, there)
        return found.reshape(num * tiles.count, spec.shape[0], spec.length)


def fitted_places(spec: SignalPreprocess, length: Length) -> tuple[Tensor, Tensor]:
    """The place in a signal of each sample of the network's input, and whether there is one; (length,) twice."""
    steps, full = torch.arange(spec.length, dtype=torch.float64), number(length)
    stretched = steps * (full - 1) / max(1, spec.length - 1)
    if spec.fit == "resample":
        return stretched.clamp(min=0), torch.ones(spec.length, dtype=torch.bool)
    if spec.fit == "pad":
        places = torch.where(full > spec.length, stretched, steps)
    else:
        places = steps + ((full - spec.length) / 2).floor().clamp(min=0)
    return places, places < full


def kept_samples(spec: SignalPreprocess, length: Length) -> Tensor:
    """How many samples of the network's input a signal takes that is not cut into tiles; () float64."""
    parts = torch.tensor(float(spec.length)).double()
    return parts if spec.fit == "resample" else torch.minimum(parts, number(length))


def finish(spec: SignalPreprocess, fitted: Tensor, inside: Tensor) -> Tensor:
    """Samples (..., C, length) normalised, zero beyond the signal's end, with the channels that are added."""
    mean, std = (torch.tensor(values)[:, None] for values in (spec.mean, spec.std))
    rows = [torch.where(inside, (fitted - mean) / std, 0.0)]
    if spec.flag_missing:
        rows.append(torch.zeros_like(fitted))
    if spec.mask:
        rows.append(torch.where(inside, torch.ones_like(fitted[..., :1, :]), 0.0))
    return torch.cat(rows, dim=-2) if len(rows) > 1 else rows[0]


def z_normalised(signals: Tensor, inside: Tensor | None) -> Tensor:
    """Each channel minus its mean, by its deviation, both of the samples inside; (..., L) float32.

    Means are of differences from the first sample: float32, in which some engines compute, can tell those of an
    almost constant signal.
    """
    values = signals.double()
    there = torch.ones_like(values) if inside is None else inside.double().expand(values.shape)
    count = there.sum(dim=-1, keepdim=True)
    moved = values - values[..., :1]
    centred = moved - (moved * there).sum(dim=-1, keepdim=True) / count
    std = ((centred.square() * there).sum(dim=-1, keepdim=True) / count).sqrt()
    flat = std <= FLAT * (values.abs() * there).amax(dim=-1, keepdim=True)
    return torch.where(flat, 0.0, centred / torch.where(flat, 1.0, std)).float()
