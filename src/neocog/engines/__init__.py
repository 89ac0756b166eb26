"""Engines that compute a network's outputs on this machine: eager and compiled PyTorch, ONNX Runtime, OpenVINO.

`convert` turns a network into the file that other engines read, `build` makes an engine of a network, and `choose`
measures which is the fastest within the tolerance. `kept.Workshop` remembers on disk what took time to make.
"""

from typing import TYPE_CHECKING

from neocog.lazy import loads

if TYPE_CHECKING:
    from neocog.engines.choose import Choice, choose_engine
    from neocog.engines.engine import Backend
    from neocog.engines.make_engine import FLOAT_ENGINES, INT8_ENGINES, NAMES, build

HOMES = {
    "FLOAT_ENGINES": "make_engine",
    "INT8_ENGINES": "make_engine",
    "NAMES": "make_engine",
    "Backend": "engine",
    "Choice": "choose",
    "build": "make_engine",
    "choose_engine": "choose",
}

__all__ = ["FLOAT_ENGINES", "INT8_ENGINES", "NAMES", "Backend", "Choice", "build", "choose_engine"]

__getattr__ = loads(__name__, HOMES)
