#!/usr/bin/env bash
# OpenVINO and onnx's reference evaluator compute Softmax of models before opset 13 by the rule of opset 13.
#
# openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. Up to opset 12, the axis says where the shape is cut in
# two, and all values behind it are normalised together; since opset 13, the values along that axis are. A file states its
# opset, and the two rules differ for maps (N, C, H, W), such as those of segmentation.
# Expected: for opset 12, values that add up to 1 for each image, as in ONNX Runtime.
# Seen: values that add up to 1 for each pixel (12 for 12 pixels) in both, as is right from opset 13; no error.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 2>/dev/null
cat > softmax.py <<'P'
import sys

import numpy as np
import onnxruntime
import openvino as ov
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

maps = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
sums = {}
for opset in (11, 12, 13):
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, maps.shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"], axis=1)], "softmax", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    file, core = model.SerializeToString(), ov.Core()
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    probs = {
        "ONNX Runtime": onnxruntime.InferenceSession(file).run(None, {"x": maps})[0],
        "OpenVINO": compiled([maps])[0],
        "reference": ReferenceEvaluator(model).run(None, {"x": maps})[0],
    }
    sums[opset] = [float(values.sum((1, 2, 3)).mean()) for values in probs.values()]
    print("opset", opset, "sum for each image:", *(f"{name} {total:.3f}" for name, total in zip(probs, sums[opset])))
old = all(np.allclose(sums[opset], [1, 12, 12]) for opset in (11, 12))
sys.exit(not (old and np.allclose(sums[13], 12)))
P
v/bin/python softmax.py 2>/dev/null
