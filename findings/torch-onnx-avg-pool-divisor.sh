#!/usr/bin/env bash
# torch's ONNX exporter drops AvgPool2d's `divisor_override`: the file averages, the network divides by another number.
#
# torch 2.13.0 (CPU build), onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0. ONNX's AveragePool has no divisor, and the
# exporter writes the node without one, in silence.
# Expected: a multiplication by window / divisor behind the node, or an error.
# Seen: the file's outputs are the network's times 3/4 where a window of 2x2 is divided by 3.
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
pool = torch.nn.AvgPool2d(2, divisor_override=3).eval()
images = torch.arange(1.0, 33).reshape(2, 1, 4, 4)
torch.onnx.export(pool, (images,), "pool.onnx", dynamo=True, verbose=False)
session = onnxruntime.InferenceSession("pool.onnx")
found = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
ratio = found / pool(images).numpy()
print(torch.__version__, "onnxruntime", onnxruntime.__version__, "file / network:", ratio.min(), ratio.max())
sys.exit(not np.allclose(ratio, 0.75))
P
v/bin/python pool.py 2>/dev/null | tail -1
