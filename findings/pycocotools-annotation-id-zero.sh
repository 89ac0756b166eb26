#!/usr/bin/env bash
# pycocotools takes an annotation whose id is 0 for no match: perfect detections get an AP of 0.25.
#
# pycocotools 2.0.11, numpy 2.4.6. Matches are stored as ids, with 0 for "none", so that the object with id 0 is counted
# as missed and its detection as false. Writers that number annotations from 0 produce such files; the format says only
# that ids are integers.
# Expected: an AP of 1 for detections equal to the truth, whatever the ids.
# Seen: 1.0 with ids 1 and 2; 0.252 with ids 0 and 1 (two objects, the surer detection being that of id 0). No message.
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
python3 -m venv v && v/bin/pip install -q --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6 2>/dev/null
cat > ids.py <<'P'
import contextlib
import io
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

boxes = [[10, 10, 20, 20], [50, 50, 20, 20]]


def average_precision(first):
    """AP of detections equal to the truth, whose ids begin at a number."""
    truth = COCO()
    annotations = [
        {"id": first + k, "image_id": 1, "category_id": 1, "bbox": box, "area": 400, "iscrowd": 0} for k, box in enumerate(boxes)
    ]
    truth.dataset = {"images": [{"id": 1, "width": 99, "height": 99}], "categories": [{"id": 1}], "annotations": annotations}
    truth.createIndex()
    found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9 - k / 9} for k, box in enumerate(boxes)])
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


with contextlib.redirect_stdout(io.StringIO()):
    from_one, from_zero = average_precision(1), average_precision(0)
print(f"pycocotools 2.0.11: AP with ids from 1: {from_one:.3f}, from 0: {from_zero:.3f}")
sys.exit(not (abs(from_one - 1) < 1e-9 and abs(from_zero - 0.252) < 0.01))
P
v/bin/python ids.py
