"""YOLO's layout: data.yaml, and beside each folder of images one of text files with a line for each object.

Source: the documentation of Ultralytics, "Object detection datasets" and "Instance segmentation datasets".
"""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, StrictInt, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.annotations.annotated import DetectionImages, Object, ObjectList, tell_unlisted
from neocog.annotations.binary_masks import RegionImages
from neocog.annotations.files import check_names, entry_error, is_encodable, read_lines, schema_error, show
from neocog.dataset.files import is_kind, read_limited
from neocog.dataset.labels import MAX_CLASSES
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import is_image, list_images

__all__ = ["is_yolo", "open_yolo", "read_settings"]

SETTINGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
MAX_BYTES = 2**18
MAX_DEPTH = 16
KEYS = (re.compile(rb"^(train|val)\s*:", re.MULTILINE), re.compile(rb"^(names|nc)\s*:", re.MULTILINE))
SPLITS = ("train", "val", "test")
MOST = 10**9  # below it, a number is taken as a class's name
ROUNDING = 1e-6  # by which a share of the image may be below 0 or above 1


@dataclass(slots=True)
class Settings:
    """data.yaml; other keys are ignored."""

    train: Any = None
    val: Any = None
    test: Any = None
    path: Any = None
    names: Any = None
    nc: Annotated[StrictInt, Field(ge=1, le=MAX_CLASSES)] | None = None
    kpt_shape: Any = None


def is_yolo(path: Path) -> bool:
    """Whether this is a data.yaml with train and names, or a folder with one."""
    file = find_settings(path)
    if file is None:
        return False
    try:
        with file.open("rb") as opened:
            head = opened.read(MAX_BYTES)
    except OSError:
        return False
    return all(key.search(head) for key in KEYS)


def find_settings(path: Path) -> Path | None:
    if path.is_dir():
        return next((path / name for name in SETTINGS if (path / name).is_file()), None)
    return path if path.suffix.lower() in (".yaml", ".yml") else None


def open_yolo(path: Path, *, with_masks: bool = False, task: str | None = None) -> DetectionImages:
    """data.yaml, or the folder that holds it: train, val and test name folders of images, or lists of them.

    A line is `class cx cy w h`, or `class x1 y1 x2 y2 x3 y3 ...`, in shares of the image's width and height, so reading
    a target reads the image's header. The box of an outline is the smallest that holds it. An image without a text file
    has no objects, and is counted in a notice. With `with_masks`, every line must be an outline, drawn as COCO's are;
    for the task multi-label segmentation, the outlines of each class are one mask.
    Nothing outside of data.yaml's folder is read. Raises DataError that names file and line.
    """
    file = find_settings(path)
    if file is None:
        raise DataError(f"YOLO's layout has a data.yaml. {path} has none of {some(SETTINGS, 4)}.")
    settings, root = read_settings(file), file.parent
    classes = name_classes(settings, file)
    strangers: Counter[str] = Counter()
    notices: list[str] = []
    base = resolve_path(root, root, settings.path or ".", file, notices)
    named = {split: entry for split in SPLITS if (entry := getattr(settings, split))}
    images = {split: list_split(entry, root, base, file, strangers, notices) for split, entry in named.items()}
    if not images:
        raise entry_error("data.yaml must name the folder of train.", show(settings), file)
    regions = task == "multi-label segmentation"
    objects = ObjectList("line", relative=True, with_masks=with_masks or regions)
    labels = [find_label_file(root, image) for part in images.values() for image in part]
    bare = [index for index, file in enumerate(labels) if not is_kind(file.is_file)]
    if bare and len(bare) == len(labels):
        rule = f"Labels of images/ are in labels/. No image of {root} has any; the first would be {labels[0]}."
        raise DataError(rule, fix="Add them.")
    for index in sorted(set(range(len(labels))) - set(bare)):
        add_lines(objects, index, labels[index], len(classes))
    if bare:
        notices.append(f"images without a label file, taken as without objects: {len(bare):,}")
    if strangers:
        kinds = some(f"{count} {kind or 'without suffix'}" for kind, count in strangers.most_common())
        notices.append(f"files that are not images were ignored: {kinds}")
    notices += tell_unlisted(root, images, f"images that {file.name} does not name")
    return (RegionImages if regions else DetectionImages)(root, images, classes, objects, notices, "yolo")


def read_settings(path: Path) -> Settings:
    """data.yaml. Raises DataError for one that is damaged, breaks the schema, or would take without bound to read."""
    content, depth = read_limited(path, MAX_BYTES), 0
    try:
        for event in yaml.parse(content, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):  # with these, a short text can mean one without bound
                raise DataError(f"data.yaml repeats nothing by alias (*name). {path} does.", fix="Write it out.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # each level makes every further one slower to read
                raise DataError(f"data.yaml is nested {MAX_DEPTH} deep at most. {path} is deeper.")
        values = yaml.safe_load(content)
    except DataError:
        raise
    except Exception as error:  # beside YAMLError: ValueError for dates, RecursionError for depth, and others
        raise DataError(f"{path} is not YAML, or damaged: {str(error)[:200] or type(error).__name__}.") from error
    if not isinstance(values, dict):
        raise entry_error("data.yaml is a mapping with train and names.", show(values), path)
    try:
        settings = TypeAdapter(Settings).validate_python({k: values[k] for k in Settings.__slots__ if k in values})
    except ValidationError as error:
        raise schema_error(error, str(path), "") from error
    if settings.kpt_shape:
        raise DataError(f"Keypoints are not read. {path} has kpt_shape.", fix="Take the keypoints out of the labels.")
    return settings


def name_classes(settings: Settings, path: Path) -> tuple[str, ...]:
    """From names, a list or a mapping from 0..K-1; or else "0", "1", ... up to nc."""
    names, count = settings.names, settings.nc
    if names is None and count is not None:
        return tuple(str(k) for k in range(count))
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise entry_error("names must number the classes 0, 1, 2, ...", some(names), path)
        names = [names[k] for k in range(len(names))]
    if not isinstance(names, list) or not names:
        raise entry_error("names must be a list, or a mapping from numbers.", show(names), path)
    if count is not None and count != len(names):
        raise entry_error("nc must be the number of names.", f"nc {count}, {len(names)} names", path)
    return check_names([str(name) if type(name) is int and abs(name) < MOST else name for name in names], path)


def list_split(entry: Any, root: Path, base: Path, file: Path, strangers: Counter[str],
               notices: list[str]) -> list[Path]:  # fmt: skip
    """The images of one split: of a folder, of a list in a .txt, or of several of these."""
    images = []
    for part in entry if isinstance(entry, list) else [entry]:
        place = resolve_path(root, base, part, file, notices)
        if is_kind(place.is_dir):
            images += list_images(place, strangers)
        elif is_kind(place.is_file) and place.suffix.lower() == ".txt":
            images += read_list(root, place)
        else:
            raise DataError(f"There is neither a folder nor a list of images at {place}, which {file} names.")
    return images


def resolve_path(root: Path, base: Path, entry: Any, file: Path, notices: list[str]) -> Path:
    """The path that data.yaml means. Raises DataError for one outside of its folder.

    Roboflow writes ../train/images for train/images, and Ultralytics reads it so; here, too, if that is there.
    """
    if not isinstance(entry, str) or not entry or "\0" in entry or not is_encodable(entry):
        raise entry_error("train, val, test and path must be paths.", show(entry), file)
    if place := resolve_within(root, base / entry):
        return place
    inner = entry.removeprefix("../")
    place = resolve_within(root, base / inner)
    if inner == entry or place is None or not os.path.lexists(place):
        rule = f"Images and labels must be in the folder of data.yaml, {root}."
        raise entry_error(rule, repr(entry[:200]), file, "Move data.yaml above them, or write paths from its folder.")
    notices.append(f"{entry} in {file.name} is read as {inner}")
    return place


def resolve_within(root: Path, path: Path) -> Path | None:
    """A path below the root, written from the root; None if its text leaves the root."""
    # Not `resolve`, which follows links: data may be on another disk, where its owner linked it.
    relative = Path(os.path.relpath(path, root))
    return None if relative.parts[:1] == (os.pardir,) else root / relative


def read_list(root: Path, file: Path) -> list[Path]:
    """The images that a .txt lists, a path on each line, from the list's folder."""
    images = []
    for number, line in read_lines(file, 2**28):
        path = resolve_within(root, file.parent / line) if "\0" not in line else None
        if path is None or not is_image(path) or not is_kind(path.is_file):
            raise entry_error(f"Each line must name an image below {root}.", repr(line[:200]), f"{file}:{number}")
        images.append(path)
    return images


def find_label_file(root: Path, image: Path) -> Path:
    """`images/.../a.png` -> `labels/.../a.txt`, by the last folder of that name; else the text beside the image."""
    parts = list(image.relative_to(root).parts[:-1])
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts, f"{image.stem}.txt")


def add_lines(objects: ObjectList, index: int, file: Path, num_classes: int) -> None:
    """Gather the objects of one image. Raises DataError with file and line.

    A line is a class and 4 shares, or a class and the x and y of at least 3 points.
    """
    for number, line in read_lines(file):
        where, fields = f"{file}:{number}", line.split()
        if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
            rule = "A line is `class cx cy w h`, or `class x1 y1 x2 y2 x3 y3 ...`."
            raise entry_error(rule, f"{len(fields)} fields", where)
        try:
            label, *shares = map(float, fields)
        except ValueError:
            label, shares = np.nan, []
        if "_" in line or not abs(label) < MAX_CLASSES:  # Python reads 1_0 as 10; NaN is less than nothing
            raise entry_error("A line holds numbers.", repr(line[:100]), where)
        if label != int(label) or not 0 <= label < num_classes:
            raise entry_error(f"A class is 0 to {num_classes - 1}.", f"{label:g}", where)
        if wrong := [share for share in shares if not -ROUNDING <= share <= 1 + ROUNDING]:
            raise entry_error("Boxes and outlines are shares, 0 to 1, of the image.", f"{wrong[0]:g}", where)
        outline = None
        if len(shares) == 4:
            if objects.with_masks:
                rule = "An object that is read with its mask needs an outline, x1 y1 x2 y2 x3 y3 ..."
                raise entry_error(rule, "a box", where)
            x, y, width, height = shares
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        else:
            points: NDArray[np.float64] = np.array(shares).reshape(-1, 2)
            (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
            box, outline = (left, top, right, bottom), [points] if objects.with_masks else None
        objects.found.append(Object(index, int(label), box, number, outline))
