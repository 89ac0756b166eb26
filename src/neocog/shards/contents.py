"""The members of a record: which is the payload, and which the label.

jpg jpeg png bmp webp tif ...    an image           cls        a class, by number or name
wav flac ogg mp3                 a sound            json       {"label": ...}, or {"labels": [...]}, or boxes
npy                              pixels, a signal              or {"values": [...]}, null if one isn't known
txt                              a text             seg.png    a mask, or those of all classes, one below the other
                                                    masks.npy  outlines, with boxes
"""

import io
import itertools
import json
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.npy_files import read_npy
from neocog.dataset.record import CROWD, DIFFICULT, Modality, Objects, Payload, Target, Task
from neocog.errors import DataError, some
from neocog.modalities.image.decode import decode_image

__all__ = [
    "EXTENSIONS", "KINDS", "MAX_TEXT", "encode_array", "encode_target", "find_modality", "find_payload",
    "missing_label_error", "parse_label", "read_array", "read_label", "read_payload", "read_payloads", "read_target",
    "read_text",
]  # fmt: skip

IMAGES = tuple(sorted(suffix[1:] for suffix in SUFFIXES["image"] if suffix != ".npy"))
SOUNDS = tuple(sorted(suffix[1:] for suffix in SUFFIXES["audio"]))
KINDS: tuple[tuple[str, ...], ...] = (IMAGES, SOUNDS, ("npy",), ("txt",))
"""A record may carry a text beside its image: the first of these kinds is the payload."""
EXTENSIONS = frozenset(itertools.chain(*KINDS))
MAX_TEXT = 2**24  # bytes of a member that is read as text or JSON
MAX_PIXELS = 2**28

Content = Callable[[str], bytes]  # gives a member's bytes by its extension


def find_payload(extensions: Collection[str], where: str) -> str:
    """The member that is the payload. Raises DataError if there is none, or more than one of a kind."""
    for kind in KINDS:
        found = [extension for extension in kind if extension in extensions]
        if len(found) > 1:
            raise DataError(f"A record holds one of {', '.join(kind)}.", received=" and ".join(found), where=where)
        if found:
            return found[0]
    rule = f"A record needs an image, a sound, an array or a text ({', '.join(itertools.chain(*KINDS))})."
    raise DataError(rule, received=some(sorted(extensions), 8), where=where)


def find_modality(extension: str, content: Content, where: str) -> Modality:
    """The modality of a member with this extension; an array is examined."""
    if extension == "npy":
        array = read_array(content(extension), where)
        return "image" if array.dtype in (np.uint8, np.uint16) and array.ndim in (2, 3) else "signal"
    return "image" if extension in IMAGES else "audio" if extension in SOUNDS else "text"


def read_payload(extension: str, content: bytes, where: str) -> Payload:
    """A member's content: an image or a sound stays encoded."""
    if extension == "npy":
        array = read_array(content, where)
        return array[None] if array.ndim == 1 else array
    return read_text(content, where) if extension == "txt" else content


def read_payloads(extension: str, contents: Sequence[bytes], where: str) -> list[Payload]:
    """As `read_payload` for each of these; the arrays of a batch mostly have one header, which is read once."""
    if extension == "txt":
        try:
            return [str(content, "utf-8") for content in contents]
        except UnicodeDecodeError:
            return [read_text(content, where) for content in contents]
    if extension != "npy" or not contents:
        return list(contents)
    first, size = read_payload("npy", contents[0], where), len(contents[0])
    assert isinstance(first, np.ndarray)
    header, values = contents[0][: size - first.nbytes], np.lib.format.dtype_to_descr(first.dtype)
    plain = first.nbytes and str(values).encode() in header and b"False" in header  # in C's order, native bytes
    return [
        np.frombuffer(content, first.dtype, offset=len(header)).reshape(first.shape)
        if plain and len(content) == size and content.startswith(header)
        else read_payload("npy", content, where)
        for content in contents
    ]


def read_text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"A text is UTF-8. {where} is not, at byte {error.start:,}.", fix="Convert it.") from error


def read_array(content: bytes, where: str) -> NDArray[Any]:
    """A .npy file's array of numbers; its header is checked before memory is reserved for it."""
    try:
        array = read_npy(io.BytesIO(content))
    except Exception as error:  # NumPy's header is a Python literal, which can be damaged in any way
        rule, fix = f"{where} is not a .npy file: {str(error)[:200]}.", "Write it with numpy.save."
        raise DataError(rule, fix=fix) from error
    if array.dtype.kind not in "buif" or not array.ndim:
        received = f"{array.dtype} {array.shape}"
        raise DataError("A .npy file holds an array of numbers.", received=received, where=where, fix="Write it again.")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def encode_array(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def read_label(extensions: Collection[str], content: Content, where: str) -> int | str:
    """The class that a record names, by number or by name. Raises DataError if it names none."""
    if "cls" in extensions:
        return parse_label(read_text(content("cls")[:MAX_TEXT], where).strip())
    values = read_json(content("json"), where) if "json" in extensions else {}
    label = values.get("label") if isinstance(values, dict) else None
    if isinstance(label, bool) or not isinstance(label, int | str) or label == "":
        raise missing_label_error(extensions, where, f" and label {label!r}"[:100] if label is not None else "")
    return label


def missing_label_error(extensions: Collection[str], where: str, found: str = "") -> DataError:
    rule = "A record names its class in a .cls member, or as label in a .json member."
    fix = "The members of one record must follow each other."
    return DataError(rule, received=some(sorted(extensions), 8) + found, where=where, fix=fix)


def parse_label(text: str) -> int | str:
    """A label in a text file: a number if it is written as one, else the text, because 007 is not 7.

    >>> parse_label("7"), parse_label("-1"), parse_label("007"), parse_label("1_0"), parse_label("dog")
    (7, -1, '007', '1_0', 'dog')
    """
    plain = text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 19
    return int(text) if plain and str(int(text)) == text else text


def read_json(content: bytes, where: str) -> Any:
    """A JSON member. Raises DataError for one that is damaged, too long or too deep."""
    if len(content) > MAX_TEXT:
        size = f"{MAX_TEXT:,} bytes. {where} has {len(content):,}"
        raise DataError(f"A .json member has at most {size}.", fix="Shorten it.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        rule = f"{where} has a .json member that is not JSON: {str(error)[:200]}."
        raise DataError(rule, fix="Write it again.") from error


def encode_target(target: Target, task: Task) -> dict[str, bytes]:
    """A target as members, by extension.

    >>> encode_target(3, "classification"), encode_target(np.array([True, False, True]), "multi-label")
    ({'cls': b'3'}, {'json': b'{"labels": [0, 2]}'})
    >>> encode_target(np.array([1.5, np.nan]), "regression"), encode_target(np.array([1, np.nan]), "multi-label")
    ({'json': b'{"values": [1.5, null]}'}, {'json': b'{"labels": [0], "unknown": [1]}'})
    """
    if task == "regression":
        row = np.atleast_1d(np.asarray(target, np.float64)).tolist()
        return {"json": json.dumps({"values": [None if value != value else value for value in row]}).encode()}
    if isinstance(target, Objects):
        values = {"boxes": target.boxes.tolist(), "labels": target.labels.tolist()}
        values |= {} if target.ignored is None else {"ignored": target.ignored.tolist()}
        members = {"json": json.dumps(values).encode()}
        return members if target.masks is None else members | {"masks.npy": encode_array(target.masks)}
    if isinstance(target, np.ndarray) and task == "multi-label":
        unknown = np.flatnonzero(np.isnan(target)).tolist() if target.dtype.kind == "f" else []
        labels: dict[str, Any] = {"labels": np.flatnonzero(target == 1).tolist()}
        return {"json": json.dumps(labels | ({"unknown": unknown} if unknown else {})).encode()}
    if not isinstance(target, np.ndarray):
        return {"cls": str(int(target)).encode()}
    file = io.BytesIO()
    # Labels of samples are equal rows; masks of several classes are below each other.
    rows = np.stack([target, target]) if target.ndim == 1 else target.reshape(-1, target.shape[-1])
    Image.fromarray(rows).save(file, "png")
    return {"seg.png": file.getvalue()}


def read_target(task: Task, label: int, num_classes: int, content: Content, where: str) -> Target:
    """The inverse of `encode_target`, for a record whose index row holds `label`."""
    try:
        if task == "multi-label":
            values = read_json(content("json"), where)
            row = np.zeros(num_classes, bool)
            row[np.asarray(values["labels"], np.int64)] = True
            if "unknown" not in values:
                return row
            known = row.astype(np.float64)
            known[np.asarray(values["unknown"], np.int64)] = np.nan
            return known
        if task == "regression":
            numbers = [math.nan if v is None else float(v) for v in read_json(content("json"), where)["values"]]
            if len(numbers) != num_classes:
                raise ValueError(f"{len(numbers)} numbers for {num_classes} outputs")
            return np.array(numbers, np.float64)
        if task in ("segmentation", "multi-label segmentation", "signal segmentation"):
            mask = decode_image(content("seg.png"), where, max_pixels=MAX_PIXELS, convert=False)[:, :, 0]
            if task == "multi-label segmentation":
                return mask.reshape(num_classes, -1, mask.shape[1])
            return mask if task == "segmentation" else mask[0]
        if task == "detection":
            return read_objects(content, num_classes, where)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{where} has no target for {task}: {error!r}.", fix="Pack the set again.") from error
    return label


def read_objects(content: Content, num_classes: int, where: str) -> Objects:
    values = read_json(content("json"), where)
    boxes = np.asarray(values["boxes"], np.float32).reshape(-1, 4)
    labels = np.asarray(values["labels"], np.int64).reshape(-1)
    if len(boxes) != len(labels) or (labels < 0).any() or (labels >= num_classes).any():
        raise ValueError(f"{len(boxes)} boxes and {len(labels)} labels below {num_classes}")
    ignored = None if values.get("ignored") is None else np.asarray(values["ignored"]).reshape(-1)
    if ignored is not None and (len(ignored) != len(boxes) or not np.isin(ignored, (0, DIFFICULT, CROWD)).all()):
        raise ValueError(f"{len(boxes)} boxes and {len(ignored)} values of ignored, 0 to {CROWD}")
    ignored = None if ignored is None else ignored.astype(np.uint8)
    try:
        masks = read_array(content("masks.npy"), where)
    except KeyError:
        return Objects(boxes, labels, None, ignored)
    if masks.ndim != 3 or len(masks) != len(boxes) or masks.dtype != bool:
        raise ValueError(f"{len(boxes)} boxes and outlines {masks.dtype} {masks.shape}")
    return Objects(boxes, labels, masks, ignored)
