"""A trained network as a file for other programs, written only if it computes what the network does.

`program` puts the preprocessing and the decoding around the network, `write_files` writes it for each engine,
`manifest` describes it, `gate` compares what was written with `Predictor` on validation data, and `runner` opens it.
"""

from typing import TYPE_CHECKING

from neocog.lazy import loads

if TYPE_CHECKING:
    from neocog.exporting.export import ExportResult
    from neocog.exporting.program import ExportProgram
    from neocog.exporting.runner import Exported, open_exported

__all__ = ["ExportProgram", "ExportResult", "Exported", "open_exported"]

HOMES = {
    "ExportProgram": "program", "ExportResult": "export", "Exported": "runner", "open_exported": "runner",
}  # fmt: skip

__getattr__ = loads(__name__, HOMES)
