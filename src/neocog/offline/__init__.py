"""Predictions for millions of files, written exactly once, by as many processes as there are.

run        predict_files: the wiring
listing    the files, in a fixed order, as a stream
begin      the list is fixed, or found to be the same as before
job        the state on the disk: list, blocks, parts
claims     who computes which block
score      from paths to rows, decoding ahead
columns    what each task answers
formats    Parquet, CSV, JSON Lines
record     the parts become the output
"""

from typing import TYPE_CHECKING

from neocog.lazy import loads

if TYPE_CHECKING:
    from neocog.offline.record import OfflineResult
    from neocog.offline.run import predict_files

HOMES = {"OfflineResult": "record", "predict_files": "run"}

__all__ = ["OfflineResult", "predict_files"]

__getattr__ = loads(__name__, HOMES)
