#!/usr/bin/env bash
# A compiled OpenVINO model whose input is uint8 takes float32 values from 0 to 1 without a word, and sees black.
#
# openvino 2026.4.1, numpy 2.4.6. The array is converted to the input's type, so that 0.0 to 0.999 become 0. A wrong rank
# or size is an error; a wrong type is not, for NumPy arrays given by position or by name.
# Expected: an error that names the two types, as ONNX Runtime gives it.
# Seen: the sum of an image of 0.9 is 0, that of the same image as uint8 (230) is right.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6 2>/dev/null
cat > floats.py <<'P'
import sys

import numpy as np
import openvino as ov
from openvino import opset13 as ops

images = ops.parameter([1, 4, 4, 3], np.uint8, name="images")
total = ops.reduce_sum(ops.convert(images, np.float32), np.array([1, 2, 3]), False)
model = ov.Core().compile_model(ov.Model([total], [images]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
floats, bytes_ = np.full((1, 4, 4, 3), 0.9, np.float32), np.full((1, 4, 4, 3), 230, np.uint8)
found, expected = float(model(floats)[0][0]), float(model(bytes_)[0][0])
print("openvino", ov.__version__.split("-")[0], "floats of 0.9:", found, "the same as uint8:", expected)
sys.exit(not (found == 0.0 and expected == 230.0 * 48))
P
v/bin/python floats.py
