"""Large images as their tiles: each is a sample of its own, so that training sees all of an image at its own scale."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import DIFFICULT, Objects, Record, Source, Target, take_objects
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.image.views import cut_tile
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.segments import cut_tiles
from neocog.modalities.views import tile_places

__all__ = ["TiledSource", "cut_records"]

VISIBLE = 0.3  # an object of which less than this share is in a tile is ignored there
Size = tuple[int, int]


class TiledSource:
    """Tiles of the images of a source, in the order of its records; a tile's key is its image's with its place.

    Masks and boxes are cut like the images.
    """

    def __init__(
        self, source: Source, indices: NDArray[np.int64], sizes: list[Size], preprocess: ImagePreprocess
    ) -> None:
        """`sizes` are those of the images of these records."""
        self.source, self.preprocess, self.tile = source, preprocess, preprocess.size
        self.name, self.classes, self.modality, self.task = source.name, source.classes, source.modality, source.task
        self.format, self.notices = source.format, source.notices
        self.tiles = [
            (index, place)
            for index, size in zip(indices.tolist(), sizes, strict=True)
            for place in tile_places(size, self.tile)
        ]
        self.targets: NDArray[Any] = np.full(len(self.tiles), -1, np.int64)
        self.splits = {"train": np.arange(len(self.tiles))}
        self.last: tuple[int, NDArray[Any], Target] | None = None

    def __len__(self) -> int:
        return len(self.tiles)

    def key(self, index: int) -> str:
        at, place = self.tiles[index]
        return f"{self.source.key(at)}@{','.join(map(str, place))}"

    def content(self) -> Iterator[bytes]:
        return self.source.content()

    def read(self, index: int) -> Record:
        """A tile, its image decoded whole; tiles of one image that are read one after the other share it."""
        at, (top, left) = self.tiles[index]
        last = self.last  # read once, as threads replace it
        if last is None or last[0] != at:
            record = self.source.read(at)
            where = f"{self.name}: {record.key}"
            last = self.last = at, self.preprocess.pixels(record.payload, where), record.target
        _, pixels, target = last
        return Record(
            self.key(index), cut_tile(pixels, (top, left), self.tile), cut_target(target, (top, left), self.tile)
        )


def cut_target(target: Target, place: Size, tile: Size) -> Target:
    """The part of a mask or of objects within a tile, in its own pixels."""
    top, left = place
    if isinstance(target, Objects):
        shifted = target.boxes - np.array([left, top] * 2, np.float32)
        clipped = shifted.clip(0, [tile[1], tile[0]] * 2)
        inside, whole = (np.prod((each[:, 2:] - each[:, :2]).clip(0), axis=1) for each in (clipped, shifted))
        kept = inside > 0
        ignored = np.zeros(len(target), np.uint8) if target.ignored is None else target.ignored
        ignored = np.where((inside <= VISIBLE * whole) & (ignored == 0), DIFFICULT, ignored).astype(np.uint8)
        marked = replace(target, ignored=ignored if ignored[kept].any() else None)
        return take_objects(marked, kept, clipped[kept])
    assert isinstance(target, np.ndarray), "a mask, or one for each class"
    part: NDArray[Any] = target[..., top : top + tile[0], left : left + tile[1]]
    return part


def cut_records(
    source: Source, indices: NDArray[np.int64], preprocess: Preprocess, size_of: Callable[[int], Size]
) -> tuple[Source, NDArray[np.int64]]:
    """The tiles of these records if their preprocessing makes tiles and one is larger than that; else as they are."""
    if isinstance(preprocess, SignalPreprocess):
        return cut_tiles(source, indices, preprocess)
    if not isinstance(preprocess, ImagePreprocess) or preprocess.resize != "tile":
        return source, indices
    sizes = [size_of(index) for index in indices.tolist()]
    if all(size[0] <= preprocess.size[0] and size[1] <= preprocess.size[1] for size in sizes):
        return source, indices
    tiled = TiledSource(source, indices, sizes, preprocess)
    return tiled, np.arange(len(tiled))
