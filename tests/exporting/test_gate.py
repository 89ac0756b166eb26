"""The gate lets good exports pass: every kind of data and task, every rule of resizing, every engine."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neocog.bundle import Predictor
from neocog.dataset.record import Record
from neocog.evaluation import Estimate
from neocog.exporting.gate import check_export
from neocog.exporting.gate_outputs import Differences, Spreads, compare_arrays, match_boxes, shape_fault
from neocog.exporting.gate_report import FLOAT, INT8, Check, GateReport
from neocog.exporting.gate_samples import array_of, batches_of, other_sizes, read_samples, resized
from neocog.exporting.program import ExportProgram, graph_input
from neocog.exporting.runner import Exported, open_exported
from neocog.exporting.write_files import make_onnx, read_openvino, save_onnx, save_openvino, save_torch
from neocog.runs.evaluate_bundle import choose_validation
from tests.support.exported import Computed, Positions, choose_all, eager, pictures
from tests.support.scenes import Scenes, SignalScenes
from tests.support.small_models import board, characters, sound, spot_boxes, spot_masks
from tests.support.texts_and_sounds import Notes, Tones
from tests.support.untrained import untrained

Made = tuple[Predictor, Any]


def scenes(network: str, source: Any) -> Made:
    return untrained(network, source), source


def board_positions() -> Made:
    predictor, _ = board()
    return predictor, Positions(predictor.task.classes)


def spots(kind: str, side: int) -> Made:
    predictor, _ = spot_masks((32, 32)) if kind == "segmentation" else spot_boxes((32, 32))
    source = Scenes(kind, num=6, side=side)
    source.classes, source.masks = predictor.task.classes, source.masks.clip(0, 1)
    for each in source.objects:
        each.labels[:] = 0
    return predictor, source


def squashed(kind: str, rule: Any) -> Made:
    predictor, source = spots(kind, 45)
    predictor.preprocess = replace(predictor.preprocess, resize=rule)  # type: ignore[type-var]
    return predictor, source


def lettered() -> Made:
    predictor, text = characters()
    source = Notes("multi-label", num=6)
    source.payloads = [text[i:] for i in range(6)]
    source.task, source.classes, source.targets = "classification", predictor.task.classes, np.zeros(6, np.int64)
    return predictor, source


def toned() -> Made:
    return sound()[0], Tones("multi-label", num=6)


GOOD: dict[str, Callable[[], Made]] = {
    "classification, squash": pictures,
    "classification, crop": lambda: pictures(resize="crop"),
    "classification, letterbox": lambda: pictures(resize="letterbox"),
    "classification, border": lambda: pictures(pad=(2, 1)),
    "classification, grey": lambda: pictures(channels=1, mean=(0.5,), std=(0.2,)),
    "multi-label": lambda: pictures("multi-label"),
    "regression": lambda: pictures("regression"),
    "a network of the catalogue": lambda: scenes("lenet5_relu", Scenes("classification", num=6)),
    "next move": board_positions,
    "words": lambda: scenes("text_cnn", Notes("multi-label", num=20)),
    "characters": lettered,
    "sound": toned,
    "sound as coefficients": lambda: scenes("speech_dscnn_s", Tones("multi-label", num=12)),
    "signals": lambda: scenes("time_series_fcn", SignalScenes("classification", num=8)),
    "signal segmentation": lambda: scenes("unet_1d", SignalScenes("signal segmentation", num=6)),
    "segmentation, tiles": lambda: spots("segmentation", 45),
    "segmentation, squash": lambda: squashed("segmentation", "squash"),
    "segmentation, letterbox": lambda: squashed("segmentation", "letterbox"),
    "detection": lambda: spots("detection", 31),
    "detection, letterbox": lambda: squashed("detection", "letterbox"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_gate_lets_a_good_export_pass(name: str) -> None:
    predictor, source = GOOD[name]()
    report = check_export(predictor, eager(ExportProgram(predictor)), choose_all(source))
    assert report.passed, "\n".join(report.lines())
    names = [check.name for check in report.checks]
    assert names[:6] == ["interface", "outputs", "metric", "agreement", "batch sizes", "order"]
    assert ("other sizes" in names) == (source.modality not in ("text", "go"))
    assert report.refusal() == "" and report.agreement == 1


def write(predictor: Predictor, folder: Path) -> dict[str, Exported]:
    """A network in the files of three engines, and opened again."""
    program = ExportProgram(predictor)
    interface = {
        "task": predictor.task.name, "classes": list(predictor.task.classes), "learned": predictor.task.learned,
        "inputs": [program.inputs.to_json()], "outputs": [each.to_json() for each in program.outputs],
    }  # fmt: skip
    onnx_file, openvino_file, torch_file = (folder / f"model{ending}" for ending in (".onnx", ".xml", ".pt2"))
    save_onnx(make_onnx(program), onnx_file, interface)
    save_openvino(read_openvino(onnx_file), openvino_file, interface)
    save_torch(program, torch_file, interface)
    return {path.suffix: open_exported(path, threads=1) for path in (onnx_file, openvino_file, torch_file)}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Any, dict[str, Exported], Path]:
    """A network for Go, whose graph has no preprocessing, in three files."""
    predictor, source = board_positions()
    folder = tmp_path_factory.mktemp("exported")
    return predictor, source, write(predictor, folder), folder


@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt2"])
def test_gate_lets_files_of_each_engine_pass(
    played: tuple[Predictor, Any, dict[str, Exported], Path], ending: str
) -> None:
    predictor, source, files, _ = played
    report = check_export(predictor, files[ending], choose_all(source))
    assert report.passed, "\n".join(report.lines())
    assert report.engine.split()[0] in report.lines()[0]


def test_gate_refuses_openvino_in_bfloat16(played: tuple[Predictor, Any, dict[str, Exported], Path]) -> None:
    """OpenVINO's own choice on CPUs that have bfloat16: the runner pins float32, and the gate would notice."""
    openvino = pytest.importorskip("openvino")
    predictor, source, _, folder = played
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("a CPU without bfloat16")
    compiled = core.compile_model(folder / "model.xml", "CPU", {"INFERENCE_NUM_THREADS": 1})
    program = ExportProgram(predictor)
    report = check_export(predictor, Computed(program, lambda x: list(compiled(x).values())), choose_all(source))
    assert [check.name for check in report.failed][:1] == ["outputs"]
    assert "bfloat16 or float16" in report.refusal()


def test_runner_refuses_inputs_before_the_gate_sees_an_engine(
    played: tuple[Predictor, Any, dict[str, Exported], Path],
) -> None:
    predictor, source, files, _ = played
    planes = np.stack([array_of(predictor, source.read(0).payload, "it")]).astype(np.float32)
    for exported in files.values():
        with pytest.raises(Exception, match="planes must be an array of uint8"):
            exported(planes)


def test_gate_names_an_engine_that_fails() -> None:
    predictor, source = pictures()

    def fail(_: Any) -> Any:
        raise RuntimeError("the engine is out of order\nwith a second line")

    report = check_export(predictor, Computed(ExportProgram(predictor), fail), choose_all(source))
    assert "RuntimeError: the engine is out of order" in report.refusal()
    assert report.difference is None and report.bundle is None


def test_gate_takes_as_many_samples_as_the_time_allows() -> None:
    predictor, source = pictures()
    source.images = source.images * 4
    source.targets = np.tile(source.targets, 4)
    exported = eager(ExportProgram(predictor))
    report = check_export(predictor, exported, choose_all(source), seconds=0.0)
    assert report.count == 64  # those that are read at once, at least 50
    assert "Stopped after 0 s." in report.notes
    assert "64 of 96 samples" in report.lines()[0]
    assert check_export(predictor, exported, choose_all(source), most=20).count == 20


def test_gate_says_what_the_file_does_otherwise_than_predict() -> None:
    """A large JPEG is decoded at reduced resolution by the bundle, and in full by whoever calls the file."""
    import io

    from PIL import Image

    predictor, source = pictures()
    encoded = []
    for image in source.images:
        file = io.BytesIO()
        Image.fromarray(image).resize((320, 240)).save(file, "jpeg")
        encoded.append(file.getvalue())
    source.images = encoded
    predictor.tta = "flip"
    report = check_export(predictor, eager(ExportProgram(predictor)), choose_all(source, 6))
    assert report.passed, report.lines()
    (note,) = report.notes
    assert note.startswith(
        "Beside the bundle on the files themselves, JPEGs decoded at reduced resolution and averaged"
    )
    assert "accuracy" in note


def test_gate_leaves_out_what_the_file_does_not_take(capsys: pytest.CaptureFixture[str]) -> None:
    predictor, source = scenes("time_series_fcn", SignalScenes("classification", num=8))
    source.images = source.images.astype(np.float64)
    source.images[2, :, 5] = np.nan
    report = check_export(predictor, eager(ExportProgram(predictor)), choose_all(source))
    assert report.count == 7 and report.available == 8
    predictor, source = spots("detection", 40)
    report = check_export(predictor, eager(ExportProgram(predictor)), choose_all(source))
    assert not report.passed and "no sample is left" in report.refusal()
    said = capsys.readouterr()
    assert "1 signals have missing values" in said.out + said.err
    assert "6 images are larger than one tile" in said.out + said.err


def test_arrays_have_the_size_of_the_payload() -> None:
    predictor, source = pictures()
    assert array_of(predictor, source.images[1], "it").shape == (41, 33, 3)
    samples = [sample for group in read_samples(predictor, choose_all(source)) for sample in group]
    batches = list(batches_of(samples))
    assert sum(map(len, batches)) == len(samples)
    assert all(len({sample.array.shape for sample in batch}) == 1 for batch in batches)
    sizes = other_sizes(predictor, graph_input(predictor))
    assert len(sizes) >= 5
    assert {height % 2 for height, _ in sizes} == {width % 2 for _, width in sizes} == {0, 1}
    assert any(h > w for h, w in sizes) and any(h < w for h, w in sizes)
    assert resized(source.images[0], (7, 5)).shape == (7, 5, 3)
    assert resized(np.arange(8, dtype=np.float32)[None], (15,)).tolist() == [np.arange(0, 7.5, 0.5).tolist()]


def test_validation_samples_are_those_of_the_split() -> None:
    predictor, source = scenes("lenet5_relu", Scenes("classification"))
    assert choose_validation(predictor, source).indices.tolist() == list(range(20, 28))
    source.splits = {"train": np.arange(20), "test": np.arange(28, 36)}
    chosen = choose_validation(predictor, source)
    assert (chosen.split, len(chosen.indices)) == ("test", 8)


def test_differences_of_masks_count_objects_and_forgive_ties() -> None:
    mask = np.zeros((1, 400, 400), np.uint8)
    mask[0, :10, :10] = 1
    moved = mask.copy()
    moved[0, 0, :10] = 0
    assert compare_arrays({"mask": mask}, {"mask": moved}, Spreads())["mask"] == pytest.approx((10 - 1.6) / 100)
    moved[0, 0, 1:10] = 1
    assert compare_arrays({"mask": mask}, {"mask": moved}, Spreads())["mask"] == 0


def boxes(rows: list[list[float]], scores: list[float], labels: list[int], room: int = 3) -> dict[str, Any]:
    found = {
        "boxes": np.zeros((1, room, 4), np.float32), "scores": np.zeros((1, room), np.float32),
        "labels": np.full((1, room), -1), "count": np.array([len(rows)]),
    }  # fmt: skip
    for name, values in (("boxes", rows), ("scores", scores), ("labels", labels)):
        found[name][0, : len(rows)] = values
    return found


def test_differences_of_boxes_pair_them_by_place_and_class() -> None:
    a = boxes([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.1], [0, 1])
    b = boxes([[50, 50, 60, 60], [0, 0, 10, 10.5]], [0.1, 0.8], [1, 0], room=2)
    rows = [{name: each[name][0, :2] for name in ("boxes", "scores", "labels")} for each in (a, b)]
    assert [pair.tolist() for pair in match_boxes(*rows)] == [[1, 0], [0, 1]]
    found = compare_arrays(a, b, Spreads())
    assert found["sides of boxes"] == pytest.approx(0.05) and found["scores"] == pytest.approx(0.1)
    assert found["boxes"] == 0
    assert shape_fault(a, b) == ""
    c = boxes([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.1], [0, 0])
    assert compare_arrays(a, c, Spreads())["boxes"] == pytest.approx(0.1)


def test_spread_of_outputs_that_hardly_vary_is_bounded() -> None:
    spreads = Spreads()
    spreads.add({"logits": np.full((5, 2), 3.0) + np.eye(5, 2) * 1e-9})
    assert spreads.of("logits") == pytest.approx(0.03)
    logits = np.random.default_rng(0).normal(5, 2, (300, 1)) * np.ones(3)
    spreads = Spreads()
    spreads.add({"logits": logits[:100]})
    spreads.add({"logits": logits[100:]})
    assert spreads.of("logits") == pytest.approx(logits.std())
    differences = Differences(spreads)
    differences.add({"logits": logits}, {"logits": logits + 0.02})
    assert differences.relative()["logits"] == pytest.approx(0.02 / logits.std())


def test_report_is_a_table_and_json() -> None:
    failed = Check(
        "metric", False, "accuracy 98.00% -> 97.00%, -1.00 points [-2.00, +0.00]", "0.3 points worse", "Try."
    )
    report = GateReport(
        engine="OpenVINO", tolerance=INT8, data="digits", split="val", count=20, available=20, metric="accuracy",
        bundle=0.98, exported=0.97, difference=Estimate(-0.01, -0.02, 0.0, "Tango", is_share=True), agreement=0.99,
        largest={"logits": 0.5}, checks=(Check("interface", True, "the same", "names"), failed), notes=("A note.",),
    )  # fmt: skip
    assert report.lines() == [
        "Gate (int8): OpenVINO beside the bundle on 20 samples of digits (val)",
        "  check              found                                                   allowed",
        "  interface  passed  the same                                                names",
        "  metric     FAILED  accuracy 98.00% -> 97.00%, -1.00 points [-2.00, +0.00]  0.3 points worse",
        "  A note.",
    ]
    assert report.refusal() == (
        "metric: accuracy 98.00% -> 97.00%, -1.00 points [-2.00, +0.00] (allowed: 0.3 points worse). Try"
    )
    assert not report.passed and json.loads(json.dumps(report.to_json()))["passed"] is False
    assert FLOAT.both_ways and not INT8.both_ways


def test_dense_predictions_follow_from_their_arrays() -> None:
    for predictor, payload in (spot_masks((32, 32)), spot_boxes((32, 32))):
        task: Any = predictor.task
        (made,) = predictor.predict_payloads([("it", payload)])
        (found,) = task.predictions_of(task.tensors_of([made]), ["it"])
        record = Record("it", payload, (payload > 100).astype(np.uint8))
        if task.name == "segmentation":
            assert np.array_equal(task.compare(found, record).confusion, task.compare(made, record).confusion)
        else:
            assert np.allclose(found.boxes, made.boxes) and found.threshold == made.threshold
            assert np.array_equal(found.labels, made.labels)
