"""`neocog bench`, and engines in predict and eval: tables, JSON, messages."""

import json

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog.bundle import load
from neocog.cli.app import main
from neocog.data import open_source
from neocog.runs.bench_bundle import calibration_records, spread_out
from tests.support.untrained import write_untrained


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of classes, and a network of it with random weights."""
    root = tmp_path_factory.mktemp("bench")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 5)):
        for kind in ("dark", "light"):
            (root / "data" / split / kind).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 120, (16, 16)) + 130 * (kind == "light")
                Image.fromarray(pixels.astype(np.uint8)).save(root / "data" / split / kind / f"{index}.png")
    write_untrained(root / "model.neocog", "lenet5_relu", open_source(str(root / "data")))
    return root


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEOCOG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def run(*arguments):
    return main([str(each) for each in arguments])


def test_bench_tells_of_each_engine_and_predict_takes_the_fastest(files, capsys, monkeypatch):
    model, data = files / "model.neocog", files / "data"
    pictures = sorted((data / "test").rglob("*.png"))[:3]
    assert run("predict", model, *pictures, "--backend", "auto", "--csv") == 0
    before = capsys.readouterr()
    assert f"engines were not measured yet: neocog bench {model} does that once" in before.err
    named = ("bench", model, "--data", data, "--split", "test", "--batch", "1,4,64", "--seconds", "0.1")
    assert run(*named, "--engines", "eager,compiled") == 0
    shown, told = capsys.readouterr()
    assert "remembered" not in shown
    assert "FILES --backend auto" not in shown
    assert "batches of 64 were not tried, as there are 10 samples" in told
    monkeypatch.setattr("neocog.runs.bench_bundle.NAMES", ("eager", "openvino", "openvino-int8"))
    call = (*named, "--int8")
    assert run(*call) == 0
    shown = capsys.readouterr().out
    for text in ("openvino-int8", "p99 ms", "of peak", "accuracy", "10 samples", "openvino 20", "remembered for this"):
        assert text in shown, text
    assert f"neocog predict {model} FILES --backend auto" in shown
    assert run(*call, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in found["engines"]}
    assert list(rows) == ["eager", "openvino", "openvino-int8"]
    assert rows["eager"]["speedup"] == 1.0
    assert rows["eager"]["lost"] == 0.0
    assert 0 < rows["openvino"]["error"] < 1e-3 < rows["openvino-int8"]["error"]
    assert all(row["p99"] >= row["p50"] > 0 for row in rows.values())
    taken = [row for row in rows.values() if row["within"]]
    assert found["fastest"] == max(taken, key=lambda row: row["per_second"])["name"]
    assert rows["eager"]["floor"] == pytest.approx(2 * found["macs"] / found["flops"]["fp32"])
    assert all(row["floor"] is None or row["floor"] * row["per_second"] <= 1 + 1e-9 for row in rows.values())
    assert load(model, backend="auto").backend_name == found["fastest"]
    assert run("predict", model, *pictures, "--backend", "auto", "--csv") == 0
    after = capsys.readouterr()
    assert "not measured" not in after.err
    assert [line.split(",")[:2] for line in after.out.splitlines()] == [
        line.split(",")[:2] for line in before.out.splitlines()
    ]


def test_predict_and_eval_compute_with_the_engine_that_is_asked_for(files, capsys):
    model, picture = files / "model.neocog", files / "data/test/dark/0.png"
    assert run("predict", model, picture, "--backend", "openvine") == 2
    assert "No engine has this name." in capsys.readouterr().err
    figures = []
    for name in ("eager", "compiled"):
        assert run("eval", model, files / "data", "--backend", name, "--json") == 0
        figures.append(json.loads(capsys.readouterr().out)["loss"]["value"])
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)
    assert run("eval", model, model, files / "data", "--backend", "compiled") == 2
    assert "--backend is for one network" in capsys.readouterr().err


def test_bench_of_golden_samples_counts_decisions(files):
    found = neocog.bench(files / "model.neocog", engines=("eager", "compiled"), seconds=0.01, batches=(1,))
    assert (found.data, found.metric, found.choice.num_samples) == ("golden samples", "decisions", 1)
    assert [trial.lost for trial in found.trials] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--int8",), "A network is quantised with samples of its data. Received: --int8 without --data"),
        (("--engines", "tensorrt"), "No engine has this name"),
        (("--batch", "0,4"), "Batch sizes are at least 1"),
        (("--batch", "many"), "--batch takes whole numbers"),
        (("--seconds", "0"), "Engines are timed for more than 0 seconds. Received: 0."),
        (("--seconds", "nan"), "Engines are timed for more than 0 seconds. Received: nan."),
    ],
)
def test_wrong_options_are_refused(files, capsys, options, message):
    assert run("bench", files / "model.neocog", *options) == 2
    assert message in capsys.readouterr().err


def test_calibration_is_of_the_training_split(files):
    predictor, data = load(files / "model.neocog"), str(files / "data")
    source = open_source(data)
    chosen = type("Chosen", (), {"source": source, "indices": source.splits["test"]})
    found = calibration_records(predictor, data, chosen, {"split": "test"})
    assert set(found.indices) == set(source.splits["train"])


def test_spread_out_takes_ends_and_no_more_than_asked():
    every = np.arange(100, 200)
    found = spread_out(every, 7)
    assert (found[0], found[-1], len(found)) == (100, 199, 7)
    assert spread_out(every, 500) is every
