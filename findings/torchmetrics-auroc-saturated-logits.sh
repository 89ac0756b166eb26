#!/usr/bin/env bash
# torchmetrics gives an AUROC of 0.5 for logits that rank well, because it takes a float32 sigmoid of them first.
#
# torchmetrics 1.9.0, torch 2.13.0 (CPU build), numpy 2.4.6. Scores outside 0 to 1 are taken for logits, and a sigmoid is
# applied, which is 1 for all above 17. The area depends on the order alone, which the sigmoid then loses. A network that
# is sure of one class, as on rare defects, gives such logits.
# Expected: the share of pairs in the right order, counted here one by one.
# Seen: 0.5 for logits of 18 to 30, of which 64% of the pairs are in the right order; average precision 0.505 for 0.682.
# Negative logits keep their order: the same scores with signs and labels turned give the right area.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
v/bin/pip install -q --disable-pip-version-check torchmetrics==1.9.0 numpy==2.4.6 2>/dev/null
cat > area.py <<'P'
import sys

import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

torch.manual_seed(0)
labels = torch.randint(0, 2, (200,))
logits = torch.where(labels == 1, 20.0, 18.0) + 10 * torch.rand(200)
higher = logits[labels == 1][:, None] - logits[labels == 0][None]
right = ((higher > 0).double() + 0.5 * (higher == 0)).mean().item()
found = binary_auroc(logits, labels).item()
turned = binary_auroc(-logits, 1 - labels).item()
ranked = labels[logits.argsort(descending=True)].double()
precision = ((ranked.cumsum(0) / torch.arange(1, 201)) * ranked).sum().item() / ranked.sum().item()
print(f"torchmetrics 1.9.0: AUROC {found:.3f}, right {right:.3f}, of the negatives {turned:.3f};", end=" ")
average = binary_average_precision(logits, labels).item()
print(f"average precision {average:.3f}, right {precision:.3f}")
sys.exit(not (abs(found - 0.5) < 1e-6 and right > 0.6 and abs(turned - right) < 1e-4 and precision - average > 0.1))
P
v/bin/python area.py
