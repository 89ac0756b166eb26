#!/usr/bin/env bash
# With as many busy processes beside it as there are CPUs, a step of training takes many times as long as its share of the
# CPUs explains, unless libgomp's threads are told to give up spinning early.
#
# torch 2.13.0 (CPU build, whose threads are libgomp's), numpy 2.4.6. Threads that wait for each other spin; a thread whose
# partner has lost its CPU to another process spins for the rest of its own time slice, in each of thousands of parallel
# regions per step. GOMP_SPINCOUNT=1000, read when torch is first imported, avoids this, and costs nothing on an idle
# machine. OMP_WAIT_POLICY=PASSIVE helps about as much.
# Expected: as many busy neighbours as CPUs make a step two or three times as slow.
# Seen, two CPUs, a depthwise network: 0.45 s a step alone, 9 to 11 s beside two busy processes, 0.9 s with GOMP_SPINCOUNT.
set -euo pipefail
place=$(mktemp -d); busy=(); trap 'kill "${busy[@]}" 2>/dev/null || true; rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cpus=$(nproc)
if [ "$cpus" -lt 2 ]; then echo "needs two CPUs"; exit 0; fi
cat > step.py <<'P'
import statistics
import time

import torch
from torch import nn

layers = []
for _ in range(12):
    layers += [nn.Conv2d(48, 48, 3, padding=1, groups=48), nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, 48, 1)]
model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
images = torch.rand(16, 48, 32, 32).to(memory_format=torch.channels_last)
times = []
for _ in range(6):
    begin = time.perf_counter()
    model(images).square().mean().backward()
    times.append(time.perf_counter() - begin)
print(statistics.median(times[1:]))
P
alone=$(v/bin/python step.py)
for _ in $(seq "$cpus"); do v/bin/python -c "while True: pass" & busy+=($!); done
spinning=$(v/bin/python step.py)
yielding=$(GOMP_SPINCOUNT=1000 v/bin/python step.py)
v/bin/python - "$alone" "$spinning" "$yielding" <<'P'
import sys

alone, spinning, yielding = map(float, sys.argv[1:])
print(f"seconds a step: alone {alone:.3f}, beside busy processes {spinning:.3f}, with GOMP_SPINCOUNT=1000 {yielding:.3f}")
sys.exit(not spinning > 2 * yielding)
P
