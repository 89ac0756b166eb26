"""Measure predictions from files on disk with the engine that auto takes, beside eager PyTorch.

    pip install 'neocog[export]'
    python bench/engines.py [--networks resnet18,unet_lite0] [--files 192] [--turns 5] [--int8]

Each network reads files that are written first: JPEGs of 500x375 with the spectrum of photographs, and signals as .npy.
Its last layer is fitted to four kinds of texture (or frequencies), so that decisions have margins as those of a trained
network have; the engine is then chosen, within its tolerance of the accuracy, on files that were not used for that.

    whole      files on disk to predictions, Predictor.predict_each: reading, decoding, normalising, network, answers
    network    decoded inputs in memory to logits
    plain      the same whole pipeline with PyTorch as it comes: Neocog's eager already has its channels last
    by hand    OpenVINO set up by hand: decoded by the same code, normalised in the graph, its throughput hint and
               asynchronous requests, the precision that auto took

All take turns within one process; the figures are medians, the ratios are those of the turns' medians to eager PyTorch
in float32. Where the time goes is printed for the engine that was taken: seconds for each part alone.
Targets: whole, ResNet-18: at least 4 times eager without int8 and 6 times with; the others at least 2 times. Auto at
least 0.97 times the speed of the engine set up by hand.
"""

import argparse
import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from harness.pictures import texture
from neocog.bundle import Predictor, torch_backend
from neocog.bundle.use_engine import sized, workshop_of
from neocog.cli.environment import find_cpu
from neocog.cpus import num_cpus, num_threads
from neocog.data import ImagePreprocess
from neocog.engines.choose import choose_engine
from neocog.engines.engine import compute_logits
from neocog.engines.make_engine import FLOAT_ENGINES, INT8_ENGINES
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.tasks import TASKS
from neocog.zoo import create_model
from neocog.zoo.network import join_outputs

CLASSES = ("smooth", "medium", "fine", "coarse")
NETWORKS = ("resnet18", "mobilenet_v2", "efficientnet_lite0", "unet_lite0", "time_series_resnet")


def write_images(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEGs of four textures, in turn."""
    paths = []
    for index in range(count):
        light = 45 * texture(size, (1.9, 1.5, 1.1, 2.4)[index % 4], index)
        tint = np.stack([light * (1.0, 0.9, 0.8)[c] for c in range(3)], axis=2)
        paths.append(folder / f"{index:04}.jpg")
        Image.fromarray((128 + tint).clip(0, 255).astype(np.uint8)).save(paths[-1], "jpeg", quality=88)
    return paths


def write_signals(folder: Path, count: int, length: int) -> list[Path]:
    """Noisy sines of four frequencies, in turn."""
    rng, paths = np.random.default_rng(0), []
    for index in range(count):
        wave = np.sin(np.arange(length) * (0.05, 0.11, 0.23, 0.4)[index % 4] + rng.uniform(0, 6))
        paths.append(folder / f"{index:04}.npy")
        np.save(paths[-1], (wave + rng.normal(0, 0.3, length))[None].astype(np.float32))
    return paths


def fit_last_layer(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Set the last dense layer by least squares, so that it tells the four kinds apart."""
    dense = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = dense.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    with torch.inference_mode():
        for part in torch.split(inputs, 16):
            model(part)
    hook.remove()
    features = torch.cat(seen).double()
    mean, std = features.mean(dim=0), features.std(dim=0).clamp_min(1e-6)
    scaled = torch.cat([(features - mean) / std, torch.ones(len(features), 1)], dim=1)
    wanted = 8 * nn.functional.one_hot(labels, len(CLASSES)).double() - 2
    ridge = scaled.T @ scaled + 10.0 * torch.eye(scaled.shape[1])
    found = torch.linalg.solve(ridge, scaled.T @ wanted)
    weights = found[:-1] / std[:, None]
    dense.weight.data = weights.T.float().contiguous()
    dense.bias.data = (found[-1] - mean @ weights).float()


def make_predictor(name: str, paths: Sequence[Path]) -> Predictor:
    """The network with a fitted last layer; half of the files are used for that."""
    torch.manual_seed(0)
    signal, dense = name == "time_series_resnet", name == "unet_lite0"
    spec: Any = SignalPreprocess(channels=1, length=500) if signal else ImagePreprocess(size=(224, 224), channels=3)
    model = create_model(name, num_classes=len(CLASSES), in_channels=1 if signal else 3).train()
    task = TASKS["segmentation" if dense else "classification"](CLASSES)
    payload = np.load if signal else Path.read_bytes
    inputs = torch.stack([spec.decode(payload(path)) for path in paths[: len(paths) // 2]])
    spec = spec.measured(inputs)
    inputs = spec.normalise(inputs)
    with torch.no_grad():  # statistics of the batch norms, which have none yet
        for _ in range(2):
            for part in torch.split(inputs, 16):
                model(part)
    model.eval()
    if not dense:
        fit_last_layer(model, inputs, torch.arange(len(inputs)) % 4)
    return Predictor(torch_backend(model), spec, task, model=model)


def plain_backend(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network with weights and inputs in PyTorch's usual layout."""
    copied = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def run(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            return join_outputs(copied(inputs))

    return run


def by_hand(predictor: Predictor, engine: str, threads: int) -> Callable[[Sequence[Path]], Tensor] | None:
    """A pipeline with OpenVINO as its documentation advises; None if auto took int8 or nothing of OpenVINO's."""
    import openvino
    from openvino import properties

    from neocog.engines.kept import Workshop
    from neocog.engines.onnx_graph import add_normalisation, network_to_onnx

    workshop = Workshop(predictor.model, predictor.preprocess, threads=threads)  # type: ignore[arg-type]
    network = workshop.network
    core = openvino.Core()
    if engine == "openvino-int8":
        model = workshop.quantised(engine, None)
    else:
        proto = network_to_onnx(network, network.shape)
        if network.affine is not None:
            proto = add_normalisation(proto, network.affine, network.decoded_dtype)
        model = core.read_model(proto.SerializeToString())
    settings = {
        properties.hint.performance_mode(): properties.hint.PerformanceMode.THROUGHPUT,
        properties.inference_num_threads(): threads,
        "INFERENCE_PRECISION_HINT": "bf16" if engine.endswith("bf16") else "f32",
    }
    queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", settings))
    decoded_in = network.affine is not None and engine != "openvino-int8"

    def run(paths: Sequence[Path]) -> Tensor:
        found: list[Any] = [None] * len(paths)
        queue.set_callback(lambda request, at: found.__setitem__(at, request.get_output_tensor(0).data.copy()))
        with ThreadPoolExecutor(num_cpus()) as pool:
            decoded = pool.map(lambda path: predictor.decode(path, path.name), paths)
            batch: list[Tensor] = []
            for index, one in enumerate(decoded):
                batch.append(one)
                if len(batch) == 16 or index == len(paths) - 1:
                    inputs = torch.stack(batch)
                    inputs = inputs if decoded_in else predictor.preprocess.normalise(inputs)
                    queue.start_async([inputs.numpy()], index, share_inputs=False)
                    batch = []
        queue.wait_all()
        return torch.from_numpy(np.concatenate([each for each in found if each is not None]))

    return run


def in_turns(calls: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """The median seconds of each, after one call that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(found) for name, found in times.items()}


def profile(predictor: Predictor, paths: Sequence[Path]) -> str:
    """The milliseconds per file of each part alone."""
    spec = predictor.preprocess
    with ThreadPoolExecutor(num_cpus()) as pool:
        parts: dict[str, Callable[[], object]] = {
            "reading": lambda: list(pool.map(Path.read_bytes, paths)),
            "reading + decoding": lambda: list(pool.map(lambda path: predictor.decode(path, path.name), paths)),
        }
        decoded = list(pool.map(lambda path: predictor.decode(path, path.name), paths))
        stacked = torch.stack(decoded)
        parts["stacking"] = lambda: torch.stack(decoded)
        parts["normalising"] = lambda: spec.normalise(stacked)
        parts["network"] = lambda: compute_logits(predictor.backend, spec.normalise, stacked)
        found = in_turns(parts, 3)
    return ", ".join(f"{name} {1e3 * seconds / len(paths):.2f}" for name, seconds in found.items())


def measure(name: str, folder: Path, given: argparse.Namespace) -> None:
    signal = name == "time_series_resnet"
    paths = write_signals(folder, given.files, 500) if signal else write_images(folder, given.files, (375, 500))
    predictor = make_predictor(name, paths)
    held_out = paths[len(paths) // 2 :]
    decoded = torch.stack([predictor.decode(path, path.name) for path in held_out])
    names = [*FLOAT_ENGINES, *(INT8_ENGINES if given.int8 else ())]
    calibration = torch.stack([predictor.decode(path, path.name) for path in paths[: len(paths) // 2]])
    labels = torch.arange(len(paths))[len(paths) // 2 :] % len(CLASSES)
    expected = compute_logits(predictor.backend, predictor.preprocess.normalise, decoded)

    def judge(_: object, logits: Tensor) -> float:
        right = [(each.argmax(dim=1) == labels).double().mean() for each in (expected, logits)]
        return 100 * float(right[0] - right[1])

    choice = choose_engine(
        workshop_of(predictor, given.threads), predictor.task, decoded, names=names,
        calibration=calibration if given.int8 else None, seconds=given.seconds,
        judge=None if predictor.task.dense else judge,
    )  # fmt: skip
    for trial in choice.trials:
        print(f"    {trial.name:<18}{trial.per_second:9.1f}/s batch {trial.batch:<3} {trial.reason}")
    (taken,) = (trial for trial in choice.trials if trial.name == choice.name)
    assert taken.backend is not None
    auto = predictor.with_backend(sized(taken.backend, choice.batch))
    stacked = torch.cat([calibration, decoded])
    normalise = predictor.preprocess.normalise
    plain = predictor.with_backend(plain_backend(predictor.model))  # type: ignore[arg-type]
    calls: dict[str, Callable[[], object]] = {
        "plain": lambda: list(plain.predict_each(paths)),
        "eager": lambda: list(predictor.predict_each(paths)),
        "auto": lambda: list(auto.predict_each(paths)),
        "eager network": lambda: compute_logits(predictor.backend, normalise, stacked),
        "auto network": lambda: compute_logits(auto.backend, normalise, stacked),
    }
    hand = by_hand(predictor, choice.name, given.threads) if choice.name.startswith("openvino") else None
    if hand is not None and not predictor.task.dense:
        calls["by hand"] = lambda: hand(paths)
    found = in_turns(calls, given.turns)
    line = f"{name:<20}{choice.name:<18}whole {found['eager'] / found['auto']:5.2f}x   "
    line += f"(beside plain {found['plain'] / found['auto']:5.2f}x)   "
    line += f"network {found['eager network'] / found['auto network']:5.2f}x   "
    line += f"ms per file: eager {1e3 * found['eager'] / len(paths):.2f}, auto {1e3 * found['auto'] / len(paths):.2f}"
    if "by hand" in found:
        line += f"   auto beside by hand {found['by hand'] / found['auto']:.2f}"
    print(line)
    print(f"    eager: {profile(predictor, paths)}\n    auto:  {profile(auto, paths)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--files", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--int8", action="store_true", help="let quantised networks take part")
    parser.add_argument("--threads", type=int, default=num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{find_cpu()['name']}, {given.threads} threads, torch {torch.__version__}")
    for name in given.networks.split(","):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
            os.environ["NEOCOG_CACHE"] = cache  # nothing that an earlier run remembered
            measure(name, Path(folder), given)


if __name__ == "__main__":
    main()
