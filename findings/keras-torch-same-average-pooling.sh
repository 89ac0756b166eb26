#!/usr/bin/env bash
# Keras on torch averages repeated edge pixels where AveragePooling2D(padding="same") pads one side more than the other.
#
# keras 3.15.1 (KERAS_BACKEND=torch), torch 2.13.0 (CPU build), numpy 2.4.6. When the padding is equal on both sides, this
# backend averages the pixels inside the map. When it is uneven (even windows, or sizes that the stride doesn't divide), it
# repeats the edge and counts it, so that one layer follows two rules, by the size of its maps.
# Expected: means over the pixels inside each window, counted here one by one.
# Seen: right to 1e-6 for a window of 3, step 1; off by up to 0.8 for a window of 4 on pixels of standard deviation 1.
# 25 to 60% of the outputs are wrong; no error.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/pip install -q --disable-pip-version-check keras==3.15.1 numpy==2.4.6 2>/dev/null
cat > mean.py <<'P'
import os
import sys

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np

images = np.random.default_rng(0).normal(size=(2, 9, 11, 4)).astype(np.float32)
gap = {}
for window, step in ((3, 1), (3, 2), (4, 1), (4, 2), (3, 3)):
    layer = keras.layers.AveragePooling2D(window, step, padding="same", data_format="channels_last")
    found = keras.ops.convert_to_numpy(layer(images))
    right = np.empty_like(found)
    before = [max((size - 1) * step + window - length, 0) // 2 for size, length in zip(found.shape[1:3], images.shape[1:3])]
    for row, column in np.ndindex(found.shape[1:3]):
        top, left = row * step - before[0], column * step - before[1]
        inside = images[:, max(top, 0) : top + window, max(left, 0) : left + window]
        right[:, row, column] = inside.mean((1, 2))
    wrong = np.abs(found - right) > 1e-5
    gap[window, step] = np.abs(found - right).max()
    print("keras", keras.__version__, "window", window, "step", step, f"largest error {gap[window, step]:.2g}, {wrong.mean():.0%} wrong")
sys.exit(not (max(gap[3, 1], gap[3, 2]) < 1e-5 and min(gap[4, 1], gap[4, 2], gap[3, 3]) > 0.1))
P
v/bin/python mean.py 2>/dev/null
