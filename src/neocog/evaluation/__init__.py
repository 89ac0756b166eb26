"""Evaluation: pure functions from logits and targets to metrics, each headline with its interval.

`Evaluation` is what all tasks have in common; `evaluate_classifier` gives that of a classifier.
"""

from neocog.evaluation.calibration import ReliabilityBin, expected_calibration_error, reliability
from neocog.evaluation.class_metrics import ClassFigures, class_figures, confusion_matrix, macro_f1, top_k_hits
from neocog.evaluation.classifier import (
    Calibration,
    Classified,
    ConfusionMatrix,
    Mistake,
    PerClass,
    evaluate_classifier,
)
from neocog.evaluation.detection import Detected, PrecisionRecall, best_score, evaluate_boxes, mean_precision
from neocog.evaluation.evaluation import Evaluation, Exhibit, WorstError
from neocog.evaluation.intervals import Estimate, bootstrap, wilson
from neocog.evaluation.match_boxes import FoundBoxes, TrueBoxes, match_boxes
from neocog.evaluation.multi_label import MultiLabelled, average_precisions, best_thresholds, evaluate_labels
from neocog.evaluation.regression import Regressed, Scatter, evaluate_values
from neocog.evaluation.segmentation import Segmented, evaluate_masks
from neocog.evaluation.weighted import bootstrap_counts

__all__ = [
    "Calibration",
    "ClassFigures",
    "Classified",
    "ConfusionMatrix",
    "Detected",
    "Estimate",
    "Evaluation",
    "Exhibit",
    "FoundBoxes",
    "Mistake",
    "MultiLabelled",
    "PerClass",
    "PrecisionRecall",
    "Regressed",
    "ReliabilityBin",
    "Scatter",
    "Segmented",
    "TrueBoxes",
    "WorstError",
    "average_precisions",
    "best_score",
    "best_thresholds",
    "bootstrap",
    "bootstrap_counts",
    "class_figures",
    "confusion_matrix",
    "evaluate_boxes",
    "evaluate_classifier",
    "evaluate_labels",
    "evaluate_masks",
    "evaluate_values",
    "expected_calibration_error",
    "macro_f1",
    "match_boxes",
    "mean_precision",
    "reliability",
    "top_k_hits",
    "wilson",
]
