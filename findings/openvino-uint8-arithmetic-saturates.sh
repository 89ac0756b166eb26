#!/usr/bin/env bash
# OpenVINO's uint8 sums, differences and shifts of ONNX models stop at 0 and 255, where ONNX Runtime's wrap around.
#
# openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. Models that take bytes and compare two images, or hash
# them, do so before their first conversion to floats. Casts from float to uint8 wrap in OpenVINO, its arithmetic doesn't.
# Expected: one result for one model: that of NumPy, torch and ONNX Runtime is taken modulo 256.
# Seen: 200 + 100 is 255 instead of 44, 2 - 100 is 0 instead of 158, 200 << 1 is 255 instead of 144. No warning.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 2>/dev/null
cat > bytes.py <<'P'
import sys

import numpy as np
import onnxruntime
import openvino as ov
from onnx import TensorProto, helper

held = []
for kind, left, right, saturated, attributes in (
    ("Add", 200, 100, 255, {}),
    ("Sub", 2, 100, 0, {}),
    ("BitShift", 200, 1, 255, {"direction": "LEFT"}),
):
    tensors = [helper.make_tensor_value_info(name, TensorProto.UINT8, [2]) for name in "aby"]
    graph = helper.make_graph([helper.make_node(kind, ["a", "b"], ["y"], **attributes)], "bytes", tensors[:2], tensors[2:])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    a, b = np.array([left, left], np.uint8), np.array([right, right], np.uint8)
    numpy = {"Add": a + b, "Sub": a - b, "BitShift": a << b}[kind][0]
    engine = onnxruntime.InferenceSession(file).run(None, {"a": a, "b": b})[0][0]
    core = ov.Core()
    found = core.compile_model(core.read_model(file), "CPU")([a, b])[0][0]
    print(kind, left, right, "NumPy", numpy, "ONNX Runtime", engine, "OpenVINO", found)
    held.append(engine == numpy and found == saturated)
sys.exit(not all(held))
P
v/bin/python bytes.py 2>/dev/null
