"""Augmentation: random changes of whole batches, each sample by its own draws."""

from neocog.data.augment.images import AugmentConfig, augment

__all__ = ["AugmentConfig", "augment"]
