"""Measure tasks other than classification beside the plain loop that one would write for them, in one process.

    python bench/tasks.py
    python bench/tasks.py --rows "U-Net step" --side 2048

Each row compares the same work of the same network, in turns, and takes the fastest turn of each side; times are the
processor's, so that other programs matter less. Set OMP_NUM_THREADS=1 for figures that don't depend on idle threads.

    U-Net step        a training step of `unet_small`, 16 scenes of 96x96: Neocog's step as `choose_speed` picks it for
                      a long run, and a plain one: eager, fp32, contiguous, the same loss and AdamW
    U-Net step, 2015  the same of the published U-Net, whose 31 million parameters take 4 scenes
    tiled prediction  an image of 4096x4096 pixels in tiles of 512x512: `Predictor.predict`, and a loop over the same
                      tiles, one by one, that adds up weighted probabilities of the whole image
    its memory        the most that a process holds that predicts this image: program, network, image, mask
"""

import argparse
import copy
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.bundle import Predictor, torch_backend
from neocog.data import ImagePreprocess
from neocog.data.scenes import SHAPES, draw_scene
from neocog.modalities.views import tile_places
from neocog.tasks import Segmentation
from neocog.tasks.stitch import edge_weights
from neocog.training import OptimizerConfig, make_optimizer
from neocog.training.executor import StepExecutor
from neocog.training.speed import SpeedConfig, choose_speed
from neocog.zoo import create_model

CLASSES = ("background", *SHAPES)
LR, TILE, SIDE, TURNS = 1e-3, (512, 512), 4096, 5
STEPS = 20_000  # of the run for which Neocog chooses how to compute
LIMIT = 1.5e9  # bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: how often Neocog is as fast as the plain loop, or another figure, and what is asked for."""

    what: str
    figures: str
    reached: float
    target: float
    at_least: bool = True

    def text(self) -> str:
        met = self.reached >= self.target if self.at_least else self.reached <= self.target
        bound = "at least" if self.at_least else "at most"
        verdict = f"{bound} {self.target:g}: {'met' if met else 'missed'}"
        return f"{self.what:<20}{self.figures:<64}{self.reached:>8.2f}   {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--side", type=int, default=SIDE, help="height and width of the image that is predicted")
    parser.add_argument("--predict-only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.predict_only:
        make_predictor().predict([large_image(given.side)])
        print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for name in given.rows:
        print(ROWS[name](given.side).text(), flush=True)


def fastest(*sides: Callable[[], object], turns: int = TURNS) -> list[float]:
    """The seconds of the fastest turn of each side; they alternate."""
    found = [float("inf")] * len(sides)
    for _ in range(turns):
        for i, side in enumerate(sides):
            began = time.process_time()
            side()
            found[i] = min(found[i], time.process_time() - began)
    return found


def training_step(name: str, network: str, num: int) -> Row:
    scenes = [draw_scene(k) for k in range(num)]
    pixels = torch.from_numpy(np.stack([scene.pixels for scene in scenes])).permute(0, 3, 1, 2)
    targets = torch.from_numpy(np.stack([scene.mask for scene in scenes]))
    images = ImagePreprocess(size=(96, 96), channels=3).measured(pixels).normalise(pixels.contiguous())
    model = create_model(network, num_classes=len(CLASSES), in_channels=3).train()
    task, config = Segmentation(CLASSES), OptimizerConfig(name="adamw", lr=LR)
    theirs = copy.deepcopy(model)
    plain_optimizer = torch.optim.AdamW(theirs.parameters(), lr=LR)

    def plain() -> None:
        plain_optimizer.zero_grad()
        task.logits_loss(theirs(images), targets).backward()  # type: ignore[no-untyped-call]
        plain_optimizer.step()

    decision = choose_speed(
        model, images, targets, loss=task.loss, optimizer=lambda copied: make_optimizer(copied, config),
        steps=STEPS, config=SpeedConfig(), several_sizes=True,
    )  # fmt: skip
    executor = StepExecutor(model, task.loss, decision, torch.device("cpu"))
    optimizer = make_optimizer(model, config)

    def ours() -> None:
        optimizer.zero_grad()
        loss, _ = executor.forward(images, targets)
        executor.backward(loss)
        executor.step(optimizer)

    own, other = fastest(ours, plain)
    way = f"{decision.precision}{', channels_last' if decision.channels_last else ''}"
    return Row(name, f"{1e3 * own:,.0f} ms ({way}); plain {1e3 * other:,.0f} ms; ratio", other / own, 1.8)


def make_predictor() -> Predictor:
    torch.manual_seed(0)
    model = create_model("unet_small", num_classes=len(CLASSES), in_channels=3).eval()
    preprocess = ImagePreprocess(size=TILE, channels=3, resize="tile", mean=(0.5,) * 3, std=(0.25,) * 3)
    return Predictor(torch_backend(model), preprocess, Segmentation(CLASSES), model=model)


def large_image(side: int) -> NDArray[np.uint8]:
    """A scene, repeated."""
    count = -(-side // TILE[0])
    return np.tile(draw_scene(0, TILE).pixels, (count, count, 1))[:side, :side]


def tile_by_tile(model: nn.Module, pixels: NDArray[np.uint8], preprocess: ImagePreprocess) -> Tensor:
    """The most probable class of each pixel; (H, W, C) -> (H, W)."""
    height, width = pixels.shape[:2]
    sums, total, window = torch.zeros(len(CLASSES), height, width), torch.zeros(height, width), edge_weights(TILE)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        for top, left in tile_places((height, width), TILE):
            place = np.s_[top : top + TILE[0], left : left + TILE[1]]
            image = torch.from_numpy(pixels[place]).permute(2, 0, 1).float() / 255
            probs = model(((image - mean) / std)[None])[0].softmax(dim=0)
            sums[:, *place] += probs * window
            total[place] += window
    return (sums / total).argmax(dim=0)


def tiled_prediction(side: int) -> Row:
    predictor, pixels = make_predictor(), large_image(side)
    assert isinstance(predictor.preprocess, ImagePreprocess)
    model = copy.deepcopy(predictor.model)
    assert model is not None
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    found: dict[str, NDArray[np.integer]] = {}

    def ours() -> None:
        (prediction,) = predictor.predict([pixels])
        found["ours"] = getattr(prediction, "mask")  # noqa: B009

    def plain() -> None:
        assert isinstance(predictor.preprocess, ImagePreprocess)
        found["plain"] = tile_by_tile(model, pixels, predictor.preprocess).numpy()

    own, other = fastest(ours, plain, turns=1)  # minutes long
    agree = float((found["ours"] == found["plain"]).mean())
    return Row(
        "tiled prediction", f"{side}x{side}: {own:.1f} s; plain {other:.1f} s; {agree:.4%} of pixels agree; ratio",
        other / own, 3.0,
    )  # fmt: skip


def prediction_memory(side: int) -> Row:
    command = [sys.executable, __file__, "--predict-only", "--side", str(side)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Row(
        "its memory", f"{side}x{side}: most that the process held; GB", int(done.stdout) / 1e9, LIMIT / 1e9, False
    )


ROWS: dict[str, Callable[[int], Row]] = {
    "U-Net step": lambda _: training_step("U-Net step", "unet_small", 16),
    "U-Net step, 2015": lambda _: training_step("U-Net step, 2015", "unet", 4),
    "tiled prediction": tiled_prediction,
    "its memory": prediction_memory,
}

if __name__ == "__main__":
    main()
