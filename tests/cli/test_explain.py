"""`neocog explain`: the table, the files, and what is refused."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from neocog.bundle import write_bundle
from neocog.cli import main
from neocog.explaining.methods import METHODS
from tests.support.small_models import MODELS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    predictor, one = MODELS["image classification"]()
    folder = tmp_path_factory.mktemp("bundle")
    about = {"model": {"name": "lenet5_relu", "num_classes": 2, "in_channels": 1, "options": {}}}
    write_bundle(folder / "model.neocog", predictor.model, predictor, [one], about)
    Image.fromarray(one).save(folder / "scene.png")
    return folder


@pytest.fixture(scope="module")
def text_bundle(tmp_path_factory):
    predictor, one = MODELS["words"]()
    path = tmp_path_factory.mktemp("texts") / "model.neocog"
    about = {
        "model": {
            "name": "text_cnn", "num_classes": 3, "in_channels": predictor.preprocess.in_channels, "options": {},
        }
    }  # fmt: skip
    write_bundle(path, predictor.model, predictor, [one], about)
    return path


def call(*arguments):
    return main(["explain", *map(str, arguments)])


def test_table_and_files_without_any_option(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(bundle / "model.neocog", bundle / "scene.png") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{bundle / 'scene.png'}: class ")
    assert lines[1].startswith("target: ") and ", logit " in lines[1]
    assert lines[3].split() == ["method", "layer", "scale", "complete", "to", "twin", "reading"]
    assert [line.split("  ")[0] for line in lines[4:7]] == [METHODS[name].title for name in
                                                            ("gradcam", "integrated", "occlusion")]  # fmt: skip
    assert "%" in lines[5]
    files = lines[8:]
    assert files[0] == "explanation/scene.html" and "explanation/scene-gradcam.png" in files
    assert sorted(files) == sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "explanation").iterdir())


def test_json_has_numbers_and_files(bundle, tmp_path, capsys):
    page = tmp_path / "deep" / "page.html"
    numbers = tmp_path / "maps.npz"
    flags = ["--method", "gradient, gradcam", "--target", "two", "--no-twin", "--json"]
    assert call(bundle / "model.neocog", bundle / "scene.png", *flags, "--html", page, "--npz", numbers) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "two" and [row["method"] for row in found["methods"]] == ["gradient", "gradcam"]
    assert found["files"] == [str(page), str(numbers)]
    assert "twin_similarity" not in found["methods"][0]
    assert page.read_text().startswith("<!doctype html>")
    with np.load(numbers) as arrays:
        assert {"gradient", "gradcam", "input"} <= set(arrays)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "maps.npz"]


def test_figures_alone_go_to_the_folder(bundle, tmp_path, capsys):
    flags = ["--method", "gradient", "--no-twin", "--png", "-o", tmp_path / "figures"]
    assert call(bundle / "model.neocog", bundle / "scene.png", *flags) == 0
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "scene-gradient-alone.png", "scene-gradient.png",
    ]  # fmt: skip
    assert capsys.readouterr().out.splitlines()[3].split() == ["method", "scale"]  # no layer, and no twin


def test_standard_input_is_explained(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((bundle / "scene.png").read_bytes())))
    flags = ["--method", "gradient", "--no-twin", "--html", tmp_path / "page.html"]
    assert call(bundle / "model.neocog", "-", *flags) == 0
    assert capsys.readouterr().out.startswith("standard input: class ")


def test_layers_are_listed(bundle, capsys):
    assert call(bundle / "model.neocog", "--layers") == 0
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["layer", "operator", "output", "receptive", "field", "maps"]
    assert "conv2d" in first and first.endswith("yes")
    assert call(bundle / "model.neocog", "--layers", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["operator"] == "conv2d"


def test_channel_is_shown(bundle, tmp_path, capsys):
    layer = "stem.0"
    flags = ["--method", "gradient", "--no-twin", "--layer", layer, "--channel", "1", "-o", tmp_path / "out"]
    assert call(bundle / "model.neocog", bundle / "scene.png", *flags) == 0
    assert "channel 1 of stem.0: scale " in capsys.readouterr().out
    assert (tmp_path / "out" / "scene-channel-1.png").exists()


def test_text_is_explained_as_it_is_typed(text_bundle, tmp_path, capsys):
    flags = ["--method", "integrated", "--no-twin", "--html", tmp_path / "page.html"]
    assert call(text_bundle, "rain and bread", *flags) == 0
    said = capsys.readouterr()
    assert said.out.startswith("rain and bread: labels ")
    assert said.err.strip() == "There is no file of this name, so it is explained as a text."
    (tmp_path / "note.txt").write_text("wind and soup")
    assert call(text_bundle, tmp_path / "note.txt", *flags) == 0
    assert "soup</span>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Nothing to explain. Name a file, - for standard input, or add --layers."),
        (["x.png", "--layers"], "--layers lists the layers of a network, and explains nothing. Received: an input."),
        (["absent.png"], "absent.png can't be read: No such file or directory. Check the path."),
        (["SCENE", "--target", "three"], "A target is one of the 2 outputs, by name or by number. Received: 'three'."),
        (["SCENE", "--method", "gradcam,lime"], "Unknown method. Received: 'lime'."),
        (["SCENE", "--layer", "stem.9"], "A layer is named as `neocog explain --layers` lists it. Received: 'stem.9'."),
        (["SCENE", "--channel", "1"], "A channel is one of a layer. Received: --channel 1. Add --layer NAME."),
        (["SCENE", "--html", "a.html", "-o", "b"], "--html and --npz name their own files. Received: --output."),
        (["SCENE", "--html", "SCENE"], "The input is not replaced."),
        (["SCENE", "--hmtl", "a"], "--hmtl"),
        (["--layer5"], "Unknown option: --layer5. Did you mean '--layer'?"),
    ],
)
def test_mistakes_are_explained(flags, message, bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [str(bundle / "scene.png") if flag == "SCENE" else flag for flag in flags]
    assert call(bundle / "model.neocog", *given) == 2
    said = capsys.readouterr()
    assert message in " ".join(said.err.split()) and said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_method(capsys):
    assert main(["explain", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in METHODS)
    assert "nucleus@120,80" in text and "crown:1" in text
