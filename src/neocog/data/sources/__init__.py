"""Sources: each layout of a data set as records that are reached by index. Nothing is ever written to it."""

__all__: list[str] = []
