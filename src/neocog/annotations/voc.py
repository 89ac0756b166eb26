"""Pascal VOC: an XML file of boxes for each image, and masks for some.

VOC counts pixels from 1 and includes the last: xmin, ymin, xmax, ymax become xmin - 1, ymin - 1, xmax, ymax.
Source: Everingham et al. 2010, and the development kit's documentation, "Annotation files".
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from neocog.annotations.annotated import FAR, DetectionImages, Object, ObjectList, Size, tell_left_out
from neocog.annotations.files import EXPORT, by_stem, check_names, entry_error, list_entries, read_lines
from neocog.annotations.mask_folder import TABLES, ClassTable, SegmentationImages, is_png, read_table
from neocog.annotations.outlines import MAX_PIXELS
from neocog.dataset.files import read_limited
from neocog.dataset.labels import read_number as parse_number
from neocog.dataset.record import DIFFICULT
from neocog.errors import DataError
from neocog.modalities.image.image_folder import is_image

__all__ = ["is_voc", "is_voc_masks", "open_voc", "open_voc_masks", "parse_xml"]

MAX_BYTES = 2**24
MAX_DEPTH = 32
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


Layout = tuple[dict[str, list[Path]], dict[str, list[Path]], list[str]]


def is_voc(path: Path) -> bool:
    """Whether there are the folders JPEGImages and Annotations, the latter with XML files."""
    return (path / "JPEGImages").is_dir() and any(is_xml(file) for file in list_entries(path / "Annotations"))


def is_voc_masks(path: Path) -> bool:
    """Whether there are JPEGImages and SegmentationClass, but no boxes: a set with boxes is read for those."""
    masks = list_entries(path / "SegmentationClass")
    return (path / "JPEGImages").is_dir() and any(map(is_png, masks)) and not is_voc(path)


def open_voc(path: Path) -> DetectionImages:
    """Annotations/*.xml for JPEGImages/*, with the splits of ImageSets/Main if it has any.

    Classes are the names of all objects, sorted. Difficult objects are marked as such, and counted in a notice; whether
    one is truncated is not kept.
    Raises DataError that names the file, for XML that is damaged or declares a document type, and for missing parts.
    """
    images, splits, notices = read_layout(path, "Annotations", "Main", is_xml, "annotation")
    objects, names = ObjectList("object"), list[str]()
    for index, file in enumerate(file for files in splits.values() for file in files):
        root = parse_xml(file)
        objects.sizes.append(read_size(root, file))
        for place, entry in enumerate(root.findall("object"), 1):
            where = f"object {place} of {file}"
            names.append(read_text(entry, "name", where))
            ignored = DIFFICULT if (entry.findtext("difficult") or "").strip() == "1" else 0
            objects.found.append(Object(index, 0, read_box(entry, where), place, ignored=ignored))
    if difficult := sum(found.ignored > 0 for found in objects.found):
        notices.append(f"difficult objects are neither learned nor scored: {difficult:,}")
    classes = check_names(sorted(set(names)), path / "Annotations")
    numbers = {name: k for k, name in enumerate(classes)}
    objects.found = [found._replace(label=numbers[name]) for found, name in zip(objects.found, names, strict=True)]
    return DetectionImages(path, images, classes, objects, notices, "voc")


def open_voc_masks(path: Path) -> SegmentationImages:
    """SegmentationClass/*.png for JPEGImages/*, with the splits of ImageSets/Segmentation if it has any.

    The classes are those of a table beside them (classes.txt), or else VOC's background and twenty.
    """
    images, splits, notices = read_layout(path, "SegmentationClass", "Segmentation", is_png, "mask")
    tables = [path / name for name in TABLES if (path / name).is_file()]
    table = read_table(tables[0]) if tables else ClassTable(("background", *VOC_CLASSES))
    masks_of = [file for files in splits.values() for file in files]
    return SegmentationImages(path, images, masks_of, table, notices, "voc-masks")


def is_xml(path: Path) -> bool:
    return path.suffix.lower() == ".xml"


def read_layout(root: Path, folder: str, lists: str, is_wanted: Callable[[Path], bool], what: str) -> Layout:
    """The images and their annotations by split, and notices of images that have none, or belong to no split."""
    place = root / "JPEGImages"
    images = by_stem(filter(is_image, list_entries(place)), place)
    if not images:
        raise DataError(f"VOC's images are in JPEGImages. {place} has none.")
    known = {file.stem: file for file in list_entries(root / folder) if is_wanted(file)}
    lone = sorted(known.keys() - images.keys())
    if lone or not known:
        received = f"{len(lone):,} without one, first {known[lone[0]].name}" if lone else f"no {what}s"
        rule = f"Each {what} needs an image of the same name in JPEGImages."
        raise entry_error(rule, received, root, "Add or remove them.")
    splits = read_splits(root / "ImageSets" / lists, known)
    listed = {stem for stems in splits.values() for stem in stems}
    bare = [path for stem, path in images.items() if stem not in known]
    apart = [images[stem] for stem in known if stem not in listed]
    notices: list[str] = [*tell_left_out(bare, f"images without {what}s", root)]
    notices += tell_left_out(apart, "annotated images that are in no split", root)
    images_of = {split: [images[stem] for stem in stems] for split, stems in splits.items()}
    return images_of, {split: [known[stem] for stem in stems] for split, stems in splits.items()}, notices


def read_splits(folder: Path, known: Mapping[str, Path]) -> dict[str, list[str]]:
    """The names in train.txt, val.txt and test.txt; trainval.txt is train if there is no train.txt."""
    files = {split: folder / f"{split}.txt" for split in ("train", "val", "test")}
    if not files["train"].is_file() and (folder / "trainval.txt").is_file():
        files = {"train": folder / "trainval.txt", "test": files["test"]}  # a val.txt would be part of it
    splits = {}
    for split, file in files.items():
        lines = read_lines(file) if file.is_file() else None
        missing = [(number, stem) for number, stem in lines or () if stem not in known]
        if missing or lines == []:
            number, stem = missing[0] if missing else (0, "")
            first = f"{stem[:100]!r} in line {number}, {len(missing):,} in all" if missing else "nothing"
            raise entry_error("A list of a split names annotated images.", first, file, "Add them, or take them out.")
        if lines:
            splits[split] = [stem for _, stem in lines]
    return splits or {"all": sorted(known)}


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
    return builder.close()


def read_text(entry: Element, tag: str, where: str) -> str:
    if text := (entry.findtext(tag) or "").strip():
        return text
    raise entry_error(f"VOC's annotations need <{tag}>.", "none", where, EXPORT)


def read_number(entry: Element, tag: str, where: str) -> float:
    text = read_text(entry, tag, where)
    value = parse_number(text)
    if value is None or "_" in text or not abs(value) <= FAR:  # NaN too
        raise entry_error(f"<{tag}> must be a number of pixels.", repr(text[:40]), where)
    return value


def read_box(entry: Element, where: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom from 0, the last two beyond the object."""
    box = entry.find("bndbox")
    if box is None:
        raise entry_error("VOC's annotations need <bndbox>.", "none", where, EXPORT)
    left, top, right, bottom = (read_number(box, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return left - 1, top - 1, right, bottom


def read_size(root: Element, path: Path) -> Size | None:
    """Height and width, if they are given; some tools write 0 for not known."""
    size = root.find("size")
    sides = [read_number(size, tag, f"<size> of {path}") for tag in ("height", "width")] if size is not None else [0]
    if 0 in sides:
        return None
    height, width = sides
    if min(height, width) < 0 or height % 1 or width % 1 or height * width > MAX_PIXELS:
        raise entry_error(f"An image has 1 to {MAX_PIXELS:,} pixels.", f"{width:g} x {height:g}", path)
    return int(height), int(width)
