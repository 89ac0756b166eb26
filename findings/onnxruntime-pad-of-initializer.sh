#!/usr/bin/env bash
# ONNX Runtime's optimiser breaks a valid model in which a Pad of an initializer is a convolution's weight.
#
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6. Kernels that are padded on one side are written so. At the default level
# a Pad before a Conv is merged into the convolution as if it padded the images, though it pads the weight.
# Expected: outputs, as at ORT_DISABLE_ALL, and as for a Mul in the place of the Pad.
# Seen: at ORT_ENABLE_BASIC and above, INVALID_ARGUMENT: Invalid model. Node input 'v' is not a graph input, initializer,
# or output of a previous node.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 2>/dev/null
cat > pad.py <<'P'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import GraphOptimizationLevel as Level

weight = np.random.default_rng(0).random((2, 1, 3, 3), np.float32)
pads = np.array([0, 0, 1, 1, 0, 0, 0, 0], np.int64)
image = np.random.default_rng(1).random((1, 1, 8, 8), np.float32)
windows = np.lib.stride_tricks.sliding_window_view(image[0, 0], (4, 4))
right = np.einsum("hwij,oij->ohw", windows, np.pad(weight[:, 0], ((0, 0), (1, 0), (1, 0))))[None]


def run(kind, level):
    graph = helper.make_graph(
        [helper.make_node(kind, ["w", "pads" if kind == "Pad" else "two"], ["v"]), helper.make_node("Conv", ["x", "v"], ["y"])],
        "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, "h", "w"])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(pads, "pads"), numpy_helper.from_array(np.float32(2), "two")],
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 4
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    try:
        return onnxruntime.InferenceSession(file, options).run(None, {"x": image})[0]
    except Exception as error:
        return str(error)


plain, basic, whole = (run("Pad", level) for level in (Level.ORT_DISABLE_ALL, Level.ORT_ENABLE_BASIC, Level.ORT_ENABLE_ALL))
print("onnxruntime", onnxruntime.__version__, "not optimised: right", np.allclose(plain, right, atol=1e-5), "| optimised:", basic)
refused = all(isinstance(answer, str) and "Invalid model" in answer for answer in (basic, whole))
sys.exit(not (np.allclose(plain, right, atol=1e-5) and refused and not isinstance(run("Mul", Level.ORT_ENABLE_ALL), str)))
P
v/bin/python pad.py
