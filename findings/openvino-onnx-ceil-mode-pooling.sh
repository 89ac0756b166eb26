#!/usr/bin/env bash
# OpenVINO's pooling of ONNX models with ceil_mode adds a column of -3.4e38, or divides by cells outside the map.
#
# openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. ONNX leaves out windows that would begin beyond the map
# and its padding at the left, and its average counts cells of the padding, but none beyond it.
# Expected: what onnx's reference evaluator and ONNX Runtime give.
# Seen: MaxPool of 1..9 (window 2, step 5) gives 2, 7 and -3.4e38 instead of 2 and 7. AveragePool of 1..8 (window 3, step
# 2, padding 1, count_include_pad) ends with 8 / 3 instead of 8 / 2.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 2>/dev/null
cat > pool.py <<'P'
import sys

import numpy as np
import onnxruntime
import openvino as ov
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def run(kind, length, **attributes):
    """What each of the three gives for the numbers from 1 to a length."""
    row = np.arange(1, length + 1, dtype=np.float32).reshape(1, 1, 1, length)
    node = helper.make_node(kind, ["x"], ["y"], ceil_mode=1, **attributes)
    graph = helper.make_graph(
        [node], "pool", [helper.make_tensor_value_info("x", TensorProto.FLOAT, row.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, "w"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    file, core = model.SerializeToString(), ov.Core()
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = {
        "reference": ReferenceEvaluator(model).run(None, {"x": row})[0],
        "ONNX Runtime": onnxruntime.InferenceSession(file).run(None, {"x": row})[0],
        "OpenVINO": compiled([row])[0],
    }
    print(kind, *(f"{name}: {result.ravel().tolist()}" for name, result in results.items()))
    return [result.ravel() for result in results.values()]


largest = run("MaxPool", 9, kernel_shape=[1, 2], strides=[1, 5])
mean = run("AveragePool", 8, kernel_shape=[1, 3], strides=[1, 2], pads=[0, 1, 0, 1], count_include_pad=1)
agreed = largest[0].tolist() == largest[1].tolist() == [2, 7] and np.allclose(mean[0], [1, 3, 5, 7, 4]) and np.allclose(mean[1], mean[0])
sys.exit(not (agreed and len(largest[2]) == 3 and largest[2][2] < -1e38 and np.isclose(mean[2][4], 8 / 3)))
P
v/bin/python pool.py
