"""Honest numbers: from logits and targets to figures, each headline with its interval."""

from neocog.evaluation.calibration import ReliabilityBin, expected_calibration_error, reliability
from neocog.evaluation.classification import (
    ClassFigures,
    class_figures,
    confusion_matrix,
    macro_f1,
    top_k_hits,
)
from neocog.evaluation.evaluation import Evaluation, evaluate_logits
from neocog.evaluation.intervals import Estimate, bootstrap, wilson

__all__ = [
    "ClassFigures",
    "Estimate",
    "Evaluation",
    "ReliabilityBin",
    "bootstrap",
    "class_figures",
    "confusion_matrix",
    "evaluate_logits",
    "expected_calibration_error",
    "macro_f1",
    "reliability",
    "top_k_hits",
    "wilson",
]
