"""Predictions for millions of files, written exactly once, by as many processes as there are."""

__all__: list[str] = []
