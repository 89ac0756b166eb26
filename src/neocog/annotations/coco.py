"""Objects in COCO's JSON: one file for each split, with images, categories and annotations.

Source: the data format that cocodataset.org describes under "object detection".
"""

import dataclasses
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

from neocog.annotations.annotated import DetectionImages, ObjectList, Size, tell_unlisted
from neocog.annotations.files import check_names, list_entries, resolve_below, schema_error, show
from neocog.annotations.outlines import MAX_PIXELS, Outline, check_runs, unpack_runs
from neocog.dataset.files import is_kind, read_limited
from neocog.dataset.split_names import SPLIT_NAMES
from neocog.errors import DataError, some

__all__ = ["is_coco", "open_coco"]

HEAD = 2**16
MAX_BYTES = 2**33
MOST_FILES = 20
"""A COCO set has a few .json files. Many mean another layout, with one for each image."""
FAR = 1e9
"""No coordinate in pixels is larger."""
LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
KEYS = re.compile(rb'"(file_name|category_id|supercategory|bbox)"\s*:')
SPLIT = re.compile(r"(?:instances_)?(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)

EXPORT = "Export it again."


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

    @property
    def parent(self) -> str:
        return self.supercategory.strip() if isinstance(self.supercategory, str) else ""


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


@dataclasses.dataclass(slots=True)
class Gathered:
    """The content of all files so far. The labels of `objects` are the categories' ids until all are read."""

    objects: ObjectList
    images: dict[str, list[Path]] = dataclasses.field(default_factory=dict)
    annotated: set[int] = dataclasses.field(default_factory=set)
    """Ids of the categories with an annotation."""
    num_crowds: int = 0


def is_coco(path: Path) -> bool:
    """Whether there are COCO's .json files here, in `annotations`, or in the folders of the splits."""
    return path.is_dir() and bool(find_coco_files(path))


def open_coco(path: Path, *, with_masks: bool = False) -> DetectionImages:
    """instances_train2017.json and others, or one .json, here or in `annotations`, with the images' folders beside.

    Categories are numbered 0..K-1 in the order of their ids. Supercategories without annotations, which Roboflow lists
    among them, are not classes, and are named in a notice. Boxes x, y, w, h become left, top, right, bottom.
    Annotations with iscrowd, each of which covers many objects, are left out and counted in a notice.
    With `with_masks`, outlines (polygons, and run lengths plain or packed) are checked when the set is opened and
    drawn when a record is read, exactly as pycocotools draws them; without it they are ignored.
    Raises DataError that names file and annotation, for whatever is not COCO's format.
    """
    files = find_splits(path, find_coco_files(path))
    gathered = Gathered(ObjectList("annotation", with_masks=with_masks))
    listed, names = dict[int, Category](), dict[int, str]()
    for split, file in files.items():
        content = read_content(file)
        listed = number_categories(content, file)
        here = {number: category.name for number, category in listed.items()}
        if names and here != names:
            raise DataError(f"All splits must have the same categories. {file} has others than the file before it.")
        names = here
        gathered.images[split] = add_file(gathered, content, file, path, names)
    crowds = gathered.num_crowds
    notices: list[str] = [f"annotations of crowds (iscrowd) were left out: {crowds:,}"] if crowds else []
    notices += tell_unlisted(path, gathered.images, "images that no annotation file names")
    parents = find_unused_parents(listed, gathered.annotated)
    if parents:
        notices.append(f"supercategories without annotations are not classes: {some(listed[n].name for n in parents)}")
    numbers = [number for number in sorted(listed) if number not in parents]
    classes = check_names([names[number] for number in numbers], file)
    labels = {number: label for label, number in enumerate(numbers)}
    gathered.objects.labels = [labels[number] for number in gathered.objects.labels]
    return DetectionImages(path, gathered.images, classes, gathered.objects, notices, "coco")


def find_coco_files(root: Path) -> list[Path]:
    """The .json files called instances_*; or else those that begin as COCO's do."""
    splits = [folder for folder in list_entries(root) if folder.name.lower() in SPLIT_NAMES]
    found = []
    for place in (root, root / "annotations", *splits):
        files = [path for path in list_entries(place) if path.suffix.lower() == ".json"]
        if len(files) <= MOST_FILES:
            found += [path for path in files if is_kind(path.is_file) and (is_instances(path) or looks_like_coco(path))]
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
        fix = "Call it instances_train.json, instances_val.json or instances_test.json, or move it away."
        raise DataError(rule, fix=fix)
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
        mark = name_entry(entry.get("id") if isinstance(entry, dict) else None, place)
        name = {"images": f"image {place}", "categories": f"category {place}"}.get(str(key), f"annotation {mark}")
        raise schema_error(error, f"{name} of {path}", EXPORT, skip=2) from error


def name_entry(identity: object, place: int) -> int | str:
    """The name of an annotation in messages."""
    return identity if isinstance(identity, int | str) else f"at place {place}"


def find_unused_parents(listed: Mapping[int, Category], annotated: Container[int]) -> list[int]:
    """Ids of categories without annotations that are the supercategory of others; none if that would be all.

    >>> listed = {0: Category(0, "fish", "none"), 1: Category(1, "shark", "fish"), 2: Category(2, "tuna", "fish")}
    >>> find_unused_parents(listed, annotated={1})
    [0]
    """
    children = Counter(category.parent for category in listed.values())
    parents = {number: category.name for number, category in sorted(listed.items()) if number not in annotated}
    found = [number for number, name in parents.items() if children[name] > (listed[number].parent == name)]
    return found if len(found) < len(listed) else []


def number_categories(content: Content, file: Path) -> dict[int, Category]:
    """Categories by id."""
    found: dict[int, Category] = {}
    for place, category in enumerate(content.categories):
        if category.id in found:
            received, where = f"{show(category.id)} twice", f"category {place} of {file}"
            raise DataError("Each category needs an id of its own.", received=received, where=where)
        category.name = category.name.strip() or category.name
        found[category.id] = category
    return found


def add_file(gathered: Gathered, content: Content, file: Path, root: Path, known: Container[int]) -> list[Path]:
    """Gather a file's images and objects; its images' paths."""
    images: dict[int | str, int] = {}
    names, sizes = [], gathered.objects.sizes
    for place, image in enumerate(content.images):
        where = f"image {place} of {file}"
        if image.id in images:
            raise DataError("Each image needs an id of its own.", received=f"{show(image.id)} twice", where=where)
        images[image.id] = len(sizes)
        names.append(str(resolve_below(root, image.file_name, where).relative_to(root)))
        sizes.append(check_size(image, where, required=gathered.objects.with_masks))
    for place, entry in enumerate(content.annotations):
        mark = name_entry(entry.id, place)
        where = f"annotation {str(mark)[:40]} of {file}"
        for key, ids, of in (("image_id", images, "an image's"), ("category_id", known, "a category's")):
            if getattr(entry, key) not in ids:
                raise DataError(f"{key} must be {of} id.", received=show(getattr(entry, key)), where=where, fix=EXPORT)
        gathered.annotated.add(entry.category_id)
        if entry.iscrowd not in (0, 1):
            raise DataError("iscrowd must be 0 or 1.", received=show(entry.iscrowd), where=where)
        if entry.iscrowd:
            gathered.num_crowds += 1
            continue
        left, top, width, height = entry.bbox
        index = images[entry.image_id]
        size = sizes[index] if gathered.objects.with_masks else None
        outline = check_outline(entry.segmentation, size, where) if size else None
        gathered.objects.add(index, entry.category_id, (left, top, left + width, top + height), mark, outline)
    return find_images(root, file, names)


def check_size(image: Image, where: str, *, required: bool) -> Size | None:
    """Height and width, if they are given."""
    if not required and (image.height is None or image.width is None):
        return None
    size = (image.height, image.width)
    if not all(type(side) is int and 1 <= side <= MAX_PIXELS for side in size) or math.prod(size) > MAX_PIXELS:
        rule = f"An image's height and width are whole numbers, of {MAX_PIXELS:,} pixels in all at most."
        raise DataError(rule, received=f"{show(image.width)} x {show(image.height)}", where=where, fix=EXPORT)
    return size


def check_outline(value: Any, size: Size, where: str) -> Outline:
    """Polygons, or run lengths. Raises DataError for others."""
    if isinstance(value, dict):
        return [check_run_lengths(value, size, where)]
    if not isinstance(value, list) or not value:
        rule = "An object that is read with its mask needs an outline: 'segmentation' must be polygons or run lengths."
        raise DataError(rule, received=show(value), where=where)
    polygons = []
    for part in value:
        try:
            polygon = np.array(POLYGON.validate_python(part), np.float64)
        except ValidationError as error:
            raise schema_error(error, where, EXPORT, name="a polygon") from error
        if polygon.size % 2:
            received = f"{polygon.size} numbers"
            raise DataError("A polygon is x and y of at least 3 points.", received=received, where=where, fix=EXPORT)
        polygon = polygon.reshape(-1, 2)
        reach = np.array([size[1], size[0]])
        if (polygon < -reach).any() or (polygon > 2 * reach).any():
            received = f"{polygon.min():g} to {polygon.max():g} on {size[1]} x {size[0]} pixels"
            rule = "An outline may leave its image by the image's size at most."
            raise DataError(rule, received=received, where=where)
        polygons.append(polygon)
    return polygons


def check_run_lengths(value: dict[str, Any], size: Size, where: str) -> NDArray[np.int64]:
    """(R,)."""
    if value.get("size") != list(size):
        rule = f"A mask must have its image's height and width, {size[0]}, {size[1]}."
        raise DataError(rule, received=show(value.get("size")), where=where, fix=EXPORT)
    counts = value.get("counts")
    if isinstance(counts, str):
        return check_runs(unpack_runs(counts, where), *size, where)
    if not isinstance(counts, list) or not all(type(run) is int and 0 <= run <= MAX_PIXELS for run in counts):
        rule = f"Run lengths are whole numbers of 0 to {MAX_PIXELS:,} pixels, or packed in a string."
        raise DataError(rule, received=show(counts), where=where, fix=EXPORT)
    return check_runs(np.array(counts, np.int64), *size, where)


def find_images(root: Path, file: Path, names: Sequence[str]) -> list[Path]:
    """The images' paths, in the folder that has the first of them. Raises DataError if one is not there."""
    if not names:
        raise DataError("A data set needs at least one image.", received="no images", where=str(file))
    places = list_image_places(root, file)
    folder = next((place for place in places if is_kind((place / names[0]).is_file)), None)
    if folder is None:
        tried = some([place.relative_to(root).as_posix() + "/" for place in places], 9)
        rule = f"{file} names {names[0][:200]}, which is not in {root}. Looked in {tried}."
        raise DataError(rule, fix="Put it there.")
    missing = [name for name in names if not is_kind((folder / name).is_file)]
    if missing:
        received = f"{len(missing):,} of {len(names):,} that are not in {folder}, first {missing[0][:200]}"
        fix = "Add them, or take them out of the file."
        raise DataError("All images must be there.", received=received, where=str(file), fix=fix)
    return [folder / name for name in names]


def list_image_places(root: Path, file: Path) -> list[Path]:
    """Where the images of instances_train2017.json may be, in this order: train2017, train, images, beside it.

    Those of CVAT's instances_default.json may be in images/default.
    """
    name = file.stem.removeprefix("instances_")
    named = SPLIT.match(name)
    inner = [name, named[1]] if named else []
    places = [root / "images" / part for part in inner] + [root / part for part in inner]
    places += [root / "images", file.parent / "images", file.parent, root, root / "images" / name]
    return [place for place in dict.fromkeys(places) if place.is_dir()]
