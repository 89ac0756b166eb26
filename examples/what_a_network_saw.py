"""A look at what a network saw: why it decided as it did, and whether the explanation depends on what it has learned.

python examples/what_a_network_saw.py model.neocog photo.jpg
python examples/what_a_network_saw.py     # on scenes that it draws
"""

# %% A network and an image: your own, or a small one that is trained on drawn scenes
import sys
import tempfile
from pathlib import Path

import numpy as np

import neocog
from neocog.data.scenes import SHAPES, draw_scene

SMALL = "--small" in sys.argv
given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
here = Path(tempfile.mkdtemp())

if len(given) == 2:
    bundle, picture = given
else:  # one shape for each image, cut out of a scene; the class is its kind
    cuts, labels = [], []
    for number in range(60 if SMALL else 600):
        scene = draw_scene(number)
        left, top, right, bottom = scene.objects.boxes[0].astype(int).tolist()
        row, column = (max(0, min(64, (a + b) // 2 - 16)) for a, b in ((top, bottom), (left, right)))
        cuts.append(scene.pixels[row : row + 32, column : column + 32])
        labels.append(int(scene.objects.labels[0]))
    run = neocog.train(
        (np.stack(cuts), np.array(list(SHAPES))[labels]), recipe="general", epochs=1 if SMALL else 12, runs=here
    )
    bundle, picture = run.bundle, cuts[0]

# %% Three methods, each beside its twin: the same method on the network with random weights
methods = ["gradcam", "integrated"] if SMALL else None
found = neocog.explain(bundle, picture, methods=methods, twin=1 if SMALL else True)
print("target", found.target.text, "logit", round(found.logit, 3))
for one in found.attributions:
    print(f"{one.method:<12} similarity to its twin {found.similarity(one.method):.2f}")

# %% A page with all maps, which opens offline; in a notebook, `found` alone shows it
page = found.save(here / "explanation")
print("page", page)
