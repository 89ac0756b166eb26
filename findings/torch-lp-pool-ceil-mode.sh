#!/usr/bin/env bash
# torch's LPPool2d with ceil_mode inflates the outputs of windows that hang over the edge.
#
# torch 2.13.0 (CPU build), onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. The layer is documented as the p-th root of a
# sum over the window. It is computed as an average times the window's full size, and with ceil_mode the average divides
# by the part of the window inside the map.
# Expected: the norm of the values inside, as ONNX Runtime's LpPool gives it: for a last window with 2 of 4 ones, sqrt(2).
# Seen: 2.0, the norm of four ones; for p = 1 a sum of 4 over two ones.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/pip install -q --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 2>/dev/null
cat > norms.py <<'P'
import sys

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

ones = np.ones((1, 1, 1, 11), np.float32)
wrong = []
for p in (1, 2):
    node = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[1, 4], strides=[1, 3], ceil_mode=1, p=p)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, size]) for name, size in (("x", 11), ("y", 4))]
    graph = helper.make_graph([node], "pool", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    norm = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": ones})[0].ravel()
    windows = [ones[0, 0, 0, start : start + 4] for start in (0, 3, 6, 9)]
    right = np.array([(window**p).sum() ** (1 / p) for window in windows])
    found = torch.nn.LPPool2d(p, (1, 4), (1, 3), ceil_mode=True)(torch.from_numpy(ones)).numpy().ravel()
    print(torch.__version__, f"p={p} torch", found, "sums", right.round(3), "ONNX Runtime", norm.round(3))
    wrong.append(np.allclose(norm, right) and np.allclose(found[:3], right[:3]) and np.isclose(found[3], 4 ** (1 / p)))
sys.exit(not all(wrong))
P
v/bin/python norms.py
