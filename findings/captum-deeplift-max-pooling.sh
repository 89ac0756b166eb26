#!/usr/bin/env bash
# Captum's DeepLift behind max pooling doesn't add up to the change of the output, unless the baseline is constant there.
#
# captum 0.9.0, torch 2.13.0 (CPU build), numpy 2.4.6. DeepLift's rule for max pooling shares the change of each maximum
# among the positions that held it, so that the attributions sum to f(x) - f(baseline), exactly (Shrikumar et al. 2017).
# Everything is float64 here.
# Expected: a gap of 1e-12 or less for every baseline, as with average pooling in the same network.
# Seen: with a random image as the baseline, the sums miss the change by 23% of it on average; with a baseline of zeros,
# or with average pooling, by less than 1e-12. DeepLiftShap, whose baselines are images of the data, has the same gap.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/pip install -q --disable-pip-version-check captum==0.9.0 numpy==2.4.6 2>/dev/null
cat > sums.py <<'P'
import sys
import warnings

import torch
from captum.attr import DeepLift, DeepLiftShap
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def gap(pool, baseline):
    """The largest gap of DeepLift and DeepLiftShap over the mean change, for 8 images."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), pool, nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    ).eval()
    images = torch.randn(8, 1, 10, 10)
    change = (network(images) - network(baseline))[:, 1]
    one = DeepLift(network).attribute(images, baseline.expand_as(images), target=1).flatten(1).sum(1)
    many = DeepLiftShap(network).attribute(images, torch.cat([baseline, baseline]), target=1).flatten(1).sum(1)
    return [((found - change).abs().mean() / change.abs().mean()).item() for found in (one, many)]


image, zeros = torch.randn(1, 1, 10, 10), torch.zeros(1, 1, 10, 10)
gaps = {
    (kind.__name__, name): gap(kind(2), baseline)
    for kind in (nn.MaxPool2d, nn.AvgPool2d)
    for name, baseline in (("zeros", zeros), ("image", image))
}
for key, (one, many) in gaps.items():
    print("captum 0.9.0", *key, f"mean gap / mean change: DeepLift {one:.2g}, DeepLiftShap {many:.2g}")
broken = gaps.pop(("MaxPool2d", "image"))
sys.exit(not (min(broken) > 0.1 and max(max(pair) for pair in gaps.values()) < 1e-9))
P
v/bin/python sums.py
