"""Your own images: from a folder with a folder for each class to a model, its figures, and what it gets wrong.

python examples/own_images.py photos
python examples/own_images.py             # on shapes that it draws, to see how it goes
"""

# %% The folder: photos/cat/*.jpg, photos/dog/*.jpg
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import neocog
from neocog import doctor

SMALL = "--small" in sys.argv
given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]


def draw_shapes(folder: Path, count: int) -> Path:
    """Discs, squares and triangles of any place, size and colour, as images in class folders."""
    rng = np.random.default_rng(0)
    for name, corners in (("disc", 40), ("square", 4), ("triangle", 3)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            ground, colour = (tuple(rng.integers(0, 256, 3).tolist()) for _ in range(2))
            image = Image.new("RGB", (64, 64), ground)
            radius, turn = rng.uniform(8, 20), rng.uniform(0, 360)
            place = (*rng.uniform(22, 42, 2).tolist(), radius)
            ImageDraw.Draw(image).regular_polygon(place, corners, rotation=turn, fill=colour)
            image.save(folder / name / f"{number}.png")
    return folder


here = Path(tempfile.mkdtemp())
photos = Path(given[0]) if given else draw_shapes(here / "shapes", 30 if SMALL else 120)

# %% Faults of the data: unreadable files, duplicates, leaks between splits
found = doctor.check(str(photos))
print(f"{found.records} images of {len(found.classes)} classes, {len(found.findings)} findings")
for finding in found.findings[:5]:
    print(f"{finding.severity}: {finding.sentence}. {finding.remedy}")

# %% Training: networks race for a part of the time, and the best one takes the rest
settings = {"recipe": "general", "epochs": 3, "overrides": {"image.size": [32, 32]}} if SMALL else {"minutes": 3}
run = neocog.train(str(photos), runs=here / "runs", **settings)

# %% How good it is: each figure has a 95% interval, and the test images were used once
for name, estimate in run.evaluation.metrics.items():
    print(f"{name:<20} {estimate.value:.3f}   {estimate.low:.3f} to {estimate.high:.3f}")

# %% What it gets wrong, the worst first
for error in run.evaluation.worst_errors[:3]:
    print(f"{error.key}: {error.truth} taken for {error.prediction} ({error.probability:.0%})")

# %% The model answers for new images; its file has classes, preprocessing and a seal
predictor = neocog.load(run.bundle)
some = [file for file in sorted(photos.rglob("*")) if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".webp")]
for prediction in predictor.predict(some[:2]):
    print(Path(prediction.name).name, prediction.class_name, f"{prediction.probability:.1%}")
print("report", run.report, "model", run.bundle, sep="\n")
