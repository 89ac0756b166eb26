"""Runs that start from a model of one's own: network, weights, head, input settings, and what it has seen."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from neocog import evaluate, load, recipe, resume, train
from neocog.cli.app import main
from neocog.data import TextConfig, divide, fingerprint, open_source
from neocog.errors import BundleError, ConfigError, DataError
from neocog.training import Interrupted
from neocog.zoo import ModelConfig, create_model

COLOURS = {"blue": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}
STILL = 1e-12  # a rate that moves nothing: what a run ends with is what it started with


@pytest.fixture(scope="module")
def colours(tmp_path_factory, draw):
    root = tmp_path_factory.mktemp("data") / "colours"
    draw(root, COLOURS, count=12)
    return root


@pytest.fixture(scope="module")
def first(colours, tmp_path_factory):
    """A run on three colours. Not to be changed."""
    return train(config(colours, epochs=3, lr=0.02), name="first", runs=tmp_path_factory.mktemp("runs"))


def config(data, *, pretrained=None, epochs=1, lr=STILL, base="lenet5_relu", **settings):
    """Settings for few epochs; with the usual rate nothing moves."""
    plain = recipe(base, str(data))
    sections = {
        "train": replace(plain.train, epochs=epochs, batch_size=8, ema_decay=0.0, device="cpu"),
        "optimizer": replace(plain.optimizer, lr=lr, weight_decay=0.0),
        "model": ModelConfig(name=plain.model.name, pretrained=pretrained and str(pretrained)),
    }
    for key, value in settings.items():
        section, name = key.split("__")
        sections[section] = replace(sections.get(section, getattr(plain, section)), **{name: value})
    return replace(plain, **sections)


def weights(run_or_path):
    return load(getattr(run_or_path, "bundle", run_or_path)).model.state_dict()


def same_parameters(one, other):
    """As `same`, without the statistics of batch norm, which move at any rate."""
    names = {name for name, _ in load(one.bundle).model.named_parameters()}
    return same(*({key: value for key, value in weights(run).items() if key in names} for run in (one, other)))


def same(one, other, but=()):
    assert one.keys() == other.keys()
    return all(torch.allclose(one[key], other[key], atol=1e-6) for key in one if key not in but)


HEAD = ("head.7.weight", "head.7.bias")


def said(capsys):
    return " ".join(capsys.readouterr().err.split())


def test_start_transfers_weights_head_and_inputs(first, colours, tmp_path, capsys):
    run = train(config(colours, pretrained=first.bundle), runs=tmp_path)
    told = said(capsys)
    assert f"Weights start from {first.bundle} (lenet5_relu, trained on colours; test accuracy" in told
    assert "the same 3 classes: the head is kept" in told
    assert same(weights(run), weights(first))
    one, other = load(run.bundle), load(first.bundle)
    assert one.preprocess == other.preprocess and one.classes == other.classes
    assert f"Weights start from {first.bundle}" in run.report.read_text()
    assert one.manifest["started from"] == str(first.bundle)
    assert f"pretrained: {first.bundle}" in run.config.read_text()


def test_start_from_a_run_folder_uses_its_model(first, colours, tmp_path):
    run = train(config(colours, pretrained=first.path), runs=tmp_path)
    assert same(weights(run), weights(first))


def test_start_trains_the_weights_further(first, colours, tmp_path):
    run = train(config(colours, pretrained=first.bundle, epochs=2, lr=0.01), runs=tmp_path)
    assert not same(weights(run), weights(first))
    assert run.evaluation.metrics["accuracy"].value > 0.9


@pytest.mark.parametrize("names", [["red", "blue", "green"], ["green", "red", "blue"]])
def test_start_orders_the_head_by_class_name(first, names, tmp_path, capsys):
    pixels = np.stack([np.full((24, 24, 3), COLOURS[name], np.uint8) for name in names for _ in range(20)])
    labels = np.repeat(np.arange(3), 20)
    arrays = Labelled(pixels, labels, names)
    run = train(config("", pretrained=first.bundle), data=arrays, runs=tmp_path)
    assert "the same 3 classes in another order: the head is kept, its outputs ordered by name" in said(capsys)
    one, other = load(run.bundle), load(first.bundle)
    assert one.classes == tuple(names) and other.classes == ("blue", "green", "red")
    rows = [other.classes.index(name) for name in names]
    for key in HEAD:
        torch.testing.assert_close(weights(run)[key], weights(first)[key][rows])
    assert same(weights(run), weights(first), but=HEAD)
    for i in (0, 25, 45):
        assert one.predict(pixels[i])[0].class_name == other.predict(pixels[i])[0].class_name == names[labels[i]]


class Labelled:
    """A torch data set that names its classes."""

    def __init__(self, pixels, labels, classes):
        self.pixels, self.targets, self.classes = pixels, labels.tolist(), classes

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.pixels[index], self.targets[index]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (("blue", "green", "red", "white"), "other classes (new: white): the head starts fresh"),
        (("blue", "red"), "other classes (gone: green): the head starts fresh"),
        (("blue", "green", "white"), "other classes (new: white; gone: red): the head starts fresh"),
    ],
)
def test_start_with_other_classes_gets_a_fresh_head(named, words, first, draw, tmp_path, capsys):
    draw(tmp_path / "other", {name: COLOURS.get(name, (240, 240, 240)) for name in named}, count=10)
    run = train(config(tmp_path / "other", pretrained=first.bundle), runs=tmp_path / "runs")
    assert words in said(capsys)
    now, before = weights(run), weights(first)
    assert same(before, now, but=HEAD) and now[HEAD[0]].shape[0] == len(named)
    if len(named) == 3:  # else the shape differs already
        assert not torch.allclose(now[HEAD[0]], before[HEAD[0]])


@pytest.mark.parametrize("length", [["--epochs", "1"], []], ids=["epochs", "search"])
def test_start_refuses_another_network(first, colours, tmp_path, capsys, monkeypatch, length):
    monkeypatch.chdir(tmp_path)
    code = main(["train", str(colours), "--model", "resnet18", "--model.pretrained", str(first.bundle), *length])
    assert code == 2 and not (tmp_path / "runs").exists()
    told = said(capsys)
    assert f"which is lenet5_relu. {first.bundle}: received resnet18 (flag). Leave --model out" in told
    with pytest.raises(ConfigError, match=r"is lenet5_relu\. .*: received resnet20_cifar \(given in Python\)\."):
        train(config(colours, pretrained=first.bundle, model__name="resnet20_cifar"), runs=tmp_path)


def test_start_without_a_named_network_uses_the_models_network_and_options(draw, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "set", COLOURS, count=10, size=32)
    quick = ["--epochs", "1", "--train.batch_size", "8"]
    made = ["--model", "resnet20_cifar", "--model.widths", "[4, 8, 16]"]
    options = create_model("resnet20_cifar").build_spec.options
    if "widths" not in options and main(["train", "set", *made, *quick, "--name", "one"]) == 2:
        made = ["--model", "squeezenet1_1", "--model.dropout", "0.25"]
        assert main(["train", "set", *made, "--image.size", "32", *quick, "--name", "one"]) == 0
    capsys.readouterr()
    assert main(["train", "set", "--model.pretrained", "runs/one", *quick, "--name", "two"]) == 0
    one, two = (load(f"runs/{name}/model.neocog").manifest["model"] for name in ("one", "two"))
    assert one == two and one["options"]
    text = (tmp_path / "runs/two/config.yaml").read_text()
    assert f"model.name: 'chosen automatically: as in {tmp_path}/runs/one/model.neocog'" in text or (
        "model.name: 'chosen automatically: as in runs/one/model.neocog'" in text
    )


def test_start_refuses_options_that_reshape_layers(draw, tmp_path):
    draw(tmp_path / "set", COLOURS, count=10, size=32)
    one = train(
        config(tmp_path / "set", base="general", model__name="speednet", model__widths=(8, 8, 8)),
        name="one",
        runs=tmp_path / "runs",
    )
    made = config(tmp_path / "set", base="general", pretrained=one.bundle, model__name="speednet")
    with pytest.raises(ConfigError, match=r"built with widths=\[8, 8, 8\]\. .*: received widths=\(16, 8, 8\)\. Leave"):
        train(replace(made, model=replace(made.model, widths=(16, 8, 8))), runs=tmp_path / "runs")
    with pytest.raises(
        ConfigError,
        match=r"speednet can't be adapted to other channels\. .*: received 1, and the model was trained with 3\.",
    ):
        train(replace(made, image=replace(made.image, channels=1)), runs=tmp_path / "runs")
    two = train(made, name="two", runs=tmp_path / "runs")
    assert load(two.bundle).manifest["model"] == load(one.bundle).manifest["model"]


def test_start_uses_the_models_input_settings(first, tmp_path, draw):
    draw(tmp_path / "large", COLOURS, count=10, size=40)  # alone, these would be cut to 32x32
    run = train(config(tmp_path / "large", pretrained=first.bundle), runs=tmp_path / "runs")
    assert load(run.bundle).preprocess == load(first.bundle).preprocess
    assert load(first.bundle).preprocess.size == (24, 24)


def test_start_takes_and_reports_the_users_input_settings(first, colours, tmp_path, capsys):
    made = config(colours, pretrained=first.bundle, image__size=(32, 32))
    run = train(made, runs=tmp_path)
    assert "image.size is (32, 32), but model.neocog was trained with (24, 24)" in said(capsys)
    spec = load(run.bundle).preprocess
    assert (spec.size, spec.pad) == ((32, 32), (0, 0))
    assert spec.mean == load(first.bundle).preprocess.mean


def test_start_adapts_the_first_layer_to_other_image_channels(first, colours, tmp_path, capsys):
    run = train(config(colours, pretrained=first.bundle, image__channels=1), runs=tmp_path)
    assert "image.channels is 1, but model.neocog was trained with 3" in said(capsys)
    now, before = weights(run), weights(first)
    torch.testing.assert_close(now["stem.0.weight"], before["stem.0.weight"].sum(1, keepdim=True))
    mean = load(first.bundle).preprocess.mean
    assert load(run.bundle).preprocess.mean == pytest.approx([sum(mean) / 3])


def test_start_refuses_a_damaged_model(first, colours, tmp_path):
    content = bytearray(first.bundle.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.neocog").write_bytes(content)
    with pytest.raises(BundleError, match="was changed or damaged after it was written: its SHA-256"):
        train(config(colours, pretrained=tmp_path / "model.neocog"), runs=tmp_path / "runs")
    with pytest.raises(BundleError, match=r"absent\.neocog can't be read: No such file"):
        train(config(colours, pretrained=tmp_path / "absent.neocog"), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_start_knows_a_bundle_by_its_content(first, colours, tmp_path):
    shutil.copy(first.bundle, tmp_path / "mine.zip")
    run = train(config(colours, pretrained=tmp_path / "mine.zip"), runs=tmp_path / "runs")
    assert same(weights(run), weights(first))


def test_start_refuses_an_unfinished_run(first, colours, tmp_path):
    folder = shutil.copytree(first.path, tmp_path / "half")
    (folder / "model.neocog").unlink()
    with pytest.raises(
        ConfigError, match=r"half: received a run without model\.neocog\. Finish it first: neocog train --resume"
    ):
        train(config(colours, pretrained=folder), runs=tmp_path / "runs")


def test_start_keeps_frozen_weights_while_the_head_trains(first, colours, tmp_path):
    made = config(colours, pretrained=first.bundle, lr=0.05, epochs=2, model__freeze=1)
    now, before = weights(train(made, name="a", runs=tmp_path)), weights(first)
    assert all(torch.equal(now[key], before[key]) for key in now if key.startswith(("stem", "stages.0")))
    assert not torch.equal(now[HEAD[0]], before[HEAD[0]])
    made = config(colours, pretrained=first.bundle, lr=0.05, train__freeze_epochs=1)
    now = weights(train(made, name="b", runs=tmp_path))
    assert torch.equal(now["stem.0.weight"], before["stem.0.weight"])
    assert not torch.equal(now[HEAD[0]], before[HEAD[0]])


def test_recipe_finetune_uses_the_models_network(first, colours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["--recipe", "finetune", "--model.pretrained", str(first.bundle), "--epochs", "2", "--name", "f"]
    assert main(["train", str(colours), *flags]) == 0
    assert load("runs/f/model.neocog").manifest["model"]["name"] == "lenet5_relu"


def test_resume_gives_the_same_bits_without_the_starting_model(first, colours, tmp_path, monkeypatch):
    import signal

    mine = shutil.copy(first.bundle, tmp_path / "mine.neocog")
    made = config(colours, pretrained=mine, epochs=3, lr=0.01)
    whole = train(made, name="whole", runs=tmp_path / "runs")

    def stop(checkpointer, step):
        if step == 4:
            signal.raise_signal(signal.SIGINT)
        return False

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr("neocog.runs.checkpoints.RunCheckpointer.due", stop)
        train(made, name="stopped", runs=tmp_path / "runs")
    (tmp_path / "mine.neocog").write_bytes(b"gone")
    resumed = resume("stopped", runs=tmp_path / "runs")
    ours, theirs = weights(resumed), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert load(resumed.bundle).preprocess == load(first.bundle).preprocess


# What the model has seen of the records.


def test_start_repeats_the_models_splits_by_default(colours, tmp_path, capsys):
    then = train(config(colours, train__seed=5, data__test_fraction=0.4), name="then", runs=tmp_path)
    capsys.readouterr()
    now = train(config(colours, pretrained=then.bundle), name="now", runs=tmp_path)
    assert "test samples have measured model.neocog before; it was trained on none" in said(capsys)
    one, other = (load(run.bundle).manifest["data"] for run in (then, now))
    assert one == other and one["seed"] == 5
    assert "warning" not in now.report.read_text().split("Weights start from")[1][:400]


def test_start_warns_of_seen_test_samples_with_their_number(first, colours, tmp_path, capsys):
    run = train(config(colours, pretrained=first.bundle, train__seed=7), runs=tmp_path)
    source = open_source(colours)
    parts = [divide(source, val_fraction=0.1, test_fraction=0.2, seed=seed) for seed in (0, 7)]
    seen = len(set(parts[1].test.tolist()) & {*parts[0].train.tolist(), *parts[0].val.tolist()})
    told = said(capsys)
    assert seen
    assert f"warning: model.neocog was trained on {seen} of the {len(parts[1].test)} test samples, or chosen" in told
    assert "will be too good. Split the data as before: --train.seed 0 --data.test_fraction 0.2" in told
    val = len(set(parts[1].val.tolist()) & set(parts[0].train.tolist()))
    assert (f"trained on {val} of the {len(parts[1].val)} validation samples" in told) == bool(val)
    assert "will be too good" in run.report.read_text()
    # Two runs on, the first one's training data are still known, and `eval` tells of them.
    again = train(config(colours, pretrained=run.bundle, train__seed=7), name="again", runs=tmp_path)
    assert f"trained on {seen} of the" in said(capsys)
    evaluate(again.bundle, colours)
    assert (
        f"warning: {seen} of the {len(parts[1].test)} samples were used to train or select the model that this network "
        "started from" in said(capsys)
    )


def test_start_warns_of_other_data_without_a_test_split(first, draw, tmp_path, capsys):
    draw(tmp_path / "more", COLOURS, count=14)
    train(config(tmp_path / "more", pretrained=first.bundle), runs=tmp_path / "runs")
    assert "model.neocog was trained on other data than these; if some of its samples are among the" in said(capsys)


# Texts, signals, sounds and boards.


@pytest.fixture
def reviews(tmp_path):
    words = (["good", "fine", "splendid"], ["bad", "dull", "poor"])
    rows = [f'"a {words[i % 2][i % 3]} film, {words[i % 2][i // 2 % 3]}",{"no" if i % 2 else "yes"}' for i in range(60)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    others = [f'"the {words[i % 2][i % 3]} novel indeed",{"no" if i % 2 else "yes"}' for i in range(60)]
    (tmp_path / "novels.csv").write_text("text,label\n" + "\n".join(others) + "\n")
    return tmp_path


def test_start_keeps_the_vocabulary_of_texts(reviews, tmp_path, capsys):
    one = train(config(reviews / "reviews.csv", base="text", lr=0.01, epochs=3), name="one", runs=tmp_path / "runs")
    capsys.readouterr()
    two = train(config(reviews / "novels.csv", base="text", pretrained=one.bundle), name="two", runs=tmp_path / "runs")
    before, now = load(one.bundle), load(two.bundle)
    assert now.preprocess == before.preprocess and "novel" not in now.preprocess.vocabulary
    assert same(weights(one), weights(two))
    source = open_source(reviews / "novels.csv")
    train_texts = [
        source.read(int(i)).payload.split() for i in divide(source, val_fraction=0.1, test_fraction=0.2, seed=0).train
    ]
    known = sum(word in now.preprocess.vocabulary for text in train_texts for word in text) / sum(map(len, train_texts))
    assert f"covers {known:.1%} of the tokens of the training texts" in said(capsys)
    assert [p.class_name for p in now.predict(["a splendid film", "dull, poor"])] == ["yes", "no"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"text__vocabulary": 50}, r"Received: text\.vocabulary \(given in Python\), but the vocabulary is that of"),
        ({"text__min_count": 1}, r"Received: text\.min_count \(given in Python\), but the vocabulary"),
        ({"text__level": "character"}, r"made with text\.level=word\. Received: text\.level=character\."),
        ({"text__lowercase": False}, r"made with text\.lowercase=True\. Received: text\.lowercase=False\."),
    ],
)
def test_start_refuses_settings_of_another_vocabulary(reviews, tmp_path, setting, words):
    one = train(config(reviews / "reviews.csv", base="text"), name="one", runs=tmp_path / "runs")
    made = config(reviews / "novels.csv", base="text", pretrained=one.bundle, **setting)
    with pytest.raises(ConfigError, match=words):
        train(made, runs=tmp_path / "runs")


def test_start_accepts_the_config_file_of_a_run_of_texts(reviews, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(config(reviews / "reviews.csv", base="text"), name="one")
    arguments = ["--config", "runs/one/config.yaml", "--model.pretrained", "runs/one", "--name", "two"]
    assert main(["train", str(reviews / "novels.csv"), *arguments]) == 0
    assert load("runs/two/model.neocog").preprocess == load("runs/one/model.neocog").preprocess
    assert main(["train", "--config", "runs/two/config.yaml", "--name", "three"]) == 0


def test_start_keeps_the_length_of_characters(reviews, tmp_path):
    made = config(reviews / "reviews.csv", base="text", model__name="char_cnn_small", text__length=340)
    one = train(made, name="one", runs=tmp_path / "runs")
    made = config(reviews / "novels.csv", base="text", pretrained=one.bundle, model__name="char_cnn_small")
    two = train(made, name="two", runs=tmp_path / "runs")
    assert load(two.bundle).preprocess == load(one.bundle).preprocess and same(weights(one), weights(two))
    with pytest.raises(ConfigError, match=r"built with length=340\. .*: received length=400\. Leave it out"):
        train(replace(made, text=TextConfig(length=400)), runs=tmp_path / "runs")


def waves(path, *, channels=1, scale=1.0, length=40, count=40):
    time = np.arange(length) / 40
    rows = [scale * np.sin(2 * np.pi * (2 + 5 * (i % 2)) * time + i) for i in range(count)]
    np.savez(path, x=np.repeat(np.array(rows, np.float32)[:, None], channels, axis=1), y=np.arange(count) % 2)
    return path


def test_start_keeps_length_and_statistics_of_signals(tmp_path, capsys):
    one = train(config(waves(tmp_path / "a.npz"), base="signal", lr=0.01, epochs=2), name="one", runs=tmp_path / "runs")
    louder = waves(tmp_path / "b.npz", scale=10, length=60)
    two = train(config(louder, base="signal", pretrained=one.bundle), name="two", runs=tmp_path / "runs")
    before, now = load(one.bundle).preprocess, load(two.bundle).preprocess
    assert now == before and now.length == 40
    assert same_parameters(one, two)
    own = config(louder, base="signal", pretrained=one.bundle, signal__length=60)
    three = train(own, name="three", runs=tmp_path / "runs")
    assert "signal.length is 60, but model.neocog was trained with 40" in said(capsys)
    assert load(three.bundle).preprocess.length == 60


def test_start_refuses_signals_with_other_channels(tmp_path):
    one = train(config(waves(tmp_path / "a.npz"), base="signal"), name="one", runs=tmp_path / "runs")
    made = config(waves(tmp_path / "b.npz", channels=3), base="signal", pretrained=one.bundle)
    with pytest.raises(ConfigError, match=r"model\.neocog has 1\. b: received 3 channels\. Choose the same channels"):
        train(made, runs=tmp_path / "runs")


@pytest.mark.parametrize("features", ["mel", "waveform"])
def test_start_keeps_rate_and_bands_of_audio(features, tmp_path):
    def tones(folder, rate):
        for name, pitch in (("high", 1500), ("low", 200)):
            (folder / name).mkdir(parents=True)
            for i in range(10):
                wave = 0.4 * np.sin(2 * np.pi * (pitch + 20 * i) * np.arange(rate // 4) / rate)
                soundfile.write(folder / name / f"{i}.wav", wave, rate)
        return folder

    name = {"mel": "speech_cnn", "waveform": "speech_res8"}[features]
    given = {"audio__features": "mel"} if features == "mel" else {}
    made = config(tones(tmp_path / "a", 8000), base="keyword", model__name=name, **given)
    one = train(made, name="one", runs=tmp_path / "runs")
    made = config(tones(tmp_path / "b", 16000), base="keyword", model__name=name, pretrained=one.bundle)
    two = train(made, name="two", runs=tmp_path / "runs")
    assert load(two.bundle).preprocess == load(one.bundle).preprocess
    assert load(two.bundle).preprocess.sample_rate == 8000


def test_start_keeps_the_size_of_boards(tmp_path):
    def games(folder, size):
        folder.mkdir()
        letters = "abcdefghijklmnopqrs"
        for i in range(10):
            order = np.random.default_rng(i).permutation(size * size)[:6]
            moves = "".join(f";{'BW'[k % 2]}[{letters[p % size]}{letters[p // size]}]" for k, p in enumerate(order))
            (folder / f"{i}.sgf").write_text(f"(;GM[1]FF[4]SZ[{size}]{moves})")
        return folder

    one = train(config(games(tmp_path / "a", 7), base="board"), name="one", runs=tmp_path / "runs")
    two = train(config(tmp_path / "a", base="board", pretrained=one.bundle), name="two", runs=tmp_path / "runs")
    assert same_parameters(one, two)
    with pytest.raises(ConfigError, match=r"has 7 x 7 points\. b: received 9 x 9 points\."):
        train(config(games(tmp_path / "b", 9), base="board", pretrained=one.bundle), runs=tmp_path / "runs")


def test_start_refuses_another_kind_of_data(first, reviews, tmp_path):
    with pytest.raises(ConfigError, match=r"novels holds texts for classification, and lenet5_relu is for"):
        train(
            config(reviews / "novels.csv", base="text", pretrained=first.bundle, model__name="lenet5_relu"),
            runs=tmp_path,
        )


def test_find_rate_starts_from_the_users_own_model(first, colours, capsys):
    assert (
        main(
            [
                "find",
                "rate",
                str(colours),
                "--model.pretrained",
                str(first.bundle),
                "--steps",
                "10",
                "--train.batch_size",
                "4",
            ]
        )
        == 0
    )
    assert "the head is kept" in said(capsys)


def named_waves(path, names):
    """Signals of which channel x alone tells the classes, with the channels in this order."""
    time, noise = np.arange(40) / 40, np.random.default_rng(1)
    x = [np.sin(2 * np.pi * (2 + 5 * (i % 2)) * time + i) for i in range(40)]
    channels = {"x": np.array(x), "y": noise.normal(size=(40, 40))}
    np.savez(path, x=np.stack([channels[n] for n in names], 1).astype(np.float32), y=np.arange(40) % 2, channels=names)
    return path


def test_start_matches_channels_by_name(tmp_path, capsys):
    learned = config(named_waves(tmp_path / "xy.npz", ["x", "y"]), base="signal", lr=0.01, epochs=3)
    one = train(learned, name="one", runs=tmp_path / "runs")
    turned = named_waves(tmp_path / "yx.npz", ["y", "x"])
    made = config(turned, base="signal", pretrained=one.bundle)
    two = train(made, name="two", runs=tmp_path / "runs")
    assert "matched by name" in said(capsys)
    before, now = load(one.bundle), load(two.bundle)
    assert now.preprocess == before.preprocess and now.preprocess.names == ("x", "y")
    assert now.manifest["data"]["fingerprint"] == fingerprint(open_source(turned)), "that of the files as they are"
    assert evaluate(two.bundle, turned).top1.value == two.evaluation.top1.value
    both = [evaluate(one.bundle, tmp_path / name, split="all").top1.value for name in ("xy.npz", "yx.npz")]
    assert both[0] == both[1]


def test_start_refuses_channels_of_other_names(tmp_path):
    one = train(config(named_waves(tmp_path / "xy.npz", ["x", "y"]), base="signal"), name="one", runs=tmp_path / "runs")
    np.savez(tmp_path / "xz.npz", **{**np.load(tmp_path / "xy.npz"), "channels": ["x", "z"]})
    with pytest.raises(DataError, match=r"x, y.*x, z"):
        train(config(tmp_path / "xz.npz", base="signal", pretrained=one.bundle), runs=tmp_path / "runs")


def test_start_warns_of_splits_that_cannot_be_repeated(first, colours, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("neocog.runs.split.digest_split", lambda source, indices: "another")
    train(config(colours, pretrained=first.bundle), runs=tmp_path)
    told = said(capsys)
    assert "warning: model.neocog was trained on another split of these data, or on other data too" in told
    assert "have measured model.neocog before" not in told


def test_start_knows_the_splits_of_a_run_with_a_skip_list(colours, tmp_path, capsys):
    skip = tmp_path / "skip.txt"
    skip.write_text(f"{open_source(colours).key(0)}\tblurred\n")
    one = train(config(colours, data__skip_list=str(skip)), name="one", runs=tmp_path / "runs")
    capsys.readouterr()
    train(config(colours, pretrained=one.bundle), name="two", runs=tmp_path / "runs")
    assert "test samples have measured model.neocog before; it was trained on none" in said(capsys)
