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
from neocog.training.monitoring import Monitor, MonitorConfig, check_monitor, read_warnings
from neocog.training.monitoring import monitor as monitor_module
from neocog.training.monitoring.throughput import measure_peak_memory, throughput
from neocog.training.monitoring.warn_once import WarnOnce

CPU = torch.device("cpu")
IMAGES = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3
OFF = MonitorConfig(log_seconds=0, warnings=False)
ROW = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7}


class Events(list):
    def __call__(self, event, **facts):
        self.append({"event": event} | facts)

    def of(self, event):
        return [facts for facts in self if facts["event"] == event]


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(monitor_module.time, "perf_counter", lambda: self.now)


def small(dead: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    if dead:
        nn.init.constant_(model[1].bias, -100)
    return model


def train(monitor, model, epochs, num_steps, row=ROW):
    """The loop, as far as the monitor goes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    step = 0
    for epoch in range(epochs):
        monitor.start_epoch(epoch, num_steps)
        for _ in range(num_steps):
            monitor.add_waiting(0.0)
            monitor.begin_step(step, IMAGES)
            loss = F.cross_entropy(model(IMAGES), LABELS)
            optimizer.zero_grad()
            loss.backward()
            monitor.read_gradients()
            assert not any(module._forward_hooks for module in model.modules())
            optimizer.step()
            step += 1
            monitor.end_step(step, loss.item(), 0.01, len(IMAGES))
        monitor.end_epoch({**row, "epoch": epoch + 1})
    monitor.close()


def test_throughput_is_in_physical_units():
    found = throughput(seconds=4.0, samples=200, waited=1.0, flops=2e6, peak=3e9)
    assert found == {
        "samples_per_second": 50.0, "waiting": 0.25, "flops_per_second": 3 * 2e6 * 50, "share_of_peak": 0.1,
    }  # fmt: skip
    assert throughput(seconds=4.0, samples=200, waited=0.0).keys() == {"samples_per_second", "waiting"}
    assert "share_of_peak" not in throughput(seconds=4.0, samples=200, waited=0.0, flops=1)


def test_peak_memory_is_in_bytes():
    block = torch.ones(2**22)
    assert 50 * 2**20 < measure_peak_memory(CPU) < 2**40 and len(block)


def test_speed_of_an_epoch_and_of_the_steps_between_two_events(monkeypatch):
    clock, events = Clock(monkeypatch), Events()
    monitor = Monitor(
        MonitorConfig(log_seconds=10, log_every=0),
        small(),
        events,
        device=CPU,
        num_classes=3,
        flops=1000,
        peak=30_000.0,
    )
    clock.now = 100.0
    monitor.start_epoch(0, 8)
    for step in range(8):
        clock.now += 1.0
        monitor.add_waiting(1.0)
        monitor.begin_step(step, IMAGES)
        clock.now += 3.0
        monitor.end_step(step + 1, 0.5, 0.1, 20)
    clock.now += 1000  # validation is not training
    monitor.end_epoch(ROW)
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


def test_steps_are_logged_by_number():
    events, model = Events(), small()
    train(Monitor(MonitorConfig(log_seconds=0, log_every=4), model, events, device=CPU), model, 1, 10)
    assert [event["step"] for event in events.of("step")] == [4, 8]


def test_norms_are_logged_per_stage_every_n_steps():
    events, model = Events(), small()
    train(Monitor(MonitorConfig(norms_every=5, warnings=False), model, events, device=CPU), model, 2, 6)
    assert [event["step"] for event in events.of("norms")] == [5, 10]
    for event in events.of("norms"):
        assert event["gradients"].keys() == {"0", "1", "4"}
        assert event["activations"].keys() == {"0", "1", "2", "3", "4"}
        assert all(value > 0 for value in event["gradients"].values())


def test_an_infinite_norm_is_null(tmp_path):
    run, model = Run(tmp_path), small()
    monitor = Monitor(MonitorConfig(norms_every=1, warnings=False), model, run.log, device=CPU)
    monitor.begin_step(0, IMAGES)
    model(IMAGES).sum().backward()
    model[0].weight.grad.fill_(math.inf)
    monitor.read_gradients()
    monitor.end_step(1, math.nan, 0.1, 8)
    (event,) = map(json.loads, run.events.read_text().splitlines())
    assert event["gradients"]["0"] is None and event["gradients"]["4"] > 0


def test_monitor_that_is_off_adds_no_hooks_and_logs_one_event_per_epoch(monkeypatch):
    def refuse(*_):
        raise AssertionError("a hook")

    monkeypatch.setattr(nn.Module, "register_forward_hook", refuse)
    events, model = Events(), small(dead=True)
    train(Monitor(OFF, model, events, device=CPU, num_classes=3), model, 2, 12)
    assert [event["event"] for event in events] == ["speed", "speed"]


def test_dead_layer_is_reported_once_and_healthy_network_has_none(capsys):
    events, model = Events(), small(dead=True)
    train(Monitor(MonitorConfig(), model, events, device=CPU), model, 3, 12)
    (warning,) = events.of("warning")
    assert warning["kind"] == "dead" and warning["about"] == ["2", "0", "1"] and warning["step"] == 11
    assert "2 gave zero in every channel for every input, and 0, 1 got a gradient of exactly zero" in warning["message"]
    assert warning["message"] in capsys.readouterr().err
    events, model = Events(), small()
    train(Monitor(MonitorConfig(), model, events, device=CPU), model, 3, 12)
    assert not events.of("warning")


def test_layer_that_dies_later_is_reported_too():
    events, model = Events(), small()
    monitor = Monitor(MonitorConfig(), model, events, device=CPU)
    monitor.start_epoch(0, 12)
    train(monitor, model, 1, 12)
    nn.init.constant_(model[1].bias, -100)
    train(monitor, model, 1, 2)  # epochs that are shorter than a check: it goes on in the next
    assert not events.of("warning")
    train(monitor, model, 1, 2)
    assert [event["about"] for event in events.of("warning")] == [["2", "0", "1"]]


def test_zeros_of_initial_weights_are_not_dead_layers():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.zeros_(model[3].weight)
    nn.init.zeros_(model[1].weight)  # both: nothing but biases gets a gradient at first
    events = Events()
    train(Monitor(MonitorConfig(), model, events, device=CPU), model, 1, 20)
    assert not events.of("warning")


def test_zero_loss_without_gradient_is_not_a_dead_layer():
    events, model = Events(), small()
    monitor = Monitor(MonitorConfig(), model, events, device=CPU)
    monitor.start_epoch(0, 3)
    for step in range(3):
        monitor.begin_step(step, IMAGES)
        model.zero_grad()
        (model(IMAGES).sum() * 0).backward()
        monitor.read_gradients()
        monitor.end_step(step + 1, 0.0, 0.1, 8)
    assert not events.of("warning")


def test_compiled_network_is_probed_and_trains_to_the_same_bits():
    finals = []
    for watched in (False, True):
        torch.manual_seed(0)
        model, events = small(dead=True), Events()
        model.append(nn.Dropout(0.1))
        compiled = torch.compile(model, backend="eager")
        monitor = Monitor(
            MonitorConfig(norms_every=4, warnings=True) if watched else OFF, model, events, device=CPU, compiled=True
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        monitor.start_epoch(0, 12)
        for step in range(12):
            monitor.begin_step(step, IMAGES)
            loss = F.cross_entropy(compiled(IMAGES), LABELS)
            optimizer.zero_grad()
            loss.backward()
            monitor.read_gradients()
            optimizer.step()
            monitor.end_step(step + 1, loss.item(), 0.01, 8)
        finals.append(model.state_dict())
    assert all(torch.equal(finals[0][name], value) for name, value in finals[1].items())
    assert len(events.of("norms")[0]["activations"]) == 6
    assert events.of("warning")[0]["about"] == ["2", "0", "1"]


def test_hooks_of_an_interrupted_step_are_removed():
    model = small()
    monitor = Monitor(MonitorConfig(norms_every=1), model, Events(), device=CPU)
    monitor.begin_step(0, IMAGES)
    assert any(module._forward_hooks for module in model.modules())
    monitor.close()
    assert not any(module._forward_hooks for module in model.modules())


def test_slow_data_is_reported_once(monkeypatch):
    clock, events = Clock(monkeypatch), Events()
    monitor = Monitor(MonitorConfig(), small(), events, device=CPU)
    for epoch, wait in enumerate((1.0, 40.0, 50.0)):
        monitor.start_epoch(epoch, 1)
        clock.now += 100
        monitor.add_waiting(wait)
        monitor.end_step(epoch + 1, 1.0, 0.1, 8)
        monitor.end_epoch({**ROW, "epoch": epoch + 1})
    (warning,) = events.of("warning")
    assert warning["kind"] == "data" and "40% of epoch 2" in warning["message"] and warning["about"] == []


def test_overfitting_and_plateau_are_reported():
    events = Events()
    monitor = Monitor(MonitorConfig(), small(), events, device=CPU, num_classes=3)
    monitor.start_epoch(0, 100)
    monitor.end_epoch({**ROW, "train_loss": math.log(3), "val_loss": math.log(3)})
    assert [event["kind"] for event in events.of("warning")] == ["loss"]
    for epoch in range(2, 6):
        parted = {"train_accuracy": 0.8 + epoch / 100, "val_accuracy": 0.6, "val_loss": 1 + epoch, "train_loss": 0.1}
        monitor.end_epoch({**ROW, **parted, "epoch": epoch})
    assert [event["kind"] for event in events.of("warning")] == ["loss", "curves"]


def test_resumed_run_knows_its_history_and_earlier_warnings(tmp_path):
    run = Run(tmp_path)
    assert read_warnings(run.events) == set()
    WarnOnce(run.log).warn("dead", "words", ["a", "b"])
    WarnOnce(run.log).warn("data", "words")
    run.log("epoch", epoch=1)
    with run.events.open("a") as file:
        file.write('{"event": "warn')
    assert read_warnings(run.events) == {("dead", "a"), ("dead", "b"), ("data", "")}
    events, model = Events(), small(dead=True)
    told = {("dead", "2"), ("dead", "0")}
    history = [
        {**ROW, "train_accuracy": 0.9, "val_accuracy": 0.7 - 0.01 * i, "val_loss": 1.0 + i, "epoch": i + 1}
        for i in range(3)
    ]
    monitor = Monitor(MonitorConfig(), model, events, device=CPU, num_classes=3, step=36, history=history, warned=told)
    train(monitor, model, 1, 12, row={**ROW, "train_accuracy": 0.95, "val_accuracy": 0.6, "val_loss": 9.0})
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
    config = MonitorConfig(tensorboard=True, log_seconds=0, log_every=5, norms_every=10)
    check_monitor(config)
    model = small(dead=True)
    train(Monitor(config, model, Events(), device=CPU, folder=tmp_path, step=7), model, 1, 12)
    writer = Writer.last
    assert writer.folder == str(tmp_path) and writer.purge_step == 8 and writer.closed
    tags = {tag for tag, _ in writer.scalars}
    assert {"step/loss", "step/lr", "gradients/0", "activations/2", "epoch/val_accuracy", "speed/waiting"} <= tags
    assert "step/step" not in tags
    assert "Dead layers" in writer.texts["warning/message", 11]
    Monitor(config, model, Events(), device=CPU, folder=tmp_path)
    assert Writer.last.purge_step is None


def test_without_tensorboard_the_message_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r'monitor\.tensorboard needs TensorBoard.*pip install "neocog\[track\]"'):
        check_monitor(MonitorConfig(tensorboard=True))
    check_monitor(MonitorConfig())
    with pytest.raises(ConfigError, match="neocog"):
        Monitor(MonitorConfig(tensorboard=True), small(), Events(), device=CPU, folder=tmp_path)


@pytest.mark.filterwarnings("ignore")  # TensorBoard's own
def test_tensorboard_reads_back_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, model = MonitorConfig(tensorboard=True, log_seconds=0, log_every=2), small()
    train(Monitor(config, model, Events(), device=CPU, folder=tmp_path), model, 1, 6)
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [point.step for point in found.Scalars("step/loss")] == [2, 4, 6]
    assert [point.value for point in found.Scalars("epoch/val_accuracy")] == [pytest.approx(0.7)]
