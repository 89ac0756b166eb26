"""What sources of annotated pictures share: files below one folder, and targets that are read apart from them."""

import math
import re
import reprlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from stat import S_ISREG

import numpy as np
from numpy.typing import NDArray

from neocog.annotations.rle import MAX_PIXELS, Outline, outline_mask
from neocog.dataset.files import size_bytes, walk
from neocog.dataset.record import LeftOut, Modality, Objects, Record, Target, Task, absent_classes
from neocog.errors import DataError, some
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.image_folder import is_image

__all__ = [
    "AnnotatedPictures",
    "BoxedPictures",
    "Found",
    "Size",
    "below",
    "check_names",
    "encodable",
    "entries",
    "is_file",
    "is_folder",
    "left_out",
    "read_limited",
    "read_lines",
    "shown",
    "unlisted",
]

Size = tuple[int, int]
"""Height and width of the upright picture."""

FAR = 1e9
"""No coordinate in pixels is larger."""
TOLERANCE = 0.5
"""Pixels by which a box may reach out of its picture, from rounding, before it is called a fault."""
MAX_BYTES = 2**30
"""Of a picture's file."""
MAX_MASK_BYTES = 2**31
"""Of all masks of one picture."""
MAX_SIDE = 2**18
"""Of a picture with masks: what an edge of an outline takes grows with its length."""
DRAWN = re.compile(r"mask|segmentation|panoptic|stuff|label|annotation|runs/")
"""What folders of pictures are called that were drawn, not taken."""
Names = Mapping[str, Sequence[Path]]


def left_out(paths: Sequence[Path], what: str, root: Path) -> list[LeftOut]:
    """A notice that these pictures are not read, or none where there are none.

    >>> left_out([Path("set/b.png"), Path("set/a.png")], "pictures in no split", Path("set"))
    ['pictures in no split are left out: 2, first a.png']
    """
    if not paths:
        return []
    return [LeftOut(f"{what} are left out: {len(paths):,}, first {min(paths).relative_to(root)}", len(paths))]


def unlisted(root: Path, pictures: Names, what: str) -> list[LeftOut]:
    """A notice of the pictures below a root that are in none of the splits; drawn masks are not meant."""
    listed = {str(path) for paths in pictures.values() for path in paths}
    files = (Path(entry.path) for entry in walk(root, follow=False) if entry.path not in listed)
    others = [
        path for path in files if is_image(path) and not DRAWN.search(path.relative_to(root).parent.as_posix().lower())
    ]
    return left_out(others, what, root)


class AnnotatedPictures(ABC):
    """Picture files by split, all below `root`. A record's key is its picture's path below the root.

    Annotations are taken as those of the upright picture, turned as its EXIF orientation says.
    Raises DataError where there is no picture, or one is in two splits.
    """

    modality: Modality = "image"
    task: Task
    format = "annotated"

    def __init__(self, root: Path, pictures: Names, classes: Sequence[str], notices: Sequence[str] = ()) -> None:
        self.root, self.name = root, root.resolve().name
        self.classes, self.notices = tuple(classes), tuple(notices)
        self.paths = [path for paths in pictures.values() for path in paths]
        ends = np.cumsum([len(paths) for paths in pictures.values()], dtype=np.int64)
        self.splits = {
            split: np.arange(end - len(paths), end) for (split, paths), end in zip(pictures.items(), ends, strict=True)
        }
        self.targets = np.full(len(self.paths), -1, np.int64)
        if not self.paths:
            raise DataError(f"A data set needs at least one picture. {root} names none.")
        twice = [key for key, count in Counter(self.key(i) for i in range(len(self))).items() if count > 1]
        if twice:
            raise DataError(
                f"A picture is listed once, in one split. {root} lists {len(twice):,} more than once, first "
                f"{twice[0]}. Take them out of all splits but one."
            )

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def content(self) -> Iterator[bytes]:
        """Sizes of the picture files, which may be many gigabytes; then the annotations themselves."""
        yield from map(size_bytes, self.paths)
        yield from self.annotations()

    def read(self, index: int) -> Record:
        payload = read_limited(self.paths[index])
        return Record(self.key(index), payload, self.target_for(index, payload))

    def target_for(self, index: int, payload: bytes) -> Target:
        """The target, where the picture is at hand to check it against."""
        return self.read_target(index)

    def picture_size(self, index: int) -> Size:
        """From the picture file's header, as it is upright."""
        return upright_size(read_limited(self.paths[index]), str(self.paths[index]))

    @abstractmethod
    def annotations(self) -> Iterator[bytes]:
        """What tells these targets from others."""

    @abstractmethod
    def read_target(self, index: int) -> Target:
        """What the annotation alone says."""

    @abstractmethod
    def size(self, index: int) -> Size | None:
        """Height and width that the annotation gives the picture, if it does."""

    @abstractmethod
    def faults(self) -> Iterator[tuple[str, str]]:
        """A record's key and a sentence, for all that is wrong in the annotations though it can be read."""


@dataclass(slots=True)
class Found:
    """Objects as they are found, one after the other, in any order."""

    pictures: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Left, top, right, bottom."""
    marks: list[int | str] = field(default_factory=list)
    """Where each stands: an annotation's id, or the number of a line."""
    outlines: list[Outline] = field(default_factory=list)
    """None, or one for each object."""

    def add(
        self,
        picture: int,
        label: int,
        box: tuple[float, float, float, float],
        mark: int | str,
        outline: Outline | None = None,
    ) -> None:
        self.pictures.append(picture)
        self.labels.append(label)
        self.boxes.append(box)
        self.marks.append(mark)
        if outline is not None:
            self.outlines.append(outline)


class BoxedPictures(AnnotatedPictures):
    """Pictures with objects. Boxes without area are left out, and counted in a notice; all others stay as they are.

    `relative` boxes and outlines are shares of the picture's width and height; others are pixels.
    """

    task: Task = "detection"
    mark = "object"
    """What `Found.marks` number."""

    def __init__(
        self,
        root: Path,
        pictures: Names,
        classes: Sequence[str],
        found: Found,
        notices: Sequence[str] = (),
        *,
        sizes: Sequence[Size | None] | None = None,
        relative: bool = False,
        with_masks: bool = False,
    ) -> None:
        super().__init__(root, pictures, classes, notices)
        self.sizes, self.relative, self.with_masks = sizes, relative, with_masks
        owners = np.array(found.pictures, np.int64)
        order = np.argsort(owners, kind="stable")
        self.starts = np.searchsorted(owners[order], np.arange(len(self) + 1))
        self.labels = np.array(found.labels, np.int64)[order]
        self.boxes = np.array(found.boxes, np.float64).reshape(-1, 4)[order]
        self.marks = [found.marks[i] for i in order.tolist()]
        self.outlines = [found.outlines[i] for i in order.tolist()] if with_masks else []
        # A millionth of a picture is what float32 still tells from nothing after scaling.
        stored = self.boxes.astype(np.float32)
        self.kept = np.all(stored[:, 2:] - stored[:, :2] > (1e-6 if relative else 0), axis=1)
        if not self.kept.all():
            empty = np.flatnonzero(~self.kept)
            picture = int(np.searchsorted(self.starts, empty[0], side="right")) - 1
            first = f"{self.mark} {self.marks[empty[0]]} of {self.key(picture)}"
            self.notices += (f"boxes without area were left out: {len(empty):,}, first {first}",)
        self.notices += absent_classes(self.classes, {k: self.labels_of(part) for k, part in self.splits.items()})

    def labels_of(self, part: NDArray[np.int64]) -> NDArray[np.int64]:
        """The labels of all objects in consecutive pictures."""
        if not part.size:
            return self.labels[:0]
        rows = slice(self.starts[part[0]], self.starts[part[-1] + 1])
        labels: NDArray[np.int64] = self.labels[rows][self.kept[rows]]
        return labels

    def annotations(self) -> Iterator[bytes]:
        for values in (self.starts, self.labels, self.boxes):
            yield np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        for outline in self.outlines:
            yield from (part.tobytes() for part in outline)

    def size(self, index: int) -> Size | None:
        return self.sizes[index] if self.sizes else None

    def read_target(self, index: int) -> Objects:
        """The objects, in pixels. Where only the picture tells its size, and it is needed, its header is read."""
        size = self.size(index)
        if size is None and (self.relative or self.with_masks):
            size = self.picture_size(index)
        return self.objects(index, size)

    def target_for(self, index: int, payload: bytes) -> Objects:
        if not (self.relative or self.with_masks):
            return self.objects(index, None)
        size, said = upright_size(payload, str(self.paths[index])), self.size(index)
        if said not in (None, size):
            raise DataError(other_size(self.paths[index], size, said))
        return self.objects(index, size)

    def objects(self, index: int, size: Size | None) -> Objects:
        rows = np.arange(self.starts[index], self.starts[index + 1])
        rows = rows[self.kept[rows]]
        boxes = (self.boxes[rows] * np.tile(self.scale(size), 2)).astype(np.float32)
        return Objects(boxes, self.labels[rows], self.masks(index, rows, size) if self.with_masks else None)

    def masks(self, index: int, rows: NDArray[np.int64], size: Size | None) -> NDArray[np.bool_]:
        """(M, H, W)."""
        assert size, "known wherever masks are asked for"
        if max(1, len(rows)) * math.prod(size) > MAX_MASK_BYTES or max(size) > MAX_SIDE:
            raise DataError(
                f"The masks of a picture may take {MAX_MASK_BYTES / 2**30:g} GiB, and each side {MAX_SIDE:,} pixels. "
                f"{self.key(index)} has {len(rows):,} objects on {size[1]} x {size[0]} pixels. Shrink it, or read its "
                "boxes alone."
            )
        masks = np.zeros((len(rows), *size), bool)
        for mask, row in zip(masks, rows.tolist(), strict=True):
            outline = self.outlines[row]
            parts = [polygon * self.scale(size) for polygon in outline] if self.relative else outline
            mask[:] = outline_mask(parts, *size)
        return masks

    def scale(self, size: Size | None) -> NDArray[np.float64]:
        """What x and y are multiplied with to be pixels."""
        if not self.relative:
            return np.ones(2)
        assert size, "known wherever boxes are relative"
        return np.array([size[1], size[0]], np.float64)

    def faults(self) -> Iterator[tuple[str, str]]:
        for index in range(len(self)):
            rows = np.arange(self.starts[index], self.starts[index + 1])
            if not rows.size:
                continue
            try:
                size = self.size(index) or self.picture_size(index)
            except DataError as error:
                yield self.key(index), str(error)
                continue
            boxes = self.boxes[rows] * np.tile(self.scale(size), 2)
            for row, box in zip(rows.tolist(), boxes, strict=True):
                if wrong := box_fault(box, size, bool(self.kept[row])):
                    yield self.key(index), f"{self.mark} {self.marks[row]}: {wrong}"


def box_fault(box: NDArray[np.float64], size: Size, kept: bool) -> str:
    """What is wrong with a box, or nothing."""
    left, top, right, bottom = box.tolist()
    sentence = f"the box from {left:g}, {top:g} to {right:g}, {bottom:g}"
    if not kept:
        return f"{sentence} has no area and was left out"
    beyond = max(-left, -top, right - size[1], bottom - size[0])
    if beyond <= TOLERANCE:
        return ""
    return f"{sentence} reaches {beyond:.1f} pixels out of the picture, which is {size[1]} wide and {size[0]} high"


def upright_size(payload: bytes, where: str) -> Size:
    header = image_header(payload, where, MAX_PIXELS)
    return header.height, header.width


def other_size(path: Path, size: Size, said: Size | None) -> str:
    assert said, "compared before"
    return (
        f"A picture and its annotation must have one size. {path} is {size[1]} wide and {size[0]} high upright, and "
        f"annotated as {said[1]} wide and {said[0]} high. Annotate the upright picture, or replace the one."
    )


def below(folder: Path, name: str, where: str) -> Path:
    """The path that an annotation names. Raises DataError for a name that leaves the folder, or can't be one."""
    path = PurePosixPath(name.replace("\\", "/"))
    leaves = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive)
    if leaves or not path.parts or "\0" in name or not encodable(name):
        raise DataError(f"A picture's name must lead to a file below {folder}. Received: {name[:200]!r}, in {where}.")
    return folder / path


def check_names(names: Sequence[object], where: str | Path) -> tuple[str, ...]:
    """Class names. Raises DataError where one is no text, is empty, or stands twice."""
    checked = []
    for name in names:
        if not isinstance(name, str) or not name.strip() or not encodable(name):
            raise DataError(f"A class needs a name. Received: {shown(name)}, in {where}. Put it in quotes.")
        checked.append(name.strip())
    twice = [name for name, count in Counter(checked).items() if count > 1]
    if twice:
        raise DataError(f"Each class needs a name of its own. Received: {some(map(repr, twice))} twice, in {where}.")
    return tuple(checked)


def shown(value: object) -> str:
    """A value from a file for a message, however long or deep it is.

    >>> shown([1, [2, "three"]]), shown(1 << 40_000)
    ("[1, [2, 'three']]", 'a huge number')
    """
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no integers of thousands of digits
        return "a huge number"


def encodable(text: str) -> bool:
    """Whether a text can be written to a file: escapes in JSON and YAML can make one that can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_file(path: Path) -> bool:
    """As `Path.is_file`, and no for a name that is too long to be one."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """As `Path.is_dir`, and no for a name that is too long to be one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing where that can't be told. For recognising, which never raises."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def read_limited(path: Path, most: int = MAX_BYTES) -> bytes:
    """A file's bytes. Raises DataError where it can't be read, is none, or is longer than `most` bytes."""
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):  # a pipe would never end
            raise DataError(f"{path} is no plain file. Remove it.")
        if stat.st_size <= most:
            return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    raise DataError(f"{path} is too long: it has more than {most:,} bytes. Divide or remove it.")


def read_lines(path: Path, most: int = 2**24) -> list[tuple[int, str]]:
    """The lines of a text that hold anything, stripped, with their numbers. Raises DataError where it is no UTF-8."""
    try:
        text = read_limited(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}. Convert it.") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
