"""Faults of masks and boxes, seen beside their image."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import UNLABELLED, Objects, Source, Target
from neocog.doctor import kinds
from neocog.doctor.facts import Facts
from neocog.doctor.findings import Tally

__all__ = ["add_faults", "examine_target"]

TOLERANCE = 0.5  # pixels by which a box may reach out, from rounding


def examine_target(source: Source, target: Target, facts: Facts) -> None:
    """Look at a mask or objects; a class or several labels are looked at all together, elsewhere."""
    if isinstance(target, Objects):
        examine_objects(target, len(source.classes), facts, with_boxes=not knows_boxes(source))
    elif isinstance(target, np.ndarray) and source.task == "multi-label segmentation":
        examine_binary_masks(target, facts)
    elif isinstance(target, np.ndarray) and (target.ndim == 2 or source.task == "signal segmentation"):
        examine_mask(target, len(source.classes), facts)


def examine_mask(mask: NDArray[Any], num_classes: int, facts: Facts) -> None:
    """Look at a mask, (H, W), or at the labels of a signal's samples, (L,), whose lengths a source has checked."""
    height, width = facts.size[:2]
    if height and mask.ndim == 2 and mask.shape != (height, width):
        facts.fault(kinds.ANNOTATION_SIZE, f"{mask.shape[1]} x {mask.shape[0]}, the image {width} x {height}")
    values = np.unique(mask)
    strange = values[(values >= num_classes) & (values != UNLABELLED) | (values < 0)].tolist()
    if strange:
        facts.fault(kinds.MASK_VALUE, f"values {', '.join(map(str, strange[:5]))}")
    facts.labels = tuple(int(k) for k in values if 0 <= k < num_classes and k != UNLABELLED)
    if not facts.labels and not strange:
        facts.fault(kinds.MASK_EMPTY)


def examine_binary_masks(masks: NDArray[Any], facts: Facts) -> None:
    """Look at a binary mask for each class, (K, H, W)."""
    size = facts.size[:2]
    if size[0] and masks.shape[1:] != size:
        facts.fault(kinds.ANNOTATION_SIZE, f"{masks.shape[2]} x {masks.shape[1]}, the image {size[1]} x {size[0]}")
    strange = np.setdiff1d(masks, (0, 1, UNLABELLED)).tolist()
    if strange:
        facts.fault(kinds.MASK_VALUE, f"values {', '.join(map(str, strange[:5]))}")
    facts.labels = tuple(k for k, mask in enumerate(masks) if (mask == 1).any())
    if (masks == UNLABELLED).all():
        facts.fault(kinds.MASK_EMPTY)


def examine_objects(objects: Objects, num_classes: int, facts: Facts, *, with_boxes: bool) -> None:
    """Look at objects with boxes (M, 4), unless the source does that itself."""
    if not len(objects):
        facts.fault(kinds.NO_OBJECTS)
        return
    known = (objects.labels >= 0) & (objects.labels < num_classes)
    for label in objects.labels[~known].tolist():
        facts.fault(kinds.LABEL_RANGE, f"label {label}")
    facts.labels = tuple(np.unique(objects.labels[known]).tolist())
    rows = [(*box, label) for box, label in zip(objects.boxes.tolist(), objects.labels.tolist(), strict=True)]
    for row, times in Counter(rows).items():
        for _ in range(times - 1):
            facts.fault(kinds.BOX_REPEATED, describe_box(*row))
    height, width = facts.size[:2]
    for left, top, right, bottom, _ in rows if with_boxes else ():
        box = describe_box(left, top, right, bottom)
        if not (right > left and bottom > top):  # so that NaN counts as empty
            facts.fault(kinds.BOX_EMPTY, box)
        elif height and max(-left, -top, right - width, bottom - height) > TOLERANCE:
            facts.fault(kinds.BOX_OUTSIDE, f"{box}, the image {width} x {height}")


def describe_box(left: float, top: float, right: float, bottom: float, *_: object) -> str:
    return f"the box from {left:g}, {top:g} to {right:g}, {bottom:g}"


def add_faults(source: Source, readable: NDArray[np.bool_], tally: Tally) -> None:
    """Add the faults that a source of boxes itself finds in images that could be read; (N,)."""
    if not knows_boxes(source):
        return
    index = {source.key(i): i for i in range(len(source))}
    for key, sentence, name in source.faults():  # type: ignore[attr-defined]
        kind = kinds.BY_NAME.get(name, kinds.ANNOTATION_FAULT)
        if key not in index:
            tally.add(kind, key, sentence)
        elif readable[index[key]]:
            tally.add_record(kind, index[key], sentence)


def knows_boxes(source: Source) -> bool:
    """Whether a source says itself what is wrong with its boxes; some of them it never hands out."""
    return source.task == "detection" and hasattr(source, "faults")
