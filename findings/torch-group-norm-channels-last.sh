#!/usr/bin/env bash
# torch's GroupNorm on the CPU loses its result for channels_last maps whose mean is large beside their spread.
#
# torch 2.13.0 (CPU build), numpy 2.4.6. For contiguous maps the variance is taken around the mean; for channels_last maps
# it is the difference of two large sums, in float32. channels_last is what faster convolutions ask for, so that a network
# switched to it gives other outputs. BatchNorm keeps its figures in both formats.
# Expected: errors of 1e-4 at most in both formats, for maps of standard deviation 1.
# Seen: for a mean of 100, largest errors of 6e-6 (contiguous) and 0.02 (channels_last); for a mean of 1,000, 5e-5 and
# over 1,000, where the right values lie within 5.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > norm.py <<'P'
import sys

import torch
from torch.nn.functional import batch_norm, group_norm

torch.manual_seed(0)
noise = torch.randn(2, 8, 32, 32)
error = {}
for mean in (100, 1000):
    maps = noise + mean
    for layout in (torch.contiguous_format, torch.channels_last):
        given = maps.contiguous(memory_format=layout)
        group = (group_norm(given, 4) - group_norm(maps.double(), 4)).abs().max().item()
        batch = (batch_norm(given, None, None, training=True) - batch_norm(maps.double(), None, None, training=True)).abs()
        error[mean, layout] = group
        print(torch.__version__, "mean", mean, layout, f"largest error: GroupNorm {group:.2g}, BatchNorm {batch.max():.2g}")
contiguous = max(error[mean, torch.contiguous_format] for mean in (100, 1000))
sys.exit(not (contiguous < 1e-3 and error[100, torch.channels_last] > 5e-3 and error[1000, torch.channels_last] > 0.3))
P
v/bin/python norm.py
