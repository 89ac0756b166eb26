"""int8: only the network's layers, calibrated on samples, by ONNX Runtime and NNCF; and the gate that follows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from neocog.bundle import Predictor
from neocog.engines import int8
from neocog.errors import ConfigError
from neocog.exporting import quantise
from neocog.exporting.gate import check_export
from neocog.exporting.gate_report import FLOAT, INT8
from neocog.exporting.program import ExportProgram
from neocog.exporting.quantise import (
    Measure,
    calibration_arrays,
    network_nodes,
    quantise_onnx,
    quantise_openvino,
    sensitive_nodes,
)  # fmt: skip
from neocog.exporting.write_files import make_onnx
from neocog.modalities.text.preprocess import TextPreprocess
from tests.support.exported import Computed, choose_all, of_onnx, predictor_of, with_answers
from tests.support.texts_and_sounds import Notes

WORDS = ("rain", "wind", "sunny", "bread", "soup", "dinner", "train", "ticket", "station", "the", "we", "there")


class Reader(nn.Module):
    """Word vectors, two convolutions whose middle values have outliers, a dense layer; (N, length) -> (N, 3)."""

    def __init__(self, *, outlier: float = 1.0) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS) + 2, 8)
        self.first, self.second = nn.Conv1d(8, 16, 3, padding=1), nn.Conv1d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 3)
        with torch.no_grad():  # one filter has huge values, which the next layer makes small again
            self.first.weight[0] *= outlier
            self.first.bias[0] = outlier  # type: ignore[index]
            self.second.weight[:, 0] /= outlier

    def forward(self, ids: Tensor) -> Tensor:
        maps = self.second(self.first(self.words(ids).transpose(1, 2)).relu()).relu()
        found: Tensor = self.head(maps.mean(dim=2))
        return found


Made = tuple[Predictor, Any, ExportProgram, onnx.ModelProto]


def make(outlier: float) -> Made:
    torch.manual_seed(3)
    model = Reader(outlier=outlier)
    spec = TextPreprocess(level="word", length=12, vocabulary=WORDS)
    source = Notes("multi-label", num=160)
    source.classes = ("a", "b", "c")
    predictor = predictor_of(model, spec, "classification", source.classes)
    decoded = torch.stack([spec.decode(text) for text in source.payloads])
    with torch.no_grad():
        logits = predictor.logits(decoded)
        model.head.weight.div_(logits.std(dim=0)[:, None])
        model.head.bias.sub_(logits.mean(dim=0)).div_(logits.std(dim=0))
    top = predictor.logits(decoded).topk(2, dim=1).values
    sure = (top[:, 0] - top[:, 1]).argsort(descending=True)[:64].tolist()
    source.payloads = [source.payloads[i] for i in sure]  # so that rounding changes no answer
    program = ExportProgram(predictor)
    return predictor, with_answers(predictor, source), program, make_onnx(program)


@pytest.fixture(scope="module")
def plain() -> Made:
    return make(1.0)


@pytest.fixture(scope="module")
def spread() -> Made:
    return make(3000.0)


def of_openvino(program: ExportProgram, model: Any) -> Computed:
    import openvino

    compiled = openvino.Core().compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    )
    return Computed(program, lambda array: list(compiled(array).values()))


def read_model(proto: onnx.ModelProto) -> Any:
    import io

    import openvino

    return openvino.Core().read_model(io.BytesIO(proto.SerializeToString()).getvalue(), b"")


def drop_of(made: Made, measure: Measure) -> Callable[[onnx.ModelProto], float]:
    before = measure(of_onnx(made[2], made[3]))
    return lambda proto: before - measure(of_onnx(made[2], proto))


def test_network_nodes_are_those_of_the_network(plain: Made) -> None:
    proto = plain[3]
    names = network_nodes(proto)
    assert {node.op_type for node in proto.graph.node if node.name in names} >= {"Conv", "Gemm", "Gather"}
    assert {node.op_type for node in proto.graph.node if node.name not in names} >= {"Softmax"}
    with pytest.raises(ConfigError, match="Int8 needs a layer with weights") as error:
        network_nodes(proto, "elsewhere")
    assert "elsewhere/" in str(error.value) and "Leave out int8." in str(error.value)


def test_onnx_int8_quantises_layers_and_passes_the_gate(plain: Made) -> None:
    predictor, source, program, proto = plain
    calibration = calibration_arrays(predictor, choose_all(source))
    assert sum(map(len, calibration)) == 64 and all(each.dtype == np.int64 for each in calibration)
    kept = onnx.ModelProto()
    kept.CopyFrom(proto)
    made = quantise_onnx(proto, calibration, only=network_nodes(proto))
    assert proto == kept, "the given model is not changed"
    types = [node.op_type for node in made.graph.node]
    assert types.count("QuantizeLinear") >= 3
    weights = {each.name: each for each in made.graph.initializer}
    scales = [each for name, each in weights.items() if name.endswith("scale") and len(each.dims) == 1]
    assert any(each.dims[0] == 16 for each in scales), "a scale for each filter"
    report = check_export(predictor, of_onnx(program, made), choose_all(source), INT8)
    assert report.passed, "\n".join(report.lines())
    assert report.largest["logits"] > FLOAT.outputs  # type: ignore[operator]
    assert not check_export(predictor, of_onnx(program, made), choose_all(source), FLOAT).passed


def test_openvino_int8_quantises_layers_and_passes_the_gate(plain: Made) -> None:
    predictor, source, program, proto = plain
    calibration, measure = calibration_arrays(predictor, choose_all(source)), Measure(predictor, choose_all(source))
    model = read_model(proto)
    made = quantise_openvino(model, calibration, only=network_nodes(proto), measure=measure)
    types = [each.get_type_name() for each in made.get_ordered_ops()]
    assert types.count("FakeQuantize") >= 3
    assert "FakeQuantize" not in [each.get_type_name() for each in model.get_ordered_ops()]
    report = check_export(predictor, of_openvino(program, made), choose_all(source), INT8)
    assert report.passed, "\n".join(report.lines())
    assert report.largest["logits"] > FLOAT.outputs  # type: ignore[operator]


def test_openvino_keeps_layers_in_float_that_would_cost_too_much(spread: Made) -> None:
    """The values of a layer with an outlier of 3000 all round to the same int8 value."""
    predictor, source, program, proto = spread
    calibration, measure = calibration_arrays(predictor, choose_all(source)), Measure(predictor, choose_all(source))
    made = quantise_openvino(read_model(proto), calibration, only=network_nodes(proto), measure=measure)
    report = check_export(predictor, of_openvino(program, made), choose_all(source), INT8)
    assert report.passed, "\n".join(report.lines())


def test_onnx_keeps_the_most_sensitive_layers_in_float(spread: Made) -> None:
    predictor, source, program, proto = spread
    calibration, only = calibration_arrays(predictor, choose_all(source)), network_nodes(proto)
    drop = drop_of(spread, Measure(predictor, choose_all(source)))
    careless = quantise_onnx(proto, calibration, only=only)
    assert drop(careless) > 0.1
    report = check_export(predictor, of_onnx(program, careless), choose_all(source), INT8)
    assert [check.name for check in report.failed][:1] == ["metric"]
    assert "worse" in report.refusal() and "Leave out int8" in report.refusal()
    layers = [node.name for node in proto.graph.node if node.op_type in quantise.WEIGHTED and node.name in only]
    order = sensitive_nodes(proto, careless, calibration[:2], layers)
    assert sorted(order) == sorted(layers)
    careful = quantise_onnx(proto, calibration, only=only, drop=drop)
    assert drop(careful) < drop(careless)
    count = [sum(node.op_type == "QuantizeLinear" for node in each.graph.node) for each in (careful, careless)]
    assert count[0] < count[1]


def test_measure_counts_errors_in_deviations_of_the_targets() -> None:
    from tests.support.exported import pictures

    predictor, source = pictures("regression")
    task: Any = predictor.task
    task.std = torch.full((3,), 2.0)
    measure = Measure(predictor, choose_all(source, 8))
    logits = predictor.logits(torch.stack([predictor.preprocess.decode(image) for image in source.images]))
    assert logits.shape == (24, 3)
    rows = {sample.array.tobytes(): i for i, sample in enumerate(s for item in measure.items for s in item.samples)}

    def run(array: Any) -> Any:
        targets = [source.targets[i] for one in array for i in range(24) if np.array_equal(source.images[i], one)]
        return {"logits": ((np.stack(targets) + 3.0 - task.mean.numpy()) / 2.0).astype(np.float32)}

    assert len(rows) == 8
    assert measure(run) == pytest.approx(-3.0 / 2.0, rel=1e-5)


def test_weights_have_seven_bits_without_vnni(plain: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, source, _, proto = plain
    calibration = calibration_arrays(predictor, choose_all(source), most=8)
    highest = []
    for there in (True, False):
        monkeypatch.setattr(quantise, "has_vnni", lambda there=there: there)
        made = quantise_onnx(proto, calibration, only=network_nodes(proto))
        values = [onnx.numpy_helper.to_array(each) for each in made.graph.initializer]
        highest.append(max(int(np.abs(each.astype(int)).max()) for each in values if each.dtype == np.int8))
    assert highest == [127, 64]
    from nncf import OverflowFix

    for there, fix in ((True, OverflowFix.DISABLE), (False, OverflowFix.ENABLE)):
        monkeypatch.setattr(int8, "has_vnni", lambda there=there: there)
        assert int8.overflow_fix() == fix
