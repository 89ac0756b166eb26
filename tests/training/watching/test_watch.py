import json
import math
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.errors import ConfigError
from neocog.runs import Run
from neocog.training.watching import Watch, WatchConfig, check_watch, told_before
from neocog.training.watching import watch as watch_module
from neocog.training.watching.rates import peak_memory, rates
from neocog.training.watching.told import Told

CPU = torch.device("cpu")
IMAGES = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3
OFF = WatchConfig(log_seconds=0, warnings=False)
ROW = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7}


class Events(list):
    def __call__(self, event, **facts):
        self.append({"event": event} | facts)

    def of(self, event):
        return [facts for facts in self if facts["event"] == event]


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(watch_module.time, "perf_counter", lambda: self.now)


def small(dead: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    if dead:
        nn.init.constant_(model[1].bias, -100)
    return model


def train(watch, model, epochs, num_steps, row=ROW):
    """The loop, as far as watching goes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    step = 0
    for epoch in range(epochs):
        watch.start_epoch(epoch, num_steps)
        for _ in range(num_steps):
            watch.waited(0.0)
            watch.begin(step, IMAGES)
            loss = F.cross_entropy(model(IMAGES), LABELS)
            optimizer.zero_grad()
            loss.backward()
            watch.gradients()
            assert not any(module._forward_hooks for module in model.modules())
            optimizer.step()
            step += 1
            watch.step(step, loss.item(), 0.01, len(IMAGES))
        watch.epoch({**row, "epoch": epoch + 1})
    watch.close()


def test_rates_in_physical_units():
    found = rates(seconds=4.0, samples=200, waited=1.0, flops=2e6, peak=3e9)
    assert found == {
        "samples_per_second": 50.0, "waiting": 0.25, "flops_per_second": 3 * 2e6 * 50, "share_of_peak": 0.1,
    }  # fmt: skip
    assert rates(seconds=4.0, samples=200, waited=0.0).keys() == {"samples_per_second", "waiting"}
    assert "share_of_peak" not in rates(seconds=4.0, samples=200, waited=0.0, flops=1)


def test_peak_memory_is_in_bytes():
    block = torch.ones(2**22)
    assert 50 * 2**20 < peak_memory(CPU) < 2**40 and len(block)


def test_speed_of_an_epoch_and_of_the_steps_between_two_events(monkeypatch):
    clock, events = Clock(monkeypatch), Events()
    watch = Watch(
        WatchConfig(log_seconds=10, log_every=0), small(), events, device=CPU, num_classes=3, flops=1000, peak=30_000.0
    )
    clock.now = 100.0
    watch.start_epoch(0, 8)
    for step in range(8):
        clock.now += 1.0
        watch.waited(1.0)
        watch.begin(step, IMAGES)
        clock.now += 3.0
        watch.step(step + 1, 0.5, 0.1, 20)
    clock.now += 1000  # validation is not training
    watch.epoch(ROW)
    steps = events.of("step")
    assert [event["step"] for event in steps] == [3, 6]  # at 12 and 24 seconds
    assert steps[1] == {
        "event": "step", "step": 6, "loss": 0.5, "lr": 0.1, "samples_per_second": 5.0, "waiting": 0.25,
    }  # fmt: skip
    (speed,) = events.of("speed")
    memory = speed.pop("peak_memory_bytes")
    assert memory > 0
    assert speed == {
        "event": "speed", "step": 8, "epoch": 1, "samples_per_second": 5.0, "waiting": 0.25,
        "flops_per_second": 15_000.0, "share_of_peak": 0.5,
    }  # fmt: skip


def test_steps_are_noted_by_their_number():
    events, model = Events(), small()
    train(Watch(WatchConfig(log_seconds=0, log_every=4), model, events, device=CPU), model, 1, 10)
    assert [event["step"] for event in events.of("step")] == [4, 8]


def test_norms_are_noted_for_each_stage_every_so_many_steps():
    events, model = Events(), small()
    train(Watch(WatchConfig(norms_every=5, warnings=False), model, events, device=CPU), model, 2, 6)
    assert [event["step"] for event in events.of("norms")] == [5, 10]
    for event in events.of("norms"):
        assert event["gradients"].keys() == {"0", "1", "4"}
        assert event["activations"].keys() == {"0", "1", "2", "3", "4"}
        assert all(value > 0 for value in event["gradients"].values())


def test_an_infinite_norm_is_null(tmp_path):
    run, model = Run(tmp_path), small()
    watch = Watch(WatchConfig(norms_every=1, warnings=False), model, run.log, device=CPU)
    watch.begin(0, IMAGES)
    model(IMAGES).sum().backward()
    model[0].weight.grad.fill_(math.inf)
    watch.gradients()
    watch.step(1, math.nan, 0.1, 8)
    (event,) = map(json.loads, run.events.read_text().splitlines())
    assert event["gradients"]["0"] is None and event["gradients"]["4"] > 0


def test_off_means_no_hooks_and_one_event_for_an_epoch(monkeypatch):
    def refuse(*_):
        raise AssertionError("a hook")

    monkeypatch.setattr(nn.Module, "register_forward_hook", refuse)
    events, model = Events(), small(dead=True)
    train(Watch(OFF, model, events, device=CPU, num_classes=3), model, 2, 12)
    assert [event["event"] for event in events] == ["speed", "speed"]


def test_a_dead_layer_is_told_once_and_a_healthy_network_has_none(capsys):
    events, model = Events(), small(dead=True)
    train(Watch(WatchConfig(), model, events, device=CPU), model, 3, 12)
    (warning,) = events.of("warning")
    assert warning["kind"] == "dead" and warning["about"] == ["2", "0", "1"] and warning["step"] == 11
    assert "2 gave zero in every channel for every input, and 0, 1 got a gradient of exactly zero" in warning["message"]
    assert warning["message"] in capsys.readouterr().err
    events, model = Events(), small()
    train(Watch(WatchConfig(), model, events, device=CPU), model, 3, 12)
    assert not events.of("warning")


def test_a_layer_that_dies_later_is_told_too():
    events, model = Events(), small()
    watch = Watch(WatchConfig(), model, events, device=CPU)
    watch.start_epoch(0, 12)
    train(watch, model, 1, 12)
    nn.init.constant_(model[1].bias, -100)
    train(watch, model, 1, 2)  # epochs that are shorter than a check: it goes on in the next
    assert not events.of("warning")
    train(watch, model, 1, 2)
    assert [event["about"] for event in events.of("warning")] == [["2", "0", "1"]]


def test_zeros_that_a_network_begins_with_are_no_deaths():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.zeros_(model[3].weight)
    nn.init.zeros_(model[1].weight)  # both: nothing but biases gets a gradient at first
    events = Events()
    train(Watch(WatchConfig(), model, events, device=CPU), model, 1, 20)
    assert not events.of("warning")


def test_a_loss_of_nothing_gives_no_gradient_and_that_is_no_death():
    events, model = Events(), small()
    watch = Watch(WatchConfig(), model, events, device=CPU)
    watch.start_epoch(0, 3)
    for step in range(3):
        watch.begin(step, IMAGES)
        model.zero_grad()
        (model(IMAGES).sum() * 0).backward()
        watch.gradients()
        watch.step(step + 1, 0.0, 0.1, 8)
    assert not events.of("warning")


def test_a_compiled_network_is_seen_too_and_trains_to_the_same_bits():
    finals = []
    for watched in (False, True):
        torch.manual_seed(0)
        model, events = small(dead=True), Events()
        model.append(nn.Dropout(0.1))
        compiled = torch.compile(model, backend="eager")
        watch = Watch(
            WatchConfig(norms_every=4, warnings=True) if watched else OFF, model, events, device=CPU, compiled=True
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        watch.start_epoch(0, 12)
        for step in range(12):
            watch.begin(step, IMAGES)
            loss = F.cross_entropy(compiled(IMAGES), LABELS)
            optimizer.zero_grad()
            loss.backward()
            watch.gradients()
            optimizer.step()
            watch.step(step + 1, loss.item(), 0.01, 8)
        finals.append(model.state_dict())
    assert all(torch.equal(finals[0][name], value) for name, value in finals[1].items())
    assert len(events.of("norms")[0]["activations"]) == 6
    assert events.of("warning")[0]["about"] == ["2", "0", "1"]


def test_hooks_of_a_step_that_is_broken_off_are_taken_away():
    model = small()
    watch = Watch(WatchConfig(norms_every=1), model, Events(), device=CPU)
    watch.begin(0, IMAGES)
    assert any(module._forward_hooks for module in model.modules())
    watch.close()
    assert not any(module._forward_hooks for module in model.modules())


def test_data_that_is_slow_is_told_once(monkeypatch):
    clock, events = Clock(monkeypatch), Events()
    watch = Watch(WatchConfig(), small(), events, device=CPU)
    for epoch, wait in enumerate((1.0, 40.0, 50.0)):
        watch.start_epoch(epoch, 1)
        clock.now += 100
        watch.waited(wait)
        watch.step(epoch + 1, 1.0, 0.1, 8)
        watch.epoch({**ROW, "epoch": epoch + 1})
    (warning,) = events.of("warning")
    assert warning["kind"] == "data" and "40% of epoch 2" in warning["message"] and warning["about"] == []


def test_parting_curves_and_a_still_loss_are_told():
    events = Events()
    watch = Watch(WatchConfig(), small(), events, device=CPU, num_classes=3)
    watch.start_epoch(0, 100)
    watch.epoch({**ROW, "train_loss": math.log(3), "val_loss": math.log(3)})
    assert [event["kind"] for event in events.of("warning")] == ["loss"]
    for epoch in range(2, 6):
        parted = {"train_accuracy": 0.8 + epoch / 100, "val_accuracy": 0.6, "val_loss": 1 + epoch, "train_loss": 0.1}
        watch.epoch({**ROW, **parted, "epoch": epoch})
    assert [event["kind"] for event in events.of("warning")] == ["loss", "curves"]


def test_a_resumed_run_knows_its_history_and_what_was_told(tmp_path):
    run = Run(tmp_path)
    assert told_before(run.events) == set()
    Told(run.log).tell("dead", "words", ["a", "b"])
    Told(run.log).tell("data", "words")
    run.log("epoch", epoch=1)
    with run.events.open("a") as file:
        file.write('{"event": "warn')
    assert told_before(run.events) == {("dead", "a"), ("dead", "b"), ("data", "")}
    events, model = Events(), small(dead=True)
    told = {("dead", "2"), ("dead", "0")}
    history = [
        {**ROW, "train_accuracy": 0.9, "val_accuracy": 0.7 - 0.01 * i, "val_loss": 1.0 + i, "epoch": i + 1}
        for i in range(3)
    ]
    watch = Watch(WatchConfig(), model, events, device=CPU, num_classes=3, step=36, history=history, told=told)
    train(watch, model, 1, 12, row={**ROW, "train_accuracy": 0.95, "val_accuracy": 0.6, "val_loss": 9.0})
    assert [(event["kind"], event["about"]) for event in events.of("warning")] == [("dead", ["1"]), ("curves", [])]


class Writer:
    """Stands where torch's SummaryWriter does."""

    def __init__(self, folder, purge_step=None):
        self.folder, self.purge_step, self.closed = folder, purge_step, False
        self.scalars, self.texts = {}, {}
        type(self).last = self

    def add_scalar(self, tag, value, step):
        self.scalars[tag, step] = value

    def add_text(self, tag, text, step):
        self.texts[tag, step] = text

    def close(self):
        self.closed = True


def test_tensorboard_gets_curves(monkeypatch, tmp_path):
    fake = types.ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    config = WatchConfig(tensorboard=True, log_seconds=0, log_every=5, norms_every=10)
    check_watch(config)
    model = small(dead=True)
    train(Watch(config, model, Events(), device=CPU, folder=tmp_path, step=7), model, 1, 12)
    writer = Writer.last
    assert writer.folder == str(tmp_path) and writer.purge_step == 8 and writer.closed
    tags = {tag for tag, _ in writer.scalars}
    assert {"step/loss", "step/lr", "gradients/0", "activations/2", "epoch/val_accuracy", "speed/waiting"} <= tags
    assert "step/step" not in tags
    assert "Dead layers" in writer.texts["warning/message", 11]
    Watch(config, model, Events(), device=CPU, folder=tmp_path)
    assert Writer.last.purge_step is None


def test_without_tensorboard_the_message_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r'watch\.tensorboard needs TensorBoard.*pip install "neocog\[track\]"'):
        check_watch(WatchConfig(tensorboard=True))
    check_watch(WatchConfig())
    with pytest.raises(ConfigError, match="neocog"):
        Watch(WatchConfig(tensorboard=True), small(), Events(), device=CPU, folder=tmp_path)


@pytest.mark.filterwarnings("ignore")  # TensorBoard's own
def test_tensorboard_reads_back_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, model = WatchConfig(tensorboard=True, log_seconds=0, log_every=2), small()
    train(Watch(config, model, Events(), device=CPU, folder=tmp_path), model, 1, 6)
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [point.step for point in found.Scalars("step/loss")] == [2, 4, 6]
    assert [point.value for point in found.Scalars("epoch/val_accuracy")] == [pytest.approx(0.7)]
