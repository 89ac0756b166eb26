"""Channels keep their names from the data through the bundle to what is predicted and measured."""

import json

import numpy as np
import pytest

import neocog
from neocog.cli import main
from neocog.data import SignalPreprocess, read_preprocess
from neocog.errors import BundleError, DataError

DRAW = np.random.default_rng(0)
LENGTH = 32


def signal(k):
    """A wave on x in class 0, on y in class 1."""
    wave = np.sin(np.arange(LENGTH) / 2 + DRAW.uniform(0, 6))
    noise = 0.05 * DRAW.normal(size=(2, LENGTH))
    return {"x": noise[0] + wave * (k == 0), "y": noise[1] + wave * (k == 1), "id": np.arange(LENGTH)}


def write(path, columns, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [",".join(f"{columns[name][i]:.4g}" for name in names) for i in range(LENGTH)]
    path.write_text("\n".join([",".join(names), *rows]))
    return path


def folder(root, names, count=16):
    for i in range(count):
        for k, c in enumerate(("inx", "iny")):
            write(root / c / f"{i}.csv", signal(k), names)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network of channels x and y, which learned the classes; files hold an id, too."""
    place = tmp_path_factory.mktemp("channels")
    data = folder(place / "set", ["id", "x", "y"])
    assert (
        main(
            ["train", str(data), "--epochs", "6", "--name", "r", "--runs", str(place / "runs"), "--train.device", "cpu"]
        )
        == 0
    )
    return place / "runs" / "r" / "model.neocog"


def test_bundle_keeps_channel_names(trained):
    predictor = neocog.load(trained)
    assert (predictor.preprocess.names, predictor.preprocess.unused) == (("x", "y"), ("id",))
    assert read_preprocess(predictor.preprocess.to_json()) == predictor.preprocess


def test_predict_matches_columns_by_name(trained, tmp_path, capsys):
    for k, c in enumerate(("inx", "iny")):
        one = signal(k)
        files = [
            write(tmp_path / f"{k}-{'-'.join(names)}.csv", one, names)
            for names in (["x", "y"], ["y", "x"], ["id", "y", "x"])
        ]
        capsys.readouterr()
        assert main(["predict", str(trained), *map(str, files), "--json"]) == 0
        out, err = capsys.readouterr()
        results = [json.loads(line) for line in out.splitlines()]
        assert [result["class"] for result in results] == [c] * 3
        assert len({result["probability"] for result in results}) == 1
        assert "channels in another order are matched by name: x, y (first in" in " ".join(err.split())
        np.save(tmp_path / "a.npy", np.stack([one["x"], one["y"]]))
        assert main(["predict", str(trained), str(tmp_path / "a.npy"), str(tmp_path / "a.npy")]) == 0
        assert (
            " ".join(capsys.readouterr().err.split()).count(
                "channels without names are taken in the order of the network"
            )
            == 1
        )
    assert main(["predict", str(trained), str(write(tmp_path / "xz.csv", one | {"z": one["y"]}, ["x", "z"]))]) == 2
    assert "(missing: y; not known: z)" in " ".join(capsys.readouterr().err.split())


def test_evaluate_matches_columns_by_name(trained, tmp_path, capsys):
    swapped = folder(tmp_path / "swapped", ["y", "x"], 6)
    assert neocog.evaluate(trained, swapped).metrics["accuracy"].value == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "channels: y, x" in told and "channels in another order are matched by name: x, y" in told
    with pytest.raises(DataError, match=r"The network has x, y. other: received x \(missing: y\)"):
        neocog.evaluate(trained, folder(tmp_path / "other", ["x", "id"], 4))
    x = np.stack([np.stack([one["y"], one["x"]]) for one in map(signal, [0, 1] * 4)])
    np.savez(tmp_path / "named.npz", x=x, y=["inx", "iny"] * 4, channels=["y", "x"])
    assert neocog.evaluate(trained, tmp_path / "named.npz").metrics["accuracy"].value == 1
    np.savez(tmp_path / "plain.npz", x=x[:, ::-1], y=["inx", "iny"] * 4)
    assert neocog.evaluate(trained, tmp_path / "plain.npz").metrics["accuracy"].value == 1
    assert "channels without names are taken in the order of the network: x, y" in " ".join(
        capsys.readouterr().err.split()
    )


def test_bundle_without_channel_names_is_read_by_position(trained):
    spec = neocog.load(trained).preprocess.to_json()
    del spec["names"], spec["unused"]
    old = read_preprocess(spec)
    assert isinstance(old, SignalPreprocess) and old.names == ()


def test_read_preprocess_refuses_impossible_channel_names(trained):
    spec = neocog.load(trained).preprocess.to_json()
    for names in (["x"], ["x", "x"], ["x", "y", "z"]):
        with pytest.raises(DataError, match="Each channel needs a name of its own"):
            read_preprocess({**spec, "names": names})


def recording(path, names, count=1600):
    time = np.arange(count)
    label = time // 100 % 2
    wave = np.sin(time / 3)
    columns = {
        "time": time / 50, "x": wave * (label == 0) + 0.01, "y": wave * (label == 1), "note": ["a"] * count,
        "label": np.array(["inx", "iny"])[label],
    }  # fmt: skip
    path.write_text(
        "\n".join([",".join(names), *(",".join(str(columns[name][i]) for name in names) for i in range(count))])
    )
    return path


def test_evaluate_reads_a_recording_as_in_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = str(recording(tmp_path / "r.csv", ["time", "x", "y", "note", "label"]))
    flags = ["--signal.window", "25", "--signal.step", "20", "--signal.columns", "x,y"]
    assert main(["train", path, *flags, "--epochs", "4", "--name", "r", "--train.device", "cpu"]) == 0
    trained_on = " ".join(capsys.readouterr().err.split())
    assert "channels: x, y" in trained_on and "note (not named by signal.columns)" in trained_on
    assert "columns:" in (tmp_path / "runs/r/config.yaml").read_text()
    bundle = "runs/r/model.neocog"
    assert main(["eval", bundle, path, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "trained on this very data set; the part that was kept for testing is evaluated" in " ".join(err.split())
    kept = json.loads((tmp_path / "runs/r/evaluation.json").read_text())
    assert {**json.loads(out), "data": ""} == {**kept, "data": ""}
    other = str(recording(tmp_path / "other.csv", ["time", "y", "x", "label"]))
    assert main(["eval", bundle, other, "--window", "25", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "64 windows of 25 samples were cut" in " ".join(err.split())


@pytest.mark.parametrize("verb", ["check", "pack", "eval"])
@pytest.mark.parametrize("dotted", [False, True])
def test_every_verb_accepts_the_flags_that_its_error_names(verb, dotted, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = str(recording(tmp_path / "r.csv", ["time", "x", "y", "label"]))
    arguments = {"check": [path], "pack": [path, "out"], "eval": [str(trained), path]}[verb]
    assert main([verb, *arguments]) != 0
    told = " ".join("".join(capsys.readouterr()).split())
    assert "--signal.window 128, and --signal.step 64" in told
    flags = ["--signal.window", "32", "--signal.step", "16", "--signal.columns", "x,y"]
    code = main([verb, *arguments, *(flag if dotted else flag.replace("signal.", "") for flag in flags)])
    told = " ".join("".join(capsys.readouterr()).split())
    assert "Unknown option" not in told
    if verb == "pack":
        assert "Samples of one game, speaker or recording must stay in one split" in told
    else:
        assert code == 0 and "windows of 32 samples were cut; neighbours share 16" in told


def test_check_and_train_list_channels_in_the_same_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = str(folder(tmp_path / "set", ["id", "x", "y"], 8))
    main(["check", data, "--json", "--no-skip-list"])
    notices = json.loads(capsys.readouterr().out)["notices"]
    assert notices[0] == "channels: x, y"
    assert notices[1] == "not channels: id (counts up); to read others, name all channels by --signal.columns"
    main(["train", data, "--epochs", "1", "--name", "r", "--train.device", "cpu"])
    told = capsys.readouterr().err
    assert all(f"  {notice}\n" in told for notice in notices)


def test_load_refuses_a_bundle_with_changed_channel_names(trained, tmp_path):
    (tmp_path / "m.neocog").write_bytes(trained.read_bytes().replace(b'"names": [\n   "x",', b'"names": [\n   "y",'))
    with pytest.raises(BundleError):
        neocog.load(tmp_path / "m.neocog")


def test_pack_keeps_channel_names(trained, tmp_path, capsys):
    files = tmp_path / "split"
    for part in ("train", "test"):
        folder(files / part, ["y", "x"], 10)
    assert main(["pack", str(files), str(tmp_path / "shards")]) == 0
    source = neocog.open_source(tmp_path / "shards")
    assert source.channel_names == ("y", "x") and source.notices[0] == "channels: y, x"
    assert neocog.evaluate(trained, tmp_path / "shards").metrics["accuracy"].value == 1
    assert "channels in another order are matched by name: x, y" in " ".join(capsys.readouterr().err.split())
    run = main(
        [
            "train",
            str(tmp_path / "shards"),
            "--epochs",
            "1",
            "--name",
            "p",
            "--runs",
            str(tmp_path),
            "--train.device",
            "cpu",
        ]
    )
    assert run == 0 and neocog.load(tmp_path / "p" / "model.neocog").preprocess.names == ("y", "x")
