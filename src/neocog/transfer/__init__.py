"""Transfer: the features of a pretrained network in one fast pass, and a dense head fitted to them.

Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution".
"""

from neocog.transfer.dense_head import has_dense_head, set_dense_head, without_dense_head
from neocog.transfer.features import FeatureExtractor, mirror
from neocog.transfer.labels import LabelHead, fit_labels
from neocog.transfer.logistic import LogisticHead, fit_at, fit_logistic

__all__ = [
    "FeatureExtractor",
    "LabelHead",
    "LogisticHead",
    "fit_at",
    "fit_labels",
    "fit_logistic",
    "has_dense_head",
    "mirror",
    "set_dense_head",
    "without_dense_head",
]
