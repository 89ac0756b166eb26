"""Signals: sources, preprocessing, augmentation."""
