#!/usr/bin/env bash
# OpenVINO's CPU plugin computes float64 as float32 and int64 as int32, and labels the outputs float64 and int64.
#
# openvino 2026.4.1, numpy 2.4.6. INFERENCE_PRECISION_HINT is f32; no setting keeps 64 bits, and nothing is said when such
# a model is compiled. Time stamps, ids and sums of squares are what such models hold in 64 bits.
# Expected: 64-bit arithmetic, or an error or warning at compile time.
# Seen: (100000001, 100000002, 100000003) - 100000000 in float64 is (0, 0, 0) instead of (1, 2, 3); 2^31 - 1 + 1 in int64
# is -2^31 and 2^40 + 1 is 1. Both results have the 64-bit type.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6 2>/dev/null
cat > wide.py <<'P'
import sys

import numpy as np
import openvino as ov
from openvino import opset13 as ops


def run(operation, left, right):
    given = ops.parameter(left.shape, left.dtype)
    model = ov.Model([operation(given, ops.constant(right, dtype=left.dtype))], [given])
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(left)[0]


floats, integers = np.array([1e8 + 1, 1e8 + 2, 1e8 + 3]), np.array([2**31 - 1, 2**40, 5])
difference = run(ops.subtract, floats, np.full(3, 1e8))
total = run(ops.add, integers, np.ones(3, np.int64))
print("openvino", ov.__version__.split("-")[0], difference.dtype, difference, "right:", floats - 1e8)
print(total.dtype, total, "right:", integers + 1)
typed = difference.dtype == np.float64 and total.dtype == np.int64
sys.exit(not (typed and (difference == 0).all() and total.tolist() == [-(2**31), 1, 6]))
P
v/bin/python wide.py
