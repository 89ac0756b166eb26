#!/usr/bin/env bash
# torch's interpolate with antialias=True and align_corners=True doesn't align the corners.
#
# torch 2.13.0 (CPU build), numpy 2.4.6. An antialiasing filter acts where an image shrinks; where it grows, both results
# must be the same. With align_corners the first and last pixels keep their place and values. With antialias as well, the
# step between pixels is that of aligned corners, but the positions begin half a step from the edge, as without it.
# Expected: the ramp 0 to 8 at 17 pixels is 0, 0.5, 1, ... 8, as NumPy's interp and torch without antialias give it.
# Seen: 0, 0.25, 0.75, ... 7.75: shifted by a quarter of a pixel, bicubic as well; no error.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > corners.py <<'P'
import sys

import numpy as np
import torch
from torch.nn.functional import interpolate

ramp = torch.arange(9.0)[None, None, None]
right = np.interp(np.linspace(0, 8, 17), np.arange(9), np.arange(9.0))
gap = {}
for antialias in (False, True):
    for mode in ("bilinear", "bicubic"):
        found = interpolate(ramp, size=(1, 17), mode=mode, align_corners=True, antialias=antialias).numpy().ravel()
        gap[mode, antialias] = np.abs(found - right)[4:-4].max()
        print(torch.__version__, mode, "antialias", antialias, found[:4].round(2), "...", found[-2:].round(2))
plain = max(gap["bilinear", False], gap["bicubic", False])
sys.exit(not (plain < 0.07 and np.isclose(gap["bilinear", True], 0.25) and gap["bicubic", True] > 0.15))
P
v/bin/python corners.py
