"""Tasks: what a target means, from its encoding and loss to its metrics and the way it is shown.

`TASKS` lists them by name; `register_task` adds one. The rest of the program asks the `Task` and never which one it is.
The classes load on first use, so that a prediction imports one task and not all of them.
"""

from typing import TYPE_CHECKING

from neocog.lazy import loads
from neocog.tasks.criterion import Criterion
from neocog.tasks.dense import Assembler, Compared, DenseTask
from neocog.tasks.loss import LossConfig
from neocog.tasks.task import TASKS, Prediction, Task, register_task

if TYPE_CHECKING:
    from neocog.tasks.classification import Classification, ClassPrediction
    from neocog.tasks.detection import BoxPrediction, Detection, FoundObject
    from neocog.tasks.multi_label import LabelPrediction, MultiLabel
    from neocog.tasks.multi_label_segmentation import BinaryMaskPrediction, MultiLabelSegmentation
    from neocog.tasks.next_move import NextMove
    from neocog.tasks.regression import Regression, ValuePrediction
    from neocog.tasks.segmentation import Segmentation, SegmentPrediction
    from neocog.tasks.signal_segmentation import SignalSegmentation, SignalSegmentPrediction

HOMES = {
    "BinaryMaskPrediction": "multi_label_segmentation",
    "BoxPrediction": "detection",
    "ClassPrediction": "classification",
    "Classification": "classification",
    "Detection": "detection",
    "FoundObject": "detection",
    "LabelPrediction": "multi_label",
    "MultiLabel": "multi_label",
    "MultiLabelSegmentation": "multi_label_segmentation",
    "NextMove": "next_move",
    "Regression": "regression",
    "SegmentPrediction": "segmentation",
    "Segmentation": "segmentation",
    "SignalSegmentPrediction": "signal_segmentation",
    "SignalSegmentation": "signal_segmentation",
    "ValuePrediction": "regression",
}

__all__ = [
    "TASKS",
    "Assembler",
    "BinaryMaskPrediction",
    "BoxPrediction",
    "ClassPrediction",
    "Classification",
    "Compared",
    "Criterion",
    "DenseTask",
    "Detection",
    "FoundObject",
    "LabelPrediction",
    "LossConfig",
    "MultiLabel",
    "MultiLabelSegmentation",
    "NextMove",
    "Prediction",
    "Regression",
    "SegmentPrediction",
    "Segmentation",
    "SignalSegmentPrediction",
    "SignalSegmentation",
    "Task",
    "ValuePrediction",
    "register_task",
]

__getattr__ = loads(__name__, HOMES)
