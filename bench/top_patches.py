"""Measure `top_patches` beside plain inference of the same network on the same images.

    python bench/top_patches.py [FOLDER] [--model resnet18] [--size 224] [--images 10000] [--layers stages.3 stages.1]

    plain      for each batch: decode, normalise, the whole network in inference mode; eager, fp32
    patches    top patches of all channels of a layer, with dead and redundant channels, in one pass

FOLDER is any data set of images; without it, noise in memory takes its place. Both read through the same loader.
They take turns, each for a part of the images at a time, so that what else the machine does falls on both. Beside the
time on the clock is that of the processor, which a busy machine disturbs less. The cutting of patches, which happens
when one is asked for, is timed apart.
Target: at least 0.8 times the images/s of plain inference for the last layer with places, for which nothing of the
network but its last layers can be left out.
"""

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.cpus import num_threads
from neocog.data import ImagePreprocess, Source, open_source
from neocog.dataset.list_source import ListSource
from neocog.explaining.data_pass import default_batch
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.patches import top_patches
from neocog.loading import StreamingDataset
from neocog.progress import quiet
from neocog.zoo import create_model

TARGET = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", nargs="+", default=["stages.3", "stages.1"])
    given = parser.parse_args()
    torch.set_num_threads(num_threads())
    source: Source = Noise(given.images, given.size) if given.folder is None else open_source(given.folder)
    spec = ImagePreprocess(size=(given.size, given.size), channels=3, mean=(0.45,) * 3, std=(0.22,) * 3)
    explainer = Explainer(create_model(given.model).eval(), spec.shape, preprocess=spec)
    indices = np.arange(min(given.images, len(source)))
    print(
        f"{platform.processor() or platform.machine()}, {num_threads()} threads, torch {torch.__version__}; "
        f"{given.model}, {len(indices):,} images at {given.size}x{given.size}, {given.rounds} rounds"
    )
    parts = np.array_split(indices, given.rounds)
    ways: dict[str, Callable[[NDArray[np.int64]], object]] = {"plain": lambda part: plain(explainer, source, part)}
    for name in given.layers:
        layer = explainer.layers[name]
        ways[name] = lambda part, layer=layer: top_patches(explainer, source, layer, indices=part)  # type: ignore[misc]
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with quiet():
        for way in ways.values():
            way(indices[: default_batch(explainer)])
        for part in parts:
            for name, way in ways.items():
                began = time.perf_counter(), time.process_time()
                way(part)
                ended = time.perf_counter(), time.process_time()
                spent[name].append(((ended[0] - began[0]) / len(part), (ended[1] - began[1]) / len(part)))
    fastest = {name: np.min(rounds, axis=0) for name, rounds in spent.items()}
    for name, (clock, processor) in fastest.items():
        ratios = fastest["plain"] / fastest[name]
        word = "" if name == "plain" else f"   target {TARGET}: {'met' if ratios[0] >= TARGET else 'missed'}"
        print(
            f"  {name:<12}{1 / clock:>8.1f} images/s, {1e3 * processor:>6.1f} ms of the processor for each; "
            f"times plain: {ratios[0]:.2f} by the clock, {ratios[1]:.2f} by the processor{word}"
        )
    cutting(explainer, source, explainer.layers[given.layers[0]], indices[:256])


def plain(explainer: Explainer, source: Source, indices: NDArray[np.int64]) -> None:
    assert explainer.preprocess is not None
    data = StreamingDataset(source, indices, explainer.preprocess)
    batch = default_batch(explainer)
    rows = [np.arange(at, min(at + batch, len(data))) for at in range(0, len(data), batch)]
    with torch.inference_mode():
        for step, part in enumerate(rows):
            decoded, _ = data.take(part, rows[step + 1 : step + 2])
            explainer.model(explainer.preprocess.normalise(decoded))
    data.close()


def cutting(explainer: Explainer, source: Source, layer: Layer, indices: NDArray[np.int64]) -> None:
    with quiet():
        found = top_patches(explainer, source, layer, indices=indices)
        began = time.perf_counter()
        count = sum(len(found[channel]) for channel in list(found)[:16])
    print(f"  cutting out: {1e3 * (time.perf_counter() - began) / count:.1f} ms for each of {count} patches")


class Noise(ListSource):
    """Images whose decoding costs nothing, so that the ratio is that of the computation alone: the harder case."""

    def __init__(self, count: int, side: int) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (256, side, side, 3), dtype=np.uint8)
        labels, splits = np.zeros(count, np.int64), {"all": np.arange(count)}
        super().__init__("noise", [str(k) for k in range(count)], labels, splits, ("noise",))

    def payload(self, index: int) -> NDArray[np.uint8]:
        return np.asarray(self.pixels[index % len(self.pixels)])


if __name__ == "__main__":
    main()
