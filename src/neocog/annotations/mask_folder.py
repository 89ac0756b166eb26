"""Masks as PNG files beside their images: a class number at each pixel, or a class's colour."""

import io
import math
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from neocog.annotations.annotated import AnnotatedImages, Fault, ImagesBySplit, Size
from neocog.annotations.files import by_stem, check_names, entry_error, find_twice, list_entries, read_lines
from neocog.annotations.outlines import MAX_PIXELS
from neocog.dataset.files import read_limited, walk
from neocog.dataset.record import UNLABELLED, Task
from neocog.dataset.split_names import split_meant
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import is_image, list_images

__all__ = [
    "TABLES", "ClassTable", "SegmentationImages", "find_masks", "find_parts", "find_table", "is_mask_folder", "is_png",
    "mask_faults", "masks_by_class", "open_mask", "open_mask_folder", "read_mask_values", "read_table",
]  # fmt: skip

Mask = NDArray[np.uint8]
MASK_FOLDERS = ("masks", "labels", "annotations")
ENDINGS = ("_mask", "_label", "_L")  # some tools add these to the image's name to name its mask; `_L` is CamVid's
TABLES = ("classes.txt", "classes.csv", "label_colors.txt")
NOTHING = frozenset({"void", "unlabelled", "unlabeled", "ignore"})  # names for pixels that belong to no class
SCALED = {"L;2": 85, "L;4": 17}  # Pillow multiplies grey values of 2 and 4 bits by these
ABSENT = -1
SPLITS = ("train", "val", "test", "all")


class ClassTable(NamedTuple):
    """The classes' names in the order of their numbers, and their colours if masks may be coloured.

    A row named void, unlabelled, unlabeled or ignore is not a class: its number and colour become UNLABELLED.
    """

    rows: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...] = ()  # one for each row, or none

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(name for name in self.rows if name.lower() not in NOTHING)

    def numbers(self) -> NDArray[np.int64]:
        """The class that a value in a mask means, UNLABELLED, or ABSENT; (256,)."""
        numbers = np.full(256, ABSENT)
        numbers[UNLABELLED] = UNLABELLED
        named = {name: k for k, name in enumerate(self.classes)}
        numbers[: len(self.rows)] = [named.get(name, UNLABELLED) for name in self.rows]
        return numbers


class SegmentationImages(AnnotatedImages):
    """Images, and for each a mask (H, W) of class numbers, in which 255 is unlabelled.

    A PNG with a palette gives its indices, a grey one its values, an RGB one its colours, which `table` must know.
    Without a table all masks are looked through, and the classes are "0", "1", ... up to the highest value.
    Two classes: if all grey masks of a set hold 0 and 255 and nothing else, and there are no names, or two, 255 means
    class 1. A grey mask of one bit holds 0 and 1.
    Raises DataError, on reading, for a value or colour without a class, or a mask of another size than its image.
    """

    task: Task = "segmentation"

    def __init__(self, root: Path, images: ImagesBySplit, masks: Sequence[Path], table: ClassTable | None,
                 told: Sequence[str], format: str) -> None:  # fmt: skip
        notices, white_is_one = list(told), False
        if table is None or (len(table.rows) == 2 and len(table.classes) == 2):
            values, white_is_one = find_values(masks, stop=table is not None)
            if table is None:
                table = number_classes(root, values, white_is_one, notices)
        if white_is_one:
            notices.append("all masks hold 0 and 255 alone: 255 is read as class 1, not as unlabelled")
        if nothing := sorted(set(table.rows) - set(table.classes)):
            notices.append(f"read as unlabelled, as its name says: {some(nothing)}")
        super().__init__(root, images, table.classes, notices, format)
        self.masks, self.table, self.numbers = list(masks), table, table.numbers()
        if white_is_one:
            self.numbers[255] = 1

    def annotations(self) -> Iterator[bytes]:
        return (read_limited(path, self.max_bytes) for path in self.masks)

    def size(self, index: int) -> Size:
        image = open_mask(self.masks[index])
        return image.height, image.width

    def read_target(self, index: int) -> Mask:
        path = self.masks[index]
        values, _ = read_mask_values(path)
        values = values if values.ndim == 2 else find_rows(values, self.table, path)
        found: NDArray[np.int64] = self.numbers[np.minimum(values, 255)]
        bad = (found == ABSENT) | (values > 255)
        if bad.any():
            rule = f"A mask's values are 0..{len(self.table.rows) - 1}, one for each class, or 255 for unlabelled."
            received = f"{values[bad][0]}, at {np.count_nonzero(bad):,} pixels without a class"
            raise class_error(rule, received, path, "Name all classes in classes.txt.")
        return found.astype(np.uint8)

    def target_for(self, index: int, payload: bytes) -> Mask:
        self.check_size(index, payload)
        return self.read_target(index)

    def faults(self) -> Iterator[Fault]:
        return mask_faults(self)


def mask_faults(source: AnnotatedImages) -> Iterator[Fault]:
    """All that is wrong with the masks of a source, which are read for it."""
    for index in range(len(source)):
        try:
            source.target_for(index, source.file_bytes(index))
        except DataError as error:
            yield Fault(source.key(index), str(error), error.kind)


def class_error(rule: str, received: str, path: Path, fix: str) -> DataError:
    return DataError(rule, received=received, where=str(path), fix=fix, kind="mask-value-without-class")


def open_mask(path: Path) -> Image.Image:
    """A PNG's header. Raises DataError if it is not a PNG, or too large."""
    content = read_limited(path, AnnotatedImages.max_bytes)
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG",))
    except Exception as error:  # a damaged header raises anything, and a huge one a warning or an error
        raise DataError(f"A mask must be a PNG file. {path} is not, or damaged: {str(error)[:200]}.") from error
    if math.prod(image.size) > MAX_PIXELS:
        raise entry_error(f"A mask may have {MAX_PIXELS:,} pixels.", f"{image.width} x {image.height}", path)
    return image


def read_mask_values(path: Path) -> tuple[NDArray[Any], str]:
    """The values of a mask as they are stored, (H, W), or its colours, (H, W, 3); and Pillow's mode."""
    image = open_mask(path)
    if image.mode not in ("1", "L", "P", "RGB", "I;16", "I"):
        rule = "A mask holds class numbers or colours, and no transparency."
        raise entry_error(rule, image.mode, path, "Save it grey, indexed, or as RGB.")
    packing = str(image.tile[0].args) if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    try:
        values: NDArray[Any] = np.asarray(image)
    except Exception as error:  # as above
        raise DataError(f"{path} is truncated or damaged: {error}.", fix="Export the mask again.") from error
    return values.astype(np.uint8) if values.dtype == bool else values // SCALED.get(packing, 1), image.mode


def find_rows(colours: NDArray[np.uint8], table: ClassTable, path: Path) -> NDArray[np.int64]:
    """The row of the table that each colour is in; (H, W, 3) -> (H, W)."""
    if not table.colours:
        rule = f"Masks in colour need a table of `name r g b`. {path} is RGB, and there is none."
        raise DataError(rule, fix="Write label_colors.txt.")
    codes = colours @ np.array([1 << 16, 1 << 8, 1])
    known = np.array(table.colours) @ np.array([1 << 16, 1 << 8, 1])
    order = np.argsort(known)
    places = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
    rows: NDArray[np.int64] = order[places]
    bad = known[rows] != codes
    if bad.any():
        received = f"{np.count_nonzero(bad):,} pixels of others, first {' '.join(map(str, colours[bad][0].tolist()))}"
        fix = "Add them, named void if they mean nothing."
        raise class_error("All colours of a mask must be in the table.", received, path, fix)
    return rows


def find_values(masks: Sequence[Path], *, stop: bool) -> tuple[set[int], bool]:
    """All values in these masks, and whether 255 means class 1; with `stop`, only until a mask denies it."""
    found, bits = set[int](), set[int]()
    plain, palette = {0, 255}, False
    for path in masks:
        values, mode = read_mask_values(path)
        if values.ndim == 3 and not stop:
            find_rows(values, ClassTable(()), path)
        palette |= mode == "P"
        if values.ndim == 2:
            (bits if mode == "1" else found).update(np.unique(values).tolist())
        if stop and (values.ndim == 3 or palette or not found <= plain):
            return found, False
    # A set bit is white, so that sets with some masks saved as bits keep one meaning.
    return found | bits, not palette and 255 in found and found | {255 * bit for bit in bits} == plain


def number_classes(root: Path, values: set[int], white_is_one: bool, notices: list[str]) -> ClassTable:
    present = {0, 1} if white_is_one else values - {UNLABELLED}
    if not present or max(present) > UNLABELLED:
        received = f"the value {max(present)}" if present else "unlabelled pixels alone"
        raise entry_error("Masks hold class numbers from 0 to 254.", received, root, "Number the classes.")
    count = max(present) + 1
    if absent := sorted(set(range(count)) - present):
        numbers = f"{some(absent)}, of {count} that the highest value makes"
        notices.append(f"no mask has class {numbers}; classes.txt would name them")
    return ClassTable(tuple(str(k) for k in range(count)))


def read_table(path: Path) -> ClassTable:
    """One name a line; or `name r g b` or `r g b name` each, with blanks or commas between, a heading allowed.

    Raises DataError if lines differ in kind, names or colours occur twice, or there are more than 255.
    """
    lines = read_lines(path, most=2**16)
    if lines and lines[0][1].lower().replace(" ", "") in ("name,r,g,b", "r,g,b,name", "name"):
        lines = lines[1:]
    rows = [split_row(line) for _, line in lines]
    kinds = [colour is not None for _, colour in rows]
    if not 1 <= len(rows) <= UNLABELLED or len(set(kinds)) > 1:
        odd = f"line {lines[kinds.index(not kinds[0])][0]} unlike the first" if len(set(kinds)) > 1 else str(len(rows))
        raise entry_error("A table of classes has 1 to 255 lines, all `name`, or all `name r g b`.", odd, path)
    colours = [colour for _, colour in rows if colour is not None]
    if twice := find_twice(colours):
        raise entry_error("Each class needs a colour of its own.", f"{twice[0]} twice", path)
    return ClassTable(check_names([name for name, _ in rows], path), tuple(colours))


def split_row(line: str) -> tuple[str, tuple[int, int, int] | None]:
    fields = [part.strip() for part in line.split(",")] if "," in line else line.split()
    for name, colour in ((fields[:-3], fields[-3:]), (fields[3:], fields[:3])):
        if name and len(colour) == 3 and all(part.isascii() and part.isdigit() for part in colour):
            values = [min(int(part[:4]), 256) for part in colour]
            if max(values) < 256:
                return " ".join(name), (values[0], values[1], values[2])
    return line, None


def is_mask_folder(path: Path) -> bool:
    """Whether there are `images` and, beside them, PNG files in `masks`, `labels` or `annotations`.

    If these are in a folder for each class, it is another layout.
    """
    return path.is_dir() and bool(find_folders(path)) and not masks_by_class(path)


def find_folders(root: Path) -> list[tuple[str, Path, Path]]:
    """The folders of images and masks with their split: within split folders, or as `images` and `masks` here."""
    found = [("all", *pair) for pair in find_partners(root)]
    splits = [(split, folder) for folder in list_entries(root) if (split := split_meant(folder.name))]
    return found + [(split, *pair) for split, folder in splits for pair in find_partners(folder)]


def find_partners(folder: Path) -> list[tuple[Path, Path]]:
    """The folder of images with each folder beside it that has masks."""
    here = {path.name.lower(): path for path in list_entries(folder) if path.is_dir()}
    images = here.get("images")
    if images is None or not holds_kind(images, is_image):
        return []
    masks = [here[name] for name in MASK_FOLDERS if name in here and holds_kind(here[name], is_png)]
    # COCO keeps its panoptic masks in a folder beside the .json files that explain them.
    return [(images, place) for place in masks if not any(path.suffix == ".json" for path in list_entries(place))]


def holds_kind(folder: Path, wanted: Callable[[Path], bool]) -> bool:
    return any(wanted(Path(entry.name)) for entry in walk(folder, follow=False))


def is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def open_mask_folder(path: Path) -> SegmentationImages:
    """`images` and `masks` (or `labels`, `annotations`), with splits within or around them, or without any.

    A mask has its image's name, with `_mask`, `_label` or `_L` behind it or not. Classes are named in classes.txt,
    classes.csv or label_colors.txt. Raises DataError if an image or a mask is alone, or two readings are possible.
    """
    pairs = {split: pair_files(images, masks) for split, (images, masks) in find_parts(path).items()}
    listed = {split: list(pair) for split, pair in pairs.items()}
    masks_of = [mask for pair in pairs.values() for mask in pair.values()]
    return SegmentationImages(path, listed, masks_of, find_table(path), (), "masks")


def find_table(root: Path) -> ClassTable | None:
    """The table of classes of a data set, if it has one. Raises DataError if it has several."""
    tables = [root / name for name in TABLES if (root / name).is_file()]
    if len(tables) > 1:
        raise DataError(f"{root} needs one table of classes.", received=some(table.name for table in tables))
    return read_table(tables[0]) if tables else None


def find_parts(root: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of images and masks of each split; `all` if there are none. Raises DataError for two readings."""
    found = find_folders(root)
    if not found:
        raise DataError(f"Images with masks are in images/ and masks/. {root} has no such pair with PNG masks.")
    two_ways = f"{root} can be read in two ways:"
    parts: dict[str, tuple[Path, Path]] = {}
    for split, images, masks in found:
        for part, folders in split_folders(images, masks).items():
            name = part if split == "all" else split
            if name in parts:
                raise DataError(f"{two_ways} {images} and others both hold {name}.", fix="Move one of them away.")
            parts[name] = folders
    if "all" in parts and len(parts) > 1:
        raise DataError(f"{two_ways} with the splits {some(sorted(set(parts) - {'all'}))}, or not.")
    return {split: parts[split] for split in SPLITS if split in parts}


def masks_by_class(root: Path) -> bool:
    """Whether masks are in a folder for each class: `masks/CLASS/NAME.png` for `images/NAME.jpg`. Never raises."""
    try:
        parts = find_parts(root)
    except DataError:
        return False
    return bool(parts) and all(by_class(images, masks) for images, masks in parts.values())


def by_class(images: Path, masks: Path) -> bool:
    """Whether a folder of masks holds folders alone, none of which is named like one of the images' folders."""
    here = list_entries(masks)
    own = {path.name for path in list_entries(images) if path.is_dir()}
    folders = [path for path in here if path.is_dir()]
    return bool(folders) and not any(map(is_png, here)) and not any(path.name in own for path in folders)


def split_folders(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    """The splits that both folders are divided into, or all."""
    folders = [folder for folder in list_entries(images) if folder.is_dir()]
    splits = [split_meant(folder.name) for folder in folders]
    if not folders or None in splits or any(is_image(file) for file in list_entries(images)):
        return {"all": (images, masks)}
    if len(set(splits)) < len(splits):
        raise DataError(f"{images} can be read in two ways: {some(f.name for f in folders)} mean one split twice.")
    return {str(split): (folder, masks / folder.name) for split, folder in zip(splits, folders, strict=True)}


def pair_files(images: Path, masks: Path) -> dict[Path, Path]:
    """Each image's mask. Raises DataError for an image or a mask without its partner."""
    listed = by_stem(list_images(images), images)
    found = find_masks(listed, masks)
    lone, spare = sorted(listed.keys() - found.keys()), sorted(found.keys() - listed.keys())
    if lone or spare:
        first = listed[lone[0]] if lone else found[spare[0]]
        alone = f"{len(lone):,} images in {images} have none, {len(spare):,} masks in {masks} have no image"
        rule = f"Each image needs a mask of the same name. {alone}; first {first}."
        raise DataError(rule, fix="Add or remove them.")
    return {listed[stem]: found[stem] for stem in listed}


def find_masks(listed: Container[str], masks: Path) -> dict[str, Path]:
    """The masks in a folder by the names of their images, without suffix; `listed` are those of all images."""
    found = by_stem(list_images(masks), masks)
    if foreign := [path for path in found.values() if not is_png(path)]:
        raise DataError("A mask must be a PNG file.", received=some(foreign), fix="Other formats blur its values.")
    for stem in list(found):
        ending = next((ending for ending in ENDINGS if stem.endswith(ending)), "")
        if ending and stem not in listed and stem.removesuffix(ending) not in found:
            found[stem.removesuffix(ending)] = found.pop(stem)
    return found
