"""Boxes through train, stop, resume, eval, predict and the report, on small scenes with exact boxes."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from neocog import load
from neocog.cli import main
from neocog.data.scenes import SHAPES, draw_scene
from neocog.errors import ConfigError
from neocog.recipes import recipe, recipe_for
from neocog.runs import evaluate, resume, train
from neocog.training import Interrupted

SIZE = (64, 96)


def write_voc(root, count, *, sizes=(SIZE,), test=4):
    """Scenes in Pascal VOC's layout; the smallest object of each scene is difficult."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        scene = draw_scene(number, sizes[number % len(sizes)])
        Image.fromarray(scene.pixels).save(root / f"JPEGImages/{number:03}.png")
        areas = np.prod(scene.objects.boxes[:, 2:] - scene.objects.boxes[:, :2], axis=1)
        parts = [
            f"<object><name>{list(SHAPES)[label]}</name><difficult>{int(k == areas.argmin() and len(areas) > 1)}"
            f"</difficult><bndbox><xmin>{box[0] + 1:g}</xmin><ymin>{box[1] + 1:g}</ymin><xmax>{box[2]:g}</xmax>"
            f"<ymax>{box[3]:g}</ymax></bndbox></object>"
            for k, (box, label) in enumerate(zip(scene.objects.boxes, scene.objects.labels.tolist(), strict=True))
        ]
        (root / f"Annotations/{number:03}.xml").write_text(f"<annotation>{''.join(parts)}</annotation>")
    stems = [f"{number:03}" for number in range(count)]
    (root / "ImageSets/Main/train.txt").write_text("\n".join(stems[test:]))
    (root / "ImageSets/Main/test.txt").write_text("\n".join(stems[:test]))
    return root


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_voc(tmp_path_factory.mktemp("data") / "scenes", 20)


def quick(data, **settings):
    config = recipe("detection", str(data))
    values = {"epochs": 2, "batch_size": 5, "checkpoint_seconds": 0.0} | settings
    model = replace(config.model, pretrained=None)
    return replace(config, model=model, train=replace(config.train, **values))


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    return train(quick(scenes), name="whole", runs=tmp_path_factory.mktemp("runs"))


def test_run_is_scored_at_the_size_of_the_images_and_its_bundle_repeats_it(run, scenes):
    figures = run.evaluation
    assert figures.count == 4 and figures.objects > 0
    assert {"mAP", "mAP50", "average recall", "count error"} <= figures.metrics.keys()
    again = evaluate(run.bundle, scenes)
    assert json.dumps(again.to_json()) == json.dumps(figures.to_json())
    learned = load(run.bundle).manifest["learned"]
    assert learned.keys() == {"threshold", "most", "overlap"} and learned["threshold"] == figures.threshold


def test_report_draws_boxes_and_the_curve(run):
    page = run.report.read_text()
    assert "Left the true boxes, those of ignored objects dashed; right the predicted ones" in page
    assert "Precision and recall" in page and "difficult objects are neither learned nor scored" in page
    assert all(name in page for name in SHAPES)


def test_stopped_run_resumes_to_the_same_bits(run, scenes, tmp_path, monkeypatch):
    def stop(checkpointer, step):
        if step == 4:
            signal.raise_signal(signal.SIGINT)
        return False

    with monkeypatch.context() as patched, pytest.raises(Interrupted, match="after step 4 of 6"):
        patched.setattr("neocog.runs.checkpoints.RunCheckpointer.due", stop)
        train(quick(scenes), name="stopped", runs=tmp_path)
    resumed = resume("stopped", runs=tmp_path)
    ours, theirs = (load(each.bundle).model.state_dict() for each in (resumed, run))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert resumed.evaluation.to_json() == run.evaluation.to_json()


def test_images_larger_than_a_tile_are_trained_and_scored_through_tiles(tmp_path, capsys):
    data = write_voc(tmp_path / "large", 8, sizes=((70, 300),), test=2)
    config = quick(data, epochs=1, batch_size=3)
    config = replace(config, image=replace(config.image, size=(64, 128), resize="tile"))
    config = replace(config, data=replace(config.data, val_fraction=0.2))
    found = train(config, runs=tmp_path / "runs")
    assert found.evaluation.count == 2
    assert "images are cut into tiles" in capsys.readouterr().err


def test_predict_gives_boxes_in_every_form(run, scenes, tmp_path, capsys):
    images = sorted((scenes / "JPEGImages").iterdir())[:2]
    bundle, names = str(run.bundle), [str(path) for path in images]
    assert main(["predict", bundle, *names, "--json", "--threshold", "0.01"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == names
    assert all(row["count"] == len(row["objects"]) for row in rows)
    boxes = [found["box"] for row in rows for found in row["objects"]]
    assert all(0 <= box[0] < box[2] <= SIZE[1] and 0 <= box[1] < box[3] <= SIZE[0] for box in boxes)
    assert main(["predict", bundle, *names, "--csv", "--threshold", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "file,label,score,left,top,right,bottom,error"
    assert len(lines) == 1 + len(boxes)
    out = [str(tmp_path / name) for name in ("drawn", "boxes.json", "labels")]
    assert main(["predict", bundle, *names, "-o", out[0], "--coco", out[1], "--yolo", out[2]]) == 0
    assert "size" in capsys.readouterr().out
    assert len(list((tmp_path / "drawn").iterdir())) == 2 and len(list((tmp_path / "labels").iterdir())) == 3
    assert len(json.loads((tmp_path / "boxes.json").read_text())["images"]) == 2


def test_default_recipe_and_what_it_refuses(scenes):
    assert recipe_for(None, "image", "detection") == "detection"
    config = quick(scenes)
    for change, message in (
        ({"augment": replace(config.augment, mixup=0.2)}, "mixup or augment.cutmix needs classes"),
        ({"loss": replace(config.loss, kind="dice")}, "The loss must be one for detection: centre_points"),
        ({"model": replace(config.model, name="resnet18")}, "resnet18 is for classification of images.*centernet"),
        ({"image": replace(config.image, resize="crop")}, "A crop would lose what lies outside"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(replace(config, **change), name="x", runs=scenes.parent / "refused")
