#!/usr/bin/env bash
# Filling a tensor on the meta device with random numbers makes torch import its compiler, which takes seconds.
#
# torch 2.13.0 (CPU build), numpy 2.4.6. Networks are built under `torch.device("meta")` because that is free: nothing is
# allocated or computed. But `nn.init.normal_` has no meta kernel and falls back to torch._refs, whose wrapper imports
# torch._dynamo. Each process that counts a network's parameters this way pays for it once. `uniform_`, which the default
# initialisation of layers calls, imports nothing, so that whether it happens depends on the distribution.
# Expected: no import, as nothing is compiled.
# Seen: normal_ imports 823 modules, torch._dynamo among them, in 2.5 s on a busy machine; uniform_ none.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cat > count.py <<'P'
import sys
import time

import torch

weights = torch.empty(8, 8, device="meta")
before, begin = len(sys.modules), time.perf_counter()
getattr(torch.nn.init, sys.argv[1])(weights)
took = time.perf_counter() - begin
compiler = "torch._dynamo" in sys.modules
print(torch.__version__, sys.argv[1], f"{took:.2f} s,", len(sys.modules) - before, "modules, compiler:", compiler)
sys.exit(compiler != (sys.argv[1] == "normal_"))
P
v/bin/python count.py uniform_
v/bin/python count.py normal_
