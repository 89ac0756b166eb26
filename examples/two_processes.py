"""Two processes: the same training with torchrun and with Ray, and the same weights as with one.

python examples/two_processes.py          # starts both; Ray if it is installed: pip install 'neocog[scale]'
"""

# %% A small data set on disk, which every process reads
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import neocog

here = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
labels = np.arange(96) % 4
images = (rng.integers(0, 60, (96, 28, 28)) + 45 * labels[:, None, None]).astype(np.uint8)
np.savez(here / "squares.npz", x_train=images[:80], y_train=labels[:80], x_test=images[80:], y_test=labels[80:])
TRAIN = [
    "train", str(here / "squares.npz"), "--recipe", "lenet5_relu", "--epochs", "2", "--train.batch_size", "16",
    "--runs", str(here),
]  # fmt: skip


# %% One process, two by torchrun, two by Ray: each with the same batches
def run(name: str, *before: str) -> None:
    """Run a command of the program, and stop with its words if it fails."""
    command = [sys.executable, *before, *(TRAIN[1:] if "launch" in before else TRAIN), "--name", name]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    print(f"{name}: exit code {done.returncode}")
    if done.returncode:
        sys.exit(done.stderr[-2000:])


run("one", "-m", "neocog")
run("torchrun", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "neocog")
names = ["one", "torchrun"]
if importlib.util.find_spec("ray") and "--small" not in sys.argv:
    run("ray", "-m", "neocog", "launch", "ray", "--workers", "2")
    names.append("ray")
else:
    print("ray: left out" if "--small" in sys.argv else "ray: not installed")

# %% The samples of a step don't depend on the number of processes: weights agree up to the order of sums
probe = images[80:].astype(np.uint8)
logits = [neocog.load(here / name / "model.neocog").predict_proba(probe) for name in names]
for name, found in zip(names[1:], logits[1:], strict=True):
    print(f"one process and {name}: probabilities differ by {np.abs(found - logits[0]).max():.1e} at most")
