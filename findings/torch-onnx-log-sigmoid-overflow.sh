#!/usr/bin/env bash
# torch's ONNX exporter writes LogSigmoid as Log(Sigmoid(x)), which is minus infinity where the network is finite.
#
# torch 2.13.0 (CPU build), onnxscript 0.7.2, onnx 1.23.2, onnxruntime 1.32.0. torch computes min(x, 0) - log1p(exp(-|x|)),
# exact for every x. In float32 the sigmoid of -120 is 0, and its logarithm -inf.
# Expected: -Softplus(-x), which ONNX has.
# Seen: -inf for x = -120, where torch gives -120; both agree for x = -5.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/pip install -q --disable-pip-version-check onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 2>/dev/null
cat > log.py <<'P'
import sys
import warnings

import numpy as np
import onnxruntime
import torch

warnings.simplefilter("ignore")
layer, values = torch.nn.LogSigmoid().eval(), torch.tensor([[-120.0, -5.0]])
torch.onnx.export(layer, (values,), "log.onnx", dynamo=True, verbose=False)
session = onnxruntime.InferenceSession("log.onnx")
found = session.run(None, {session.get_inputs()[0].name: values.numpy()})[0]
print(torch.__version__, "onnxruntime", onnxruntime.__version__, "torch", layer(values).tolist(), "file", found.tolist())
sys.exit(not (np.isneginf(found[0, 0]) and abs(found[0, 1] + 5.0067) < 1e-3))
P
v/bin/python log.py 2>/dev/null | tail -1
