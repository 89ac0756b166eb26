"""Runs of texts that start from word vectors of a file: covered words, the rest, resuming, sealing, fine-tuning."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from neocog import evaluate, load, recipe, resume, train
from neocog.cli.app import main
from neocog.data import TextConfig
from neocog.errors import ConfigError, DataError
from neocog.runs import PYTHON, resolve
from neocog.training import Interrupted
from neocog.zoo import create_model

GOOD, BAD = ["good", "fine", "splendid"], ["bad", "dull", "poor"]
SIZE = 12
QUICK = {
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.device": "cpu",
    "train.checkpoint_seconds": 0.0,
    "train.checkpoint_steps": 1,
}
STILL = {"optimizer.lr": 1e-12, "optimizer.weight_decay": 0.0, "train.epochs": 1}
"""A rate that moves nothing: a run ends with the weights that it started with."""


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    rows = [
        f'"a {(GOOD, BAD)[i % 2][i % 3]} film, really {(GOOD, BAD)[i % 2][(i // 2) % 3]}",{"no" if i % 2 else "yes"}'
        for i in range(80)
    ]
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """Vectors of six words, one of them twice, and of two that no text has."""
    generator = np.random.default_rng(0)
    words = [*GOOD, *BAD, "unheard", "New York", "good"]
    lines = [f"{word} {' '.join(f'{v:.4f}' for v in generator.normal(0, 0.4, SIZE))}" for word in words]
    path = tmp_path_factory.mktemp("vectors") / "vectors.txt"
    path.write_text(f"{len(words)} {SIZE}\n" + "\n".join(lines) + "\n")
    return path


def values_of(vectors):
    lines = vectors.read_text().splitlines()[1:]
    return {
        line.rsplit(" ", SIZE)[0]: np.array(line.split(" ")[-SIZE:], np.float32) for line in reversed(lines)
    }  # the first of two counts


def settings(data, **changes):
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return resolve(recipe("text", str(data)), PYTHON, [(PYTHON, {**QUICK, **changes})])


def run_with(data, vectors, tmp_path, **changes):
    return train(settings(data, text__vectors=str(vectors), **changes), runs=tmp_path / "runs")


def embedding(run):
    predictor = load(run.bundle)
    return predictor.preprocess.ids, predictor.model.stem.weight.detach().numpy()


def test_covered_words_start_with_their_vectors_and_the_rest_with_the_same_variance(reviews, vectors, tmp_path, capsys):
    still = {key.replace(".", "__"): value for key, value in STILL.items()}
    run = run_with(reviews, vectors, tmp_path, **still)
    ids, weight = embedding(run)
    known = values_of(vectors)
    assert weight.shape == (len(ids) + 2, SIZE)
    for word in (*GOOD, *BAD):
        np.testing.assert_allclose(weight[ids[word]], known[word], atol=1e-6)
    spread = np.sqrt(3 * np.var(np.stack([known[word] for word in (*GOOD, *BAD)]).astype(np.float64)))
    others = weight[[1, *(ids[word] for word in ids if word not in known)]]
    assert 0.8 * spread < np.abs(others).max() <= spread + 1e-6
    assert not weight[0].any()
    share = f"6 of the {len(ids)} words of the vocabulary ({6 / len(ids):.1%}) start with the vectors of vectors.txt"
    said = " ".join(capsys.readouterr().err.split())
    assert f"{share}, {SIZE} numbers each; the others start at random, with the same variance" in said
    assert "1 word of the vocabulary comes again in vectors.txt: the first vector counts" in said
    assert share in run.report.read_text()
    written = run.config.read_text()
    assert (
        f"vector_size: {SIZE}" in written
        and "model.vector_size: 'chosen automatically: that of vectors.txt'" in written
    )


def test_vectors_are_trained_unless_they_are_frozen(reviews, vectors, tmp_path):
    known = values_of(vectors)
    for frozen in (False, True):
        run = run_with(reviews, vectors, tmp_path, text__vectors_frozen=frozen)
        ids, weight = embedding(run)
        same = all(np.array_equal(weight[ids[word]], known[word]) for word in (*GOOD, *BAD))
        assert same == frozen
        assert run.evaluation.metrics["accuracy"].value > 0.5


def test_bundle_needs_no_file_and_measures_as_the_run_did(reviews, vectors, tmp_path):
    own = shutil.copy(vectors, tmp_path / "own.txt")
    run = run_with(reviews, own, tmp_path)
    own.unlink()
    assert load(run.bundle).manifest["model"]["options"] == {"vector_size": SIZE}
    assert evaluate(run.bundle, reviews).to_json() == run.evaluation.to_json()


def test_stopped_run_resumes_with_equal_bits_without_the_file(reviews, vectors, tmp_path):
    whole = run_with(reviews, vectors, tmp_path)
    own = shutil.copy(vectors, tmp_path / "own.txt")
    config = settings(reviews, text__vectors=str(own))
    code = (
        "import os, signal, sys\nfrom neocog.training import loop\nfrom neocog import train\n"
        "from tests.runs.test_word_vectors import settings\n"
        "step, steps = loop.train_step, []\n"
        "def step_and_die(*given):\n    step(*given)\n    steps.append(1)\n"
        "    if len(steps) == 13:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "loop.train_step = step_and_die\n"
        "train(settings(sys.argv[1], text__vectors=sys.argv[2]), name='killed', runs=sys.argv[3])"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(reviews), str(own), str(tmp_path)], capture_output=True, timeout=300
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    own.unlink()
    resumed = resume(tmp_path / "killed")
    found, expected = (load(run.bundle).model.state_dict() for run in (resumed, whole))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert config.config.text.vectors == str(own)


def test_fine_tuning_keeps_the_size_and_refuses_other_vectors(reviews, vectors, tmp_path):
    first = run_with(reviews, vectors, tmp_path)
    still = {key.replace(".", "__"): value for key, value in STILL.items()}
    second = train(settings(reviews, model__pretrained=str(first.bundle), **still), runs=tmp_path / "runs")
    np.testing.assert_allclose(embedding(second)[1], embedding(first)[1], atol=1e-6)
    with pytest.raises(
        ConfigError, match=r"keeps its word vectors. .*model.neocog: received text.vectors=.*Leave it out"
    ):
        run_with(reviews, vectors, tmp_path, model__pretrained=str(first.bundle))


def test_size_of_the_network_must_be_that_of_the_file(reviews, vectors, tmp_path):
    message = rf"word vectors have 50 numbers each. .*vectors.txt: received {SIZE}. Leave model.vector_size out."
    with pytest.raises(ConfigError, match=message):
        run_with(reviews, vectors, tmp_path, model__vector_size=50)
    assert not (tmp_path / "runs").exists()
    run = train(settings(reviews, model__vector_size=20), runs=tmp_path / "runs")
    assert embedding(run)[1].shape[1] == 20


def test_vectors_of_no_word_are_refused(reviews, tmp_path):
    (tmp_path / "v.txt").write_text("GOOD 1 2\nFILM 3 4\n")
    message = (
        r"those of words in the training texts. .*v.txt: received 2 words, of which the vocabulary has none. Check"
    )
    with pytest.raises(ConfigError, match=message):
        run_with(reviews, tmp_path / "v.txt", tmp_path)


def test_damaged_file_leaves_no_run_behind(reviews, tmp_path):
    (tmp_path / "v.txt").write_text("good 1 2\nbad 3\n")
    with pytest.raises(DataError, match=r"line 2: received 2 fields"):
        run_with(reviews, tmp_path / "v.txt", tmp_path)
    assert not (tmp_path / "runs").exists()


def test_network_of_characters_refuses_vectors(reviews, vectors, capsys):
    flags = ["--model", "char_cnn_small", "--epochs", "1", "--text.vectors", str(vectors)]
    assert main(["train", str(reviews), *flags]) == 2
    assert "char_cnn_small reads the characters that it was published with" in " ".join(capsys.readouterr().err.split())
    assert TextConfig(vectors_frozen=True).ignored() == {"vectors_frozen": "no word vectors are read"}
    assert TextConfig(vectors="a").ignored() == {}


def test_search_trains_with_vectors(reviews, vectors, tmp_path):
    flags = ["--minutes", "0.15", "--text.vectors", str(vectors), "--train.device", "cpu", "--name", "r"]
    assert main(["train", str(reviews), *flags, "--runs", str(tmp_path)]) == 0
    assert load(tmp_path / "r" / "model.neocog").model.stem.embedding_dim == SIZE


def test_start_from_scales_the_random_vectors():
    torch.manual_seed(0)
    stem = create_model("text_cnn", in_channels=1000, vector_size=40).stem
    before = stem.weight.detach().clone()
    given = 0.7 * torch.randn(300, 40)
    ids = torch.arange(400, 700)
    stem.start_from(given, ids)
    assert torch.equal(stem.weight[ids], given)
    rest = torch.cat([stem.weight[1:400], stem.weight[700:]]).detach()
    assert rest.double().var().item() == pytest.approx(given.double().var().item(), rel=0.02)
    torch.testing.assert_close(
        rest / rest.abs().max(), torch.cat([before[1:400], before[700:]]) / 0.25, atol=2e-3, rtol=0
    )
    assert not stem.weight[0].any()
    stem.start_from(torch.ones(2, 40), torch.tensor([5, 6]))  # without variance: the others stay
    assert stem.weight[7].any()


def test_interrupted_before_the_first_checkpoint_reads_the_file_again(reviews, vectors, tmp_path, monkeypatch):
    from neocog.training import loop

    config = settings(reviews, text__vectors=str(vectors))
    whole = train(config, name="whole", runs=tmp_path)
    monkeypatch.setattr(loop, "train_step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        train(config, name="stopped", runs=tmp_path)
    monkeypatch.undo()
    for path in (tmp_path / "stopped").rglob("last*"):
        path.unlink()
    resumed = resume(tmp_path / "stopped")
    assert replace(resumed.evaluation) == whole.evaluation
