#!/usr/bin/env bash
# OpenVINO reads ONNX's Resize without antialias, exclude_outside and keep_aspect_ratio_policy, and raises nothing.
#
# openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. A model that brings its own resizing uses the first and
# the last of these: they decide which image the network sees.
# Expected: what the format says, and what ONNX Runtime gives, or an error.
# Seen: stripes that fill an eighth of an image, at an eighth of its width with antialiasing, are 0.5 rather than 0.125. A
# 7x9 image fitted into 10x5 without changing its shape is 10x5 rather than 4x5. The cubic filter's border is unchanged.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 2>/dev/null
cat > resize.py <<'P'
import sys

import numpy as np
import onnxruntime
import openvino as ov
from onnx import TensorProto, helper, numpy_helper


def run(image, size, **attributes):
    """(ONNX Runtime's, OpenVINO's) result of one Resize of the last two axes."""
    node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], axes=[2, 3], **attributes)
    graph = helper.make_graph(
        [node], "resize", [helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "h", "w"])],
        [numpy_helper.from_array(np.array(size, np.int64), "size")],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9).SerializeToString()
    core = ov.Core()
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return onnxruntime.InferenceSession(file).run(None, {"x": image})[0], compiled([image])[0]


# One bright column of eight: antialiased at an eighth of the width, each pixel is near 1/8.
stripes = np.zeros((1, 1, 64, 64), np.float32)
stripes[..., 3::8] = 1
right, found = run(stripes, [64, 8], mode="linear", coordinate_transformation_mode="half_pixel", antialias=1)
print("openvino", ov.__version__.split("-")[0], "antialias: ONNX Runtime", right[0, 0, 0, 1:5], "OpenVINO", found[0, 0, 0, 1:5])
ignored = [abs(right[0, 0, :, 1:7].mean() - 0.125) < 0.02 and np.allclose(found[0, 0, :, 1:7], 0.5)]
image = np.random.default_rng(0).random((1, 1, 7, 9), np.float32)
right, found = run(image, [10, 5], mode="linear", keep_aspect_ratio_policy="not_larger")
print("keep_aspect_ratio_policy: ONNX Runtime", right.shape, "OpenVINO", found.shape)
ignored.append(right.shape == (1, 1, 4, 5) and found.shape == (1, 1, 10, 5))
flat = np.ones((1, 1, 8, 8), np.float32)
flat[..., 0] = 0
right, found = run(flat, [8, 13], mode="cubic", exclude_outside=1)
plain = run(flat, [8, 13], mode="cubic", exclude_outside=0)[1]
print("exclude_outside: ONNX Runtime", right[0, 0, 0, :3].round(3), "OpenVINO", found[0, 0, 0, :3].round(3))
ignored.append(np.array_equal(found, plain) and np.abs(right - found).max() > 0.01)
sys.exit(not all(ignored))
P
v/bin/python resize.py
