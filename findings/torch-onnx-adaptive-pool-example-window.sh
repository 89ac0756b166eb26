#!/usr/bin/env bash
# torch's ONNX exporter writes adaptive pooling of maps with dynamic sizes with the window that the example had.
#
# torch 2.13.0 (CPU build), onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0. Height and width are declared dynamic and
# stay dynamic in the file. AdaptiveAvgPool2d(3) becomes an AveragePool with a kernel of the example's 9 / 3 = 3.
# Expected: a graph that gives 3x3 outputs for every size, or an error that it can't be written.
# Seen: 12x12 maps give 4x4 outputs instead of 3x3; those of 10x10 are 3x3 with other numbers.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/pip install -q --disable-pip-version-check onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 2>/dev/null
cat > pool.py <<'P'
import sys
import warnings

import numpy as np
import onnxruntime
import torch

warnings.simplefilter("ignore")
pool = torch.nn.AdaptiveAvgPool2d(3).eval()
any_size = torch.export.Dim.DYNAMIC
torch.onnx.export(
    pool, (torch.randn(2, 1, 9, 9),), "pool.onnx", dynamo=True, verbose=False,
    dynamic_shapes=({0: any_size, 2: any_size, 3: any_size},),
)
session = onnxruntime.InferenceSession("pool.onnx")
given = session.get_inputs()[0]


def run(images):
    return session.run(None, {given.name: images.numpy()})[0]


larger, other = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 10, 10)
shape = run(larger).shape
gap = np.abs(run(other) - pool(other).numpy()).max()
print(torch.__version__, "input", given.shape, "12x12 ->", shape[2:], "10x10: largest difference", round(float(gap), 2))
sys.exit(not (shape == (2, 1, 4, 4) and gap > 0.01 and isinstance(given.shape[2], str)))
P
v/bin/python pool.py 2>/dev/null | tail -1
