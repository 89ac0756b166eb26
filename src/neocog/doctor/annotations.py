"""What can be wrong with masks and boxes, seen beside their picture."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import UNLABELLED, Objects, Source, Target
from neocog.doctor import kinds
from neocog.doctor.facts import Facts
from neocog.doctor.finding import Tally
from neocog.doctor.kinds import Kind
from neocog.errors import DataError

__all__ = ["add_faults", "examine_target", "knows_boxes", "refused_target"]

TOLERANCE = 0.5  # pixels by which a box may reach out, from rounding


def examine_target(target: Target, num_classes: int, facts: Facts, *, with_boxes: bool) -> None:
    """Look at a mask or objects; a class or several labels are looked at all together, elsewhere.

    `with_boxes`: whether the places of boxes are looked at too, which some sources do themselves.
    """
    if isinstance(target, Objects):
        examine_objects(target, num_classes, facts, with_boxes)
    elif isinstance(target, np.ndarray) and target.ndim == 2:
        examine_mask(target, num_classes, facts)


def examine_mask(mask: NDArray[Any], num_classes: int, facts: Facts) -> None:
    """A mask, (H, W)."""
    if facts.size != (0, 0, 0) and mask.shape != facts.size[:2]:
        height, width = facts.size[:2]
        facts.fault(kinds.ANNOTATION_SIZE, f"{mask.shape[1]} x {mask.shape[0]}, the picture {width} x {height}")
    values = np.unique(mask)
    strange = values[(values >= num_classes) & (values != UNLABELLED) | (values < 0)].tolist()
    if strange:
        facts.fault(kinds.MASK_VALUE, f"values {', '.join(map(str, strange[:5]))}")
    facts.labels = tuple(int(k) for k in values if 0 <= k < num_classes and k != UNLABELLED)
    if not facts.labels and not strange:
        facts.fault(kinds.MASK_EMPTY)


def examine_objects(objects: Objects, num_classes: int, facts: Facts, with_boxes: bool) -> None:
    """Objects with boxes (M, 4)."""
    if not len(objects):
        facts.fault(kinds.NO_OBJECTS)
        return
    known = (objects.labels >= 0) & (objects.labels < num_classes)
    for label in objects.labels[~known].tolist():
        facts.fault(kinds.LABEL_RANGE, f"label {label}")
    facts.labels = tuple(np.unique(objects.labels[known]).tolist())
    rows = [(*box, label) for box, label in zip(objects.boxes.tolist(), objects.labels.tolist(), strict=True)]
    for row in {row for row in rows if rows.count(row) > 1} if len(set(rows)) < len(rows) else ():
        for _ in range(rows.count(row) - 1):
            facts.fault(kinds.BOX_REPEATED, shown(row))
    if with_boxes:
        for row in rows:
            look_at_box(row, facts)


def look_at_box(row: tuple[float, ...], facts: Facts) -> None:
    left, top, right, bottom = row[:4]
    height, width = facts.size[:2]
    if not (right > left and bottom > top):  # so that NaN counts as empty
        facts.fault(kinds.BOX_EMPTY, shown(row))
    elif facts.size != (0, 0, 0) and max(-left, -top, right - width, bottom - height) > TOLERANCE:
        facts.fault(kinds.BOX_OUTSIDE, f"{shown(row)}, the picture {width} x {height}")


def shown(row: tuple[float, ...]) -> str:
    left, top, right, bottom = row[:4]
    return f"the box from {left:g}, {top:g} to {right:g}, {bottom:g}"


def refused_target(error: DataError) -> Kind:
    """Which kind of fault it is that a source of annotated images refuses a target for."""
    kinds_of_targets = (kinds.ANNOTATION_SIZE, kinds.MASK_VALUE)
    return next((kind for kind in kinds_of_targets if kind.name == error.kind), kinds.ANNOTATION_UNREADABLE)


def add_faults(source: Source, readable: NDArray[np.bool_], tally: Tally) -> None:
    """What a source of boxes itself knows to be wrong with those images that could be read; (N,)."""
    index = {source.key(i): i for i in range(len(source))}
    for key, sentence, name in source.faults():  # type: ignore[attr-defined]
        kind = next((kind for kind in kinds.KINDS if kind.name == name), kinds.ANNOTATION_FAULT)
        if key not in index:
            tally.add(kind, key, sentence)
        elif readable[index[key]]:
            tally.add_record(kind, index[key], sentence)


def knows_boxes(source: Source) -> bool:
    """Whether a source says itself what is wrong with its boxes; some of them it never hands out."""
    return source.task == "detection" and hasattr(source, "faults")
