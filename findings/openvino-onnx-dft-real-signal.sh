#!/usr/bin/env bash
# OpenVINO gives ONNX's DFT of a real signal an extra axis: (N, L, 1) becomes (N, L / 2 + 1, 1, 2).
#
# openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6. In ONNX the last axis of the input holds 1 real number
# or 2 of a complex one, and that of the output 2. torch's exporter writes rfft in this way. What follows broadcasts over
# the extra axis, or takes it for the frequencies, without an error.
# Expected: (N, L / 2 + 1, 2), as in ONNX Runtime. The spectrum's magnitudes, then: (N, L / 2 + 1).
# Seen: (N, L / 2 + 1, 1, 2) for the spectrum; the sum over the last but one axis, which is the frequencies', sums nothing.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 2>/dev/null
cat > dft.py <<'P'
import sys

import numpy as np
import onnxruntime
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

signal = np.random.default_rng(0).normal(size=(2, 16, 1)).astype(np.float32)
graph = helper.make_graph(
    [
        helper.make_node("DFT", ["x"], ["spectrum"], onesided=1),  # opset 20: along the last axis but one
        helper.make_node("ReduceSum", ["spectrum", "frequencies"], ["total"], keepdims=0),
    ],
    "dft", [helper.make_tensor_value_info("x", TensorProto.FLOAT, signal.shape)],
    [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, None), helper.make_tensor_value_info("total", TensorProto.FLOAT, None)],
    [numpy_helper.from_array(np.array([-2], np.int64), "frequencies")],
)
file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
core = ov.Core()
compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([signal])
spectra = {"ONNX Runtime": onnxruntime.InferenceSession(file).run(None, {"x": signal}), "OpenVINO": [compiled[0], compiled[1]]}
right = np.fft.rfft(signal[..., 0].astype(np.float64))
for name, (spectrum, total) in spectra.items():
    print(name, "spectrum", spectrum.shape, "sum over the frequencies", total.shape)
spectrum, total = spectra["ONNX Runtime"]
met = spectrum.shape == (2, 9, 2) and np.allclose(spectrum[..., 0] + 1j * spectrum[..., 1], right, atol=1e-4) and total.shape == (2, 2)
sys.exit(not (met and spectra["OpenVINO"][0].shape == (2, 9, 1, 2) and spectra["OpenVINO"][1].shape == (2, 9, 2)))
P
v/bin/python dft.py 2>/dev/null
