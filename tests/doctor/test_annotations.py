import json

import numpy as np
import pytest
from PIL import Image

from neocog.annotations.coco import open_coco
from neocog.annotations.mask_folder import open_mask_folder
from neocog.dataset.record import Objects
from neocog.doctor import check


def objects(*rows):
    boxes = np.array([row[:4] for row in rows], np.float32).reshape(-1, 4)
    return Objects(boxes, np.array([row[4] for row in rows], np.int64))


@pytest.fixture
def drawn(memory, noisy):
    """Images of 24 x 32 with these targets."""

    def make(targets, task, classes=("a", "b")):
        return memory([noisy(i) for i in range(len(targets))], labels=targets, task=task, classes=classes)

    return make


def test_check_finds_faulty_masks(drawn, found, keys):
    whole = np.tile(np.array([0, 1], np.uint8), (24, 16))
    partly = np.where(np.arange(32) > 9, whole, 255).astype(np.uint8)
    strange = whole.copy()
    strange[0, 0], strange[3, 3] = 2, 200
    targets = [whole] * 10 + [partly, strange, np.full((24, 32), 255, np.uint8), whole.T, whole[:, :-1]]
    source = drawn(targets, "segmentation")
    findings = found(source)
    assert keys(findings.pop("mask-value-without-class")) == ["record 11"]
    assert keys(findings.pop("mask-unlabelled")) == ["record 12"]
    sizes = findings.pop("annotation-of-another-size")
    assert [(e.key, e.detail) for e in sizes.examples] == [
        ("record 13", "24 x 32, the image 32 x 24"),
        ("record 14", "31 x 24, the image 32 x 24"),
    ]
    assert not findings
    assert check(source).counts == {"all": (14, 14)}


def test_unannotated_class_is_a_warning(drawn, found, keys):
    """As in lists of classes that LabelImg, CVAT and labelme write: with defaults, or a background, that are unused."""
    mask = np.tile(np.array([1, 2], np.uint8), (24, 16))
    boxes = objects((1, 1, 9, 9, 1), (0, 0, 32, 24, 2))
    for target, task in ((mask, "segmentation"), (boxes, "detection")):
        source = drawn([target] * 10, task, classes=("_background_", "cat", "dog", "tv"))
        (finding,) = found(source).values()
        assert (finding.kind, finding.severity, keys(finding)) == (
            "class-not-annotated",
            "warning",
            ["_background_", "tv"],
        )
        assert finding.sentence == "2 classes are not annotated in any image"
        assert check(source).errors == 0


def test_check_finds_faulty_boxes(drawn, found, keys):
    good = objects((1, 1, 9, 9, 0), (0, 0, 32, 24, 1))
    targets = [good] * 10 + [
        objects((1, 1, 9, 9, 0), (20, 20, 33, 24, 1), (-3, 0, 5, 5, 0), (0, 0, 32.4, 24.4, 1)),
        objects((5, 5, 5, 9, 0), (9, 9, 8, 12, 1), (np.nan, 0, 4, 4, 1)),
        objects((1, 1, 9, 9, 0), (1, 1, 9, 9, 0), (1, 1, 9, 9, 1), (1, 1, 9, 9, 0)),
        objects(),
        objects((1, 1, 9, 9, 2), (1, 1, 9, 9, -1)),
    ]
    findings = found(drawn(targets, "detection"))
    counted = {kind: (finding.count, keys(finding)[0]) for kind, finding in findings.items()}
    assert counted == {
        "box-outside": (2, "record 10"),
        "box-empty": (3, "record 11"),
        "box-repeated": (2, "record 12"),
        "no-objects": (1, "record 13"),
        "label-out-of-range": (2, "record 14"),
    }
    assert findings["box-outside"].examples[0].detail == "the box from 20, 20 to 33, 24, the image 32 x 24"


def test_check_takes_box_faults_from_the_source(drawn, found):
    source = drawn([objects((1, 1, 99, 9, 0))] * 6 + [objects((1, 1, 9, 9, 1))] * 6, "detection")
    sentences = [
        ("record 3", "object 1: it reaches 2 pixels beyond the image", "box-outside"),
        ("record 3", "object 2 has no area and was left out", "box-empty"),
        ("elsewhere", "unknown", ""),
    ]
    source.faults = lambda: iter(sentences)
    findings = found(source)
    assert {kind: finding.count for kind, finding in findings.items() if "class" not in kind} == {
        "box-outside": 1, "box-empty": 1, "annotation-fault": 1,
    }  # fmt: skip


def test_check_examines_a_mask_folder(tmp_path, save, keys):
    root = tmp_path / "m"
    for i in range(14):
        save(root / "images" / f"{i}.png", i)
        mask = np.tile(np.array([0, 1], np.uint8), (24, 16))
        mask[:, 4:6] = 9 if i == 3 else 1
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask[:, : 30 if i == 5 else None]).save(root / "masks" / f"{i}.png")
    (root / "classes.txt").write_text("road\nsky\n")
    (root / "images" / "7.png").write_bytes((root / "images" / "7.png").read_bytes()[:300])
    (root / "masks" / "8.png").write_bytes((root / "masks" / "8.png").read_bytes()[:60])
    report = check(open_mask_folder(root))
    findings = {finding.kind: finding for finding in report.findings}
    assert keys(findings.pop("mask-value-without-class")) == ["images/3.png"]
    assert keys(findings.pop("annotation-of-another-size")) == ["images/5.png"]
    assert keys(findings.pop("damaged")) == ["images/7.png"]
    assert keys(findings.pop("annotation-unreadable")) == ["images/8.png"]
    assert not findings
    assert set(report.skip) == {"images/7.png", "images/8.png"}


def test_check_examines_coco_boxes(tmp_path, save, keys):
    root = tmp_path / "c"
    for i in range(12):
        save(root / "train" / f"{i}.png", i)
    images = [{"id": i, "file_name": f"{i}.png", "width": 32, "height": 24} for i in range(12)]
    boxes = [{"image_id": i, "category_id": 1 + i % 2, "bbox": [2, 2, 8, 8]} for i in range(11)]
    boxes += [
        {"image_id": 2, "category_id": 1, "bbox": [20, 2, 30, 8]},
        {"image_id": 3, "category_id": 1, "bbox": [5, 5, 0, 4]},
    ]
    annotations = [{"id": k, "iscrowd": 0, "area": 64, **box} for k, box in enumerate(boxes)]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    findings = {finding.kind: finding for finding in check(open_coco(root)).findings}
    assert keys(findings["box-outside"]) == ["train/2.png"]
    assert keys(findings["box-empty"]) == ["train/3.png"]
    assert keys(findings["no-objects"]) == ["train/11.png"]
