"""An exported network in int8: its convolutions and dense layers, while preprocessing and decoding stay in float.

The nodes of the network are told from those around it by their names, which begin with the module that they come from:
quantised resizing, normalisation or decoding would cost accuracy and save nothing.
"""

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle.predictor import Predictor
from neocog.engines.int8 import has_vnni, overflow_fix, quiet_nncf
from neocog.errors import ConfigError
from neocog.exporting.gate_metric import Scores, evaluated, metric_scale
from neocog.exporting.gate_outputs import Arrays
from neocog.exporting.gate_samples import Sample, batches_of, read_samples
from neocog.runs.channels import match_channels
from neocog.runs.evaluate_bundle import Chosen

if TYPE_CHECKING:
    import onnx
    import openvino

__all__ = ["Measure", "calibration_arrays", "network_nodes", "quantise_onnx", "quantise_openvino"]

CALIBRATED, MEASURED = 300, 500
"""Samples that ranges of activations follow from, and those by which the loss of accuracy is measured."""
MAX_DROP = 0.003
QUANTISED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Convolutions and dense layers, and what lies between them, so that values stay int8 from one to the next."""
WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
CLEAN = 100.0
"""Decibels of a value that is not quantised."""
WITHOUT_BIASES = "/WithoutBiases"
KEPT = (0.0, 0.1, 0.25, 0.5)
"""Shares of the weighted layers that stay in float, the most sensitive ones first, tried in turn."""

Run = Callable[[NDArray[Any]], Arrays]
"""A network as the gate calls it."""


def calibration_arrays(predictor: Predictor, chosen: Chosen, most: int = CALIBRATED) -> list[NDArray[Any]]:
    """Raw inputs (N, ...) in batches of one size each, drawn evenly from the samples."""
    drawn = np.random.default_rng(0).permutation(chosen.indices)[:most]
    every = read_samples(predictor, Chosen(chosen.source, drawn, chosen.split))
    return [np.stack([sample.array for sample in batch]) for group in every for batch in batches_of(group)]


@dataclass(frozen=True, slots=True)
class Item:
    """A batch of samples, as the raw inputs of a network."""

    samples: tuple[Sample, ...]
    array: NDArray[Any]


class Measure:
    """The headline metric of a network on samples, as a number of which a larger one is better.

    Errors count negatively, in deviations of the targets. At most `most` samples, drawn evenly.
    """

    def __init__(self, predictor: Predictor, chosen: Chosen, most: int = MEASURED) -> None:
        self.task, self.source = predictor.task, match_channels(chosen.source, predictor.preprocess)
        self.names = [spec.name for spec in self.task.tensor_specs]
        drawn = np.random.default_rng(0).permutation(chosen.indices)[:most]
        self.task.match_targets(self.source, drawn)
        self.items = [
            Item(tuple(batch), np.stack([sample.array for sample in batch]))
            for group in read_samples(predictor, Chosen(chosen.source, drawn, chosen.split))
            for batch in batches_of(group)
        ]

    def __call__(self, run: Run, items: Sequence[Item] | None = None) -> float:
        """The metric of what `run` computes for these batches, or all of them."""
        scores, task = Scores(self.task), self.task
        used = self.items if items is None else items
        for item in used:
            scores.add(run(item.array), [sample.record for sample in item.samples])
        samples = [sample for item in used for sample in item.samples]
        targets = task.match_targets(self.source, np.array([sample.index for sample in samples]))
        keys = [sample.record.key for sample in samples]
        headline, found = next(iter(evaluated(task, scores, targets, keys).items()))
        lower = task.criterion.mode == "min" and task.criterion.metric == headline
        return (-found.value if lower else found.value) / metric_scale(task)


def network_nodes(proto: "onnx.ModelProto", module: str = "network") -> frozenset[str]:
    """The names of the nodes of an ONNX model that come from this module of the exported program.

    Raises ConfigError if there are none: nothing would be quantised.
    """
    found = frozenset(node.name for node in proto.graph.node if node.name.startswith(f"{module}/"))
    if not any(node.name in found and node.op_type in WEIGHTED for node in proto.graph.node):
        raise ConfigError(
            "Int8 needs a layer with weights.", received="a graph without a convolution or dense layer",
            where=f"nodes below {module}/", fix="Leave out int8.",
        )  # fmt: skip
    return found


def quantise_onnx(
    proto: "onnx.ModelProto",
    calibration: Sequence[NDArray[Any]],
    *,
    only: Collection[str],
    drop: Callable[["onnx.ModelProto"], float] | None = None,
    max_drop: float = MAX_DROP,
) -> "onnx.ModelProto":
    """An ONNX model whose nodes `only` are in int8, with pairs of QuantizeLinear and DequantizeLinear; a new one.

    Weights are symmetric with a scale for each filter, of 7 bits where the CPU lacks VNNI. `drop` gives the metric that
    a model loses: if it is more than `max_drop`, the layers whose values change most, by ONNX Runtime's own comparison,
    stay in float with those that feed them, up to half of them. The last model is returned, whatever it loses: the gate
    decides.
    """
    nodes = [node for node in proto.graph.node if node.name in only]
    chosen = [node.name for node in nodes if node.op_type in QUANTISED]
    made = quantise_nodes(proto, calibration, chosen)
    if drop is None or drop(made) <= max_drop:
        return made
    order = sensitive_nodes(proto, made, calibration[:4], [n.name for n in nodes if n.op_type in WEIGHTED])
    for share in KEPT[1:]:
        kept = with_feeding(proto, order[: max(1, round(share * len(order)))])
        made = quantise_nodes(proto, calibration, [name for name in chosen if name not in kept])
        if drop(made) <= max_drop:
            break
    return made


def quantise_nodes(
    proto: "onnx.ModelProto", calibration: Sequence[NDArray[Any]], names: Sequence[str]
) -> "onnx.ModelProto":
    """Nodes of these names in int8, by ONNX Runtime."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    if not names:
        return proto
    source = onnx.ModelProto()
    source.CopyFrom(proto)
    with tempfile.TemporaryDirectory() as folder, quiet_nncf():
        target = str(Path(folder, "int8.onnx"))
        quantize_static(
            source, target, Batches(proto.graph.input[0].name, calibration), quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED), nodes_to_quantize=list(names), per_channel=True,
            reduce_range=not has_vnni(), activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
        return onnx.load(target)


def sensitive_nodes(
    proto: "onnx.ModelProto", made: "onnx.ModelProto", calibration: Sequence[NDArray[Any]], names: Collection[str]
) -> list[str]:
    """These nodes by how many decibels of signal to quantisation noise are lost from their input to their output."""
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    with tempfile.TemporaryDirectory() as folder, quiet_nncf():
        found = []
        for kind, model in (("float", proto), ("int8", made)):
            plain, told = str(Path(folder, f"{kind}.onnx")), str(Path(folder, f"{kind}-told.onnx"))
            onnx.save(model, plain)
            debug.modify_model_output_intermediate_tensors(plain, told)
            found.append(debug.collect_activations(told, Batches(proto.graph.input[0].name, calibration)))
        errors = debug.compute_activation_error(debug.create_activation_matching(found[1], found[0]))

    def ratio(name: str) -> float:
        return min(CLEAN, float(errors.get(name, {}).get("xmodel_err", CLEAN)))

    lost = {n.name: ratio(n.input[0]) - ratio(n.output[0]) for n in proto.graph.node if n.name in names}
    return sorted(lost, key=lambda name: -lost[name])


def with_feeding(proto: "onnx.ModelProto", names: Collection[str]) -> frozenset[str]:
    """Layers and those whose outputs reach them without another layer between: what is lost lies in between."""
    made_by = {output: node for node in proto.graph.node for output in node.output}
    found = set(names)
    waiting = [name for node in proto.graph.node if node.name in found for name in node.input]
    seen = set()
    while waiting:
        node = made_by.get(name := waiting.pop())
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in WEIGHTED:
            found.add(node.name)
        else:
            waiting += node.input
    return frozenset(found)


class Batches:
    """Raw inputs as ONNX Runtime reads them for calibration: a batch for each call, None at the end."""

    def __init__(self, name: str, arrays: Sequence[NDArray[Any]]) -> None:
        self.name, self.left = name, iter(arrays)

    def __iter__(self) -> "Iterator[dict[str, NDArray[Any]]]":
        return ({self.name: batch} for batch in self.left)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self.left, None)
        return None if batch is None else {self.name: batch}


def quantise_openvino(
    model: "openvino.Model",
    calibration: Sequence[NDArray[Any]],
    *,
    only: Collection[str],
    measure: Measure,
    max_drop: float = MAX_DROP,
) -> "openvino.Model":
    """An OpenVINO model in int8 but for the layers that would cost more than `max_drop` of the metric; a new one.

    `only` are the names of the network's nodes, as in the ONNX model that it was made of. NNCF quantises, measures, and
    takes layers back to float, the most sensitive first (`nncf.quantize_with_accuracy_control`).
    """
    import nncf

    def validate(compiled: Any, items: Iterator[Item]) -> tuple[float, list[list[NDArray[Any]]]]:
        listed, rows = list(items), []

        def run(array: NDArray[Any]) -> Arrays:
            answers = compiled(array)
            # A port may have the names of several tensors.
            ports = [(name, port) for port in compiled.outputs for name in measure.names if name in port.get_names()]
            found = {name: answers[port] for name, port in ports}
            rows.append([values.astype(np.float32) for values in found.values()])
            return found

        return measure(run, listed), rows

    with quiet_nncf():
        made: openvino.Model = nncf.quantize_with_accuracy_control(
            model.clone(), nncf.Dataset(list(calibration)),
            nncf.Dataset(measure.items, lambda item: item.array), validate, max_drop=max_drop,
            drop_type=nncf.DropType.ABSOLUTE, preset=nncf.QuantizationPreset.MIXED, subset_size=len(calibration),
            ignored_scope=nncf.IgnoredScope(names=outside(model, only), validate=False),
            advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix()),
        )  # fmt: skip
    return made


def outside(model: "openvino.Model", only: Collection[str]) -> list[str]:
    """The operations of an OpenVINO model that do not belong to these ONNX nodes.

    OpenVINO names an operation as its ONNX node; of a layer that becomes a product and a sum, the product has a suffix.
    """
    names = []
    for operation in model.get_ordered_ops():
        name = operation.get_friendly_name()
        if name not in only and name.removesuffix(WITHOUT_BIASES) not in only:
            names.append(name)
    return names
