"""Networks for keywords, each by its name: the features that it was published with, trained, sealed, predicted."""

import numpy as np
import pytest
import soundfile

from neocog import load
from neocog.cli.app import main
from neocog.runs.config import read_run_config


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "words"
    generator = np.random.default_rng(0)
    for name, start, end in (("up", 300, 900), ("down", 900, 300)):
        (root / name).mkdir(parents=True)
        for i in range(10):
            phase = 2 * np.pi * np.cumsum(np.linspace(start, end, 8000) * generator.uniform(0.9, 1.1)) / 8000
            wave = generator.uniform(0.1, 0.8) * np.sin(phase) + 0.01 * generator.normal(size=8000)
            soundfile.write(root / name / f"{i}.wav", wave.clip(-1, 1), 8000)
    return root


@pytest.mark.parametrize(
    ("name", "features", "shape"),
    [
        ("speech_res8", "mfcc", (1, 101, 40)),
        ("speech_res15", "mfcc", (1, 101, 40)),
        ("speech_dscnn_s", "mfcc", (1, 49, 10)),
        ("speech_cnn", "mel", (1, 32, 40)),
    ],
)
def test_network_trains_by_its_name(words, tmp_path, name, features, shape):
    flags = ["--epochs", "1", "--train.batch_size", "5", "--train.device", "cpu", "--augment_signal.time_masks", "2"]
    assert main(["train", str(words), "--model", name, *flags, "--name", "r", "--runs", str(tmp_path)]) == 0
    predictor = load(tmp_path / "r" / "model.neocog")
    assert (predictor.preprocess.features, predictor.preprocess.shape) == (features, shape)
    assert predictor.predict(words / "up" / "3.wav")[0].class_name in ("up", "down")
    assert read_run_config(tmp_path / "r" / "config.yaml").config.augment_signal.time_masks == 2


def test_normalised_energies_are_trained_on_and_travel(words, tmp_path):
    flags = ["--audio.features", "mel", "--audio.compression", "pcen", "--epochs", "1", "--train.batch_size", "5"]
    given = ["--model", "speech_res8_narrow", "--train.device", "cpu", "--name", "r", "--runs", str(tmp_path)]
    assert main(["train", str(words), *flags, *given]) == 0
    assert load(tmp_path / "r" / "model.neocog").preprocess.compression == "pcen"


def test_mask_of_bands_without_bands_leaves_no_run_behind(tmp_path, capsys):
    rows = "\n".join("\t".join([str(i % 2), *map(str, range(i, i + 20))]) for i in range(12))
    for split in ("TRAIN", "TEST"):
        (tmp_path / "w").mkdir(exist_ok=True)
        (tmp_path / "w" / f"w_{split}.tsv").write_text(rows + "\n")
    given = ["--epochs", "1", "--augment_signal.frequency_width", "3", "--runs", str(tmp_path / "runs")]
    assert main(["train", str(tmp_path / "w"), *given]) == 2
    assert "A frequency mask needs frequency bands." in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
