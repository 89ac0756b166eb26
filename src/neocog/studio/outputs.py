"""The outputs of a network for an input, as its task reads them, and the targets among them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from neocog.explaining.explainer import Explainer, Sample
from neocog.modalities.views import View
from neocog.tasks import DenseTask, Prediction
from neocog.tasks.classification import ClassPrediction
from neocog.tasks.colours import css_colours
from neocog.tasks.detection import BoxPrediction, Detection
from neocog.tasks.multi_label import LabelPrediction
from neocog.tasks.regression import ValuePrediction
from neocog.tasks.segmentation import SegmentPrediction
from neocog.tasks.signal_segmentation import SignalSegmentPrediction

__all__ = ["drawn_outputs", "predict_part"]

OBJECTS = 30  # that are listed


def predict_part(explainer: Explainer, sample: Sample, outputs: Tensor) -> Prediction:
    """The task's reading of the outputs (1, K, ...) for what the network receives, in the places of that part."""
    task = explainer.task
    if not isinstance(task, DenseTask):
        (found,) = task.predictions([sample.name], outputs, top=task.num_outputs)
        return found
    places = explainer.input_shape[1:]
    assembler = task.assemble(places)
    assembler.add(View(sample.decoded, (0.0,) * len(places), (1.0,) * len(places)), outputs[0])
    return assembler.finish(sample.name)


def drawn_outputs(explainer: Explainer, sample: Sample) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors and facts from which the page draws what the network says.

    `targets` are outputs that an explanation can be about: how `Task.find_target` names each, its text and its value.
    """
    outputs = explainer.outputs(sample.inputs).cpu()
    task = explainer.task
    found = predict_part(explainer, sample, outputs)
    logits = outputs[0] if not task.dense else torch.empty(0)
    tensors: dict[str, Any] = {"logits": logits}
    meta: dict[str, Any] = {"task": task.name, "unusual": found.unusual, **by_type(found)}
    if isinstance(found, SegmentPrediction):
        tensors["mask"] = found.mask
    elif isinstance(found, SignalSegmentPrediction):
        tensors["mask"] = found.labels[None]
    if "mask" in tensors:
        sizes = np.bincount(tensors["mask"].ravel(), minlength=len(task.classes)) / tensors["mask"].size
        meta["rows"] = [[name, float(size)] for name, size in zip(task.classes, sizes, strict=True)]
        meta["colours"] = css_colours(len(task.classes))
    meta["targets"] = objects(task, outputs) if isinstance(task, Detection) else named(explainer, outputs)
    meta["chosen"] = task.find_target(outputs).text
    return tensors, meta


def by_type(found: Prediction) -> dict[str, Any]:
    """The facts that are drawn, for each kind of prediction."""
    match found:
        case ClassPrediction():
            return {"draws": "classes", "rows": [list(row) for row in found.top]}
        case LabelPrediction():
            return {"draws": "labels", "rows": [[*row, row[0] in found.labels] for row in found.top]}
        case ValuePrediction():
            return {"draws": "values", "rows": [list(row) for row in found.values]}
        case SegmentPrediction() | SignalSegmentPrediction():
            return {"draws": "mask", "confidence": found.confidence}
        case BoxPrediction():
            return {"draws": "boxes", "threshold": found.threshold}
    return {"draws": "table", "rows": [list(row) for row in found.cells().items()]}


def named(explainer: Explainer, outputs: Tensor) -> list[dict[str, Any]]:
    """The classes, labels or values as targets, in the order of the outputs."""
    task = explainer.task
    found = []
    for name in task.classes:
        target = task.find_target(outputs, name)
        found.append({"spec": name, "text": target.text, "value": float(target.of(outputs))})
    return found


def objects(task: Detection, outputs: Tensor) -> list[dict[str, Any]]:
    """The surest objects as targets, with their boxes in steps of the network's input; without those of no area."""
    found = []
    for rank in range(min(OBJECTS, task.most)):
        target = task.find_target(outputs, str(rank))
        left, top, right, bottom = target.box or (0.0, 0.0, 0.0, 0.0)
        if right > left and bottom > top:
            value = target.of(outputs)
            facts = {"spec": str(rank), "text": target.text, "value": float(value), "score": float(value.sigmoid())}
            found.append({**facts, "label": task.classes[target.channel], "box": [left, top, right, bottom]})
    return found
