"""Faults put into exported networks, each of which the gate must refuse, and for the right reason."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.bundle import Predictor
from neocog.engines import convert
from neocog.exporting import image_program
from neocog.exporting.gate import check_export
from neocog.exporting.gate_report import FLOAT, INT8, GateReport
from neocog.exporting.program import ExportProgram
from neocog.tasks import Classification, Detection, MultiLabel
from tests.support.exported import Computed, Positions, choose_all, eager, of_onnx, pictures, predictor_of, with_answers
from tests.support.scenes import Scenes
from tests.support.small_models import Spots, board, spot_boxes, spot_masks

Fault = Callable[[ExportProgram], Any]


class Before(nn.Module):
    """A program after a change of its raw inputs."""

    def __init__(self, program: ExportProgram, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.program, self.change = program, change

    def forward(self, raw: Tensor) -> Any:
        return self.program(self.change(raw))


class After(nn.Module):
    """A program before a change of its outputs."""

    def __init__(self, program: ExportProgram, change: Callable[..., Any]) -> None:
        super().__init__()
        self.program, self.change = program, change

    def forward(self, raw: Tensor) -> Any:
        return self.change(*self.program(raw))


def with_spec(program: ExportProgram, **settings: Any) -> ExportProgram:
    program.reader.spec = replace(program.reader.spec, **settings)  # type: ignore[arg-type]
    return program


def with_weights(program: ExportProgram, change: Callable[[Any], object]) -> ExportProgram:
    program.network = copy.deepcopy(program.network)
    with torch.no_grad():
        change(program.network)
    return program


class Resampled(nn.Module):
    """A reader that resizes by PyTorch's own means."""

    def __init__(self, spec: Any, *, rounded: bool = True, **options: Any) -> None:
        super().__init__()
        self.spec, self.rounded, self.options = spec, rounded, options

    def forward(self, raw: Tensor) -> Tensor:
        maps = F.interpolate(raw.permute(0, 3, 1, 2).float(), self.spec.size, mode="bilinear", **self.options)
        return self.spec.normalise(maps.round() if self.rounded else maps)


def with_reader(**options: Any) -> Fault:
    def change(program: ExportProgram) -> ExportProgram:
        program.reader = Resampled(program.reader.spec, **options)
        return program

    return change


def swap_classes(network: Any) -> None:
    for values in (network.head.weight, network.head.bias):
        values.copy_(values[[1, 0, 2]])


def frozen(size: int) -> Fault:
    """As ONNX Runtime refuses a batch of another size than the one that was written down."""

    def change(program: ExportProgram) -> Computed:
        inner = eager(program)

        def run(array: Any) -> Any:
            if len(array) != size:
                raise ValueError(f"Got invalid dimensions for input: index: 0 Got: {len(array)} Expected: {size}")
            return list(inner(array).values())

        return Computed(program, run)

    return change


def mix_samples(program: ExportProgram) -> nn.Module:
    return After(program, lambda logits, probs: (logits - 0.1 * logits.mean(dim=0), probs))


def sort_batch(program: ExportProgram) -> Computed:
    """Outputs in an order of their own, as long as the batch is not that of the samples."""
    inner = eager(program)

    def run(array: Any) -> Any:
        found = list(inner(array).values())
        order = np.argsort([one.astype(float).sum() for one in array]) if len(array) == 5 else np.arange(len(array))
        return [values[order] for values in found]

    return Computed(program, run)


def fixed_height(program: ExportProgram) -> nn.Module:
    """A width of the example written down: right for samples up to that, wrong beyond."""
    return Before(program, lambda raw: raw[:, :, :56])


FAULTS: dict[str, tuple[Fault, str, str]] = {
    "wrong mean": (lambda p: with_spec(p, mean=(0.4, 0.5, 0.5)), "outputs", "logits"),
    "mean forgotten": (lambda p: with_spec(p, mean=(0.0, 0.0, 0.0)), "outputs", "logits"),
    "BGR for RGB": (lambda p: Before(p, lambda raw: raw.flip(3)), "outputs", "logits"),
    "swapped classes": (lambda p: with_weights(p, swap_classes), "metric", "accuracy 100.00% ->"),
    "a batch frozen at 1": (frozen(1), "batch sizes", "Got invalid dimensions"),
    "a batch frozen at the example's": (frozen(2), "batch sizes", "Got: 1 Expected: 2"),
    "samples mixed": (mix_samples, "batch sizes", "with 1"),
    "samples in another order": (sort_batch, "batch sizes", "with 5"),
    "no antialias": (with_reader(antialias=False), "outputs", "logits"),
    "aligned corners": (with_reader(align_corners=True), "outputs", "logits"),
    "rounding left out": (with_reader(rounded=False, antialias=True), "outputs", "logits"),
    "another rule": (lambda p: with_spec(p, resize="letterbox"), "outputs", "logits"),
    "a crop off by one": (lambda p: Before(p, lambda raw: raw[:, 1:]), "outputs", "logits"),
    "transposed sides": (lambda p: Before(p, lambda raw: raw.transpose(1, 2)), "outputs", "logits"),
    "a dropped bias": (lambda p: with_weights(p, lambda n: n.first.bias.zero_()), "outputs", "logits"),
    "bfloat16": (lambda p: with_weights(p, lambda n: n.bfloat16().float()), "outputs", "logits"),
    "0 to 1 taken as pixels": (lambda p: Before(p, lambda raw: raw / 255), "outputs", "logits"),
    "softmax twice": (lambda p: After(p, lambda a, b: (a, b.softmax(1))), "outputs", "from what the logits mean"),
    "a class zeroed": (
        lambda p: After(p, lambda a, b: (a * torch.tensor([1, 0, 1]), b)), "outputs", "logits"
    ),
    "a width written down": (fixed_height, "other sizes", "48 x 64"),
    "infinite": (lambda p: After(p, lambda a, b: (a / 0, b)), "outputs", "logits inf"),
    "another type": (lambda p: After(p, lambda a, b: (a.double(), b)), "outputs", "float64 instead of float32"),
}  # fmt: skip


@pytest.fixture(scope="module")
def coloured() -> tuple[Predictor, Any]:
    return pictures()


def gate(predictor: Predictor, source: Any, exported: Any, **options: Any) -> GateReport:
    return check_export(predictor, exported, choose_all(source), **options)


@pytest.mark.parametrize("name", FAULTS)
def test_gate_refuses_a_fault_with_its_reason(coloured: tuple[Predictor, Any], name: str) -> None:
    predictor, source = coloured
    change, check, reason = FAULTS[name]
    program = ExportProgram(predictor)
    changed = change(program)
    report = gate(predictor, source, changed if isinstance(changed, Computed) else eager(program, changed))
    assert not report.passed
    texts = [one.found for one in report.failed if one.name == check]
    assert texts and any(reason in text for text in texts), report.lines()
    assert reason in report.refusal()
    assert check in report.refusal()


def test_gate_refuses_a_forgotten_temperature() -> None:
    predictor, source = pictures()
    program = ExportProgram(predictor)
    predictor.task = Classification(predictor.task.classes, temperature=1.7)
    report = gate(predictor, source, eager(program))
    assert [check.name for check in report.failed][:1] == ["outputs"]
    assert "probabilities" in report.refusal()
    assert report.largest["logits"] == 0


def test_gate_compares_the_manifest() -> None:
    predictor, source = pictures("multi-label")
    predictor.task = MultiLabel(predictor.task.classes, thresholds=[0.5, 0.4, 0.3])
    exported = eager(ExportProgram(predictor))
    right = {"classes": ["a", "b", "c"], "learned": {"thresholds": [0.5, 0.4, 0.3]}}
    assert gate(predictor, source, exported, manifest=right).passed
    for key, value in (("classes", ["a", "c", "b"]), ("learned", {"thresholds": [0.5, 0.5, 0.3]})):
        report = gate(predictor, source, exported, manifest={**right, key: value})
        assert [check.name for check in report.failed] == ["interface"]
        assert f"{key} of the manifest" in report.refusal()
        assert "was not made of this bundle" in report.refusal()


def test_gate_compares_names_and_types() -> None:
    predictor, source = pictures()
    exported = eager(ExportProgram(predictor))
    exported.inputs = (replace(exported.inputs[0], dtype="float32"),)
    report = gate(predictor, source, exported)
    assert [check.name for check in report.failed] == ["interface"]
    assert "'dtype': 'float32'" in report.refusal() and "'dtype': 'uint8'" in report.refusal()


def saturate(limit: float) -> Fault:
    """Activations cut off, as int8 does with scales that are too small."""

    def change(network: Any) -> None:
        network.first.register_forward_hook(lambda _, __, maps: maps.clamp(-limit, limit))
        network.second.register_forward_hook(lambda _, __, maps: maps.clamp(-limit, limit))

    return lambda program: with_weights(program, change)


def test_gate_refuses_saturated_int8(coloured: tuple[Predictor, Any]) -> None:
    predictor, source = coloured
    program = ExportProgram(predictor)
    report = gate(predictor, source, eager(saturate(0.02)(program)), tolerance=INT8)
    assert [check.name for check in report.failed][:1] == ["metric"]
    assert "accuracy 100.00% ->" in report.refusal()
    assert "worse" in report.refusal() and "calibrate with more" in report.refusal()


def test_float_gate_refuses_what_int8_may_do(coloured: tuple[Predictor, Any]) -> None:
    predictor, source = coloured
    program = ExportProgram(predictor)
    rounded = with_weights(program, lambda n: n.first.weight.copy_((n.first.weight * 512).round() / 512))
    exported = eager(rounded)
    assert gate(predictor, source, exported, tolerance=INT8).passed
    report = gate(predictor, source, exported, tolerance=FLOAT)
    assert "outputs" in [check.name for check in report.failed]
    assert "bfloat16 or float16" in report.refusal()


def test_gate_refuses_float16_weights_that_lose_their_range() -> None:
    """float16 rounds to 11 bits, which the tolerance allows, but has nothing below 6e-8."""
    predictor, source = pictures()
    model: Any = predictor.model
    with torch.no_grad():
        model.second.weight.mul_(1e-7)
        model.second.bias.mul_(1e-7)
        model.head.weight.mul_(1e7)
    source = with_answers(predictor, source)
    halved = with_weights(ExportProgram(predictor), lambda n: n.half().float())
    report = gate(predictor, source, eager(halved))
    assert "outputs" in [check.name for check in report.failed]


def test_gate_refuses_a_shifted_mask() -> None:
    predictor, _ = spot_masks((32, 32))
    source = Scenes("segmentation", num=8, side=40)
    source.classes = predictor.task.classes
    source.masks = source.masks.clip(0, 1)
    program = ExportProgram(predictor)
    assert gate(predictor, source, eager(program)).passed
    report = gate(predictor, source, eager(program, After(program, lambda mask: (mask.roll(1, 2),))))
    assert "mask" in report.refusal() and "outputs" in [check.name for check in report.failed]


class LargeBoxes(Spots):
    """Spots whose boxes reach into each other."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * torch.tensor([1.0, 6, 6, 1, 1])[:, None, None]


def test_gate_refuses_boxes_that_are_not_suppressed() -> None:
    made, _ = spot_boxes((32, 32))
    predictor = predictor_of(LargeBoxes(boxes=True), made.preprocess, "detection", ("spot",))
    source = Scenes("detection", num=8, side=32)
    source.classes = predictor.task.classes
    for each in source.objects:
        each.labels[:] = 0
    loose = ExportProgram(predictor)
    predictor.task = Detection(predictor.task.classes, overlap=0.1)
    tight = ExportProgram(predictor)
    assert gate(predictor, source, eager(tight)).passed
    report = gate(predictor, source, eager(loose))
    assert "boxes" in report.refusal() and "outputs" in [check.name for check in report.failed]


class Traps(nn.Module):
    """Layers that torch's exporter writes as other functions; (N, P, 9, 9) -> (N, 82)."""

    def __init__(self, *, divisor: bool, log: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(17, 4, 3, padding=1)
        self.pool = nn.AvgPool2d(3, divisor_override=5) if divisor else nn.AvgPool2d(3)
        self.head = nn.Linear(36, 82)
        self.log = log

    def forward(self, planes: Tensor) -> Tensor:
        maps = self.conv(planes)
        maps = F.logsigmoid(400 * maps) / 400 if self.log else maps
        found: Tensor = self.head(self.pool(maps).flatten(1))
        return found


@pytest.mark.parametrize(("divisor", "log"), [(True, False), (False, True)])
def test_gate_refuses_what_torch_writes_as_another_function(*, divisor: bool, log: bool) -> None:
    """torch 2.13 drops `divisor_override`, and writes LogSigmoid as Log(Sigmoid)."""
    torch.manual_seed(0)
    made, _ = board()
    predictor = predictor_of(Traps(divisor=divisor, log=log), made.preprocess, "next move", made.task.classes)
    source = Positions(predictor.task.classes)
    program = ExportProgram(predictor)
    with convert.quiet():
        exported = torch.onnx.export(
        program, (program.example(),), dynamo=True, verbose=False, opset_version=20,
        input_names=["planes"], output_names=[spec.name for spec in program.outputs],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
    )  # fmt: skip
    assert exported is not None
    report = gate(predictor, source, of_onnx(program, exported.model_proto))
    assert "outputs" in [check.name for check in report.failed], report.lines()


def test_half_pixel_and_resize_constants_are_those_of_the_reader() -> None:
    """The faults of resizing above are faults because the reader is exact: it agrees with Pillow bit for bit."""
    predictor, source = pictures()
    reader = image_program.ImageReader(predictor.preprocess)  # type: ignore[arg-type]
    image = source.images[0]
    assert torch.equal(reader(torch.from_numpy(image[None]))[0], predictor.preprocess(image))
