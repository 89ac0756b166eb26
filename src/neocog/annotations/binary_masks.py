"""Several binary masks for each image, which may overlap: a folder of PNG files for each class."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.annotations.annotated import AnnotatedImages, DetectionImages, Fault, ImagesBySplit, Size
from neocog.annotations.files import by_stem, check_names, list_entries
from neocog.annotations.mask_folder import (
    find_masks,
    find_parts,
    find_table,
    mask_faults,
    masks_by_class,
    open_mask,
    read_mask_values,
)
from neocog.annotations.outlines import draw_outline
from neocog.dataset.files import read_limited
from neocog.dataset.record import UNLABELLED, Task
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import list_images

__all__ = ["BinaryMaskImages", "RegionImages", "is_class_masks", "open_class_masks"]

Masks = NDArray[np.uint8]
"""(K, H, W): 1 for the pixels of a class, 0 for others, and 255 for those of which nothing is known."""


class BinaryMaskImages(AnnotatedImages):
    """Images, and for each a binary mask of some classes; a class whose mask is missing is nowhere in the image.

    In a mask 0 is outside; if all masks of the set hold 0 and 255 alone, 255 is inside, else 1 is inside and 255 not
    known. A mask of one bit holds 0 and 1. Raises DataError for other values, on opening, and on reading for a mask of
    another size than its image.
    """

    task: Task = "multi-label segmentation"

    def __init__(
        self, root: Path, images: ImagesBySplit, masks: Sequence[Mapping[str, Path]], classes: Sequence[str],
        told: Sequence[str], format: str,
    ) -> None:  # fmt: skip
        """`masks` has, for each image, the masks by class."""
        super().__init__(root, images, classes, told, format)
        self.masks = [[found.get(name) for name in self.classes] for found in masks]
        values = find_values([path for row in self.masks for path in row if path])
        self.inside = 1 if 1 in values or 255 not in values else 255
        if 255 in values:
            meaning = "inside" if self.inside == 255 else "not known"
            self.notices += (f"masks hold {', '.join(map(str, sorted(values)))}: 255 is read as {meaning}",)

    def annotations(self) -> Iterator[bytes]:
        for row in self.masks:
            for path in row:
                yield b"none" if path is None else read_limited(path, self.max_bytes)

    def size(self, index: int) -> Size | None:
        path = next((path for path in self.masks[index] if path), None)
        if path is None:
            return None
        image = open_mask(path)
        return image.height, image.width

    def read_target(self, index: int) -> Masks:
        size = self.size(index) or self.image_size(index)
        found = np.zeros((len(self.classes), *size), np.uint8)
        for mask, path in zip(found, self.masks[index], strict=True):
            if path is None:
                continue
            values, mode = read_mask_values(path)
            if values.shape != size:
                sizes = f"{values.shape[1]} x {values.shape[0]} instead of {size[1]} x {size[0]}"
                rule = "The masks of an image must have one size."
                raise DataError(rule, received=sizes, where=str(path), kind="annotation-of-another-size")
            inside = values == (1 if mode == "1" else self.inside)
            mask[:] = np.where(inside, 1, np.where(values == 0, 0, UNLABELLED))
        return found

    def target_for(self, index: int, payload: bytes) -> Masks:
        self.check_size(index, payload)
        return self.read_target(index)

    def faults(self) -> Iterator[Fault]:
        return mask_faults(self)


class RegionImages(DetectionImages):
    """Images with objects and their outlines, read as a binary mask for each class: the union of its objects."""

    task: Task = "multi-label segmentation"

    def read_target(self, index: int) -> Masks:  # type: ignore[override]
        return self.draw(index, self.size(index) or self.image_size(index))

    def target_for(self, index: int, payload: bytes) -> Masks:  # type: ignore[override]
        return self.draw(index, self.check_size(index, payload))

    def draw(self, index: int, size: Size) -> Masks:
        """(K, H, W)."""
        found = np.zeros((len(self.classes), *size), np.uint8)
        for row in self.rows(index)[self.kept[self.rows(index)]].tolist():
            outline = self.outlines[row]
            parts = [part * self.scale(size) for part in outline] if self.relative else outline
            found[self.labels[row]] |= draw_outline(parts, *size)
        return found


def find_values(masks: Sequence[Path]) -> set[int]:
    """All values in these masks, but those of masks of one bit. Raises DataError for one that isn't binary."""
    found = set[int]()
    for path in masks:
        values, mode = read_mask_values(path)
        if values.ndim == 3 or not np.isin(values, (0, 1, 255)).all():
            received = "colours" if values.ndim == 3 else f"the value {values[~np.isin(values, (0, 1, 255))][0]}"
            rule = "A mask in the folder of a class holds 0 and 1, or 0 and 255."
            fix = "If a mask holds several classes, put all masks into one folder."
            raise DataError(rule, received=received, where=str(path), fix=fix, kind="mask-value-without-class")
        if mode != "1":
            found.update(np.unique(values).tolist())
    return found


def is_class_masks(path: Path) -> bool:
    """Whether there are `images` and, beside them, a folder of PNG files for each class in `masks`."""
    return path.is_dir() and masks_by_class(path)


def open_class_masks(path: Path) -> BinaryMaskImages:
    """`images/NAME.jpg` and `masks/CLASS/NAME.png`, with splits within or around them, or without any.

    Classes are the names of the folders, sorted, or those of classes.txt in its order. An image may lack masks: the
    class is not there, and a notice counts them. Raises DataError if a mask has no image, a folder is not a class of
    classes.txt, or two readings are possible.
    """
    parts, table = find_parts(path), find_table(path)
    folders = {split: [f for f in list_entries(masks) if f.is_dir()] for split, (_, masks) in parts.items()}
    named = {folder.name for part in folders.values() for folder in part}
    classes = check_names(sorted(named), path) if table is None else table.classes
    if unknown := sorted(named - set(classes)):
        rule = "Each folder of masks is one of the classes that the table beside it names."
        raise DataError(rule, received=some(unknown), where=str(path), fix=f"The table names {some(classes, 10)}.")
    images: dict[str, list[Path]] = {}
    masks_of: list[dict[str, Path]] = []
    for split, (place, _) in parts.items():
        listed = by_stem(list_images(place), place)
        images[split] = list(listed.values())
        by_name = {folder.name: match_masks(listed, place, folder) for folder in folders[split]}
        masks_of += [{name: found[stem] for name, found in by_name.items() if stem in found} for stem in listed]
    lacking = {name: sum(name not in found for found in masks_of) for name in classes}
    missing = [f"{name} {count:,}" for name, count in lacking.items() if count]
    told = [f"images without a mask of a class are taken as without it: {some(missing, 10)}"] if missing else []
    return BinaryMaskImages(path, images, masks_of, classes, told, "class-masks")


def match_masks(listed: Mapping[str, Path], images: Path, folder: Path) -> dict[str, Path]:
    """The masks of a class by the names of their images. Raises DataError for a mask without an image."""
    found = find_masks(listed, folder)
    if spare := sorted(found.keys() - listed.keys()):
        received = f"{len(spare):,} masks in {folder} without one in {images}, first {found[spare[0]].name}"
        raise DataError("Each mask needs an image of the same name.", received=received, fix="Add or remove them.")
    return found
