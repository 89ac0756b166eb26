"""Transfer: the features of a network in one fast pass, a dense head fitted to them, and how much they tell.

Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution".
"""

from neocog.transfer.dense_head import has_dense_head, set_dense_head, without_dense_head
from neocog.transfer.feature_file import feature_file
from neocog.transfer.feature_table import FeatureRows, FeatureTable
from neocog.transfer.features import FeatureExtractor, mirror
from neocog.transfer.knn import neighbour_means
from neocog.transfer.labels import LabelHead, fit_labels
from neocog.transfer.logistic import LogisticHead, fit_at, fit_logistic
from neocog.transfer.parts import feature_part
from neocog.transfer.ridge import RidgeHead, fit_ridge
from neocog.transfer.score import score_knn, score_probe

__all__ = [
    "FeatureExtractor",
    "FeatureRows",
    "FeatureTable",
    "LabelHead",
    "LogisticHead",
    "RidgeHead",
    "feature_file",
    "feature_part",
    "fit_at",
    "fit_labels",
    "fit_logistic",
    "fit_ridge",
    "has_dense_head",
    "mirror",
    "neighbour_means",
    "score_knn",
    "score_probe",
    "set_dense_head",
    "without_dense_head",
]
