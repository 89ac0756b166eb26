"""Masks from data to report: training, resuming, evaluation by name, predictions of any size, files, the report."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_masks
from safetensors.torch import load_file

import neocog
from neocog.cli import main
from neocog.data import AugmentConfig, ImageConfig, open_source
from neocog.data.scenes import SHAPES, draw_scene, write_scenes
from neocog.errors import ConfigError, DataError
from neocog.recipes import recipe
from neocog.runs import evaluate, train
from neocog.tasks import LossConfig
from neocog.tasks.colours import class_colours
from neocog.zoo import ModelConfig

CLASSES = ("background", *SHAPES)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", {"train": 40, "test": 6}, (48, 64), grey=True)


def tiny(data, model="unet", **settings):
    """A U-Net of three resolutions that learns what is background in a few seconds."""
    config = recipe("segmentation", str(data))
    options = {"widths": (4, 8, 16)} if model == "unet" else {}
    return replace(
        config,
        model=ModelConfig(name=model, **options),
        train=replace(config.train, epochs=2, batch_size=8, checkpoint_seconds=0.0),
        **settings,
    )


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory):
    return train(tiny(scenes), name="masks", runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def predictor(run):
    return neocog.load(run.bundle)


@pytest.fixture
def photos(tmp_path):
    """Three images of other sizes than those of training."""
    for name, size in {"a": (48, 64), "b": (33, 20), "c": (130, 171)}.items():
        Image.fromarray(draw_scene(9, size, grey=True).pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_run_leaves_the_metrics_of_masks(run):
    rows = list(csv.DictReader(run.results.read_text().splitlines()))
    assert {"val_loss", "val_pixel accuracy", "val_mIoU", "val_mean Dice"} <= rows[0].keys() and len(rows) == 2
    figures = json.loads(run.figures.read_text())
    assert figures["count"] == 6 and len(figures["per_class"]) == 6
    assert 0 < figures["mean_iou"]["low"] <= figures["mean_iou"]["value"] <= figures["mean_iou"]["high"]
    assert sum(map(sum, figures["confusion"])) == 6 * 48 * 64


def test_report_shows_classes_with_colours_and_both_masks(run):
    page = run.report.read_text()
    assert "mean Dice" in page and "boundary F" in page and "Per-class metrics" in page
    assert "Left the true mask, right the predicted one, each over the image, the worst error first." in page
    legend = re.findall(r'<i style="background: (#\w{6})"></i>(\w+)</li>', page)
    colours = class_colours(6).tolist()
    assert legend == [("#{:02x}{:02x}{:02x}".format(*colours[k]), CLASSES[k]) for k in range(1, 6)]
    assert page.count("<figure>") >= 6


def test_evaluate_repeats_the_figures_of_the_run(run, scenes):
    found = evaluate(run.bundle, scenes)
    assert json.loads(json.dumps(found.to_json())) == json.loads(run.figures.read_text())


def renamed(scenes, folder, names, change=lambda mask: mask):
    """The test scenes with other class names, and masks changed."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for path in sorted((scenes / "test" / "images").iterdir()):
        (folder / "images" / path.name).write_bytes(path.read_bytes())
        with Image.open(scenes / "test" / "masks" / path.name) as image:
            mask = np.array(image)
        Image.fromarray(change(mask)).save(folder / "masks" / path.name)
    (folder / "classes.txt").write_text("\n".join(names) + "\n")
    return folder


def test_classes_are_matched_by_name(run, scenes, tmp_path):
    """A set whose classes have other numbers gives the same figures, and its report the same drawings."""
    order = [3, 0, 5, 1, 4, 2]
    numbers = np.array([order.index(k) for k in range(6)], np.uint8)
    other = renamed(scenes, tmp_path / "o", [CLASSES[k] for k in order], lambda mask: numbers[mask])
    same, found = evaluate(run.bundle, scenes), evaluate(run.bundle, other, split="all")
    assert found.confusion == same.confusion and found.classes == same.classes == CLASSES
    assert [x.value for x in found.metrics.values()] == pytest.approx([x.value for x in same.metrics.values()])


def test_unlabelled_pixels_are_left_out_and_counted_nowhere(run, scenes, tmp_path):
    def change(mask):
        mask[:10] = 255
        return mask

    other = renamed(scenes, tmp_path / "o", CLASSES, change)
    assert sum(map(sum, evaluate(run.bundle, other, split="all").confusion)) == 6 * 38 * 64


def test_unknown_classes_are_refused_by_name(run, scenes, tmp_path):
    other = renamed(scenes, tmp_path / "o", (*CLASSES[:5], "star"))
    with pytest.raises(DataError, match="received star as well"):
        evaluate(run.bundle, other, split="all")


def test_masks_have_the_size_of_their_image(predictor, photos):
    found = predictor.predict([photos / f"{name}.png" for name in "abc"])
    assert [prediction.mask.shape for prediction in found] == [(48, 64), (33, 20), (130, 171)]
    assert all(prediction.mask.max() < 6 and 0 < prediction.confidence <= 1 for prediction in found)
    assert all(sum(prediction.shares.values()) == pytest.approx(1) for prediction in found)


def test_batches_of_tiles_give_what_each_tile_gives(predictor, photos, monkeypatch):
    together = predictor.predict([photos / "c.png", photos / "b.png"])
    monkeypatch.setattr("neocog.bundle.dense_pass.PLACES", 1)
    apart = predictor.predict([photos / "c.png", photos / "b.png"])
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert one.confidence == pytest.approx(other.confidence)


def test_a_pixel_far_from_the_edges_is_the_same_whatever_is_around_the_tile(predictor):
    """A scene of tile size, alone and as the middle of a mosaic of itself: its centre is seen in one tile only."""
    pixels = draw_scene(4, (48, 64), grey=True).pixels
    (alone,), (mosaic,) = predictor.predict([pixels]), predictor.predict([np.tile(pixels, (1, 3))])
    assert mosaic.mask.shape == (48, 192)
    np.testing.assert_array_equal(mosaic.mask[:, :30], alone.mask[:, :30])


def predict(*arguments):
    return main(["predict", *map(str, arguments)])


def test_predict_shows_a_table(run, photos, capsys):
    assert predict(run.bundle, photos / "b.png") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "size", "pixels", "confidence"] and "20 x 33" in row


def test_predict_writes_index_masks_with_a_palette_and_names(run, predictor, photos, capsys):
    assert predict(run.bundle, photos, "-o", photos / "out", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["width"] for row in rows] == [64, 20, 171] and "mask" not in rows[0]
    assert sorted(p.name for p in (photos / "out").iterdir()) == ["a.png", "b.png", "c.png", "classes.txt"]
    assert (photos / "out" / "classes.txt").read_text().split("\n") == [*CLASSES, ""]
    (expected,) = predictor.predict(photos / "c.png")
    with Image.open(photos / "out" / "c.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), expected.mask)
        colours = np.array(image.getpalette()[:18]).reshape(6, 3)
    np.testing.assert_array_equal(colours, class_colours(6))


@pytest.mark.parametrize("form", ["index", "colour"])
def test_written_masks_are_read_as_a_data_set(run, predictor, photos, form):
    """Back through the reader of masks: the same classes at the same places."""
    (photos / "set" / "images").mkdir(parents=True)
    for name in "abc":
        (photos / f"{name}.png").rename(photos / "set" / "images" / f"{name}.png")
    assert predict(run.bundle, photos / "set" / "images", "-o", photos / "set" / "masks", "--mask", form) == 0
    table = "classes.txt" if form == "index" else "label_colors.txt"
    (photos / "set" / "masks" / table).rename(photos / "set" / table)
    source = open_source(photos / "set")
    assert source.classes == CLASSES
    for index in range(3):
        record = source.read(index)
        (expected,) = predictor.predict(record.payload)
        np.testing.assert_array_equal(record.target, expected.mask)


def test_masks_keep_their_place_within_a_folder(run, photos):
    (photos / "in" / "deep").mkdir(parents=True)
    (photos / "a.png").rename(photos / "in" / "deep" / "a.png")
    (photos / "b.png").rename(photos / "in" / "a.png")
    assert predict(run.bundle, photos / "in", "-o", photos / "out") == 0
    for place, size in (("deep/a.png", (64, 48)), ("a.png", (20, 33))):
        with Image.open(photos / "out" / place) as image:
            assert image.size == size


def test_two_inputs_never_share_a_mask_file(run, photos, capsys):
    (photos / "x").mkdir()
    (photos / "x" / "a.png").write_bytes((photos / "a.png").read_bytes())
    assert predict(run.bundle, photos / "a.png", photos / "x" / "a.png", "-o", photos / "out") == 2
    assert "Each input needs a file of its own" in capsys.readouterr().err
    assert not (photos / "out").exists()


def test_an_input_is_never_replaced(run, photos, capsys):
    before = (photos / "a.png").read_bytes()
    assert predict(run.bundle, photos / "a.png", "-o", photos) == 2
    assert "An input is never replaced." in capsys.readouterr().err
    assert (photos / "a.png").read_bytes() == before


def test_a_file_that_cannot_be_read_gets_no_mask_and_the_others_do(run, photos, capsys):
    (photos / "b.png").write_bytes(b"no image")
    assert predict(run.bundle, photos, "-o", photos / "out", "--csv") == 2
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [bool(row["error"]) for row in rows] == [False, True, False] and rows[2]["height"] == "130"
    assert sorted(p.name for p in (photos / "out").iterdir()) == ["a.png", "c.png", "classes.txt"]


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools
def test_coco_file_is_read_by_pycocotools(run, predictor, photos, capsys):
    assert predict(run.bundle, photos, "--coco", photos / "found.json") == 0
    found = json.loads((photos / "found.json").read_text())
    assert [category["name"] for category in found["categories"]] == list(CLASSES)
    for image in found["images"]:
        (expected,) = predictor.predict(image["file_name"])
        assert (image["height"], image["width"]) == expected.mask.shape
        masks = np.zeros_like(expected.mask)
        for region in (x for x in found["annotations"] if x["image_id"] == image["id"]):
            packed = coco_masks.frPyObjects(region["segmentation"], image["height"], image["width"])
            plane = coco_masks.decode(packed).astype(bool)
            assert region["area"] == coco_masks.area(packed) == plane.sum()
            assert region["bbox"] == coco_masks.toBbox(packed).tolist()
            masks[plane] = region["category_id"] - 1
        np.testing.assert_array_equal(masks, expected.mask)


def test_masks_are_written_for_masks_only(finished_run, run, photos, capsys):
    assert predict(finished_run.bundle, photos / "a.png", "-o", photos / "out") == 2
    assert "-o writes masks." in capsys.readouterr().err
    assert predict(finished_run.bundle, photos / "a.png", "--coco", photos / "out.json") == 2
    assert "--coco writes masks." in capsys.readouterr().err
    assert predict(run.bundle, photos / "a.png", "--mask", "colour") == 2
    assert "--mask says how the files of -o are written." in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["npy", "tif"])
def test_slices_of_a_volume_are_images(run, predictor, tmp_path, kind, capsys):
    stack = np.stack([draw_scene(n, (48, 64), grey=True).pixels for n in range(3)])
    path = tmp_path / f"head.{kind}"
    np.save(path, stack) if kind == "npy" else tifffile.imwrite(path, stack, photometric="minisblack")
    assert predict(run.bundle, path, "--slices", "--json", "-o", tmp_path / "out") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["file"] for row in rows] == [f"{path}@{k}" for k in range(3)]
    for k, expected in enumerate(predictor.predict(list(stack))):
        with Image.open(tmp_path / "out" / "head" / f"{k:04}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), expected.mask)


def test_other_files_than_stacks_are_refused(run, tmp_path, capsys):
    np.save(tmp_path / "flat.npy", np.zeros((8, 8), np.uint8))
    assert predict(run.bundle, tmp_path / "flat.npy", "--slices") == 2
    assert "A stack is an .npy array (D, H, W)" in capsys.readouterr().err
    (tmp_path / "no.tif").write_bytes(b"no")
    assert predict(run.bundle, tmp_path / "no.tif", "--slices") == 2
    tifffile.imwrite(tmp_path / "white.tif", np.zeros((2, 8, 8), np.uint8), photometric="miniswhite")
    assert predict(run.bundle, tmp_path / "white.tif", "--slices") == 2
    assert "neither grey with black as zero nor RGB" in capsys.readouterr().err


def test_large_training_images_are_cut_into_tiles(tmp_path, capsys):
    data = write_scenes(tmp_path / "large", {"train": 8, "val": 2, "test": 2}, (48, 80), grey=True)
    config = tiny(data, image=ImageConfig(size=(32, 32), resize="tile"))
    run = train(replace(config, train=replace(config.train, epochs=1)), name="r", runs=tmp_path)
    assert "images are cut into tiles: 48 to train on, 12 to validate on" in capsys.readouterr().err
    assert json.loads(run.figures.read_text())["count"] == 2


@pytest.mark.parametrize("model", ["unet", "unet_small", "unet_lite0", "segnet"])
def test_networks_of_the_zoo_train_on_odd_sizes(model, tmp_path):
    """One step each: images of 20x33 in a padded 32x64."""
    data = write_scenes(tmp_path / "d", {"train": 2, "val": 1, "test": 1}, (20, 33))
    config = tiny(data, model, augment=AugmentConfig())
    config = replace(config, train=replace(config.train, epochs=1, batch_size=2))
    run = train(config, name="r", runs=tmp_path)
    assert neocog.load(run.bundle).preprocess.size == (32, 64)
    assert json.loads(run.figures.read_text())["count"] == 1


def test_balanced_weights_and_each_loss_train(scenes, tmp_path):
    for k, loss in enumerate((LossConfig(kind="dice"), LossConfig(kind="cross_entropy", class_weights="balanced"))):
        config = tiny(scenes, loss=loss)
        run = train(config, name=f"r{k}", runs=tmp_path)
        first, second = csv.DictReader(run.results.read_text().splitlines())
        assert float(second["val_loss"]) < float(first["val_loss"])


def test_settings_that_need_classes_are_refused(scenes, tmp_path):
    with pytest.raises(ConfigError, match="mixup"):
        train(tiny(scenes, augment=AugmentConfig(cutmix=1.0)), runs=tmp_path)
    with pytest.raises(ConfigError, match="A crop would lose what lies outside of it"):
        train(tiny(scenes, image=ImageConfig(resize="crop")), runs=tmp_path)
    with pytest.raises(ConfigError, match="The loss must be one for segmentation"):
        train(tiny(scenes, loss=LossConfig(kind="focal")), runs=tmp_path)


@pytest.mark.slow  # tests/tasks kills a smaller one
def test_a_killed_run_resumes_to_the_same_weights(scenes, tmp_path):
    """SIGKILL in the middle of training."""
    flags = ["--model.name", "unet", "--model.widths", "[4, 8, 16]", "--epochs", "8", "--train.batch_size", "4"]
    flags += ["--train.checkpoint_steps", "3", "--speed.mode", "manual", "--runs", str(tmp_path)]
    program = [sys.executable, "-m", "neocog", "train"]
    subprocess.run([*program, str(scenes), *flags, "--name", "whole"], check=True, capture_output=True)
    process = subprocess.Popen([*program, str(scenes), *flags, "--name", "killed"], stderr=subprocess.DEVNULL)
    checkpoints, limit = tmp_path / "killed" / "checkpoints", time.monotonic() + 120
    while not list(checkpoints.glob("step-*")) and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "evaluation.json").exists(), "the run ended before it was killed"
    resume = [*program, "--resume", "killed", "--runs", str(tmp_path)]
    subprocess.run(resume, check=True, capture_output=True)
    whole, killed = (load_file(tmp_path / name / "checkpoints" / "last.safetensors") for name in ("whole", "killed"))
    assert all((whole[key] == killed[key]).all() for key in whole)
    figures = [json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("whole", "killed")]
    assert figures[0]["confusion"] == figures[1]["confusion"]
