"""Objects in COCO's JSON: one file for each split, with images, categories and annotations.

Source: the data format that cocodataset.org describes under "object detection".
"""

import json
import math
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import FailFast, Field, PlainValidator, StrictInt, StrictStr, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from neocog.annotations.annotated import FAR, DetectionImages, Object, ObjectList, Size, tell_unlisted
from neocog.annotations.binary_masks import RegionImages
from neocog.annotations.files import EXPORT, check_names, entry_error, list_entries, resolve_below, schema_error, show
from neocog.annotations.outlines import MAX_PIXELS, Outline, check_runs, unpack_runs
from neocog.dataset.files import is_kind, read_limited
from neocog.dataset.record import CROWD
from neocog.dataset.split_names import SPLIT_NAMES
from neocog.errors import DataError, some

__all__ = ["is_coco", "open_coco"]

HEAD = 2**16
MAX_BYTES = 2**33
MOST_FILES = 20  # a COCO set has a few .json files. Many mean another layout, with one for each image.
LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
KEYS = re.compile(rb'"(file_name|category_id|supercategory|bbox)"\s*:')
SPLIT = re.compile(r"(?:instances_)?(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)


def check_id(value: object) -> object:
    if type(value) not in (int, str):
        raise PydanticCustomError("id_type", "Input should be a valid integer or string")
    return value


ImageId = Annotated[int | str, PlainValidator(check_id)]
Pixels = Annotated[float, Field(strict=True, ge=-FAR, le=FAR, allow_inf_nan=False)]


@dataclass(slots=True)
class Image:
    """An entry of `images`."""

    id: ImageId
    file_name: StrictStr
    height: Any = None
    width: Any = None


@dataclass(slots=True)
class Category:
    """An entry of `categories`; one that is named as the `supercategory` of others may not be a class itself."""

    id: StrictInt
    name: StrictStr
    supercategory: Any = None


@dataclass(slots=True)
class Annotation:
    """An entry of `annotations`. Its outline is looked at only if masks are read."""

    image_id: ImageId
    category_id: StrictInt
    bbox: Annotated[list[Pixels], Field(min_length=4, max_length=4)]
    id: Any = None
    iscrowd: Any = 0
    segmentation: Any = None


@dataclass(slots=True)
class Content:
    """One file."""

    images: Annotated[list[Image], FailFast()]
    annotations: Annotated[list[Annotation], FailFast()]
    categories: Annotated[list[Category], FailFast()]


CONTENT, POLYGON = TypeAdapter(Content), TypeAdapter(Annotated[list[Pixels], Field(min_length=6)])


def is_coco(path: Path) -> bool:
    """Whether there are COCO's .json files here, in `annotations`, or in the folders of the splits."""
    return path.is_dir() and bool(find_coco_files(path))


def open_coco(path: Path, *, with_masks: bool = False, task: str | None = None) -> DetectionImages:
    """instances_train2017.json and others, or one .json, here or in `annotations`, with the images' folders beside.

    Categories are numbered 0..K-1 in the order of their ids. Supercategories without annotations, which Roboflow lists
    among them, are not classes, and are named in a notice. Boxes x, y, w, h become left, top, right, bottom.
    Annotations with iscrowd, each of which covers many objects, are marked as such and counted in a notice.
    With `with_masks`, outlines (polygons, and run lengths plain or packed) are checked when the set is opened and
    drawn when a record is read, exactly as pycocotools draws them; without it they are ignored.
    For the task multi-label segmentation, the outlines of each class are one mask, crowds among them.
    Raises DataError that names file and annotation, for whatever is not COCO's format.
    """
    files = find_splits(path, find_coco_files(path))
    regions = task == "multi-label segmentation"
    objects, images = ObjectList("annotation", with_masks=with_masks or regions), dict[str, list[Path]]()
    listed, names = dict[int, Category](), dict[int, str]()
    annotated, crowds = set[int](), 0
    for split, file in files.items():
        content, before = read_content(file), names
        listed = number_categories(content, file)
        names = {number: category.name for number, category in listed.items()}
        if before and names != before:
            raise DataError(f"All splits must have the same categories. {file} has others than the file before it.")
        images[split] = add_file(objects, content, file, path, names)
        annotated |= {entry.category_id for entry in content.annotations}
        crowds += sum(bool(entry.iscrowd) for entry in content.annotations)
    ignored = "annotations of crowds (iscrowd) are neither learned nor scored"
    notices: list[str] = [f"{ignored}: {crowds:,}"] if crowds and not regions else []
    notices += tell_unlisted(path, images, "images that no annotation file names")
    if parents := find_unused_parents(listed, annotated):
        notices.append(f"supercategories without annotations are not classes: {some(listed[n].name for n in parents)}")
    numbers = [number for number in sorted(listed) if number not in parents]
    classes = check_names([names[number] for number in numbers], file)
    labels = {number: label for label, number in enumerate(numbers)}
    objects.found = [entry._replace(label=labels[entry.label]) for entry in objects.found]
    return (RegionImages if regions else DetectionImages)(path, images, classes, objects, notices, "coco")


def find_coco_files(root: Path) -> list[Path]:
    """The .json files called instances_*; or else those that begin as COCO's do."""
    splits = [folder for folder in list_entries(root) if folder.name.lower() in SPLIT_NAMES]
    found: list[Path] = []
    for place in (root, root / "annotations", *splits):
        files = [path for path in list_entries(place) if path.suffix.lower() == ".json"]
        if len(files) <= MOST_FILES:
            found += [path for path in files if is_kind(path.is_file)]
    named = [path for path in found if path.name.startswith("instances_")]
    return named or list(filter(looks_like_coco, found))


def looks_like_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and bool(LISTS.search(head) and KEYS.search(head))


def find_splits(root: Path, files: Sequence[Path]) -> dict[str, Path]:
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
        rule = f"{root} can be read in two ways: {found['all'].name} names no split, and there are others."
        raise DataError(rule, fix="Call it instances_train.json (or _val, _test), or move it away.")
    return {split: found[split] for split in ("train", "val", "test", "all") if split in found}


def read_content(path: Path) -> Content:
    """The file by COCO's schema. Raises DataError that names the entry and the key that break it."""
    try:
        values = json.loads(read_limited(path, MAX_BYTES))
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply for COCO's JSON.", fix=EXPORT) from error
    except ValueError as error:  # truncated, not JSON, not text, or a number of thousands of digits
        raise DataError(f"{path} is not JSON, or truncated: {str(error)[:200]}.", fix=EXPORT) from error
    try:
        return CONTENT.validate_python(values)
    except ValidationError as error:
        key, place = (*error.errors()[0]["loc"], None, None)[:2]
        if not isinstance(place, int):
            raise schema_error(error, str(path), EXPORT) from error
        entry = values[key][place]
        identity = entry.get("id") if isinstance(entry, dict) else None
        mark = identity if isinstance(identity, int | str) else f"at place {place}"
        name = {"images": f"image {place}", "categories": f"category {place}"}.get(str(key), f"annotation {mark}")
        raise schema_error(error, f"{name} of {path}", EXPORT, skip=2) from error


def find_unused_parents(listed: Mapping[int, Category], annotated: Container[int]) -> list[int]:
    """Ids of categories without annotations that are the supercategory of others; none if that would be all.

    >>> listed = {0: Category(0, "fish", "none"), 1: Category(1, "shark", "fish"), 2: Category(2, "tuna", "fish")}
    >>> find_unused_parents(listed, annotated={1})
    [0]
    """
    parent = {k: c.supercategory.strip() if isinstance(c.supercategory, str) else "" for k, c in listed.items()}
    children = Counter(parent.values())
    names = {number: category.name for number, category in sorted(listed.items()) if number not in annotated}
    found = [number for number, name in names.items() if children[name] > (parent[number] == name)]
    return found if len(found) < len(listed) else []


def number_categories(content: Content, file: Path) -> dict[int, Category]:
    found: dict[int, Category] = {}
    for place, category in enumerate(content.categories):
        if category.id in found:
            twice, where = f"{show(category.id)} twice", f"category {place} of {file}"
            raise entry_error("Each category needs an id of its own.", twice, where)
        category.name = category.name.strip() or category.name
        found[category.id] = category
    return found


def add_file(objects: ObjectList, content: Content, file: Path, root: Path, known: Container[int]) -> list[Path]:
    """Gather a file's objects, labelled by their categories' ids; the paths of its images."""
    images: dict[int | str, int] = {}
    names, sizes = [], objects.sizes
    for place, image in enumerate(content.images):
        where = f"image {place} of {file}"
        if image.id in images:
            raise entry_error("Each image needs an id of its own.", f"{show(image.id)} twice", where)
        images[image.id] = len(sizes)
        names.append(str(resolve_below(root, image.file_name, where).relative_to(root)))
        sizes.append(check_size(image, where, required=objects.with_masks))
    for place, entry in enumerate(content.annotations):
        mark = entry.id if isinstance(entry.id, int | str) else f"at place {place}"
        where = f"annotation {str(mark)[:40]} of {file}"
        for key, ids, of in (("image_id", images, "an image's"), ("category_id", known, "a category's")):
            if getattr(entry, key) not in ids:
                raise entry_error(f"{key} must be {of} id.", show(getattr(entry, key)), where, EXPORT)
        if entry.iscrowd not in (0, 1):
            raise entry_error("iscrowd must be 0 or 1.", show(entry.iscrowd), where)
        left, top, width, height = entry.bbox
        index = images[entry.image_id]
        size = sizes[index] if objects.with_masks else None
        outline = check_outline(entry.segmentation, size, where) if size else None
        box = (left, top, left + width, top + height)
        ignored = CROWD if entry.iscrowd else 0
        objects.found.append(Object(index, entry.category_id, box, mark, outline, ignored))
    return find_images(root, file, names)


def check_size(image: Image, where: str, *, required: bool) -> Size | None:
    """Height and width, if they are given."""
    if not required and (image.height is None or image.width is None):
        return None
    size = (image.height, image.width)
    if not all(type(side) is int and 1 <= side <= MAX_PIXELS for side in size) or math.prod(size) > MAX_PIXELS:
        rule = f"An image's height and width are whole numbers, of {MAX_PIXELS:,} pixels in all at most."
        raise entry_error(rule, f"{show(image.width)} x {show(image.height)}", where, EXPORT)
    return size


def check_outline(value: Any, size: Size, where: str) -> Outline:
    """Polygons, or run lengths. Raises DataError for others."""
    if isinstance(value, dict):
        return [check_run_lengths(value, size, where)]
    if not isinstance(value, list) or not value:
        rule = "An object that is read with its mask needs an outline: 'segmentation' must be polygons or run lengths."
        raise entry_error(rule, show(value), where)
    polygons, reach = [], np.array([size[1], size[0]])
    for part in value:
        try:
            polygon = np.array(POLYGON.validate_python(part), np.float64)
        except ValidationError as error:
            raise schema_error(error, where, EXPORT, name="a polygon") from error
        if polygon.size % 2:
            raise entry_error("A polygon is x and y of at least 3 points.", f"{polygon.size} numbers", where, EXPORT)
        polygons.append(polygon := polygon.reshape(-1, 2))
        if (polygon < -reach).any() or (polygon > 2 * reach).any():
            received = f"{polygon.min():g} to {polygon.max():g} on {size[1]} x {size[0]} pixels"
            raise entry_error("An outline may leave its image by the image's size at most.", received, where)
    return polygons


def check_run_lengths(value: dict[str, Any], size: Size, where: str) -> NDArray[np.int64]:
    """(R,)."""
    if value.get("size") != list(size):
        rule = f"A mask must have its image's height and width, {size[0]}, {size[1]}."
        raise entry_error(rule, show(value.get("size")), where, EXPORT)
    counts = value.get("counts")
    if isinstance(counts, str):
        return check_runs(unpack_runs(counts, where), *size, where)
    if not isinstance(counts, list) or not all(type(run) is int and 0 <= run <= MAX_PIXELS for run in counts):
        rule = f"Run lengths are whole numbers of 0 to {MAX_PIXELS:,} pixels, or packed in a string."
        raise entry_error(rule, show(counts), where, EXPORT)
    return check_runs(np.array(counts, np.int64), *size, where)


def find_images(root: Path, file: Path, names: Sequence[str]) -> list[Path]:
    """The images' paths, in the folder that has the first of them. Raises DataError if one is not there.

    Those of instances_train2017.json may be in train2017, train, images, or beside it, in this order; those of CVAT's
    instances_default.json in images/default.
    """
    if not names:
        raise entry_error("A data set needs at least one image.", "no images", file)
    split = file.stem.removeprefix("instances_")
    inner = [split, named[1]] if (named := SPLIT.match(split)) else []
    places = [root / "images" / part for part in inner] + [root / part for part in inner]
    places += [root / "images", file.parent / "images", file.parent, root, root / "images" / split]
    places = [place for place in dict.fromkeys(places) if place.is_dir()]
    folder = next((place for place in places if is_kind((place / names[0]).is_file)), None)
    if folder is None:
        tried = some([place.relative_to(root).as_posix() + "/" for place in places], 9)
        rule = f"{file} names {names[0][:200]}, which is not in {root}. Looked in {tried}."
        raise DataError(rule, fix="Put it there.")
    if missing := [name for name in names if not is_kind((folder / name).is_file)]:
        received = f"{len(missing):,} of {len(names):,} that are not in {folder}, first {missing[0][:200]}"
        raise entry_error("All images must be there.", received, file, "Add them, or take them out of the file.")
    return [folder / name for name in names]
