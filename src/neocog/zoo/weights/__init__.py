"""Weights from elsewhere: published files, fetched on request and checked, and what others call their tensors."""
