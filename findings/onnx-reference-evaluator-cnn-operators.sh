#!/usr/bin/env bash
# onnx's reference evaluator gives wrong numbers for LRN, two kinds of pooling, and LogSoftmax.
#
# onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. It is what one takes as the judge between a network and its export.
# Expected: the operators' definitions, computed here by loops in float64, which ONNX Runtime meets.
# Seen: LRN over 3 of 6 channels is off by up to 1 on values of standard deviation 1; MaxPool with SAME_LOWER, whose extra
# padding is at the top and left, takes the windows one pixel away; so does AveragePool of 9 pixels by fours, rounded up;
# LogSoftmax of (0, 120) is -inf instead of -120.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 2>/dev/null
cat > judge.py <<'P'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def run(kind, given, **attributes):
    """(the reference evaluator's, ONNX Runtime's) result of one operator."""
    node = helper.make_node(kind, ["x"], ["y"], **attributes)
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, given.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{k}" for k in range(given.ndim)])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return ReferenceEvaluator(model).run(None, {"x": given})[0], session.run(None, {"x": given})[0]


rng = np.random.default_rng(0)
maps = rng.normal(size=(1, 6, 3, 3)).astype(np.float32)
wide = maps.astype(np.float64)
sums = np.stack([np.square(wide[:, max(c - 1, 0) : c + 2]).sum(1) for c in range(6)], 1)
normalised = wide / (1 + sums / 3) ** 0.75

image = rng.normal(size=(1, 1, 8, 8)).astype(np.float32)
padded = np.pad(image[0, 0], ((1, 0), (1, 0)), constant_values=-np.inf)  # 8 / 2 windows of 3x3 need one row and column
pooled = np.array([[padded[r : r + 3, c : c + 3].max() for c in range(0, 8, 2)] for r in range(0, 8, 2)])[None, None]

row = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 1, 9)
means = np.array([2.5, 6.5, 9.0]).reshape(1, 1, 1, 3)  # of 1..4, 5..8 and 9

cases = {
    "LRN": (run("LRN", maps, size=3, alpha=1.0, beta=0.75, bias=1.0), normalised),
    "MaxPool": (run("MaxPool", image, auto_pad="SAME_LOWER", kernel_shape=[3, 3], strides=[2, 2]), pooled),
    "AveragePool": (run("AveragePool", row, kernel_shape=[1, 4], strides=[1, 4], ceil_mode=1), means),
    "LogSoftmax": (run("LogSoftmax", np.array([[0, 120]], np.float32), axis=1), np.array([[-120.0, 0.0]])),
}
held = []
for name, ((reference, engine), right) in cases.items():
    gap, engine_gap = np.abs(reference - right).max(), np.abs(engine - right).max()
    print("onnx 1.23.2", name, f"largest error: reference evaluator {gap:.2g}, ONNX Runtime {engine_gap:.2g}")
    held.append(gap > 0.1 and engine_gap < 1e-4)
sys.exit(not all(held))
P
v/bin/python judge.py 2>/dev/null
