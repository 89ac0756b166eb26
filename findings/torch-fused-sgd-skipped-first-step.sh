#!/usr/bin/env bash
# torch's fused SGD starts from uninitialised momenta if GradScaler skips its first step.
#
# torch 2.13.0 (CPU build), numpy 2.4.6. With fp16, a first step that overflows is ordinary: GradScaler lowers its scale
# until none does. SGD(fused=True, momentum=...) then leaves `momentum_buffer` as `empty_like` made it, and the next step
# takes it for a momentum. Without `fused`, or with Adam, the same steps leave the weights where they were.
# Expected: after a skipped step and a step with gradients of zero, the weights are unchanged.
# Seen: buffers of up to 3e38 after the skipped step, weights moved by up to 3e37 after the next; no error.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/python - <<'P'
import sys

import torch


def moved(fused):
    """How far the weights move in a skipped step and one with gradients of zero."""
    weights = torch.nn.Parameter(torch.ones(4096))
    optimizer = torch.optim.SGD([weights], lr=0.1, momentum=0.9, fused=fused)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(torch.tensor(1.0))
    used = [torch.full((4096,), 7.0) for _ in range(200)]  # memory that is not zero
    del used
    for value in (float("inf"), 0.0):
        weights.grad = torch.full((4096,), value)
        scaler.step(optimizer)
        scaler.update()
    return (weights.detach() - 1).abs().nan_to_num(nan=torch.inf).max().item()


plain, fused = (max(moved(kind) for _ in range(20)) for kind in (False, True))
print(torch.__version__, "weights moved by: plain", plain, "fused", fused)
sys.exit(not (plain == 0 and fused > 0))
P
