import copy
import json
import random
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.errors import CheckpointError, ConfigError
from neocog.tasks import Classification
from neocog.training.executor import StepExecutor
from neocog.training.speed import PLAIN, Candidate, Decision, SpeedConfig, choose_speed, exact_arithmetic
from neocog.training.speed import choose as choose_module
from neocog.training.speed.candidates import candidates
from neocog.training.speed.measure import DroppedError, ModelBench
from neocog.training.speed.measurements import Measurements, identity, read_measurements, write_measurements
from neocog.training.state import build_seeded

TASK = Classification(("a", "b", "c"))
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(8, 3, 8, 8, generator=GENERATOR)
LABELS = torch.randint(0, 3, (8,), generator=GENERATOR)
FASTER = Measurements(seconds={PLAIN.name: 1.0, "bf16, channels_last, eager": 0.5})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))
    return tmp_path / "speed"


@pytest.fixture(autouse=True)
def bf16(monkeypatch):
    """As on a machine that has it."""
    monkeypatch.setattr("neocog.training.speed.candidates.lacks_bf16", lambda device: None)


def small():
    return build_seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
        ),
        seed=1,
    )


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, fused=True)


def chosen(model=None, steps=300, images=IMAGES, **settings):
    return choose_speed(
        model or small(), images, LABELS, loss=TASK.loss, optimizer=sgd, steps=steps, config=SpeedConfig(**settings)
    )


def key():
    return identity(small(), IMAGES, torch.optim.SGD)


def test_choosing_changes_nothing(monkeypatch):
    monkeypatch.setitem(choose_module.__dict__, "ModelBench", Unhurried)
    model = small().eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = copy.deepcopy(model.state_dict())
    torchs, pythons, numpys = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    decision = chosen(model, steps=100_000, budget=1e-3)
    assert len(decision.timings) == 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[0].weight.is_contiguous()
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert model[5].weight.grad is None
    assert not any(module.training for module in model.modules())
    assert torch.equal(torchs, torch.get_rng_state())
    assert (pythons, numpys) == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


def test_a_tiny_run_is_plain_without_measuring(monkeypatch, cache):
    monkeypatch.setattr(ModelBench, "begin", lambda *_: pytest.fail("a step was timed"))
    decision = chosen(steps=40)
    assert (decision.precision, decision.channels_last, decision.compiled) == ("fp32", False, False)
    assert decision.lines() == ["speed: fp32, contiguous, eager: 40 steps are too few to measure a faster way"]
    assert not cache.exists()


def test_measurements_are_kept_and_used_by_a_tiny_run(monkeypatch):
    write_measurements(key(), FASTER)
    monkeypatch.setattr(ModelBench, "begin", lambda *_: pytest.fail("a step was timed"))
    decision = chosen(steps=40)
    assert (decision.precision, decision.channels_last) == ("bf16", True)
    assert decision.reason == (
        "bf16, channels_last, eager: 500 ms a step, 2.0 times as fast as plain fp32 (1,000 ms); "
        "compiling was not worth it for 40 steps"
    )


def test_measurements_are_written_and_read_back(cache):
    decision = chosen(steps=100_000, budget=1e-3)
    (file,) = cache.iterdir()
    assert read_measurements(key()).seconds == decision.timings
    assert json.loads(file.read_text())["key"] == key()


@pytest.mark.parametrize("change", ["network", "weights", "frozen", "batch", "optimizer", "threads"])
def test_another_network_batch_or_machine_is_another_key(monkeypatch, change):
    write_measurements(key(), FASTER)
    model, images, optimizer = small(), IMAGES, torch.optim.SGD
    match change:
        case "network":
            model[2] = nn.GELU()
        case "weights":
            model.register_parameter("own", nn.Parameter(torch.ones(1)))
        case "frozen":
            model[0].requires_grad_(False)
        case "batch":
            images = IMAGES[:4]
        case "optimizer":
            optimizer = torch.optim.AdamW
        case "threads":
            monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    assert read_measurements(identity(model, images, optimizer)) == Measurements()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:50],
        lambda text: "",
        lambda text: "[1, 2]",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"batch"', '"bath"'),
        lambda text: text.replace("0.5", "-0.5"),
        lambda text: text.replace("0.5", '"fast"'),
        lambda text: text.replace("0.5", "NaN"),
        lambda text: text.replace('"seconds"', '"minutes"'),
    ],
)
def test_a_damaged_or_foreign_file_is_ignored(cache, damage):
    write_measurements(key(), FASTER)
    assert read_measurements(key()) == FASTER
    (file,) = cache.iterdir()
    file.write_text(damage(file.read_text()))
    assert read_measurements(key()) == Measurements()


def test_unwritable_cache_is_noted_and_does_no_harm(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "file"))
    write_measurements(key(), FASTER)
    assert "The speed measurements could not be saved and will be repeated" in capsys.readouterr().err


def test_cache_is_where_the_user_sets_it(monkeypatch, tmp_path):
    monkeypatch.delenv("NEOCOG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    write_measurements(key(), FASTER)
    assert len(list((tmp_path / "xdg" / "neocog" / "speed").glob("*.json"))) == 1


def test_a_convolution_that_is_wrong_in_bf16_drops_bf16_and_says_why(monkeypatch):
    right = F.conv2d

    def conv2d(*args, **kwargs):
        maps = right(*args, **kwargs)
        return maps * 1.2 if maps.dtype == torch.bfloat16 else maps

    monkeypatch.setattr(F, "conv2d", conv2d)
    monkeypatch.setitem(choose_module.__dict__, "ModelBench", Unhurried)
    decision = chosen(steps=100_000, budget=1e-2)
    reason = decision.dropped["bf16, contiguous, eager"]
    assert reason.startswith("the forward of 0 (conv2d) is off by 2.0e-01, more than 3e-02")
    assert decision.precision == "fp32"
    assert f"  dropped: bf16, contiguous, eager: {reason}" in decision.lines()
    assert "bf16, contiguous, eager" not in decision.timings


class Unhurried(ModelBench):
    """A step takes as long as planted, however busy the machine is."""

    clock = 0.0

    def now(self):
        self.clock += 0.01
        return self.clock


def test_a_loss_far_from_that_of_plain_fp32_drops_a_candidate(monkeypatch):
    bench = ModelBench(small(), IMAGES, LABELS, TASK.loss, sgd)
    low, high = bench.expected
    assert low < high
    monkeypatch.setattr("neocog.training.speed.measure.StepExecutor", Doubling)
    bench.begin(Candidate("bf16"))
    with pytest.raises(DroppedError, match="the loss is .*, while plain fp32 gives"):
        bench.step()


class Doubling(StepExecutor):
    def forward(self, images, labels):
        loss, outputs = super().forward(images, labels)
        return loss * 20, outputs


def test_a_missing_compiler_drops_the_compiled_candidate(monkeypatch):
    def fake(model, **_):
        def run(images):
            raise RuntimeError("backend='inductor' raised") from OSError("No working C++ compiler found\nand more")

        return run

    monkeypatch.setattr(torch, "compile", fake)
    monkeypatch.setattr(choose_module, "COMPILE_SECONDS", 0.0)
    monkeypatch.setattr(choose_module, "LAYER_SECONDS", 0.0)
    monkeypatch.setitem(choose_module.__dict__, "ModelBench", Unhurried)
    decision = chosen(steps=10**6)
    assert not decision.compiled
    assert decision.reason.endswith("compiling failed")
    assert [why for name, why in decision.dropped.items() if "compiled" in name] == [
        "OSError: No working C++ compiler found"
    ]


def test_an_error_of_plain_steps_is_the_users():
    with pytest.raises(RuntimeError, match="size mismatch|shapes cannot be multiplied"):
        chosen(nn.Sequential(nn.Flatten(), nn.Linear(5, 3)))


def test_manual_is_as_the_settings_say():
    decision = chosen(mode="manual", precision="fp16", channels_last=True, compile=True)
    assert (decision.precision, decision.channels_last, decision.compiled) == ("fp16", True, True)
    assert decision.lines() == ["speed: fp16, channels_last, compiled, as the settings say"]


def test_channels_last_without_images_is_an_error():
    model, signals = nn.Sequential(nn.Flatten(), nn.Linear(24, 3)), IMAGES[:, :, 0]
    with pytest.raises(ConfigError, match=r"speed.channels_last is for images .* shape \(8, 3, 8\). Leave it out"):
        chosen(model, images=signals, mode="manual", channels_last=True)
    assert [way.name for way in candidates(model, signals)[0]] == ["fp32, contiguous, eager", "bf16, contiguous, eager"]


def test_without_instructions_bf16_is_not_tried(monkeypatch):
    monkeypatch.setattr("neocog.training.speed.candidates.lacks_bf16", lambda device: "this CPU has none")
    ways, dropped = candidates(small(), IMAGES)
    assert ways == [PLAIN, Candidate("fp32", True)]
    assert dropped == {
        "bf16, contiguous, eager": "this CPU has none",
        "bf16, channels_last, eager": "this CPU has none",
    }


def test_exact_is_plain_and_its_scope_leaves_torch_as_it_was():
    assert chosen(mode="exact").reason == "fp32, contiguous, eager and deterministic, as speed.mode is exact"
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.conv.fp32_precision
    with pytest.raises(KeyError), exact_arithmetic():
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "ieee"
        raise KeyError
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.conv.fp32_precision) == before


@pytest.mark.parametrize(
    ("mode", "ignored"),
    [
        ("auto", ["channels_last", "compile", "native", "precision"]),
        ("exact", ["budget", "channels_last", "compile", "native", "precision"]),
        ("manual", ["budget"]),
    ],
)
def test_settings_without_effect_are_named(mode, ignored):
    assert SpeedConfig(mode=mode).ignored() == dict.fromkeys(ignored, f"speed.mode is {mode}")


def test_a_decision_survives_json():
    write_measurements(key(), FASTER)
    decision = chosen(steps=40)
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda found: found | {"precision": "fp8"}, "computed is damaged: precision: Input should be"),
        (lambda found: {key: value for key, value in found.items() if key != "threads"}, "damaged: threads: "),
        (lambda found: [found], "computed is damaged"),
    ],
)
def test_a_damaged_decision_is_named(damage, message):
    with pytest.raises(CheckpointError, match=message):
        Decision.from_json(damage(chosen(steps=40).to_json()))


class Clocked(ModelBench):
    """Every step of a whole batch takes a second in plain fp32 and half of it in bf16, and no time passes."""

    seen: ClassVar[list[int]] = []
    seconds: ClassVar[float] = 1.0
    check_seconds = 0.0

    def now(self):
        return 0.0

    def check(self, candidate):
        pass

    def step(self):
        self.seen.append(len(self.images))
        share = len(self.images) / len(IMAGES)
        return self.seconds * share * (0.5 if self.candidate.precision == "bf16" else 1.0)


@pytest.fixture
def clocked(monkeypatch):
    monkeypatch.setitem(choose_module.__dict__, "ModelBench", Clocked)
    monkeypatch.setattr(Clocked, "seen", [])
    return Clocked


def test_a_run_of_few_long_steps_is_timed_with_part_of_a_batch(clocked):
    decision = chosen(steps=199)  # one more would be enough for whole batches
    assert set(clocked.seen) == {3}
    assert decision.precision == "bf16"
    assert decision.timings[PLAIN.name] == pytest.approx(1.0)  # of a whole step
    assert decision.reason.endswith("for 199 steps; timed with 3 of a batch's 8 images")


def test_a_brief_run_of_few_steps_is_plain(clocked, monkeypatch):
    monkeypatch.setattr(clocked, "seconds", 0.05)
    decision = chosen(steps=199)
    assert (decision.precision, len(decision.timings)) == ("fp32", 1)


def test_whole_batches_are_timed_where_the_budget_allows(clocked):
    assert "images" not in chosen(steps=200).reason
    assert set(clocked.seen) == {8}


def test_a_part_of_a_few_images_is_not_timed(clocked):
    assert chosen(steps=100).timings == {}
    assert clocked.seen == []


def test_a_part_of_a_batch_is_measured_once(clocked):
    first, count = chosen(steps=199), len(clocked.seen)
    again = chosen(steps=199)
    assert (first, len(clocked.seen)) == (again, count)


def test_a_rate_that_plain_float32_does_not_bear_is_an_error_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path))

    def fail(*_):
        raise DroppedError("the loss is nan")

    monkeypatch.setattr("neocog.training.speed.choose.measure", fail)
    model, images, labels = nn.Linear(3, 2), torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(
        ConfigError, match=r"possible in plain float32. Received: the loss is nan. Lower --optimizer.lr"
    ):
        choose_speed(
            model, images, labels, loss=nn.functional.cross_entropy,
            optimizer=lambda other: torch.optim.SGD(other.parameters(), lr=1e30), steps=1000, config=SpeedConfig(),
        )  # fmt: skip
