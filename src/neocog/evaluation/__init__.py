"""Evaluation: pure functions from logits and targets to metrics, each headline with its interval.

`Evaluation` is what all tasks have in common; `evaluate_classifier` gives that of a classifier.

Names load on first use, so that a prediction imports the metrics of one task and not of all.
"""

from typing import TYPE_CHECKING

from neocog.lazy import loads

if TYPE_CHECKING:
    from neocog.evaluation.box_matching import FoundBoxes, TrueBoxes, match_boxes
    from neocog.evaluation.calibration import (
        ReliabilityBin,
        expected_calibration_error,
        fit_temperature,
        reliability,
    )
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
    from neocog.evaluation.intervals import Estimate, bootstrap, wilson, without_intervals
    from neocog.evaluation.multi_label import (
        MultiLabelled,
        average_precisions,
        best_thresholds,
        evaluate_labels,
        mean_average_precision,
    )
    from neocog.evaluation.next_move import MovesPredicted, PhaseFigures, Phases, evaluate_moves
    from neocog.evaluation.regression import Errors, Regressed, Scatter, evaluate_values, mean_known, write_values
    from neocog.evaluation.roc import auroc, macro_auroc
    from neocog.evaluation.segmentation import Segmented, evaluate_masks
    from neocog.evaluation.signal_segmentation import SignalSegmented, evaluate_segments, event_counts, find_events
    from neocog.evaluation.unusual import Unusual, compare_unusual, flag_unusual, least_usual
    from neocog.evaluation.weighted import Statistic, bootstrap_counts, draw_counts

HOMES = {
    "Calibration": "classifier",
    "ClassFigures": "class_metrics",
    "Classified": "classifier",
    "ConfusionMatrix": "classifier",
    "Detected": "detection",
    "Errors": "regression",
    "Estimate": "intervals",
    "Evaluation": "evaluation",
    "Exhibit": "evaluation",
    "FoundBoxes": "box_matching",
    "Mistake": "classifier",
    "MovesPredicted": "next_move",
    "MultiLabelled": "multi_label",
    "PerClass": "classifier",
    "PhaseFigures": "next_move",
    "Phases": "next_move",
    "PrecisionRecall": "detection",
    "Regressed": "regression",
    "ReliabilityBin": "calibration",
    "Scatter": "regression",
    "Segmented": "segmentation",
    "SignalSegmented": "signal_segmentation",
    "Statistic": "weighted",
    "TrueBoxes": "box_matching",
    "Unusual": "unusual",
    "WorstError": "evaluation",
    "auroc": "roc",
    "average_precisions": "multi_label",
    "best_score": "detection",
    "best_thresholds": "multi_label",
    "bootstrap": "intervals",
    "bootstrap_counts": "weighted",
    "class_figures": "class_metrics",
    "compare_unusual": "unusual",
    "confusion_matrix": "class_metrics",
    "draw_counts": "weighted",
    "evaluate_boxes": "detection",
    "evaluate_classifier": "classifier",
    "evaluate_labels": "multi_label",
    "evaluate_masks": "segmentation",
    "evaluate_moves": "next_move",
    "evaluate_segments": "signal_segmentation",
    "evaluate_values": "regression",
    "event_counts": "signal_segmentation",
    "expected_calibration_error": "calibration",
    "find_events": "signal_segmentation",
    "fit_temperature": "calibration",
    "flag_unusual": "unusual",
    "least_usual": "unusual",
    "macro_auroc": "roc",
    "macro_f1": "class_metrics",
    "match_boxes": "box_matching",
    "mean_average_precision": "multi_label",
    "mean_known": "regression",
    "mean_precision": "detection",
    "reliability": "calibration",
    "top_k_hits": "class_metrics",
    "wilson": "intervals",
    "without_intervals": "intervals",
    "write_values": "regression",
}

__all__ = [
    "Calibration",
    "ClassFigures",
    "Classified",
    "ConfusionMatrix",
    "Detected",
    "Errors",
    "Estimate",
    "Evaluation",
    "Exhibit",
    "FoundBoxes",
    "Mistake",
    "MovesPredicted",
    "MultiLabelled",
    "PerClass",
    "PhaseFigures",
    "Phases",
    "PrecisionRecall",
    "Regressed",
    "ReliabilityBin",
    "Scatter",
    "Segmented",
    "SignalSegmented",
    "Statistic",
    "TrueBoxes",
    "Unusual",
    "WorstError",
    "auroc",
    "average_precisions",
    "best_score",
    "best_thresholds",
    "bootstrap",
    "bootstrap_counts",
    "class_figures",
    "compare_unusual",
    "confusion_matrix",
    "draw_counts",
    "evaluate_boxes",
    "evaluate_classifier",
    "evaluate_labels",
    "evaluate_masks",
    "evaluate_moves",
    "evaluate_segments",
    "evaluate_values",
    "event_counts",
    "expected_calibration_error",
    "find_events",
    "fit_temperature",
    "flag_unusual",
    "least_usual",
    "macro_auroc",
    "macro_f1",
    "match_boxes",
    "mean_average_precision",
    "mean_known",
    "mean_precision",
    "reliability",
    "top_k_hits",
    "wilson",
    "without_intervals",
    "write_values",
]

__getattr__ = loads(__name__, HOMES)
