"""A look at what a network saw: why it decided as it did, and whether the explanation depends on what it has learned.

python examples/what_a_network_saw.py model.neocog photo.jpg
python examples/what_a_network_saw.py     # on digits of MNIST: fetches 11 MB
"""

# %% A network and an image: your own, or a small one that is trained on digits
import sys
import tempfile
from pathlib import Path

import numpy as np

import neocog

SMALL = "--small" in sys.argv
given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
here = Path(tempfile.mkdtemp())

if len(given) == 2:
    bundle, picture = given
else:
    source = neocog.open_source("mnist", download=True)
    train, test = source.splits["train"][: 600 if SMALL else 12_000], source.splits["test"]
    digits = np.stack([source.read(int(i)).payload for i in train])
    run = neocog.train((digits, source.targets[train]), recipe="lenet5_relu", epochs=1 if SMALL else 8, runs=here)
    bundle, picture = run.bundle, source.read(int(test[0])).payload

# %% Three methods, each beside its twin: the same method on the network with random weights
methods = ["gradcam", "integrated"] if SMALL else None
found = neocog.explain(bundle, picture, methods=methods, twin=1 if SMALL else True)
print("target", found.target.text, "logit", round(found.logit, 3))
for one in found.attributions:
    similarity = found.similarity(one.method)  # None without a twin, and if the twin's map is the same everywhere
    print(f"{one.method:<12} similarity to its twin", "not known" if similarity is None else f"{similarity:.2f}")

# %% A page with all maps, which opens offline; in a notebook, `found` alone shows it
page, *maps = found.save(here / "explanation")
print("page", page, "and", len(maps), "files beside it")
