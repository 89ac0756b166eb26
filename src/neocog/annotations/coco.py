"""Objects in COCO's JSON: one file for each split, with images, categories and annotations.

Source: the data format that cocodataset.org describes under "object detection".
"""

import json
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neocog.annotations.annotated import (
    FAR,
    BoxedPictures,
    Found,
    Size,
    below,
    check_names,
    entries,
    is_file,
    read_limited,
    shown,
    unlisted,
)
from neocog.annotations.rle import MAX_PIXELS, Outline, check_counts, unpack_counts
from neocog.dataset.split_names import SPLIT_NAMES
from neocog.errors import DataError, some

__all__ = ["CocoPictures", "is_coco", "open_coco"]

HEAD = 2**16
MAX_BYTES = 2**33
MOST_FILES = 20
"""A COCO set has a few .json files. Many are another layout, in which each picture has one."""
LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
KEYS = re.compile(rb'"(file_name|category_id|supercategory|bbox)"\s*:')
SPLIT = re.compile(r"(?:instances_)?(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)
Entry = Mapping[str, Any]


class CocoPictures(BoxedPictures):
    """Pictures with the objects of COCO's files.

    Categories are numbered 0..K-1 in the order of their ids. Supercategories without annotations, which Roboflow lists
    among them, are not classes, and are named in a notice. Boxes x, y, w, h become left, top, right, bottom.
    Annotations with iscrowd, which stand for many objects at once, are left out and counted in a notice.
    With `with_masks`, outlines (polygons, and run lengths plain or packed) are checked when the set is opened and
    drawn when a record is read, exactly as pycocotools draws them; without it they are not looked at.
    """

    format = "coco"
    mark = "annotation"


@dataclass(frozen=True, slots=True)
class Category:
    """A category's name, and the name of its supercategory where it has one."""

    name: str
    parent: str = ""


@dataclass(slots=True)
class Gathered:
    """What one file after the other adds."""

    with_masks: bool
    found: Found
    """Its labels are the categories' ids, until all files are read."""
    sizes: list[Size | None]
    pictures: dict[str, list[Path]]
    annotated: set[int]
    """Ids of the categories with an annotation."""
    crowds: int = 0

    @property
    def count(self) -> int:
        return len(self.sizes)


def is_coco(path: Path) -> bool:
    """Whether there are COCO's .json files here, in `annotations`, or in the folders of the splits."""
    return path.is_dir() and bool(coco_files(path))


def open_coco(path: Path, *, with_masks: bool = False) -> CocoPictures:
    """instances_train2017.json and others, or one .json, here or in `annotations`, with the pictures' folders beside.

    Raises DataError that names file and annotation, for whatever is not as COCO has it.
    """
    files = by_split(path, coco_files(path))
    gathered = Gathered(with_masks, Found(), [], {}, set())
    names: dict[int, str] = {}
    listed: dict[int, Category] = {}
    for split, file in files.items():
        content = read_json(file)
        listed = categories(content, file)
        here = {number: category.name for number, category in listed.items()}
        if names and here != names:
            raise DataError(f"All splits must have the same categories. {file} has others than the file before it.")
        names = here
        gathered.pictures[split] = add_file(gathered, content, file, path, names)
    notices: list[str] = (
        [f"annotations of crowds (iscrowd) were left out: {gathered.crowds:,}"] if gathered.crowds else []
    )
    notices += unlisted(path, gathered.pictures, "pictures that no annotation file names")
    parents = unused_parents(listed, gathered.annotated)
    if parents:
        notices.append(f"supercategories without annotations are not classes: {some(listed[n].name for n in parents)}")
    numbers = [number for number in sorted(listed) if number not in parents]
    classes = check_names([names[number] for number in numbers], file)
    labels = {number: label for label, number in enumerate(numbers)}
    gathered.found.labels = [labels[number] for number in gathered.found.labels]
    return CocoPictures(
        path,
        gathered.pictures,
        classes,
        gathered.found,
        notices,
        sizes=gathered.sizes,
        with_masks=with_masks,
    )


def coco_files(root: Path) -> list[Path]:
    """The .json files called instances_*; or else those that begin as COCO's do."""
    splits = [folder for folder in entries(root) if folder.name.lower() in SPLIT_NAMES]
    found = []
    for place in (root, root / "annotations", *splits):
        files = [path for path in entries(place) if path.suffix.lower() == ".json"]
        if len(files) <= MOST_FILES:
            found += [path for path in files if is_file(path) and (is_instances(path) or looks_like_coco(path))]
    return list(filter(is_instances, found)) or found


def is_instances(path: Path) -> bool:
    return path.name.startswith("instances_")


def looks_like_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and bool(LISTS.search(head) and KEYS.search(head))


def by_split(root: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Each split's file; a single file may be all."""
    found: dict[str, Path] = {}
    for path in files:
        named = SPLIT.match(path.name) or (SPLIT.fullmatch(path.parent.name) if path.parent != root else None)
        split = SPLIT_NAMES[named[1].lower()] if named else "all"
        if split in found:
            raise DataError(f"{root} can be read in two ways: {found[split].name} and {path.name} both hold {split}.")
        found[split] = path
    if not found:
        raise DataError(f"COCO's layout has a .json file with images, annotations and categories. {root} has none.")
    if "all" in found and len(found) > 1:
        raise DataError(
            f"{root} can be read in two ways: {found['all'].name} names no split, and there are others. Call it "
            "instances_train.json, instances_val.json or instances_test.json, or move it away."
        )
    return {split: found[split] for split in ("train", "val", "test", "all") if split in found}


def read_json(path: Path) -> Entry:
    """The file's mapping, with its three lists."""
    try:
        content = json.loads(read_limited(path, MAX_BYTES))
    except RecursionError as error:
        raise DataError(f"{path} is nested too deep to be COCO's JSON. Export it again.") from error
    except ValueError as error:  # truncated, no JSON, no text, or a number of thousands of digits
        raise DataError(f"{path} is no JSON, or truncated: {str(error)[:200]}. Export it again.") from error
    for key in ("images", "annotations", "categories"):
        member(content, key, list, str(path))
    return dict(content)


def member(entry: Any, key: str, kinds: type | tuple[type, ...], where: str) -> Any:
    """A key's value. Raises DataError where it is missing, or of another kind."""
    if not isinstance(entry, dict) or key not in entry:
        there = f"the keys {some(map(shown, entry), 8)}" if isinstance(entry, dict) else shown(entry)
        raise DataError(f"COCO's JSON needs {key!r}. Received: {there}, in {where}. Export it again.")
    value = entry[key]
    if not isinstance(value, kinds) or isinstance(value, bool):
        wanted = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise DataError(f"{key!r} must be {wanted}. Received: {shown(value)}, in {where}. Export it again.")
    return value


def unused_parents(listed: Mapping[int, Category], annotated: Container[int]) -> list[int]:
    """Ids of categories without annotations that are the supercategory of others; none where no category would be left.

    >>> listed = {0: Category("fish", "none"), 1: Category("shark", "fish"), 2: Category("tuna", "fish")}
    >>> unused_parents(listed, annotated={1})
    [0]
    """
    children = Counter(category.parent for category in listed.values())
    found = [
        number
        for number, category in sorted(listed.items())
        if number not in annotated and children[category.name] > (category.parent == category.name)
    ]
    return found if len(found) < len(listed) else []


def categories(content: Entry, file: Path) -> dict[int, Category]:
    """Categories by id."""
    found: dict[int, Category] = {}
    for place, entry in enumerate(content["categories"]):
        where = f"category {place} of {file}"
        number = member(entry, "id", int, where)
        if number in found:
            raise DataError(f"Each category needs an id of its own. Received: {shown(number)} twice, in {where}.")
        name, parent = member(entry, "name", str, where), entry.get("supercategory")
        found[number] = Category(name.strip() or name, parent.strip() if isinstance(parent, str) else "")
    return found


def add_file(gathered: Gathered, content: Entry, file: Path, root: Path, known: Container[int]) -> list[Path]:
    """Gather a file's pictures and objects; its pictures' paths."""
    images: dict[int | str, int] = {}
    names = []
    for place, entry in enumerate(content["images"]):
        where = f"image {place} of {file}"
        number = member(entry, "id", (int, str), where)
        if number in images:
            raise DataError(f"Each image needs an id of its own. Received: {shown(number)} twice, in {where}.")
        images[number] = gathered.count
        names.append(str(below(root, member(entry, "file_name", str, where), where).relative_to(root)))
        gathered.sizes.append(image_size(entry, where, required=gathered.with_masks))
    for place, entry in enumerate(content["annotations"]):
        identity = entry.get("id") if isinstance(entry, dict) else None
        mark = identity if isinstance(identity, int | str) else f"at place {place}"
        add_object(gathered, entry, images, known, mark, f"annotation {str(mark)[:40]} of {file}")
    return existing(root, file, names)


def image_size(entry: Entry, where: str, *, required: bool) -> Size | None:
    """Height and width, where they are given."""
    if not required and (entry.get("height") is None or entry.get("width") is None):
        return None
    height, width = member(entry, "height", int, where), member(entry, "width", int, where)
    if min(height, width) < 1 or max(height, width) > MAX_PIXELS or height * width > MAX_PIXELS:
        raise DataError(
            f"A picture has 1 to {MAX_PIXELS:,} pixels. Received: {shown(width)} x {shown(height)}, in {where}."
        )
    return height, width


def add_object(
    gathered: Gathered,
    entry: Any,
    images: Mapping[int | str, int],
    known: Container[int],
    mark: int | str,
    where: str,
) -> None:
    """Gather one annotation. Raises DataError for what COCO's format does not allow."""
    image, category = member(entry, "image_id", (int, str), where), member(entry, "category_id", int, where)
    if image not in images:
        raise DataError(f"image_id must be an image's id. Received: {shown(image)}, in {where}. Export it again.")
    if category not in known:
        raise DataError(f"category_id must be a category's id. Received: {shown(category)}, in {where}.")
    gathered.annotated.add(category)
    left, top, width, height = coordinates(member(entry, "bbox", list, where), "bbox", where, count=4)
    if entry.get("iscrowd", 0) not in (0, 1):
        raise DataError(f"iscrowd must be 0 or 1. Received: {shown(entry['iscrowd'])}, in {where}.")
    if entry.get("iscrowd", 0):
        gathered.crowds += 1
        return
    size = gathered.sizes[images[image]]
    shape = outline(entry, size, where) if gathered.with_masks and size else None
    gathered.found.add(images[image], category, (left, top, left + width, top + height), mark, shape)


def coordinates(values: list[Any], key: str, where: str, count: int | None = None) -> list[float]:
    """Finite numbers. Raises DataError for others, and where they are not `count`, or no pairs of x and y."""
    if len(values) != count if count else len(values) < 6 or len(values) % 2:
        wanted = f"{count} numbers" if count else "x and y of at least 3 points"
        raise DataError(f"{key} must have {wanted}. Received: {len(values)} numbers, in {where}. Export it again.")
    for value in values:
        # NaN is in no range, and neither is an integer that is too large to become a float.
        if type(value) not in (int, float) or not -FAR <= value <= FAR:
            raise DataError(f"{key} must be finite numbers of pixels. Received: {shown(value)}, in {where}.")
    return values


def outline(entry: Entry, size: Size, where: str) -> Outline:
    """Checked polygons, or run lengths."""
    value = member(entry, "segmentation", (list, dict), where)
    if isinstance(value, dict):
        return [run_lengths(value, size, where)]
    if not value:
        raise DataError(f"An object read with its mask needs an outline. segmentation is empty, in {where}.")
    polygons = []
    for part in value:
        if not isinstance(part, list):
            raise DataError(f"A polygon is a list of x and y. Received: {shown(part)}, in {where}.")
        polygon = np.array(coordinates(part, "segmentation", where), np.float64).reshape(-1, 2)
        reach = np.array([size[1], size[0]])
        if (polygon < -reach).any() or (polygon > 2 * reach).any():
            raise DataError(
                f"An outline may leave its picture by the picture's size at most. Received: {polygon.min():g} to "
                f"{polygon.max():g} on {size[1]} x {size[0]} pixels, in {where}."
            )
        polygons.append(polygon)
    return polygons


def run_lengths(value: Entry, size: Size, where: str) -> Any:
    """(R,)."""
    if list(member(value, "size", list, where)) != list(size):
        raise DataError(
            f"A mask must have its picture's height and width, {size[0]}, {size[1]}. Received: "
            f"{shown(value['size'])}, in {where}. Export it again."
        )
    counts = member(value, "counts", (list, str), where)
    if isinstance(counts, str):
        return check_counts(unpack_counts(counts, where), *size, where)
    if not all(type(run) is int and 0 <= run <= MAX_PIXELS for run in counts):
        raise DataError(f"Runs are whole numbers of 0 to {MAX_PIXELS:,} pixels. Received others, in {where}.")
    return check_counts(np.array(counts, np.int64), *size, where)


def existing(root: Path, file: Path, names: Sequence[str]) -> list[Path]:
    """The pictures' paths, in the folder that has the first of them. Raises DataError where one is not there."""
    if not names:
        raise DataError(f"A data set needs at least one picture. images is empty, in {file}.")
    places = picture_places(root, file)
    folder = next((place for place in places if is_file(place / names[0])), None)
    if folder is None:
        tried = some([place.relative_to(root).as_posix() + "/" for place in places], 9)
        raise DataError(f"{file} names {names[0][:200]}, which is not in {root}. Looked in {tried}. Put it there.")
    missing = [name for name in names if not is_file(folder / name)]
    if missing:
        raise DataError(
            f"All pictures must be there. {len(missing):,} of {len(names):,} that {file} names are not in {folder}, "
            f"first {missing[0][:200]}. Add them, or take them out of the file."
        )
    return [folder / name for name in names]


def picture_places(root: Path, file: Path) -> list[Path]:
    """Where the pictures of instances_train2017.json may be, in this order: train2017, train, images, beside it.

    Those of CVAT's instances_default.json may be in images/default.
    """
    name = file.stem.removeprefix("instances_")
    named = SPLIT.match(name)
    inner = [name, named[1]] if named else []
    places = [root / "images" / part for part in inner] + [root / part for part in inner]
    places += [root / "images", file.parent / "images", file.parent, root, root / "images" / name]
    return [place for place in dict.fromkeys(places) if place.is_dir()]
