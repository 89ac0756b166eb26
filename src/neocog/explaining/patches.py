"""The patches of a data set that excite a channel most, and channels that say nothing or repeat another.

One pass over the data serves all channels of a layer. Of each channel only the strongest places are kept, never the
maps, and of all channels together the sums that correlations need. A patch is cut out by the exact receptive field of
its unit, from the decoded input of the network, when it is asked for.

Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.data import Source
from neocog.errors import ConfigError, some
from neocog.explaining.channels import ALIKE, ChannelFacts, ChannelSums, highest
from neocog.explaining.data_pass import DataPass
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.receptive import Box, box

__all__ = ["ChannelFacts", "Patch", "TopPatches", "channel_facts", "top_patches"]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The part of an input that a unit sees."""

    key: str
    """Of the sample."""
    index: int
    """Of the sample in its source."""
    view: int
    """Which tile of a large image or signal, for a task whose outputs have places; else 0."""
    value: float
    """Of the unit."""
    place: tuple[int, ...]
    """Of the unit in the feature maps, one number for each axis."""
    box: Box
    """The receptive field: the first and last place along each axis of the network's input, clipped at the border."""
    pixels: Tensor
    """The decoded input within the box: (C, *places), or (places,) token ids."""
    words: tuple[str, ...] = ()
    """The tokens of a text within the box; padding is left out."""


class TopPatches(Mapping[int, list[Patch]]):
    """For each channel, its patches, the strongest first. A patch is read and cut out when it is asked for."""

    def __init__(self, data: DataPass, layer: Layer, top: "Strongest", facts: ChannelFacts | None) -> None:
        self.data, self.layer, self.top, self.facts = data, layer, top, facts
        self.skipped = dict(data.skipped)
        """Samples that could not be read: their keys and why."""
        self.boxes: dict[tuple[int | None, tuple[int, ...]], Box | None] = {}

    def __len__(self) -> int:
        return len(self.top.channels)

    def __iter__(self) -> Iterator[int]:
        return iter(self.top.channels)

    def __getitem__(self, channel: int) -> list[Patch]:
        """Raises KeyError for a channel that was not asked for."""
        if channel not in self.top.channels:
            raise KeyError(channel)
        return [patch for found in self.top.of(channel) if (patch := self.patch(channel, *found))]

    def patch(self, channel: int, index: int, view: int, value: float, place: tuple[int, ...]) -> Patch | None:
        """The patch of one unit; None if the unit sees nothing of the input."""
        seen = self.box(channel, place)
        if seen is None:
            return None
        payload, decoded = self.data.read(index, view)
        for axis, (low, high) in enumerate(reversed(seen), 1):
            decoded = decoded.narrow(-axis, low, high + 1 - low)
        words = self.data.words(payload, seen)
        return Patch(self.data.source.key(index), index, view, value, place, seen, decoded.clone(), words)

    def box(self, channel: int, place: tuple[int, ...]) -> Box | None:
        one = None if self.top.grid.uniform else channel
        if (one, place) not in self.boxes:
            self.boxes[one, place] = box(self.data.explainer, self.layer, place, one)
        return self.boxes[one, place]


def top_patches(
    explainer: Explainer,
    source: Source,
    layer: Layer,
    *,
    channels: Iterable[int] | None = None,
    count: int = 9,
    indices: NDArray[np.int64] | None = None,
    per_sample: int = 1,
    facts: bool | ChannelSums = True,
    threshold: float = ALIKE,
    batch_size: int | None = None,
) -> TopPatches:
    """The `count` patches of a data set that excite each channel of a layer most, in one pass over the data.

    `channels` are by default all of the layer's and `indices` all samples of the source. Of a sample, at most
    `per_sample` places of a channel are taken; with more than one, that many of each tile of a large image. `facts`
    adds `ChannelFacts` of the same pass; sums continue those of earlier passes. `batch_size` changes the speed alone.
    Samples that can't be read are left out and reported. Raises ConfigError for an explainer without preprocessing, and
    for a channel that doesn't exist; DataError for data of another kind, or if no sample can be read.
    """
    data = DataPass(explainer, source, indices)
    grid = Grid.of(explainer, layer)
    chosen = checked_channels(range(grid.channels) if channels is None else channels, grid, layer)
    if count < 1 or per_sample < 1:
        raise ConfigError("At least one patch is asked for.", received=f"count={count}, per_sample={per_sample}")
    top = Strongest(grid, chosen, count, per_sample)
    sums = facts if isinstance(facts, ChannelSums) else ChannelSums(grid.channels, threshold) if facts else None
    with torch.inference_mode():
        for samples, views, maps in data.maps(layer, grid, batch_size, f"patches of {layer.name}"):
            largest = highest(maps)
            top.add(maps, largest, samples, views)
            if sums is not None:
                sums.add(maps, largest)
    return TopPatches(data, layer, top, sums.facts() if sums is not None else None)


def channel_facts(
    explainer: Explainer,
    source: Source,
    layer: Layer,
    *,
    indices: NDArray[np.int64] | None = None,
    threshold: float = ALIKE,
    batch_size: int | None = None,
) -> ChannelFacts:
    """Which channels of a layer are dead, constant or redundant on a data set, in one pass.

    Two channels are alike if their largest values in each input correlate by more than `threshold` over the data set.
    Raises as `top_patches` does.
    """
    data, grid = DataPass(explainer, source, indices), Grid.of(explainer, layer)
    sums = ChannelSums(grid.channels, threshold)
    with torch.inference_mode():
        for _, _, maps in data.maps(layer, grid, batch_size, f"channels of {layer.name}"):
            sums.add(maps, highest(maps))
    return sums.facts()


def checked_channels(channels: Iterable[int], grid: Grid, layer: Layer) -> list[int]:
    """Raises ConfigError for a channel that the layer does not have."""
    found = list(dict.fromkeys(int(channel) for channel in channels))
    if not found or any(not 0 <= channel < grid.channels for channel in found):
        raise ConfigError(
            f"{layer.name} has {grid.channels} channels, from 0.", received=some(found) if found else "none"
        )
    return found


class Strongest:
    """The strongest places of each channel so far, in order: (count, C) each."""

    def __init__(self, grid: Grid, channels: Sequence[int], count: int, per_sample: int) -> None:
        self.grid, self.channels, self.count, self.per_sample = grid, list(channels), count, per_sample
        self.values = torch.full((0, len(channels)), -torch.inf)
        self.found = torch.zeros(3, 0, len(channels), dtype=torch.int64)
        """The sample, its view and the place of each value."""

    def add(self, maps: Tensor, largest: Tensor, samples: NDArray[np.int64], views: NDArray[np.int64]) -> None:
        """Feature maps (n, C, *places) of some inputs, and the largest value of each, (n, C)."""
        if len(self.channels) < maps.shape[1]:
            maps, largest = maps[:, self.channels], largest[:, self.channels]
        new, places = largest[None], None
        if self.per_sample > 1:
            rows = maps.reshape(*maps.shape[:2], -1)
            best, where = rows.topk(min(self.per_sample, rows.shape[2]), dim=2)
            new, places = best.movedim(2, 0), where.movedim(2, 0)
        times, n, num = new.shape
        new = torch.where(new.isnan(), -torch.inf, new).float().reshape(times * n, num)
        old = len(self.values)
        joined = torch.cat([self.values.to(new.device), new])
        if self.per_sample == 1 and views.any():
            given = torch.from_numpy(samples).to(new.device)[:, None].expand(n, num)
            joined = once_each(joined, torch.cat([self.found[0].to(new.device), given]))
        ordered, order = joined.sort(dim=0, descending=True, stable=True)  # of equals, the first sample stays
        self.values, order = ordered[: self.count], order[: self.count]
        kept = torch.zeros(3, *order.shape, dtype=torch.int64, device=new.device)
        if old:
            kept = self.found.to(new.device).gather(1, order.clamp(max=old - 1).expand(3, -1, -1))
        entered = order >= old
        rank, row = (order[entered] - old) // n, (order[entered] - old) % n
        column = torch.arange(num, device=new.device).expand_as(order)[entered]
        if places is not None:
            at = places[rank, row, column]
        else:  # only what enters is searched for its place
            at = maps[row, column].reshape(len(row), prod(maps.shape[2:])).nan_to_num(-torch.inf).argmax(1)
        numbers = torch.from_numpy(np.stack([samples, views])).to(new.device)
        kept[:, entered] = torch.cat([numbers[:, row], at[None]])
        self.found = kept

    def of(self, channel: int) -> list[tuple[int, int, float, tuple[int, ...]]]:
        """The sample, view, value and place of each of a channel's strongest units, in order."""
        column = self.channels.index(channel)
        units = []
        for value, (sample, view, at) in zip(
            self.values[:, column].tolist(), self.found[:, :, column].T.tolist(), strict=True
        ):
            if value > -torch.inf:
                place = np.unravel_index(at, self.grid.places) if self.grid.places else ()
                units.append((sample, view, value, tuple(int(number) for number in place)))
        return units


def once_each(values: Tensor, samples: Tensor) -> Tensor:
    """Values (m, C) with all but the largest of each sample as minus infinity, column by column.

    >>> once_each(torch.tensor([[1.0], [3.0], [2.0]]), torch.tensor([[7], [7], [8]])).flatten().tolist()
    [-inf, 3.0, 2.0]
    """
    ordered, order = values.sort(dim=0, descending=True, stable=True)
    names = samples.gather(0, order)
    above = torch.ones(len(values), len(values), dtype=torch.bool, device=values.device).tril(-1)[..., None]
    repeated = ((names[:, None] == names[None]) & above).any(1)
    return torch.empty_like(values).scatter(0, order, torch.where(repeated, -torch.inf, ordered))
