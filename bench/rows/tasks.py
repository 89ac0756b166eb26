"""Masks beside the plain loop that one would write for them: a training step, and prediction in tiles.

U-Net step: a training step of `unet_small`, 16 scenes of 96x96. Neocog's step as `choose_speed` picks it for a long
run; the plain one is eager, fp32 and contiguous, with the same loss and AdamW.

Tiled prediction: an image of 768x768 pixels in overlapping tiles of 256x256, 16 of them, since `Predictor.predict`
prepares the network for as many tiles or more; and a loop over the same tiles, one by one, that adds up weighted
probabilities of the whole image. Both masks are compared. The first prediction of each side, with which Neocog tries
bfloat16, doesn't count.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness import Row, Sides, seconds_of
from harness.steps import beside_plain_loop
from neocog.bundle import Predictor, torch_backend
from neocog.cpus import num_threads
from neocog.data import ImagePreprocess
from neocog.data.scenes import SHAPES, draw_scene
from neocog.modalities.views import tile_places
from neocog.tasks import Segmentation
from neocog.tasks.stitch import edge_weights
from neocog.zoo import create_model

__all__ = ["ROWS"]

CLASSES = ("background", *SHAPES)
SCENES, TILE, SIDE = 16, (256, 256), 768
AGREE = 0.98  # share of pixels; with random weights classes are about equally probable, so bfloat16 changes some


def unet_step(folder: Path) -> Iterator[Sides]:
    torch.set_num_threads(num_threads())
    scenes = [draw_scene(k) for k in range(SCENES)]
    pixels = torch.from_numpy(np.stack([scene.pixels for scene in scenes])).permute(0, 3, 1, 2)
    targets = torch.from_numpy(np.stack([scene.mask for scene in scenes]))
    images = ImagePreprocess(size=(96, 96), channels=3).measured(pixels).normalise(pixels.contiguous())
    model = create_model("unet_small", num_classes=len(CLASSES), in_channels=3).train()
    yield beside_plain_loop(model, Segmentation(CLASSES), images, targets)


def make_predictor() -> Predictor:
    torch.manual_seed(0)
    model = create_model("unet_small", num_classes=len(CLASSES), in_channels=3).eval()
    preprocess = ImagePreprocess(size=TILE, channels=3, resize="tile", mean=(0.5,) * 3, std=(0.25,) * 3)
    return Predictor(torch_backend(model), preprocess, Segmentation(CLASSES), model=model)


def large_image() -> NDArray[np.uint8]:
    """A scene, repeated."""
    count = -(-SIDE // TILE[0])
    return np.tile(draw_scene(0, TILE).pixels, (count, count, 1))[:SIDE, :SIDE]


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


def tiled_prediction(folder: Path) -> Iterator[Sides]:
    torch.set_num_threads(num_threads())
    predictor, pixels = make_predictor(), large_image()
    preprocess = predictor.preprocess
    assert isinstance(preprocess, ImagePreprocess)
    assert predictor.model is not None
    model: nn.Module = copy.deepcopy(predictor.model)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def ours() -> NDArray[np.integer]:
        (prediction,) = predictor.predict([pixels])
        mask: NDArray[np.integer] = getattr(prediction, "mask")  # noqa: B009
        return mask

    def plain() -> NDArray[np.integer]:
        mask: NDArray[np.integer] = tile_by_tile(model, pixels, preprocess).numpy()
        return mask

    agree = float((ours() == plain()).mean())
    assert agree > AGREE, f"the masks agree in {agree:.4%} of the pixels only"
    turns: dict[str, Callable[[], float]] = {
        "Neocog": seconds_of(ours),
        "plain PyTorch, tile by tile": seconds_of(plain),
    }
    yield Sides(turns, note=f"{agree:.4%} of pixels agree")


ROWS = (
    Row(
        "unet-step", "tasks", f"training step of `unet_small`, {SCENES} scenes of 96x96", "images/s", "more", unet_step,
        target=1.8,
    ),
    Row(
        "unet-tiles", "tasks", f"masks of {SIDE}x{SIDE} pixels in tiles of {TILE[0]}x{TILE[1]}, `unet_small`", "s",
        "less", tiled_prediction, target=3.0,
    ),
)  # fmt: skip
