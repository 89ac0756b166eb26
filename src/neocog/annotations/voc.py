"""Pascal VOC: an XML file of boxes for each image, and masks for some.

VOC counts pixels from 1 and includes the last: xmin, ymin, xmax, ymax become xmin - 1, ymin - 1, xmax, ymax.
Source: Everingham et al. 2010, and the development kit's documentation, "Annotation files".
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from neocog.annotations.annotated import DetectionImages, ObjectList, Size, tell_left_out
from neocog.annotations.files import by_stem, check_names, list_entries, read_lines
from neocog.annotations.mask_folder import TABLES, ClassTable, SegmentationImages, is_png, read_table
from neocog.annotations.outlines import MAX_PIXELS
from neocog.dataset.files import read_limited
from neocog.dataset.record import LeftOut
from neocog.errors import DataError
from neocog.modalities.image.image_folder import is_image

__all__ = ["is_voc", "is_voc_masks", "open_voc", "open_voc_masks", "parse_xml"]

MAX_BYTES = 2**24
MAX_DEPTH = 32
FAR = 1e9
"""No coordinate in pixels is larger."""
EXPORT = "Export it again."
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def is_voc(path: Path) -> bool:
    """Whether there are the folders JPEGImages and Annotations, the latter with XML files."""
    return (path / "JPEGImages").is_dir() and any(is_xml(file) for file in list_entries(path / "Annotations"))


def is_voc_masks(path: Path) -> bool:
    """Whether there are JPEGImages and SegmentationClass, but no boxes: a set with boxes is read for those."""
    masks = list_entries(path / "SegmentationClass")
    return (path / "JPEGImages").is_dir() and any(map(is_png, masks)) and not is_voc(path)


def open_voc(path: Path) -> DetectionImages:
    """Annotations/*.xml for JPEGImages/*, with the splits of ImageSets/Main if it has any.

    Classes are the names of all objects, sorted. Difficult objects are read; whether one is truncated is not kept.
    Raises DataError that names the file, for XML that is damaged or declares a document type, and for missing parts.
    """
    images = list_images(path)
    annotations = {file.stem: file for file in list_entries(path / "Annotations") if is_xml(file)}
    lone = sorted(annotations.keys() - images.keys())
    if lone:
        rule = "Each annotation needs an image of the same name."
        received = f"{len(lone):,} without one in JPEGImages, first {lone[0]}.xml"
        raise DataError(rule, received=received, where=str(path), fix="Add or remove them.")
    splits = read_splits(path / "ImageSets" / "Main", annotations)
    notices = list_unread(path, images, annotations, splits, "an annotation")
    objects, names = ObjectList("object"), list[str]()
    for index, stem in enumerate(stem for stems in splits.values() for stem in stems):
        root = parse_xml(annotations[stem])
        objects.sizes.append(read_size(root, annotations[stem]))
        for place, entry in enumerate(root.findall("object"), 1):
            where = f"object {place} of {annotations[stem]}"
            names.append(read_text(entry, "name", where))
            objects.add(index, 0, read_box(entry, where), place)
    classes = check_names(sorted(set(names)), path / "Annotations")
    numbers = {name: k for k, name in enumerate(classes)}
    objects.labels = [numbers[name] for name in names]
    paths = {split: [images[stem] for stem in stems] for split, stems in splits.items()}
    return DetectionImages(path, paths, classes, objects, notices, "voc")


def open_voc_masks(path: Path) -> SegmentationImages:
    """SegmentationClass/*.png for JPEGImages/*, with the splits of ImageSets/Segmentation if it has any.

    The classes are those of a table beside them (classes.txt), or else VOC's background and twenty.
    """
    images = list_images(path)
    masks = {file.stem: file for file in list_entries(path / "SegmentationClass") if is_png(file)}
    lone = sorted(masks.keys() - images.keys())
    if lone or not masks:
        received = f"{len(lone):,} without one, first {lone[0]}.png" if lone else "no masks"
        raise DataError("Each mask needs an image of the same name in JPEGImages.", received=received, where=str(path))
    splits = read_splits(path / "ImageSets" / "Segmentation", masks)
    notices = list_unread(path, images, masks, splits, "a mask")
    tables = [path / name for name in TABLES if (path / name).is_file()]
    table = read_table(tables[0]) if tables else ClassTable(("background", *VOC_CLASSES))
    paths = {split: [images[stem] for stem in stems] for split, stems in splits.items()}
    masks_of = [masks[stem] for stems in splits.values() for stem in stems]
    return SegmentationImages(path, paths, masks_of, table, notices, "voc-masks")


def list_images(root: Path) -> dict[str, Path]:
    """The images by their names without suffix."""
    folder = root / "JPEGImages"
    images = by_stem(filter(is_image, list_entries(folder)), folder)
    if not images:
        raise DataError(f"VOC's images are in JPEGImages. {folder} has none.")
    return images


def is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml"


def list_unread(
    root: Path, images: Mapping[str, Path], known: Mapping[str, Path], splits: Mapping[str, list[str]], what: str
) -> list[LeftOut]:
    """Notices of the images that are not annotated, and of those that are but belong to no split."""
    listed = {stem for stems in splits.values() for stem in stems}
    bare = [path for stem, path in images.items() if stem not in known]
    apart = [images[stem] for stem in known if stem not in listed]
    notices = tell_left_out(bare, f"images without {what}", root)
    return notices + tell_left_out(apart, "annotated images that are in no split", root)


def read_splits(folder: Path, known: Mapping[str, Path]) -> dict[str, list[str]]:
    """The names in train.txt, val.txt and test.txt; trainval.txt is train if there is no train.txt."""
    files = {split: folder / f"{split}.txt" for split in ("train", "val", "test")}
    if not files["train"].is_file() and (folder / "trainval.txt").is_file():
        files = {"train": folder / "trainval.txt", "test": files["test"]}  # a val.txt would be part of it
    splits = {split: read_stems(file, known) for split, file in files.items() if file.is_file()}
    return splits or {"all": sorted(known)}


def read_stems(file: Path, known: Mapping[str, Path]) -> list[str]:
    lines = read_lines(file)
    missing = [(number, stem) for number, stem in lines if stem not in known]
    if missing or not lines:
        first = f"{missing[0][1][:100]!r} in line {missing[0][0]}, {len(missing):,} in all" if missing else "nothing"
        rule, fix = "A list of a split names annotated images.", "Add them, or take them out."
        raise DataError(rule, received=first, where=str(file), fix=fix)
    return [stem for _, stem in lines]


def parse_xml(path: Path) -> Element:
    """The root of an XML file that declares no document type, and so no entities that could grow without bound."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        rule = "An annotation declares no document type and no entities."
        raise DataError(rule, where=str(path), fix="Remove its DOCTYPE.")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DataError(f"An annotation is nested {MAX_DEPTH} deep at most. {path} is deeper.")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(read_limited(path, MAX_BYTES), True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # damaged, or in an encoding that is not known
        raise DataError(f"{path} is not XML, or damaged: {error}.", fix=EXPORT) from error
    root = builder.close()
    assert isinstance(root, Element)
    return root


def read_text(entry: Element, tag: str, where: str) -> str:
    """The text of a child element. Raises DataError if it is missing or empty."""
    text = (entry.findtext(tag) or "").strip()
    if not text:
        raise DataError(f"VOC's annotations need <{tag}>.", received="none", where=where, fix=EXPORT)
    return text


def read_number(entry: Element, tag: str, where: str) -> float:
    text = read_text(entry, tag, where)
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not -FAR <= value <= FAR:
        raise DataError(f"<{tag}> must be a number of pixels.", received=repr(text[:40]), where=where)
    return value


def read_box(entry: Element, where: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom from 0, the last two beyond the object."""
    box = entry.find("bndbox")
    if box is None:
        raise DataError("VOC's annotations need <bndbox>.", received="none", where=where, fix=EXPORT)
    left, top, right, bottom = (read_number(box, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return left - 1, top - 1, right, bottom


def read_size(root: Element, path: Path) -> Size | None:
    """Height and width, if they are given; some tools write 0 for not known."""
    size = root.find("size")
    if size is None:
        return None
    height, width = (read_number(size, tag, f"<size> of {path}") for tag in ("height", "width"))
    if height == 0 or width == 0:
        return None
    if min(height, width) < 0 or height % 1 or width % 1 or height * width > MAX_PIXELS:
        rule = f"An image has 1 to {MAX_PIXELS:,} pixels."
        raise DataError(rule, received=f"{width:g} x {height:g}", where=str(path))
    return int(height), int(width)
