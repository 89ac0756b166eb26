"""Pascal VOC: an XML file of boxes for each picture, and masks for some.

Source: Everingham et al. 2010, and the development kit's documentation, "Annotation files".
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from neocog.annotations.annotated import (
    FAR,
    BoxedPictures,
    Found,
    Size,
    check_names,
    entries,
    left_out,
    read_limited,
    read_lines,
)
from neocog.annotations.mask_folder import TABLES, ClassTable, MaskedPictures, is_png, read_table
from neocog.annotations.rle import MAX_PIXELS
from neocog.dataset.record import LeftOut
from neocog.errors import DataError
from neocog.modalities.image.folder import is_picture

__all__ = ["VocPictures", "is_voc", "is_voc_masks", "open_voc", "open_voc_masks", "parse_xml"]

MAX_BYTES = 2**24
MAX_DEPTH = 32
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


class VocPictures(BoxedPictures):
    """Pictures with the objects of VOC's files, difficult ones too; whether one is truncated is not kept.

    VOC counts pixels from 1 and includes the last: xmin, ymin, xmax, ymax become xmin - 1, ymin - 1, xmax, ymax.
    Classes are the names of all objects, sorted.
    """

    format = "voc"


def is_voc(path: Path) -> bool:
    """Whether there are the folders JPEGImages and Annotations, the latter with XML files."""
    return (path / "JPEGImages").is_dir() and any(is_xml(file) for file in entries(path / "Annotations"))


def is_voc_masks(path: Path) -> bool:
    """Whether there are JPEGImages and SegmentationClass, but no boxes, which are what VOC is read for elsewhere."""
    masks = entries(path / "SegmentationClass")
    return (path / "JPEGImages").is_dir() and any(map(is_png, masks)) and not is_voc(path)


def open_voc(path: Path) -> VocPictures:
    """Annotations/*.xml for JPEGImages/*, with the splits of ImageSets/Main where it has any.

    Raises DataError that names the file, for XML that is damaged or declares a document type, and for missing parts.
    """
    pictures = by_stem(path / "JPEGImages")
    annotations = {file.stem: file for file in entries(path / "Annotations") if is_xml(file)}
    lone = sorted(annotations.keys() - pictures.keys())
    if lone:
        raise DataError(
            f"Each annotation needs a picture of the same name. {len(lone):,} in {path} have none in JPEGImages, first "
            f"{lone[0]}.xml. Add or remove them."
        )
    splits = read_splits(path / "ImageSets" / "Main", annotations)
    notices = unread(path, pictures, annotations, splits, "an annotation")
    found, names, sizes = Found(), [], []
    listed = [stem for stems in splits.values() for stem in stems]
    for index, stem in enumerate(listed):
        root = parse_xml(annotations[stem])
        sizes.append(picture_size(root, annotations[stem]))
        for place, entry in enumerate(root.findall("object"), 1):
            where = f"object {place} of {annotations[stem]}"
            names.append(text_of(entry, "name", where))
            found.add(index, 0, box_of(entry, where), place)
    classes = check_names(sorted(set(names)), path / "Annotations")
    numbers = {name: k for k, name in enumerate(classes)}
    found.labels = [numbers[name] for name in names]
    paths = {split: [pictures[stem] for stem in stems] for split, stems in splits.items()}
    return VocPictures(path, paths, classes, found, notices, sizes=sizes)


def open_voc_masks(path: Path) -> MaskedPictures:
    """SegmentationClass/*.png for JPEGImages/*, with the splits of ImageSets/Segmentation where it has any.

    The classes are those of a table beside them (classes.txt), or else VOC's background and twenty.
    """
    pictures = by_stem(path / "JPEGImages")
    masks = {file.stem: file for file in entries(path / "SegmentationClass") if is_png(file)}
    lone = sorted(masks.keys() - pictures.keys())
    if lone or not masks:
        first = f"{len(lone):,} have none, first {lone[0]}.png" if lone else "there are no masks"
        raise DataError(f"Each mask needs a picture of the same name in JPEGImages. In {path}, {first}.")
    splits = read_splits(path / "ImageSets" / "Segmentation", masks)
    notices = unread(path, pictures, masks, splits, "a mask")
    tables = [path / name for name in TABLES if (path / name).is_file()]
    table = read_table(tables[0]) if tables else ClassTable(("background", *VOC_CLASSES))
    paths = {split: [pictures[stem] for stem in stems] for split, stems in splits.items()}
    chosen = [masks[stem] for stems in splits.values() for stem in stems]
    return MaskedPictures(path, paths, chosen, table, notices, format="voc-masks")


def by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without extension."""
    found: dict[str, Path] = {}
    for path in filter(is_picture, entries(folder)):
        if path.stem in found:
            raise DataError(f"A picture is found by its name. {found[path.stem]} and {path.name} have the same one.")
        found[path.stem] = path
    if not found:
        raise DataError(f"VOC's pictures stand in JPEGImages. {folder} holds none.")
    return found


def is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml"


def unread(
    root: Path, pictures: Mapping[str, Path], known: Mapping[str, Path], splits: Mapping[str, list[str]], what: str
) -> list[LeftOut]:
    """Notices of the pictures that are not annotated, and of those that are but stand in no split."""
    listed = {stem for stems in splits.values() for stem in stems}
    bare = [path for stem, path in pictures.items() if stem not in known]
    apart = [pictures[stem] for stem in known if stem not in listed]
    return [
        *left_out(bare, f"pictures without {what}", root),
        *left_out(apart, "annotated pictures that are in no split", root),
    ]


def read_splits(folder: Path, known: Mapping[str, Path]) -> dict[str, list[str]]:
    """The names in train.txt, val.txt and test.txt; trainval.txt is train where there is no train.txt."""
    files = {split: folder / f"{split}.txt" for split in ("train", "val", "test")}
    if not files["train"].is_file() and (folder / "trainval.txt").is_file():
        files = {"train": folder / "trainval.txt", "test": files["test"]}  # a val.txt would be part of it
    splits = {split: stems_in(file, known) for split, file in files.items() if file.is_file()}
    return splits or {"all": sorted(known)}


def stems_in(file: Path, known: Mapping[str, Path]) -> list[str]:
    lines = read_lines(file)
    missing = [(number, stem) for number, stem in lines if stem not in known]
    if missing or not lines:
        shown = f"{missing[0][1][:100]!r} in line {missing[0][0]}, {len(missing):,} in all" if missing else "nothing"
        raise DataError(f"{file} must list pictures that are annotated. Received: {shown}. Add them, or take them out.")
    return [stem for _, stem in lines]


def parse_xml(path: Path) -> Element:
    """The root of an XML file that declares no document type, and so no entities that could grow without bound."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise DataError(f"An annotation declares no document type and no entities. {path} does. Remove its DOCTYPE.")

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
        raise DataError(f"{path} is no XML, or damaged: {error}. Export it again.") from error
    root = builder.close()
    assert isinstance(root, Element)
    return root


def text_of(entry: Element, tag: str, where: str) -> str:
    """What an element of this name holds. Raises DataError where it is missing or empty."""
    text = (entry.findtext(tag) or "").strip()
    if not text:
        raise DataError(f"VOC's annotations need <{tag}>. It is missing, in {where}. Export it again.")
    return text


def number_of(entry: Element, tag: str, where: str) -> float:
    text = text_of(entry, tag, where)
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not -FAR <= value <= FAR:
        raise DataError(f"<{tag}> must be a number of pixels. Received: {text[:40]!r}, in {where}.")
    return value


def box_of(entry: Element, where: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom from 0, the last two beyond the object."""
    box = entry.find("bndbox")
    if box is None:
        raise DataError(f"VOC's annotations need <bndbox>. It is missing, in {where}. Export it again.")
    left, top, right, bottom = (number_of(box, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return left - 1, top - 1, right, bottom


def picture_size(root: Element, path: Path) -> Size | None:
    """Height and width, where they are given; some tools write 0 for not known."""
    size = root.find("size")
    if size is None:
        return None
    height, width = (number_of(size, tag, f"<size> of {path}") for tag in ("height", "width"))
    if height == 0 or width == 0:
        return None
    if min(height, width) < 0 or height % 1 or width % 1 or height * width > MAX_PIXELS:
        raise DataError(f"A picture has 1 to {MAX_PIXELS:,} pixels. Received: {width:g} x {height:g}, in {path}.")
    return int(height), int(width)
