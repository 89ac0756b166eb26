"""Weights from elsewhere: published files, fetched on request and checked, and the names that others gave their tensors."""
