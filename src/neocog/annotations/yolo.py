"""YOLO's layout: data.yaml, and beside each picture's folder one of text files with a line for each object.

Source: the documentation of Ultralytics, "Object detection datasets" and "Instance segmentation datasets".
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from neocog.annotations.annotated import (
    BoxedPictures,
    Found,
    check_names,
    encodable,
    is_file,
    is_folder,
    read_limited,
    read_lines,
    shown,
    unlisted,
)
from neocog.dataset.labels import MAX_CLASSES
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import is_image, list_images

__all__ = ["YoloPictures", "is_yolo", "open_yolo", "read_settings"]

SETTINGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
MAX_BYTES = 2**18
MAX_DEPTH = 16
KEYS = (re.compile(rb"^(train|val)\s*:", re.MULTILINE), re.compile(rb"^(names|nc)\s*:", re.MULTILINE))
SPLITS = ("train", "val", "test")
MOST = 10**9
"""Below it, a number is taken as a class's name."""
ROUNDING = 1e-6
"""By which a share of the picture may be below 0 or above 1."""


class YoloPictures(BoxedPictures):
    """Pictures with the objects of YOLO's text files: `class cx cy w h`, or `class x1 y1 x2 y2 x3 y3 ...`.

    All are shares of the picture's width and height, so reading a target reads the picture's header. The box of an
    outline is the smallest that holds it. A picture without a text file has no objects, and is counted in a notice.
    With `with_masks`, every line must be an outline, which is drawn as COCO does.
    """

    format = "yolo"
    mark = "line"


def is_yolo(path: Path) -> bool:
    """Whether this is a data.yaml with train and names, or a folder with one."""
    file = settings_file(path)
    if file is None:
        return False
    try:
        with file.open("rb") as opened:
            head = opened.read(MAX_BYTES)
    except OSError:
        return False
    return all(key.search(head) for key in KEYS)


def settings_file(path: Path) -> Path | None:
    if path.is_dir():
        return next((path / name for name in SETTINGS if (path / name).is_file()), None)
    return path if path.suffix.lower() in (".yaml", ".yml") else None


def open_yolo(path: Path, *, with_masks: bool = False) -> YoloPictures:
    """data.yaml, or the folder that holds it: train, val and test name folders of pictures, or lists of them.

    Nothing outside of data.yaml's folder is read. Raises DataError that names file and line.
    """
    file = settings_file(path)
    if file is None:
        raise DataError(f"YOLO's layout has a data.yaml. {path} has none of {some(SETTINGS, 4)}.")
    settings, root = read_settings(file), file.parent
    classes = class_names(settings, file)
    strangers: Counter[str] = Counter()
    notices: list[str] = []
    base = inside(root, root, settings.get("path") or ".", file, notices)
    pictures = {
        split: pictures_of(settings[split], root, base, file, strangers, notices)
        for split in SPLITS
        if settings.get(split)
    }
    if not pictures:
        raise DataError(f"{file} must name the folder of train. Received: {shown(settings)}.")
    found, bare = Found(), []
    paths = [picture for part in pictures.values() for picture in part]
    for index, picture in enumerate(paths):
        labels = label_file(root, picture)
        if is_file(labels):
            add_lines(found, index, labels, len(classes), with_masks=with_masks)
        else:
            bare.append(labels)
    if paths and len(bare) == len(paths):
        raise DataError(
            f"Labels stand in labels/ where pictures stand in images/. No picture of {root} has any; the first would "
            f"be {bare[0]}. Add them."
        )
    if bare:
        notices.append(f"pictures without a label file, taken as without objects: {len(bare):,}")
    if strangers:
        kinds = some(f"{count} {kind or 'without extension'}" for kind, count in strangers.most_common())
        notices.append(f"files that are no pictures were passed over: {kinds}")
    notices += unlisted(root, pictures, f"pictures that {file.name} does not name")
    return YoloPictures(root, pictures, classes, found, notices, relative=True, with_masks=with_masks)


def read_settings(path: Path) -> Mapping[str, Any]:
    """data.yaml's mapping. Raises DataError for one that is damaged, or would take without bound to read."""
    content = read_limited(path, MAX_BYTES)
    try:
        check_events(content, path)
        settings = yaml.safe_load(content)
    except DataError:
        raise
    except Exception as error:  # beside YAMLError: ValueError for dates, RecursionError for depth, and others
        raise DataError(f"{path} is no YAML, or damaged: {str(error)[:200] or type(error).__name__}.") from error
    if not isinstance(settings, dict):
        raise DataError(f"data.yaml is a mapping with train and names. Received: {shown(settings)}, in {path}.")
    if settings.get("kpt_shape"):
        raise DataError(f"Keypoints are not read. {path} has kpt_shape. Take the keypoints out of the labels.")
    return settings


def check_events(content: bytes, path: Path) -> None:
    """Raises DataError for aliases, with which a short text can stand for one without bound, and for deep nesting."""
    depth = 0
    for event in yaml.parse(content, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise DataError(f"data.yaml repeats nothing by alias (*name). {path} does. Write it out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:  # each level makes every further one slower to read
            raise DataError(f"data.yaml is nested {MAX_DEPTH} deep at most. {path} is deeper.")


def class_names(settings: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """From names, a list or a mapping from 0..K-1; or else "0", "1", ... up to nc."""
    names, count = settings.get("names"), settings.get("nc")
    if count is not None and (type(count) is not int or not 1 <= count <= MAX_CLASSES):
        raise DataError(f"nc is the number of classes, 1 to {MAX_CLASSES:,}. Received: {shown(count)}, in {path}.")
    if names is None and count is not None:
        return tuple(str(k) for k in range(count))
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DataError(f"names must number the classes 0, 1, 2, ... Received: {some(names)}, in {path}.")
        names = [names[k] for k in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"names must be a list, or a mapping from numbers. Received: {shown(names)}, in {path}.")
    if count is not None and count != len(names):
        raise DataError(f"nc must be the number of names. Received: nc {count}, {len(names)} names, in {path}.")
    return check_names([str(name) if type(name) is int and abs(name) < MOST else name for name in names], path)


def pictures_of(
    entry: Any, root: Path, base: Path, file: Path, strangers: Counter[str], notices: list[str]
) -> list[Path]:
    """The pictures of one split: of a folder, of a list in a .txt, or of several of these."""
    pictures = []
    for part in entry if isinstance(entry, list) else [entry]:
        place = inside(root, base, part, file, notices)
        if is_folder(place):
            pictures += list_images(place, strangers)
        elif is_file(place) and place.suffix.lower() == ".txt":
            pictures += listed(root, place)
        else:
            raise DataError(f"There is neither a folder nor a list of pictures at {place}, which {file} names.")
    return pictures


def inside(root: Path, base: Path, entry: Any, file: Path, notices: list[str]) -> Path:
    """The path that data.yaml means. Raises DataError for one outside of its folder.

    Roboflow writes ../train/images for train/images, and Ultralytics reads it so; here, too, where that is there.
    """
    if not isinstance(entry, str) or not entry or "\0" in entry or not encodable(entry):
        raise DataError(f"train, val, test and path must be paths. Received: {shown(entry)}, in {file}.")
    place = within(root, base / entry)
    if place is None and entry.startswith("../"):
        place = within(root, base / entry.removeprefix("../"))
        if place is not None and os.path.lexists(place):
            notices.append(f"{entry} in {file.name} is read as {entry.removeprefix('../')}")
            return place
        place = None
    if place is None:
        raise DataError(
            f"Pictures and labels must be in the folder of data.yaml, {root}. Received: {entry[:200]!r}, in {file}. "
            "Move data.yaml above them, or write paths from its folder."
        )
    return place


def within(root: Path, path: Path) -> Path | None:
    """A path below the root, written from the root; None where it leaves it, as far as its text tells."""
    # Not `resolve`, which follows links: data may stand on another disk, where its owner linked it.
    relative = Path(os.path.relpath(path, root))
    return None if relative.parts[:1] == (os.pardir,) else root / relative


def listed(root: Path, file: Path) -> list[Path]:
    """The pictures that a .txt lists, a path on each line, from the list's folder."""
    pictures = []
    for number, line in read_lines(file, 2**28):
        path = within(root, file.parent / line) if "\0" not in line else None
        if path is None or not is_image(path) or not is_file(path):
            raise DataError(
                f"Each line must name a picture below {root}. Received: {line[:200]!r}, at {file}:{number}."
            )
        pictures.append(path)
    return pictures


def label_file(root: Path, picture: Path) -> Path:
    """`images/.../a.png` -> `labels/.../a.txt`, by the last folder of that name; else the text beside the picture."""
    parts = list(picture.relative_to(root).parts[:-1])
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts, f"{picture.stem}.txt")


def add_lines(found: Found, index: int, file: Path, num_classes: int, *, with_masks: bool) -> None:
    """Gather the objects of one picture. Raises DataError with file and line."""
    for number, line in read_lines(file):
        where = f"{file}:{number}"
        values = line_values(line, where)
        label = int(values[0])
        if label != values[0] or not 0 <= label < num_classes:
            raise DataError(f"A class is 0 to {num_classes - 1}. Received: {values[0]:g}, at {where}.")
        shares = values[1:]
        if not all(-ROUNDING <= share <= 1 + ROUNDING for share in shares):
            wrong = next(share for share in shares if not -ROUNDING <= share <= 1 + ROUNDING)
            raise DataError(f"Boxes and outlines are shares, 0 to 1, of the picture. Received: {wrong:g}, at {where}.")
        if len(shares) == 4 and with_masks:
            raise DataError(f"An object read with its mask needs an outline, x1 y1 x2 y2 x3 y3 ... {where} is a box.")
        if len(shares) == 4:
            x, y, width, height = shares
            found.add(index, label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), number)
        else:
            points: NDArray[np.float64] = np.array(shares).reshape(-1, 2)
            (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
            found.add(index, label, (left, top, right, bottom), number, [points] if with_masks else None)


def line_values(line: str, where: str) -> list[float]:
    """The numbers of a line: a class and 4 shares, or a class and the x and y of at least 3 points."""
    fields = line.split()
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise DataError(
            "A line is `class cx cy w h`, or `class x1 y1 x2 y2 x3 y3 ...`. "
            f"Received: {len(fields)} fields, at {where}."
        )
    try:
        values = [float(field) for field in fields]
    except ValueError as error:
        raise DataError(f"A line holds numbers. Received: {line[:100]!r}, at {where}.") from error
    if "_" in line or not abs(values[0]) < MAX_CLASSES:  # Python reads 1_0 as 10; NaN is less than nothing
        raise DataError(f"A line holds numbers. Received: {line[:100]!r}, at {where}.")
    return values
