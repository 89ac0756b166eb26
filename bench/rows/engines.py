"""Files on disk to predictions with the engine of `auto`, beside eager PyTorch and engines that were set up by hand.

    Neocog                `Predictor.predict_each` with the engine that auto takes: reading, decoding, normalising,
                          network, answers. The engine is chosen on other files than the network was trained on, within
                          its tolerance of the accuracy
    PyTorch               the same pipeline with PyTorch as it comes: eager, float32, its usual memory layout
    OpenVINO by hand      as its documentation advises: asynchronous requests, the throughput hint, and the precision
                          that it takes by itself (bfloat16 if the processor has it, whatever that changes)
    ONNX Runtime by hand  its session with as many threads, in batches of 16

Those set up by hand decode with Neocog's code in as many threads as it uses, and read the same ONNX file, whose graph
normalises the inputs. The note says which engine auto took, and the share of answers (of pixels, for U-Net) that each
side changes beside PyTorch; without int8, whose calibration takes minutes.

Asked: ResNet-18 at least 4 times as fast as PyTorch, the others twice; auto at least 0.97 times as fast as by hand.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import Row, Sides, per_second
from neocog.bundle import Predictor
from neocog.bundle.use_engine import sized, workshop_of
from neocog.cpus import num_cpus, num_threads
from neocog.engines.choose import choose_engine
from neocog.engines.engine import compute_logits
from neocog.engines.make_engine import FLOAT_ENGINES, missing_reason
from neocog.engines.onnx_graph import add_normalisation, network_to_onnx
from neocog.zoo.network import join_outputs
from rows.textures import Case, Files, make_predictor

if TYPE_CHECKING:
    import onnx

__all__ = ["ROWS"]

BATCH = 16
TRAINING = 64  # files
CHOOSING = 3.0  # seconds for timing engines, beside building them

Whole = Callable[[Sequence[Path]], Tensor]
"""Files to logits."""


@dataclass
class Scene:
    """A trained network with the engine of auto, and files that it has not seen."""

    folder: Path
    case: Case
    count: int

    def __post_init__(self) -> None:
        torch.set_num_threads(num_threads())
        self.files = Files.write(self.folder / "unseen", self.case, self.count, seed=1)
        self.predictor = make_predictor(self.case, Files.write(self.folder / "training", self.case, TRAINING, seed=0))
        self.normalise = self.predictor.preprocess.normalise
        self.decoded = torch.stack(list(decode(self.predictor, self.files.paths)))
        self.expected = compute_logits(self.predictor.backend, self.normalise, self.decoded)
        self.workshop = workshop_of(self.predictor)
        choice = choose_engine(
            self.workshop, self.predictor.task, self.decoded,
            names=FLOAT_ENGINES, seconds=CHOOSING, judge=lambda _, logits: self.lost(logits),
        )  # fmt: skip
        (taken,) = (trial for trial in choice.trials if trial.name == choice.name)
        assert taken.backend is not None
        self.engine = choice.name
        self.refused = [f"{trial.name} {trial.reason}" for trial in choice.trials if trial.reason]
        self.auto = self.predictor.with_backend(sized(taken.backend, choice.batch))

    def lost(self, logits: Tensor) -> float:
        """Percentage points of the accuracy that these logits lose."""
        right = [(each.argmax(1) == self.files.labels).double().mean() for each in (self.expected, logits)]
        return 100 * float(right[0] - right[1])

    def changed(self, logits: Tensor) -> float:
        """The share of decisions that differ from those of eager PyTorch."""
        return float((logits.argmax(1) != self.expected.argmax(1)).double().mean())

    @cached_property
    def graph(self) -> "onnx.ModelProto":
        """The network as ONNX, which takes what `decode` returns if normalising is one multiplication and addition."""
        network = self.workshop.network  # which remembers its graph
        proto = network_to_onnx(network, network.shape)
        if network.affine is not None:
            proto = add_normalisation(proto, network.affine, network.decoded_dtype)
        self.takes_decoded = network.affine is not None
        return proto

    def batches(self, paths: Sequence[Path]) -> Iterator[NDArray[Any]]:
        """Decoded files in batches, as the graph takes them."""
        waiting: list[Tensor] = []
        for number, one in enumerate(decode(self.predictor, paths), 1):
            waiting.append(one)
            if len(waiting) == BATCH or number == len(paths):
                inputs = torch.stack(waiting)
                yield (inputs if self.takes_decoded else self.normalise(inputs)).numpy()
                waiting = []


def decode(predictor: Predictor, paths: Sequence[Path]) -> Iterator[Tensor]:
    with ThreadPoolExecutor(num_cpus()) as pool:
        yield from pool.map(lambda path: predictor.decode(path, path.name), paths)


def plain_predictor(predictor: Predictor) -> Predictor:
    """The network with weights and inputs in PyTorch's usual layout."""
    assert predictor.model is not None
    copied = copy.deepcopy(predictor.model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def run(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return join_outputs(copied(inputs.contiguous()))

    return predictor.with_backend(run)


def openvino_by_hand(scene: Scene) -> Whole:
    import openvino
    from openvino import properties

    core = openvino.Core()
    settings = {
        properties.hint.performance_mode(): properties.hint.PerformanceMode.THROUGHPUT,
        properties.inference_num_threads(): num_threads(),
    }
    model = core.read_model(scene.graph.SerializeToString())
    queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", settings))

    def run(paths: Sequence[Path]) -> Tensor:
        found: dict[int, NDArray[np.float32]] = {}
        queue.set_callback(lambda request, at: found.__setitem__(at, request.get_output_tensor(0).data.copy()))
        for number, inputs in enumerate(scene.batches(paths)):
            queue.start_async([inputs], number, share_inputs=False)
        queue.wait_all()
        return torch.from_numpy(np.concatenate([found[number] for number in sorted(found)]))

    return run


def onnxruntime_by_hand(scene: Scene) -> Whole:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    session = onnxruntime.InferenceSession(
        scene.graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )  # fmt: skip
    (taken,) = session.get_inputs()

    def run(paths: Sequence[Path]) -> Tensor:
        found = [session.run(None, {taken.name: inputs})[0] for inputs in scene.batches(paths)]
        return torch.from_numpy(np.concatenate(found))

    return run


BY_HAND: dict[str, tuple[str, Callable[[Scene], Whole]]] = {
    "OpenVINO by hand": ("openvino", openvino_by_hand),
    "ONNX Runtime by hand": ("onnxruntime", onnxruntime_by_hand),
}
"""A peer's engine here, which tells what it needs, and how to set it up."""


def measured(case: Case, title: str, *, count: int, target: float) -> Row:
    def prepare(folder: Path) -> Iterator[Sides]:
        scene = Scene(folder, case, count)
        paths, plain = scene.files.paths, plain_predictor(scene.predictor)
        turns = {
            "Neocog": per_second(count, lambda: exhaust(scene.auto.predict_each(paths))),
            "PyTorch": per_second(count, lambda: exhaust(plain.predict_each(paths))),
        }
        changed = scene.changed(compute_logits(scene.auto.backend, scene.normalise, scene.decoded))
        absent, notes = {}, [f"engine {scene.engine}", *scene.refused, f"answers changed: {changed:.2%}"]
        for name, (engine, set_up) in BY_HAND.items():
            if reason := missing_reason(engine):
                absent[name] = reason
                continue
            whole = set_up(scene)
            changed = scene.changed(whole(paths))
            assert changed < 0.2, f"{name} computes something else: {changed:.0%} of its answers differ"
            notes.append(f"by {name} {changed:.2%}")
            turns[name] = per_second(count, partial(predict, scene, whole))
        yield Sides(turns, note="; ".join(notes), absent=absent)

    name = case.network.replace("_", "-")
    return Row(f"engines-{name}", "ship", f"Predictions from files, {title}", "files/s", "more", prepare, target=target)


def exhaust(answers: Iterable[object]) -> None:
    for _ in answers:
        pass


def predict(scene: Scene, whole: Whole) -> None:
    """Logits, then probabilities and decisions, as `predict_each` makes them."""
    scene.predictor.task.decode(whole(scene.files.paths)).argmax(1)


ROWS = (
    measured(Case("resnet18"), "ResNet-18, 224x224", count=48, target=4),
    measured(Case("mobilenet_v2"), "MobileNet v2, 224x224", count=64, target=2),
    measured(Case("efficientnet_lite0"), "EfficientNet-Lite0, 224x224", count=64, target=2),
    measured(Case("unet_lite0", dense=True), "U-Net on EfficientNet-Lite0, 224x224", count=48, target=2),
    measured(Case("time_series_resnet", signal=True), "ResNet for signals of 500", count=128, target=2),
)
