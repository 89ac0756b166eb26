"""Tree crowns from the air: a detector from boxes in COCO, Pascal VOC or YOLO, and how many trees an image has.

python examples/tree_crowns.py crowns/    # images with boxes
python examples/tree_crowns.py            # on scenes with discs, squares and other shapes that it draws
"""

# %% Images with the boxes of their objects. Every layout that `neocog check` knows will do
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

import neocog
from neocog.data.scenes import SHAPES, draw_scene

SMALL = "--small" in sys.argv
given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
here = Path(tempfile.mkdtemp())


def write_coco(folder: Path, count: int) -> Path:
    """Scenes with an `annotations.json` in COCO's format."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(count):
        scene = draw_scene(number)
        Image.fromarray(scene.pixels).save(folder / "images" / f"{number}.png")
        height, width = scene.mask.shape
        images.append({"id": number, "file_name": f"{number}.png", "height": height, "width": width})
        for (left, top, right, bottom), label in zip(scene.objects.boxes.tolist(), scene.objects.labels, strict=True):
            annotations.append(
                {
                    "id": len(annotations), "image_id": number, "category_id": int(label), "iscrowd": 0,
                    "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top),
                }
            )  # fmt: skip
    categories = [{"id": k, "name": name} for k, name in enumerate(SHAPES)]
    facts = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(facts))
    return folder


crowns = Path(given[0]) if given else write_coco(here / "scenes", 16 if SMALL else 300)

# %% Training: the objects decide at which size the network computes
settings = {"epochs": 1} if SMALL else {"minutes": 5}
run = neocog.train(str(crowns), recipe="detection", name="crowns", runs=here, **settings)
for name in ("mAP", "mAP50", "count error"):
    figure = run.evaluation.metrics[name]
    spread = f", between {figure.text(figure.low)} and {figure.text(figure.high)}" if figure.low < figure.high else ""
    print(f"{name:<12} {figure.text(figure.value)}{spread}")  # one test image has no spread

# %% Boxes of a new image, the surest first, and their number
predictor = neocog.load(run.bundle)
picture = next(f for f in sorted(crowns.rglob("*")) if f.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".webp"))
(prediction,) = predictor.predict(picture)
print(f"{picture.name}: {len(prediction.objects)} objects with a score of {prediction.threshold:.2f} or more")
for label, score, box in prediction.objects[:5]:
    print(f"{label:<10} {score:.2f}  {[round(side) for side in box]}")
