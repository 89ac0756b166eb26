"""The base of all sets of annotated images: image files below one folder, and targets that are read apart from them."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.annotations.files import find_twice
from neocog.annotations.outlines import MAX_PIXELS, Outline, draw_outline
from neocog.dataset.files import walk
from neocog.dataset.list_source import FileSource
from neocog.dataset.record import CROWD, LeftOut, Objects, Record, Target, Task, absent_classes
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.image_folder import is_image

__all__ = [
    "AnnotatedImages", "Box", "DetectionImages", "Fault", "Object", "ObjectList", "Size", "tell_left_out",
    "tell_unlisted",
]  # fmt: skip

Size = tuple[int, int]  # height and width of the upright image
ImagesBySplit = Mapping[str, Sequence[Path]]
Box = tuple[float, float, float, float]  # left, top, right, bottom

FAR = 1e9  # no coordinate in pixels is larger
TOLERANCE = 0.5  # pixels by which rounding may move a box out of its image before that counts as a fault
MAX_MASK_BYTES = 2**31  # of all masks of one image
MAX_SIDE = 2**18  # of an image with masks: the memory for an edge of an outline grows with its length
DRAWN = re.compile(r"mask|segmentation|panoptic|stuff|label|annotation|runs/")  # folders of drawn images


class Fault(NamedTuple):
    """An annotation that can be read although something is wrong with it; `kind` as the data doctor names it."""

    key: str
    sentence: str
    kind: str = ""


def tell_left_out(paths: Sequence[Path], what: str, root: Path) -> list[LeftOut]:
    """A notice that these images are not read, if there are any.

    >>> tell_left_out([Path("set/b.png"), Path("set/a.png")], "images in no split", Path("set"))
    ['images in no split are left out: 2, first a.png']
    """
    if not paths:
        return []
    return [LeftOut(f"{what} are left out: {len(paths):,}, first {min(paths).relative_to(root)}", len(paths))]


def tell_unlisted(root: Path, images: ImagesBySplit, what: str) -> list[LeftOut]:
    """A notice of the images below a root that are in none of the splits; drawn masks don't count."""
    listed = {str(path) for paths in images.values() for path in paths}
    files = (Path(entry.path) for entry in walk(root, follow=False) if entry.path not in listed)
    found = (path for path in files if is_image(path))
    others = [path for path in found if not DRAWN.search(path.relative_to(root).parent.as_posix().lower())]
    return tell_left_out(others, what, root)


class AnnotatedImages(FileSource, ABC):
    """Image files by split, all below `root`. A record's key is its image's path below the root.

    Annotations are those of the upright image, turned as its EXIF orientation says.
    Raises DataError if there are no images, or one is listed twice.
    """

    file_noun = "An image file"

    def __init__(self, root: Path, images: ImagesBySplit, classes: Sequence[str],
                 notices: Sequence[str], format: str) -> None:  # fmt: skip
        paths, splits = list[Path](), dict[str, NDArray[np.int64]]()
        for split, files in images.items():
            splits[split] = np.arange(len(paths), len(paths) + len(files))
            paths += files
        super().__init__(root, paths, np.full(len(paths), -1, np.int64), splits, tuple(classes), tuple(notices))
        self.format = format
        if not paths:
            raise DataError(f"A data set needs at least one image. {root} has none.")
        if twice := find_twice(self.key(i) for i in range(len(self))):
            rule = f"An image belongs to one split, once. {root} lists {len(twice):,} more than once, first {twice[0]}."
            raise DataError(rule, fix="Take them out of all splits but one.")

    def content(self) -> Iterator[bytes]:
        """Sizes of the image files, which may be many gigabytes; then the annotations themselves."""
        yield from super().content()
        yield from self.annotations()

    def read(self, index: int) -> Record:
        payload = self.file_bytes(index)
        return Record(self.key(index), payload, self.target_for(index, payload))

    def target_for(self, index: int, payload: bytes) -> Target:
        """The target, checked against the image file's content."""
        return self.read_target(index)

    def image_size(self, index: int, payload: bytes | None = None) -> Size:
        """Of the upright image, from the file's header."""
        content = self.file_bytes(index) if payload is None else payload
        header = image_header(content, str(self.paths[index]), MAX_PIXELS)
        return header.height, header.width

    def check_size(self, index: int, payload: bytes) -> Size:
        """The image's size. Raises DataError if the annotation gives another one."""
        size, said = self.image_size(index, payload), self.size(index)
        if said is None or said == size:
            return size
        sizes = f"{size[1]} wide and {size[0]} high upright, and annotated as {said[1]} wide and {said[0]} high"
        rule = f"An image and its annotation must have the same size. {self.paths[index]} is {sizes}."
        fix = "Annotate the upright image, or replace one of the two."
        raise DataError(rule, fix=fix, kind="annotation-of-another-size")

    @abstractmethod
    def annotations(self) -> Iterator[bytes]:
        """The bytes that tell these targets from others."""

    @abstractmethod
    def read_target(self, index: int) -> Target:
        """The target by the annotation alone."""

    @abstractmethod
    def size(self, index: int) -> Size | None:
        """Height and width by the annotation; None if it doesn't say."""

    @abstractmethod
    def faults(self) -> Iterator[Fault]:
        """All that is wrong in the annotations though they can be read."""


class Object(NamedTuple):
    """An object of the image with this number; `place` is its number in the annotation, `ignored` as in `Objects`."""

    image: int
    label: int
    box: Box
    place: int | str
    outline: Outline | None = None
    ignored: int = 0


@dataclass(slots=True)
class ObjectList:
    """All objects, in any order. `relative` boxes and outlines are shares of width and height; others are pixels."""

    place: str  # the noun for places: annotation, line, object
    relative: bool = False
    with_masks: bool = False
    found: list[Object] = field(default_factory=list)
    sizes: list[Size | None] = field(default_factory=list)  # of images, as annotated; empty if not told


class DetectionImages(AnnotatedImages):
    """Images with objects. Boxes without area are left out and counted in a notice; all others stay as they are."""

    task: Task = "detection"

    def __init__(self, root: Path, images: ImagesBySplit, classes: Sequence[str], objects: ObjectList,
                 notices: Sequence[str], format: str) -> None:  # fmt: skip
        super().__init__(root, images, classes, notices, format)
        self.place, self.sizes = objects.place, objects.sizes
        self.relative, self.with_masks = objects.relative, objects.with_masks
        self.needs_size = self.relative or self.with_masks
        found = sorted(objects.found, key=lambda thing: thing.image)
        owners = np.array([thing.image for thing in found], np.int64)
        self.starts: NDArray[np.int64] = np.searchsorted(owners, np.arange(len(self) + 1))
        self.labels = np.array([thing.label for thing in found], np.int64)
        self.boxes = np.array([thing.box for thing in found], np.float64).reshape(-1, 4)
        self.ignored = np.array([thing.ignored for thing in found], np.uint8)
        self.places = [thing.place for thing in found]
        self.outlines = [thing.outline for thing in found if thing.outline is not None]
        # Float32 still tells a millionth of an image from nothing after scaling.
        stored = self.boxes.astype(np.float32)
        self.kept = np.all(stored[:, 2:] - stored[:, :2] > (1e-6 if self.relative else 0), axis=1)
        if (empty := np.flatnonzero(~self.kept)).size:
            image = int(np.searchsorted(self.starts, empty[0], side="right")) - 1
            first = f"{self.place} {self.places[empty[0]]} of {self.key(image)}"
            self.notices += (f"boxes without area were left out: {len(empty):,}, first {first}",)
        self.notices += absent_classes(self.classes, {k: self.labels_of(part) for k, part in self.splits.items()})

    def labels_of(self, part: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = slice(self.starts[part[0]], self.starts[part[-1] + 1]) if part.size else slice(0)
        return np.asarray(self.labels[rows][self.kept[rows] & (self.ignored[rows] != CROWD)])

    def annotations(self) -> Iterator[bytes]:
        for values in (self.starts, self.labels, self.boxes):
            yield np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        if self.ignored.any():  # not always, so that sets without them keep their name
            yield self.ignored.tobytes()
        for outline in self.outlines:
            yield from (part.tobytes() for part in outline)

    def size(self, index: int) -> Size | None:
        return self.sizes[index] if self.sizes else None

    def read_target(self, index: int) -> Objects:
        """The objects, in pixels. If their size is needed and only the image tells it, its header is read."""
        size = self.size(index)
        return self.objects(index, self.image_size(index) if size is None and self.needs_size else size)

    def target_for(self, index: int, payload: bytes) -> Objects:
        return self.objects(index, self.check_size(index, payload) if self.needs_size else None)

    def rows(self, index: int) -> NDArray[np.int64]:
        return np.arange(self.starts[index], self.starts[index + 1])

    def objects(self, index: int, size: Size | None) -> Objects:
        rows = self.rows(index)[self.kept[self.rows(index)]]
        boxes = (self.boxes[rows] * np.tile(self.scale(size), 2)).astype(np.float32)
        masks = self.masks(index, rows, size) if self.with_masks else None
        return Objects(boxes, self.labels[rows], masks, self.ignored[rows] if self.ignored.any() else None)

    def masks(self, index: int, rows: NDArray[np.int64], size: Size | None) -> NDArray[np.bool_]:
        """(M, H, W)."""
        assert size, "known wherever masks are asked for"
        if max(1, len(rows)) * math.prod(size) > MAX_MASK_BYTES or max(size) > MAX_SIDE:
            rule = f"The masks of an image may take {MAX_MASK_BYTES / 2**30:g} GiB, and each side {MAX_SIDE:,} pixels."
            received = f"{len(rows):,} objects on {size[1]} x {size[0]} pixels"
            raise DataError(rule, received=received, where=self.key(index), fix="Shrink it, or read its boxes alone.")
        masks = np.zeros((len(rows), *size), bool)
        for mask, row in zip(masks, rows.tolist(), strict=True):
            outline = self.outlines[row]
            mask[:] = draw_outline([part * self.scale(size) for part in outline] if self.relative else outline, *size)
        return masks

    def scale(self, size: Size | None) -> NDArray[np.float64]:
        """The factors from x and y to pixels."""
        assert size or not self.relative, "known wherever boxes are relative"
        return np.array([size[1], size[0]] if size and self.relative else [1, 1], np.float64)

    def faults(self) -> Iterator[Fault]:
        for index in np.flatnonzero(np.diff(self.starts)).tolist():
            try:
                size = self.size(index) or self.image_size(index)
            except DataError as error:
                yield Fault(self.key(index), str(error))
                continue
            for row in self.rows(index).tolist():
                left, top, right, bottom = (self.boxes[row] * np.tile(self.scale(size), 2)).tolist()
                box = f"{self.place} {self.places[row]}: the box from {left:g}, {top:g} to {right:g}, {bottom:g}"
                beyond = max(-left, -top, right - size[1], bottom - size[0])
                if not self.kept[row]:
                    yield Fault(self.key(index), f"{box} has no area and was left out", "box-empty")
                elif beyond > TOLERANCE:
                    edge = f"{beyond:.1f} pixels beyond the image, which is {size[1]} wide and {size[0]} high"
                    yield Fault(self.key(index), f"{box} reaches {edge}", "box-outside")
