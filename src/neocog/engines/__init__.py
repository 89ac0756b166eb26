"""Engines that compute a network's outputs on this machine: eager and compiled PyTorch, ONNX Runtime, OpenVINO.

`convert` turns a network into the file that other engines read, `build` makes an engine of a network, and `choose`
measures which is the fastest within the tolerance.
"""

__all__: list[str] = []
