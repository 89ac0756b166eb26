"""Masks as PNG files beside their pictures: a class number at each pixel, or a class's colour."""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from neocog.annotations.annotated import (
    AnnotatedPictures,
    Size,
    check_names,
    entries,
    other_size,
    read_limited,
    read_lines,
    upright_size,
)
from neocog.annotations.rle import MAX_PIXELS
from neocog.dataset.folders import walk
from neocog.dataset.split_names import split_meant
from neocog.dataset.targets import UNLABELLED, Task
from neocog.errors import DataError, some
from neocog.modalities.image.folder import is_picture, list_pictures

__all__ = ["ClassTable", "MaskedPictures", "is_mask_folder", "open_mask_folder", "read_table"]

Mask = NDArray[np.uint8]
MASK_FOLDERS = ("masks", "labels", "annotations")
ENDINGS = ("_mask", "_label", "_L")
"""What some tools add to the picture's name to name its mask; `_L` is CamVid's."""
TABLES = ("classes.txt", "classes.csv", "label_colors.txt")
NOTHING = frozenset({"void", "unlabelled", "unlabeled", "ignore"})
"""Names that say that a place belongs to no class."""
SCALED = {"L;2": 85, "L;4": 17}
"""What Pillow multiplies grey values of 2 and 4 bits with."""
ABSENT = -1
SPLITS = ("train", "val", "test", "all")


@dataclass(frozen=True, slots=True)
class ClassTable:
    """The classes' names in the order of their numbers, and their colours where masks may be coloured.

    A row named void, unlabelled, unlabeled or ignore is no class: its number and colour become UNLABELLED.
    """

    rows: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...] = ()
    """One for each row, or none."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(name for name in self.rows if name.lower() not in NOTHING)

    def numbers(self) -> NDArray[np.int64]:
        """The class that a value in a mask means, UNLABELLED, or ABSENT; (256,)."""
        numbers = np.full(256, ABSENT)
        numbers[UNLABELLED] = UNLABELLED
        named = {name: k for k, name in enumerate(self.classes)}
        for value, name in enumerate(self.rows):
            numbers[value] = named.get(name, UNLABELLED)
        return numbers


class MaskedPictures(AnnotatedPictures):
    """Pictures, and for each a mask (H, W) of class numbers, in which 255 is unlabelled.

    A PNG with a palette gives its indices, a grey one its values, an RGB one its colours, which `table` must know.
    Without a table all masks are looked through, and the classes are "0", "1", ... up to the highest value.
    Two classes: where all grey masks of a set hold 0 and 255 and nothing else, and there are no names, or two, 255
    means class 1. A grey mask of one bit holds 0 and 1.
    Raises DataError, on reading, for a value or a colour without a class, and for a mask of another size than its
    picture.
    """

    task: Task = "segmentation"

    def __init__(
        self,
        root: Path,
        pictures: Mapping[str, Sequence[Path]],
        masks: Sequence[Path],
        table: ClassTable | None = None,
        notices: Sequence[str] = (),
        *,
        format: str = "masks",
    ) -> None:
        self.format = format
        notices, white_is_one = list(notices), False
        if table is None or (len(table.rows) == 2 and len(table.classes) == 2):
            values, white_is_one = values_in(masks, stop=table is not None)
            if table is None:
                table = numbered(root, values, white_is_one, notices)
        if white_is_one:
            notices.append("all masks hold 0 and 255 alone: 255 is read as class 1, not as unlabelled")
        if nothing := sorted(set(table.rows) - set(table.classes)):
            notices.append(f"read as unlabelled, as its name says: {some(nothing)}")
        super().__init__(root, pictures, table.classes, notices)
        self.masks, self.table, self.numbers = list(masks), table, table.numbers()
        if white_is_one:
            self.numbers[255] = 1

    def annotations(self) -> Iterator[bytes]:
        return (read_limited(path) for path in self.masks)

    def size(self, index: int) -> Size:
        image = open_mask(self.masks[index])
        return image.height, image.width

    def read_target(self, index: int) -> Mask:
        path = self.masks[index]
        values = mask_values(open_mask(path), path)
        if values.ndim == 3:
            return self.numbered(coloured(values, self.table, path), path)
        return self.numbered(values, path)

    def numbered(self, values: NDArray[Any], path: Path) -> Mask:
        """Values as class numbers. Raises DataError for a value without a class."""
        found = self.numbers[np.minimum(values, 255)]
        bad = (found == ABSENT) | (values > 255)
        if bad.any():
            raise DataError(
                f"A mask's values are 0..{len(self.table.rows) - 1}, one for each class, or 255 for unlabelled. "
                f"Received: {values[bad][0]}, at {np.count_nonzero(bad):,} pixels without a class, in {path}. "
                "Name all classes in classes.txt."
            )
        mask: Mask = found.astype(np.uint8)
        return mask

    def target_for(self, index: int, payload: bytes) -> Mask:
        size, said = upright_size(payload, str(self.paths[index])), self.size(index)
        if size != said:
            raise DataError(other_size(self.paths[index], size, said))
        return self.read_target(index)

    def faults(self) -> Iterator[tuple[str, str]]:
        for index, path in enumerate(self.paths):
            try:
                self.target_for(index, read_limited(path))
            except DataError as error:
                yield self.key(index), str(error)


def open_mask(path: Path) -> Image.Image:
    """A PNG's header. Raises DataError where it is none, or too large."""
    content = read_limited(path)
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG",))
    except Exception as error:  # a damaged header raises anything, and a huge one a warning or an error
        raise DataError(f"A mask must be a PNG file. {path} is none, or damaged: {str(error)[:200]}.") from error
    if math.prod(image.size) > MAX_PIXELS:
        raise DataError(f"A mask may have {MAX_PIXELS:,} pixels. {path} has {image.width} x {image.height}.")
    return image


def mask_values(image: Image.Image, path: Path) -> NDArray[Any]:
    """The values of a mask as they are stored, (H, W), or its colours, (H, W, 3)."""
    if image.mode not in ("1", "L", "P", "RGB", "I;16", "I"):
        raise DataError(
            f"A mask holds class numbers or colours, and no transparency. Received: {image.mode}, in {path}. "
            "Save it grey, with a palette, or as RGB."
        )
    packing = str(image.tile[0].args) if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    try:
        values: NDArray[Any] = np.asarray(image)
    except Exception as error:  # as above
        raise DataError(f"{path} is truncated or damaged: {error}. Export the mask again.") from error
    if values.dtype == bool:
        return values.astype(np.uint8)
    return values // SCALED[packing] if packing in SCALED else values


def coloured(colours: NDArray[np.uint8], table: ClassTable, path: Path) -> NDArray[np.int64]:
    """The row of the table that each colour stands in; (H, W, 3) -> (H, W)."""
    if not table.colours:
        raise DataError(
            f"Masks in colour need a table of `name r g b`. {path} is RGB, and there is none. Write label_colors.txt."
        )
    codes = colours @ np.array([1 << 16, 1 << 8, 1])
    known = np.array(table.colours) @ np.array([1 << 16, 1 << 8, 1])
    order = np.argsort(known)
    places = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
    rows: NDArray[np.int64] = order[places]
    bad = known[rows] != codes
    if bad.any():
        raise DataError(
            f"All colours of a mask must be in the table. {path} has {np.count_nonzero(bad):,} pixels of others, first "
            f"{' '.join(map(str, colours[bad][0].tolist()))}. Add them, with the name void if they mean nothing."
        )
    return rows


def values_in(masks: Sequence[Path], *, stop: bool) -> tuple[set[int], bool]:
    """All values in these masks, and whether 255 means class 1; `stop` once that is not so."""
    found: set[int] = set()
    plain, palette = {0, 255}, False
    bits: set[int] = set()
    for path in masks:
        image = open_mask(path)
        values = mask_values(image, path)
        if values.ndim == 3 and stop:
            return found, False
        if values.ndim == 3:
            coloured(values, ClassTable(()), path)
        palette |= image.mode == "P"
        (bits if image.mode == "1" else found).update(np.unique(values).tolist())
        if stop and (palette or not found <= plain):
            return found, False
    # A bit that is set is white, so that sets in which some masks were saved as bits keep their one meaning.
    return found | bits, not palette and 255 in found and found | {255 * bit for bit in bits} == plain


def numbered(root: Path, values: set[int], white_is_one: bool, notices: list[str]) -> ClassTable:
    """A table for masks without names."""
    present = {0, 1} if white_is_one else values - {UNLABELLED}
    if not present or max(present) > UNLABELLED:
        shown = f"the value {max(present)}" if present else "unlabelled pixels alone"
        raise DataError(f"Masks hold class numbers from 0 to 254. Received: {shown}, in {root}. Number the classes.")
    count = max(present) + 1
    if absent := sorted(set(range(count)) - present):
        notices.append(
            f"no mask has class {some(absent)}, of {count} that the highest value makes; classes.txt would name them"
        )
    return ClassTable(tuple(str(k) for k in range(count)))


def read_table(path: Path) -> ClassTable:
    """One name a line; or `name r g b` or `r g b name` each, with blanks or commas between, a heading allowed.

    Raises DataError where lines differ in kind, names or colours stand twice, or there are more than 255.
    """
    lines = read_lines(path, most=2**16)
    if lines and lines[0][1].lower().replace(" ", "") in ("name,r,g,b", "r,g,b,name", "name"):
        lines = lines[1:]
    rows = [table_row(line) for _, line in lines]
    kinds = [colour is not None for _, colour in rows]
    if not 1 <= len(rows) <= UNLABELLED or len(set(kinds)) > 1:
        odd = f"line {lines[kinds.index(not kinds[0])][0]} unlike the first" if len(set(kinds)) > 1 else len(rows)
        raise DataError(
            f"A table of classes has 1 to 255 lines, all `name`, or all `name r g b`. Received: {odd}, in {path}."
        )
    colours = [colour for _, colour in rows if colour is not None]
    if len(set(colours)) < len(colours):
        again = next(colour for colour in colours if colours.count(colour) > 1)
        raise DataError(f"Each class needs a colour of its own. Received: {again} twice, in {path}.")
    return ClassTable(check_names([name for name, _ in rows], path), tuple(colours))


def table_row(line: str) -> tuple[str, tuple[int, int, int] | None]:
    fields = [part.strip() for part in line.split(",")] if "," in line else line.split()
    for name, colour in ((fields[:-3], fields[-3:]), (fields[3:], fields[:3])):
        if name and len(colour) == 3 and all(part.isascii() and part.isdigit() for part in colour):
            values = [min(int(part[:4]), 256) for part in colour]
            if max(values) < 256:
                return " ".join(name), (values[0], values[1], values[2])
    return line, None


def is_mask_folder(path: Path) -> bool:
    """Whether there are `images` and, beside them, PNG files in `masks`, `labels` or `annotations`."""
    return path.is_dir() and bool(find_folders(path))


def find_folders(root: Path) -> list[tuple[str, Path, Path]]:
    """The folders of pictures and masks with their split: within split folders, or as `images` and `masks` here."""
    found = [("all", *pair) for pair in partners(root)]
    for folder in entries(root):
        if split := split_meant(folder.name):
            found += [(split, *pair) for pair in partners(folder)]
    return found


def partners(folder: Path) -> list[tuple[Path, Path]]:
    """The folder of pictures with each folder beside it that has masks."""
    here = {path.name.lower(): path for path in entries(folder) if path.is_dir()}
    images = here.get("images")
    if images is None or not holds(images, is_picture):
        return []
    masks = [here[name] for name in MASK_FOLDERS if name in here and holds(here[name], is_png)]
    # COCO keeps its panoptic masks in a folder beside the .json files that explain them.
    return [(images, place) for place in masks if not any(path.suffix == ".json" for path in entries(place))]


def holds(folder: Path, wanted: Callable[[Path], bool]) -> bool:
    """Whether a file of this kind is in a folder, at any depth."""
    return any(wanted(Path(entry.name)) for entry in walk(folder, follow=False))


def is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def open_mask_folder(path: Path) -> MaskedPictures:
    """`images` and `masks` (or `labels`, `annotations`), with splits within or around them, or without any.

    A mask has its picture's name, with `_mask`, `_label` or `_L` behind it or not. Classes are named in classes.txt,
    classes.csv or label_colors.txt. Raises DataError where a picture or a mask is alone, or two readings are possible.
    """
    found = find_folders(path)
    if not found:
        raise DataError(f"Pictures with masks stand in images/ and masks/. {path} has no such pair with PNG masks.")
    pairs: dict[str, dict[Path, Path]] = {}
    for split, images, masks in found:
        for part, (inner_images, inner_masks) in inner_splits(images, masks).items():
            name = part if split == "all" else split
            if name in pairs:
                raise DataError(
                    f"{path} can be read in two ways: {images} and others both hold {name}. Move the one away."
                )
            pairs[name] = paired(inner_images, inner_masks)
    if "all" in pairs and len(pairs) > 1:
        raise DataError(
            f"{path} can be read in two ways: with the splits {some(sorted(set(pairs) - {'all'}))}, or not."
        )
    ordered: dict[str, dict[Path, Path]] = {split: pairs[split] for split in SPLITS if split in pairs}
    tables = [path / name for name in TABLES if (path / name).is_file()]
    if len(tables) > 1:
        raise DataError(f"{path} needs one table of classes. Received: {some(table.name for table in tables)}.")
    pictures = {split: list(partner) for split, partner in ordered.items()}
    masks_of = [mask for partner in ordered.values() for mask in partner.values()]
    return MaskedPictures(path, pictures, masks_of, read_table(tables[0]) if tables else None)


def inner_splits(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    """The splits that both folders are divided into, or all."""
    folders = [folder for folder in entries(images) if folder.is_dir()]
    splits = [split_meant(folder.name) for folder in folders]
    if not folders or None in splits or any(is_picture(file) for file in entries(images)):
        return {"all": (images, masks)}
    if len(set(splits)) < len(splits):
        raise DataError(f"{images} can be read in two ways: {some(f.name for f in folders)} mean one split twice.")
    return {str(split): (folder, masks / folder.name) for split, folder in zip(splits, folders, strict=True)}


def paired(images: Path, masks: Path) -> dict[Path, Path]:
    """Each picture's mask. Raises DataError for a picture or a mask without its partner."""
    pictures, found = by_stem(images), by_stem(masks)
    foreign = [path for path in found.values() if not is_png(path)]
    if foreign:
        raise DataError(f"A mask must be a PNG file. Received: {some(foreign)}. Other formats blur its values.")
    for stem in list(found):
        ending = next((ending for ending in ENDINGS if stem.endswith(ending)), "")
        if ending and stem not in pictures and stem.removesuffix(ending) not in found:
            found[stem.removesuffix(ending)] = found.pop(stem)
    lone, spare = sorted(pictures.keys() - found.keys()), sorted(found.keys() - pictures.keys())
    if lone or spare:
        first = pictures[lone[0]] if lone else found[spare[0]]
        raise DataError(
            f"Each picture needs a mask of the same name. {len(lone):,} pictures in {images} have none, {len(spare):,} "
            f"masks in {masks} have no picture; first {first}. Add or remove them."
        )
    return {pictures[stem]: found[stem] for stem in pictures}


def by_stem(folder: Path) -> dict[str, Path]:
    """The pictures below a folder by their path there without extension."""
    found: dict[str, Path] = {}
    for path in list_pictures(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(f"A picture and its mask share a name. {found[stem]} and {path.name} have the same one.")
        found[stem] = path
    return found
