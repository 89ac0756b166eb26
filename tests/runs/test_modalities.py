"""Each kind of data goes the whole way: opened by its path, trained, measured, sealed, and predicted."""

import json
import shutil
import signal
from dataclasses import dataclass, replace

import numpy as np
import pytest
import soundfile
import torch

from neocog import evaluate, load, recipe, train
from neocog.cli.app import main
from neocog.data import AugmentConfig, SignalAugmentConfig, TextAugmentConfig, divide, open_source, read_preprocess
from neocog.errors import ConfigError, DataError
from neocog.loading import Loader, load_in_memory
from neocog.recipes import recipe_for
from neocog.runs import resume
from neocog.tasks import LossConfig
from neocog.training import Interrupted
from neocog.zoo import ModelConfig


def quick(name, data, **sections):
    config = recipe(name, str(data))
    settings = replace(config.train, epochs=sections.pop("epochs", 2), batch_size=8, device="cpu")
    return replace(config, train=settings, **sections)


@pytest.fixture
def waves(tmp_path):
    """Slow and fast sine waves as UCR files, one value missing."""
    folder = tmp_path / "waves"
    folder.mkdir()
    time = np.linspace(0, 1, 60)
    for split, count in (("TRAIN", 24), ("TEST", 10)):
        rows = []
        for i in range(count):
            values = [f"{v:.4f}" for v in np.sin(2 * np.pi * (2 + 5 * (i % 2)) * time + i)]
            values[3] = "NaN" if i == 0 else values[3]
            rows.append("\t".join([str(1 + i % 2), *values]))
        (folder / f"Waves_{split}.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def reviews(tmp_path):
    words = (["good", "fine", "splendid"], ["bad", "dull", "poor"])
    rows = [
        f'"a {words[i % 2][i % 3]} film, really {words[i % 2][(i // 2) % 3]}",{"no" if i % 2 else "yes"}'
        for i in range(80)
    ]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return tmp_path / "reviews.csv"


@pytest.fixture
def tones(tmp_path):
    for name, pitch in (("high", 1500), ("low", 200)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for i in range(12):
            wave = 0.4 * np.sin(2 * np.pi * (pitch + 20 * i) * np.arange(4000) / 8000)
            soundfile.write(tmp_path / "tones" / name / f"{i}.wav", wave, 8000)
    return tmp_path / "tones"


@pytest.fixture
def games(tmp_path):
    (tmp_path / "games").mkdir()
    letters = "abcdefghi"
    for i in range(12):
        order = np.random.default_rng(i).permutation(81)[:20]
        moves = "".join(f";{'BW'[k % 2]}[{letters[p % 9]}{letters[p // 9]}]" for k, p in enumerate(order))
        (tmp_path / "games" / f"{i}.sgf").write_text(f"(;GM[1]FF[4]SZ[9]{moves})")
    return tmp_path / "games"


def test_signals(waves, tmp_path):
    config = quick("signal", waves, epochs=6, augment_signal=SignalAugmentConfig(jitter=0.05, shift=3))
    run = train(config, runs=tmp_path / "runs")
    assert run.evaluation.count == 10
    assert run.evaluation.metrics["accuracy"].value == 1.0
    predictor = load(run.bundle)
    assert predictor.preprocess.modality == "signal"
    wave = np.sin(2 * np.pi * 7 * np.linspace(0, 1, 60)).astype(np.float32)[None]
    assert predictor.predict(wave)[0].class_name == "2"
    assert evaluate(run.bundle, waves).metrics["accuracy"].value == 1.0
    settings = run.config.read_text()
    assert "jitter: 0.05" in settings
    assert "augment:" not in settings  # pictures' settings have no effect, and are not written


def test_texts(reviews, tmp_path):
    config = quick("text", reviews, epochs=5, augment_text=TextAugmentConfig(drop=0.1))
    run = train(config, runs=tmp_path / "runs")
    predictor = load(run.bundle)
    assert [p.class_name for p in predictor.predict(["a splendid film", "dull and poor"])] == ["yes", "no"]
    (tmp_path / "one.txt").write_text("fine")
    assert predictor.predict(tmp_path / "one.txt")[0].class_name == "yes"
    assert "<blockquote>" in run.report.read_text() or not run.evaluation.mistakes


def test_columns_of_a_table_are_named_for_training_and_measuring(reviews, tmp_path, capsys):
    lines = reviews.read_text().splitlines()[1:]
    names = tmp_path / "names.csv"
    names.write_text("v1;v2\n" + "\n".join(";".join(reversed(line.rsplit(",", 1))) for line in lines) + "\n")
    flags = ["--data.text_column", "v2", "--data.label_column", "v1"]
    short = ["--recipe", "text", "--train.epochs", "1", "--train.device", "cpu"]
    assert main(["train", str(names), *flags, *short, "--runs", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().err
    assert "names (text-table): 80 samples; 2 classes: no, yes" in said
    assert "names.csv is separated by semicolons" in said
    (bundle,) = (tmp_path / "runs").glob("*/model.neocog")
    assert main(["check", str(names), "--no-skip-list", *flags]) == 0
    assert "its reader says: names.csv is separated by semicolons\n" in capsys.readouterr().out
    for given in (flags, ["--text-column", "v2", "--label-column", "v1"]):
        assert main(["eval", str(bundle), str(names), *given]) == 0
        assert "16 samples" in capsys.readouterr().out
        assert main(["pack", str(names), str(tmp_path / f"shards{len(given[0])}"), *given]) == 0
    assert main(["eval", str(bundle), str(names)]) == 2
    assert "A table of texts needs a column of texts" in capsys.readouterr().err
    assert main(["eval", str(bundle), str(reviews), "--file-column", "x"]) == 2
    assert "data.file_column names a column of a table of files" in capsys.readouterr().err


def test_sounds(tones, tmp_path):
    run = train(quick("sound", tones, epochs=3), runs=tmp_path / "runs")
    predictor = load(run.bundle)
    assert predictor.preprocess.modality == "audio"
    assert predictor.preprocess.shape == (1, 49, 20)
    assert predictor.predict(tones / "high" / "3.wav")[0].class_name in ("high", "low")


def test_positions_of_go_and_the_pass(games, tmp_path):
    run = train(quick("board", games, epochs=1, model=ModelConfig(name="go_residual")), runs=tmp_path / "runs")
    predictor = load(run.bundle)
    assert len(predictor.classes) == 82
    assert predictor.classes[-1] == "pass"
    assert json.loads(json.dumps(predictor.manifest))["task"] == "next move"
    # All positions of a game are in one split.
    assert run.evaluation.count % 20 == 0


@pytest.mark.parametrize(("network", "planes"), [("go_policy", 48), ("go_residual", 17)])
def test_networks_and_planes_of_games_are_chosen_by_name(games, tmp_path, network, planes):
    features = {48: "alphago48", 17: "zero17"}[planes]
    overrides = {"board.features": features, "train.device": "cpu", "train.batch_size": 48}
    overrides |= {"model.widths": [8, 8]} if network == "go_residual" else {}
    run = train(str(games), model=network, epochs=1, overrides=overrides, runs=tmp_path / "runs")
    predictor = load(run.bundle)
    assert predictor.preprocess.shape == (planes, 9, 9) and predictor.classes[-1] == "pass"
    assert [exhibit.title for exhibit in run.evaluation.exhibits] == ["By phase of the game", "Calibration"]
    report = run.report.read_text()
    assert "By phase of the game" in report and "middle game" in report
    assert "A green ring is the move that was played" in report and "data:image/svg+xml;base64" in report
    settings = run.config.read_text()
    assert "symmetries: true" in settings and f"features: {features}" in settings


def test_what_is_streamed_trains_to_the_same_bits(pictures, tmp_path):
    def weights(feeding):
        config = quick("lenet5_relu", pictures)
        config = replace(config, data=replace(config.data, loading=feeding), augment=AugmentConfig(shift=2, flip=0.5))
        return load(train(config, name=feeding, runs=tmp_path / "runs").bundle).model.state_dict()

    resident, streamed = weights("memory"), weights("stream")
    assert all(torch.equal(resident[key], streamed[key]) for key in resident)


def test_a_streamed_run_that_was_stopped_ends_with_the_same_bits(pictures, tmp_path, monkeypatch):
    config = quick("lenet5_relu", pictures, augment=AugmentConfig(shift=2, mixup=0.3))
    config = replace(config, data=replace(config.data, loading="stream", balance=0.5))
    whole = train(config, name="whole", runs=tmp_path / "runs")

    def stop(checkpointer, step):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return False

    with monkeypatch.context() as patched, pytest.raises(Interrupted, match=r"after step 5 of 8; saved.*--resume"):
        patched.setattr("neocog.runs.checkpoints.RunCheckpointer.due", stop)
        train(config, name="stopped", runs=tmp_path / "runs")
    resumed = resume("stopped", runs=tmp_path / "runs")
    ours, theirs = (load(run.bundle).model.state_dict() for run in (resumed, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_training_takes_mixed_images(pictures, tmp_path):
    config = quick("lenet5_relu", pictures, augment=AugmentConfig(mixup=0.4, cutmix=1.0))
    assert train(config, runs=tmp_path / "runs").evaluation.count > 0


def test_rare_classes_by_weights_and_by_draws(pictures, tmp_path, monkeypatch):
    for i in range(3, 12):
        (pictures / "red" / f"{i:02}.png").unlink()
    config = quick("lenet5_relu", pictures, loss=LossConfig(class_weights="balanced"))
    train(config, name="weights", runs=tmp_path / "runs")
    config = quick("lenet5_relu", pictures)
    fed = []

    def batch(loader, epoch, step, batch=Loader.batch):
        images, labels = batch(loader, epoch, step)
        fed.append(labels)
        return images, labels

    monkeypatch.setattr(Loader, "batch", batch)
    train(replace(config, data=replace(config.data, balance=0.0)), name="draws", runs=tmp_path / "runs")
    counts = torch.cat(fed).bincount()
    assert counts.max() - counts.min() <= 2  # one for each of two epochs


def test_a_skip_list_leaves_records_out(pictures, tmp_path):
    skip = tmp_path / "skip.txt"
    keys = [f"red/{i:02}.png" for i in range(6)]
    skip.write_text("".join(f"{key}\tspoiled\n" for key in keys))
    for key in keys[:2]:
        (pictures / key).write_bytes(b"")
    skip_none = quick("lenet5_relu", pictures)
    with pytest.raises(DataError, match="must not be empty"):
        train(skip_none, name="all", runs=tmp_path / "runs")
    config = replace(skip_none, data=replace(skip_none.data, skip_list=str(skip)))
    run = train(config, name="some", runs=tmp_path / "runs")
    assert "6 samples are left out by" in run.report.read_text()
    with pytest.raises(DataError, match="must not be empty"):
        evaluate(run.bundle, pictures, split="all")
    assert evaluate(run.bundle, pictures, split="all", skip_list=skip).count == 30
    skip.write_text("".join(f"{name}/{i:02}.png\tall\n" for name in ("red", "green", "blue") for i in range(12)))
    with pytest.raises(
        DataError, match=r"at least one sample\. pictures: received a skip list that names all samples of one split"
    ):
        evaluate(run.bundle, pictures, split="all", skip_list=skip)


def test_records_that_became_unreadable_are_skipped_and_counted_where_asked(pictures, tmp_path, capsys):
    config = quick("lenet5_relu", pictures)
    config = replace(config, data=replace(config.data, on_corrupt="skip", loading="stream"))
    run = train(config, name="first", runs=tmp_path / "runs")
    assert "could not be read" not in capsys.readouterr().err
    parts = divide(open_source(pictures), val_fraction=0.1, test_fraction=0.2, seed=0)
    victim = open_source(pictures).key(int(parts.train[0]))
    (pictures / victim).write_bytes((pictures / victim).read_bytes()[:-30])
    run = train(config, name="second", runs=tmp_path / "runs")
    assert f"1 training samples could not be read and were skipped: {victim}" in capsys.readouterr().err
    assert "skipped" in run.path.joinpath("events.jsonl").read_text()
    stop = replace(config, data=replace(config.data, on_corrupt="stop"))
    with pytest.raises(DataError, match=r"truncated or damaged.*--data\.on_corrupt skip"):
        train(stop, name="third", runs=tmp_path / "runs")


def test_tta_averages_the_views_of_an_image(finished_run, digits):
    predictor = load(finished_run.bundle)
    plain = evaluate(predictor, digits)
    for tta in ("flip", "shift", "flip+shift"):
        other = evaluate(predictor, digits, tta=tta)
        assert other.count == plain.count
        assert other.metrics["loss"].value != plain.metrics["loss"].value
    assert evaluate(predictor, digits).metrics["loss"] == plain.metrics["loss"]  # nothing stays switched on
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    mean = (predictor.backend(predictor.preprocess.normalise(images)).softmax(1)
            + predictor.backend(predictor.preprocess.normalise(images).flip(3)).softmax(1)) / 2  # fmt: skip
    torch.testing.assert_close(predictor.logits(images, "flip").softmax(1), mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("tta", "computed"), [("flip", 1), ("flip+shift", 5), ("ten-crop", 10)])
def test_tta_does_not_compute_known_logits_again(finished_run, tta, computed):
    predictor, seen = load(finished_run.bundle), []
    predictor.backend = lambda inputs: seen.append(len(inputs)) or inputs[:, 0, 9:19, 9]  # of any size
    images = torch.randint(0, 256, (300, 1, 32, 32), dtype=torch.uint8)  # more than a batch
    plain = predictor.logits(images)
    expected = predictor.logits(images, tta)
    seen.clear()
    assert torch.equal(predictor.logits(images, tta, plain), expected)
    assert sum(seen) == computed * 300


def test_tta_is_for_images(waves, tmp_path):
    run = train(quick("signal", waves, epochs=1), runs=tmp_path / "runs")
    with pytest.raises(
        ConfigError,
        match="is for images. Received: tta='flip' for a network that takes signal inputs",
    ):
        evaluate(run.bundle, waves, tta="flip")


def test_python_objects_are_trained_on(tmp_path):
    generator = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = (generator.integers(0, 60, (40, 20, 20)) + 150 * y[:, None, None]).astype(np.uint8)
    run = train(quick("lenet5_relu", "arrays"), data=(x, y), runs=tmp_path / "runs")
    assert run.evaluation.count > 0
    assert evaluate(run.bundle, (torch.tensor(x), torch.tensor(y)), split="all").count == 40
    with pytest.raises(DataError, match="arrays"):
        resume(run.path, runs=tmp_path / "runs") if not run.finished else evaluate(run.bundle, "arrays")


def test_a_network_for_other_data_is_refused(waves, reviews, finished_run, tmp_path):
    with pytest.raises(
        ConfigError, match="Waves holds signals for classification, and lenet5_relu is for classification of images"
    ):
        train(quick("lenet5_relu", waves), runs=tmp_path / "runs")
    with pytest.raises(DataError, match="that it was trained on: images. reviews: received texts"):
        evaluate(finished_run.bundle, reviews)
    with pytest.raises(ConfigError, match=r"augment\.flip .* would be ignored, because .* holds signals"):
        train(quick("signal", waves, augment=AugmentConfig(flip=0.5)), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_network_for_another_task_is_refused(tmp_path):
    from PIL import Image

    for i in range(2):
        for folder in ("images", "masks"):
            (tmp_path / "m" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / "m" / folder / f"{i}.png")
    with pytest.raises(
        ConfigError,
        match=r"m holds images for segmentation, and lenet5_relu is for classification of images.*such as unet",
    ):
        train(quick("lenet5_relu", tmp_path / "m"), runs=tmp_path / "runs")


def test_the_recipe_follows_the_data():
    assert recipe_for(None, "signal") == "signal"
    assert recipe_for("time_series_resnet", "signal") == "signal"
    assert recipe_for(None) == "lenet5_relu"


def test_signals_in_files_are_predicted(tmp_path, capsys):
    for name, pitch in (("slow", 2), ("fast", 7)):
        (tmp_path / "s" / name).mkdir(parents=True)
        for i in range(12):
            np.save(tmp_path / "s" / name / f"{i}.npy", np.sin(2 * np.pi * pitch * np.linspace(0, 1, 40) + i))
    run = train(quick("signal", tmp_path / "s", epochs=6), runs=tmp_path / "runs")
    table = tmp_path / "one.csv"
    table.write_text("x\n" + "\n".join(map(str, np.sin(2 * np.pi * 7 * np.linspace(0, 1, 40)))) + "\n")
    assert load(run.bundle).predict([tmp_path / "s/slow/1.npy", table.read_bytes()])[1].class_name == "fast"
    assert main(["predict", str(run.bundle), str(tmp_path / "s" / "slow"), str(table)]) == 0
    assert "one.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "flags", "message"),
    [
        ("pictures", ["--data.loading", "stream", "--data.cache", "true"], "data.cache (flag) would be ignored"),
        ("pictures", ["--signal.window", "9"], "signal.window (flag) would be ignored, because pictures holds images"),
        ("pictures", ["--data.format", "idx"], "Idx files are pairs such as"),
        ("pictures", ["--data.format", "cifar"], "CIFAR's binary files are"),
        ("pictures", ["--data.format", "pngs"], "No layout is called 'pngs'"),
        ("reviews", ["--data.format", "idx"], "Idx files are pairs such as"),
        ("reviews", ["--data.format", "cifar"], "CIFAR's binary files are"),
        ("reviews", ["--data.format", "image-folder"], "received a file. Give the folder above"),
        ("reviews", ["--model", "char_cnn_small", "--text.vocabulary", "9"], "text.vocabulary (flag) would be ignored"),
        ("reviews", ["--model", "char_cnn_small", "--text.min_count", "9"], "text.min_count (flag) would be ignored"),
        ("waves", ["--model", "mnist1d_greydanus"], "was made for 40: set --signal.length 40."),
        ("waves", ["--model", "text_cnn"], "text_cnn is for classification of texts"),
    ],
)
@pytest.mark.parametrize("length", [["--epochs", "1"], []], ids=["epochs", "search"])
def test_a_mistake_is_one_message_and_exit_code_2(where, flags, length, message, tmp_path, capsys, request):
    data = request.getfixturevalue(where)
    assert main(["train", str(data), "--runs", str(tmp_path / "runs"), *flags, *length]) == 2
    *_, last = capsys.readouterr().err.strip().split("error: ")
    assert message in last
    assert "\n" not in last
    assert not (tmp_path / "runs").exists()


def test_at_an_address_are_shards():
    with pytest.raises(DataError, match="An address must be one of shards. Received: the layout 'idx', for s3://b/f"):
        open_source("s3://b/f", format="idx")


def test_training_without_any_readable_record(pictures, tmp_path):
    config = quick("lenet5_relu", pictures)
    config = replace(config, data=replace(config.data, on_corrupt="skip"))
    parts = divide(open_source(pictures), val_fraction=0.1, test_fraction=0.2, seed=0)
    for index in parts.train.tolist():
        path = pictures / open_source(pictures).key(index)
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(
        DataError, match=r"a sample that can be read\. pictures: received none\. The first error: An image"
    ):
        train(config, runs=tmp_path / "runs")


def test_image_without_a_header_is_skipped_too(pictures, tmp_path):
    config = quick("lenet5_relu", pictures, epochs=1)
    config = replace(config, data=replace(config.data, on_corrupt="skip"))
    parts = divide(open_source(pictures), val_fraction=0.1, test_fraction=0.2, seed=0)
    (pictures / open_source(pictures).key(int(parts.train[0]))).write_bytes(b"")
    assert train(config, runs=tmp_path / "runs").evaluation.count == 6


def test_masks_are_not_measured(finished_run, tmp_path):
    from PIL import Image

    for i in range(2):
        for folder in ("images", "masks"):
            (tmp_path / "m" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / "m" / folder / f"{i}.png")
    with pytest.raises(DataError, match=r"on data for classification. m \(masks\): received data for segmentation"):
        evaluate(finished_run.bundle, tmp_path / "m")


@pytest.mark.parametrize(
    ("kind", "data"), [("signal", "waves"), ("text", "reviews"), ("sound", "tones"), ("board", "games")]
)
def test_training_and_prediction_see_the_same_bits(kind, data, request, tmp_path):
    run = train(quick(kind, request.getfixturevalue(data), epochs=1, **UNCHANGED.get(kind, {})), runs=tmp_path / "runs")
    predictor = load(run.bundle)
    spec, source = predictor.preprocess, open_source(request.getfixturevalue(data))
    assert read_preprocess(json.loads(json.dumps(spec.to_json()))) == spec
    rows = np.arange(min(12, len(source)))
    feed = load_in_memory(source, rows, spec)
    loader = Loader(feed, spec, batch_size=5, seed=0, sampler=Plain(len(rows)))
    fed = torch.cat([loader.batch(0, step)[0] for step in range(loader.num_steps)])
    alone = torch.stack([spec(source.read(i).payload) for i in rows.tolist()])
    assert torch.equal(fed, alone)
    seen = []
    predictor.backend = lambda inputs, backend=predictor.backend: seen.append(inputs) or backend(inputs)
    predictor.logits_of(source, rows)
    assert torch.equal(torch.cat(seen), alone)


@dataclass
class Plain:
    """The records in their own order."""

    size: int

    def records(self, positions, epoch):
        return np.asarray(positions)

    def times(self, positions, epoch):
        return np.zeros(len(positions), np.int64)


UNCHANGED = {"sound": {"augment_signal": SignalAugmentConfig()}}


def test_the_fold_of_training_is_that_of_measuring(pictures, tmp_path, capsys):
    for k in (1, 2, 3, 4):
        shutil.copytree(pictures, tmp_path / "folds" / f"fold{k}")
    data = tmp_path / "folds"
    config = quick("lenet5_relu", data, epochs=1)
    run = train(replace(config, data=replace(config.data, test_fold="2")), runs=tmp_path / "runs")
    said = capsys.readouterr().err
    assert "4 folds: fold2 is the test, and each fold stays whole" in said
    assert "36 training samples are held out for validation: whole folds, chosen by class and seed" in said
    assert (run.evaluation.split, run.evaluation.count) == ("test", 36)
    measured = evaluate(run.bundle, data)
    assert measured.metrics["accuracy"].value == run.evaluation.metrics["accuracy"].value
    assert "The test fold is fold2, as in training." in capsys.readouterr().err
    assert evaluate(run.bundle, data, test_fold="fold3").count == 36
    assert "as in training" not in capsys.readouterr().err


def test_level_of_the_classes_is_a_setting(pictures, tmp_path, capsys):
    for site in "abcdef":
        shutil.copytree(pictures, tmp_path / "sites" / site)
    flags = ["--model", "lenet5_relu", "--epochs", "1", "--train.device", "cpu", "--runs", str(tmp_path / "runs")]
    assert main(["train", str(tmp_path / "sites"), *flags]) == 2
    assert "Say at which level the classes are: --data.class_level 1 or --data.class_level 2" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "sites"), "--data.class_level", "2", *flags]) == 0
    said = capsys.readouterr().err
    assert "6 groups, each kept in one split: the folders a, b, c and 3 more" in said
    assert "36 of 216 samples are held out for testing: whole folders, chosen by class and seed" in said


@pytest.mark.parametrize("part", ["val", "test"])
def test_held_out_samples_are_not_skipped_and_the_error_says_so(pictures, tmp_path, part):
    config = quick("lenet5_relu", pictures, epochs=1)
    config = replace(config, data=replace(config.data, on_corrupt="skip", loading="memory"))
    source = open_source(pictures)
    parts = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    path = pictures / source.key(int(getattr(parts, part)[0]))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(
        DataError,
        match=r"truncated(?s:.*)\nOnly training samples are skipped; to leave out others, use --data\.skip_list",
    ):
        train(config, runs=tmp_path / "runs")
