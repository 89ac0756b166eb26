"""Drift: shifted inputs are warned of, the same are not."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
from torch import Tensor

import neocog
from neocog.bundle.reference import Reference, input_statistics, measure_reference
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.runs import Run
from neocog.serving.drift import HALF_LIFE, Drift, Window, population_stability
from neocog.serving.logs import Log
from neocog.serving.metrics import Metrics
from neocog.tasks import TASKS

NUM = 4
Task = TASKS["classification"]
TASK = Task(tuple("abcd"))


def images(draw: np.random.Generator, count: int, brightness: float = 0.0) -> Tensor:
    """Noise around a grey level that differs from image to image, (N, 3, 20, 20)."""
    level = draw.normal(120 + brightness, 10, (count, 3, 1, 1))
    return torch.from_numpy(np.clip(draw.normal(level, 30, (count, 3, 20, 20)), 0, 255).astype(np.uint8))


def logits(draw: np.random.Generator, count: int, shares: list[float]) -> Tensor:
    """Logits whose highest is drawn with these shares."""
    return torch.nn.functional.one_hot(torch.from_numpy(draw.choice(NUM, count, p=shares)), NUM).float()


SHARES = [0.4, 0.3, 0.2, 0.1]


def reference(count: int = 2000) -> Reference:
    draw = np.random.default_rng(1)
    return measure_reference(TASK, logits(draw, count, SHARES), images(draw, count))


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def served(found: Reference | None, sha: str = "0" * 64) -> Any:
    """What the monitor needs of a model."""
    manifest = {} if found is None else {"reference": json.loads(json.dumps(found.to_json()))}
    predictor = SimpleNamespace(manifest=manifest, classes=TASK.classes, task=TASK, preprocess=ImagePreprocess)
    return SimpleNamespace(name="digits", sha=sha, predictor=predictor)


def monitor(folder: Path, slot: int = 0, clock: Clock | None = None) -> Drift:
    drift = Drift(folder, slot, share=1.0, clock=clock or Clock())
    assert drift.monitor(served(reference()))
    return drift


def feed(drift: Drift, seed: int, shares: list[float] = SHARES, brightness: float = 0.0, batches: int = 40) -> None:
    draw = np.random.default_rng(seed)
    for _ in range(batches):
        drift.answered("digits", images(draw, 16, brightness), logits(draw, 16, shares))


def drifted(drift: Drift) -> set[str]:
    ((_, _, found),) = drift.findings()
    assert {finding.kind for finding in found} == {"classes", "inputs", "unusual"}
    return {finding.kind for finding in found if finding.drifted}


def test_the_same_inputs_do_not_drift(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for seed in range(5):
        (folder := tmp_path / str(seed)).mkdir()
        drift = monitor(folder)
        feed(drift, 10 + seed)
        assert drifted(drift) == set()
        drift.warn(Log(human=False))
    assert capfd.readouterr().err == ""


def test_brighter_inputs_are_warned_of_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    drift = monitor(tmp_path)
    feed(drift, 2, brightness=40)
    assert drifted(drift) == {"inputs", "unusual"}
    drift.warn(Log(human=False))
    drift.warn(Log(human=False))
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["level"], line["event"], line["kind"]) for line in lines] == [
        ("warning", "drift", "inputs"), ("warning", "drift", "unusual"),
    ]  # fmt: skip
    assert lines[0]["place"].startswith("mean of channel ")
    assert lines[0]["value"] == pytest.approx(4, abs=0.5)  # 40 of the 10 by which images differ
    assert lines[0]["samples"] == 640


def test_other_class_shares_are_warned_of(tmp_path: Path) -> None:
    drift = monitor(tmp_path)
    feed(drift, 3, shares=[0.1, 0.2, 0.3, 0.4])
    assert drifted(drift) == {"classes"}


def test_a_warning_ends_once_the_inputs_are_usual_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    drift = monitor(tmp_path, clock=clock)
    feed(drift, 3, shares=[0.1, 0.2, 0.3, 0.4])
    drift.warn(Log(human=False))
    clock.now += 10 * HALF_LIFE
    feed(drift, 4)
    drift.warn(Log(human=False))
    events = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert events == ["drift", "drift ended"]


def test_a_network_that_tells_unusual_inputs_is_believed(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    task = Task(tuple("abcd"), least_energy=0.0)
    found = measure_reference(task, torch.from_numpy(draw.normal(2, 1, (1000, NUM))).float(), None)
    assert found.unusual == pytest.approx(0.002, abs=0.01)
    model = served(found)
    model.predictor.task = task
    drift = Drift(tmp_path, share=1.0)
    assert drift.monitor(model)
    drift.answered("digits", images(draw, 200), torch.from_numpy(draw.normal(-3, 1, (200, NUM))).float())
    ((_, _, compared),) = drift.findings()
    unusual = next(finding for finding in compared if finding.kind == "unusual")
    assert unusual.drifted
    assert unusual.value > 0.5


def test_training_writes_the_reference(finished_run: Run, digits: Path) -> None:
    predictor, source = neocog.load(finished_run.bundle), neocog.open_source(digits)
    test = source.splits["test"]
    decoded = torch.stack([predictor.preprocess.decode(source.read(int(index)).payload) for index in test])
    found = Reference.of(predictor.manifest)
    assert found is not None and found.mean is not None and found.deviation is not None
    assert found.samples == len(test)
    labels = predictor.logits(decoded).argmax(dim=1)
    assert found.predicted is not None
    assert found.predicted.tolist() == torch.bincount(labels, minlength=10).tolist()
    assert found.inputs == 256
    spread = np.linspace(0, len(test) - 1, 256).astype(int)
    levels = decoded[spread].double().mean(dim=(1, 2, 3))
    assert found.mean[0] == pytest.approx(float(levels.mean()), rel=1e-4)
    assert found.deviation[0] == pytest.approx(float(levels.std(correction=0)), rel=1e-4)
    assert found.unusual is not None
    assert 0 <= found.unusual < 0.3


def test_few_samples_are_not_compared(tmp_path: Path) -> None:
    drift = monitor(tmp_path)
    feed(drift, 3, shares=[0, 0, 0, 1], batches=3)
    ((_, window, found),) = drift.findings()
    assert (window.effective, found) == (48, [])


def test_workers_are_added_up(tmp_path: Path) -> None:
    clock = Clock()
    first, second = monitor(tmp_path, 0, clock), monitor(tmp_path, 1, clock)
    feed(first, 5, batches=2)
    feed(second, 6, shares=[0.1, 0.2, 0.3, 0.4], batches=38)
    ((_, window, found),) = first.findings()
    assert window.effective == 640
    assert window.classes.sum() == 640
    assert [finding.kind for finding in found if finding.drifted] == ["classes"]


def test_a_worker_that_is_started_again_adds_to_its_sums(tmp_path: Path) -> None:
    feed(monitor(tmp_path), 5, batches=2)
    again = monitor(tmp_path)
    feed(again, 6, batches=1)
    ((_, window, _),) = again.findings()
    assert window.effective == 48


def test_another_network_starts_from_zero(tmp_path: Path) -> None:
    drift = monitor(tmp_path)
    feed(drift, 5)
    drift.monitor(served(reference(), sha="1" * 64))
    ((_, window, _),) = drift.findings()
    assert window.effective == 0


def test_a_bundle_without_a_reference_is_not_monitored(tmp_path: Path) -> None:
    drift = Drift(tmp_path, share=1.0)
    assert not drift.monitor(served(None))
    feed(drift, 1, batches=1)
    assert list(drift.findings()) == []
    for broken in ({"samples": "many"}, {"samples": 3, "predicted": [[1], [2, 3]]}, [], {"samples": 0}):
        assert Reference.of({"reference": broken}) is None


def test_monitoring_takes_no_more_than_its_share(tmp_path: Path) -> None:
    drift = Drift(tmp_path, share=1e-6)
    drift.monitor(served(reference()))
    feed(drift, 1, batches=5)
    ((_, window, _),) = drift.findings()
    assert window.effective == 16


def test_sums_decay_by_half_in_a_half_life() -> None:
    window = Window(np.zeros(Window.size(2, 0)), 2, 0)
    window.add(100.0, 8, np.array([8.0, 0]), None, 0)
    window.add(100.0 + HALF_LIFE, 4, np.array([0, 4.0]), None, 0)
    assert window.classes.tolist() == [4, 4]
    # By hand: weights 8 x 1/2 and 4 x 1: (4 + 4)^2 / (8 x 1/4 + 4).
    assert window.effective == pytest.approx(64 / 6)


def test_psi_and_its_limit_are_those_of_the_formula() -> None:
    p, q = np.array([300.5, 700.5]) / 1001, np.array([500.5, 500.5]) / 1001
    value, limit = population_stability(np.array([300.0, 700]), np.array([500.0, 500]), 1000)
    assert value == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert limit == pytest.approx(2 / 1000 * chi2.isf(1e-6, 1))


def test_rare_classes_are_counted_together() -> None:
    then = np.array([1000.0, 1, 1, 1])
    value, limit = population_stability(np.array([997.0, 1, 1, 1]), then, 1000)
    assert value < limit
    assert limit == pytest.approx((1 / 1000 + 1 / 1003) * chi2.isf(1e-6, 1))


@pytest.mark.parametrize("seed", range(3))
def test_psi_of_samples_stays_below_its_limit(seed: int) -> None:
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet(np.ones(12))
    for _ in range(300):
        now, then = draw.multinomial(500, shares).astype(float), draw.multinomial(800, shares).astype(float)
        value, limit = population_stability(now, then, 500)
        assert value < limit


def test_statistics_of_inputs_are_mean_and_deviation() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(5, 2, 30)).astype(np.float32)
    values[0, :, 20:] = np.nan  # padding
    found = input_statistics(torch.from_numpy(values))
    assert found is not None
    expected = np.concatenate([np.nanmean(values, axis=2), np.nanstd(values, axis=2)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    large = draw.integers(0, 256, (2, 1, 200, 200), np.uint8)
    near: NDArray[np.float64] | None = input_statistics(torch.from_numpy(large))
    assert near is not None
    np.testing.assert_allclose(near[:, 0], large.mean(axis=(1, 2, 3)), atol=5)
    assert input_statistics(torch.zeros(2, 9, dtype=torch.int64)) is None


def test_drift_is_in_the_metrics(tmp_path: Path) -> None:
    drift = monitor(tmp_path)
    metrics = Metrics(drift=drift)
    metrics.facts.append(drift.facts)
    draw = np.random.default_rng(3)
    metrics.answered("digits", images(draw, 640), logits(draw, 640, [0.1, 0.2, 0.3, 0.4]))
    text = metrics.scrape().decode()
    (value,) = [line for line in text.splitlines() if line.startswith('neocog_drift{kind="classes"')]
    ((_, _, found),) = drift.findings()
    assert float(value.split()[1]) == pytest.approx(found[0].value)
    assert 'neocog_drift_samples{model="digits"} 640.0' in text
