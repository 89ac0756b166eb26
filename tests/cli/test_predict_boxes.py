import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from neocog.annotations.coco import open_coco
from neocog.annotations.yolo import open_yolo
from neocog.bundle import Failure
from neocog.cli.predict_boxes import BoxFolder, CocoBoxes, DrawnFolder, box_writers, show_boxes_csv
from neocog.cli.target_files import target_files
from neocog.errors import ConfigError
from neocog.tasks import BoxPrediction, Classification, Detection

TASK = Detection(("cat", "dog"))


def prediction(name, boxes=((10, 20, 50, 60), (0.5, 0, 30, 15), (5, 5, 9, 9)), scores=(0.9, 0.6, 0.2)):
    return BoxPrediction(
        str(name), TASK.classes, (80, 100), np.array(boxes, float).reshape(-1, 4), np.array(scores[: len(boxes)]),
        np.array([1, 0, 1][: len(boxes)]), 0.5,
    )  # fmt: skip


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (40, 40, 40)).save(path)
    return path


def written(tmp_path, **options):
    """Predictions of two images, written in one form."""
    paths = [image(tmp_path / "images" / f"{name}.png") for name in "ab"]
    named = [(str(path), path) for path in paths]
    given = {"output": None, "form": None, "coco": None, "yolo": None, "threshold": None} | options
    for writer in box_writers(TASK, named, [tmp_path / "images"], **given):
        writer.add(prediction(paths[0]))
        writer.add(prediction(paths[1], boxes=()))
        writer.finish()
    return paths


def test_coco_file_is_read_back_as_a_data_set(tmp_path):
    paths = written(tmp_path, coco=tmp_path / "out" / "boxes.json")
    content = json.loads((tmp_path / "out" / "boxes.json").read_text())
    assert [entry["score"] for entry in content["annotations"]] == [0.9, 0.6]
    assert [entry["file_name"] for entry in content["images"]] == [str(path) for path in paths]
    for entry in content["images"]:
        entry["file_name"] = entry["file_name"].rpartition("/")[2]
    root = tmp_path / "images"
    (root / "boxes.json").write_text(json.dumps(content))
    source = open_coco(root)
    assert source.classes == ("cat", "dog")
    target = source.read(0).target
    assert target.boxes.tolist() == [[10, 20, 50, 60], [0.5, 0, 30, 15]] and target.labels.tolist() == [1, 0]
    assert len(source.read(1).target) == 0


def test_yolo_folder_is_read_back_as_a_data_set(tmp_path):
    written(tmp_path, yolo=tmp_path / "labels")
    assert (tmp_path / "labels" / "classes.txt").read_text() == "cat\ndog\n"
    assert (tmp_path / "labels" / "b.txt").read_text() == ""
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [cat, dog]\n".replace("val: images\n", ""))
    source = open_yolo(tmp_path)
    target = source.read(0).target
    np.testing.assert_allclose(target.boxes, [[10, 20, 50, 60], [0.5, 0, 30, 15]], atol=1e-3)
    assert target.labels.tolist() == [1, 0]


def test_images_are_drawn_at_their_size_with_the_boxes_shown(tmp_path):
    written(tmp_path, output=tmp_path / "drawn")
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "a.png"))
    assert drawn.shape == (80, 100, 3)
    assert (drawn[20, 10:50] != 40).any(axis=1).all() and (drawn[59, 49] != 40).any()
    assert (drawn[5:9, 5:9] == 40).all()  # below the threshold
    assert (np.asarray(Image.open(tmp_path / "drawn" / "b.png")) == 40).all()


def test_csv_has_a_row_for_each_box(capsys):
    show_boxes_csv([prediction("a.png"), prediction("b.png", boxes=()), Failure("c.png", "c.png can't be read.")])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["file"], row["label"], row["score"]) for row in rows] == [
        ("a.png", "dog", "0.900000"), ("a.png", "cat", "0.600000"), ("c.png", "", ""),
    ]  # fmt: skip
    assert [rows[1][side] for side in ("left", "top", "right", "bottom")] == ["0.50", "0.00", "30.00", "15.00"]
    assert rows[2]["error"] == "c.png can't be read."


def test_threshold_is_set_for_what_is_shown(tmp_path):
    task = Detection(("cat", "dog"))
    given = {"output": None, "form": None, "coco": None, "yolo": None}
    assert box_writers(task, [], [], threshold=0.25, **given) == []
    assert task.threshold == 0.25
    with pytest.raises(ConfigError, match=r"--threshold is a score from 0 to 1\. Received: 1\.5\."):
        box_writers(task, [], [], threshold=1.5, **given)


def test_options_of_other_tasks_are_refused(tmp_path):
    given = {"output": None, "form": None, "coco": None, "yolo": None, "threshold": None}
    labels = Classification(("a", "b"))
    with pytest.raises(ConfigError, match=r"--yolo is for boxes\. Received: a network for classification\. Leave"):
        box_writers(labels, [], [], **given | {"yolo": tmp_path})
    with pytest.raises(ConfigError, match=r"--threshold is for boxes\."):
        box_writers(labels, [], [], **given | {"threshold": 0.5})
    with pytest.raises(ConfigError, match=r"--mask writes masks\. Received: a network for detection\. Leave --mask"):
        box_writers(TASK, [], [], **given | {"form": "index"})
    assert box_writers(labels, [], [], **given | {"output": tmp_path}) == []


def test_files_never_meet_nor_replace_an_input(tmp_path):
    one, other = image(tmp_path / "x" / "a.png"), image(tmp_path / "y" / "a.jpg")
    named = [(str(one), one), (str(other), other)]
    with pytest.raises(ConfigError, match=r"Each input needs a file of its own\. .*a\.txt: received .* and .*"):
        target_files(tmp_path / "out", named, [], ".txt")
    with pytest.raises(ConfigError, match=r"An input is never replaced\. Received: .*a\.png as both\. Name another"):
        target_files(tmp_path / "x", named[:1], [], ".png")
    found = target_files(tmp_path / "out", named, [tmp_path], ".txt")
    assert [str(path.relative_to(tmp_path)) for path in found.values()] == ["out/x/a.txt", "out/y/a.txt"]


def test_writers_take_the_content_of_standard_input(tmp_path):
    content = image(tmp_path / "a.png").read_bytes()
    named = [("standard input", content)]
    files = target_files(tmp_path / "out", named, [], ".png")
    DrawnFolder(files, dict(named)).add(prediction("standard input"))
    assert (tmp_path / "out" / "standard-input.png").is_file()
    for writer in (
        BoxFolder(tmp_path, target_files(tmp_path, named, [], ".txt"), TASK),
        CocoBoxes(tmp_path / "c", TASK),
    ):
        writer.add(prediction("standard input"))
        writer.finish()
    assert len((tmp_path / "standard-input.txt").read_text().splitlines()) == 2
