"""Synthetic scenes: shapes on textures, with their exact masks and boxes, drawn from a seed.

    python -m neocog.data.scenes scenes

writes a folder that `neocog train` takes: images, masks, classes.txt, in splits. It is for tests and lessons, and for
trying a setting on something whose truth is known to the pixel. The same seed gives the same pixels everywhere.
"""

import argparse
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.dataset.record import Objects
from neocog.errors import DataError
from neocog.files import whole_folder, write_whole

__all__ = ["SHAPES", "Scene", "draw_scene", "write_scenes"]

Grid = NDArray[np.float64]
Shape = Callable[[Grid, Grid], NDArray[np.bool_]]
SMALLEST, LARGEST = 0.09, 0.22  # radius of a shape, as a share of the shorter side
CONTRAST = 40  # by which the grey of a shape differs from the mean of what it covers, of 255
TRIES = 20

SHAPES: dict[str, Shape] = {
    "disc": lambda x, y: x**2 + y**2 <= 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= 0.8,
    "triangle": lambda x, y: (y <= 0.6) & (y >= 2 * abs(x) - 1),
    "ring": lambda x, y: (x**2 + y**2 <= 1) & (x**2 + y**2 >= 0.3),
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) <= 0.3) & (np.maximum(abs(x), abs(y)) <= 1),
}
"""By the name of the class: whether a place (x, y) is inside, for a shape of radius 1 around 0."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One image and all that is known of it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), or (H, W) in grey."""
    mask: NDArray[np.uint8]
    """(H, W): 0 is background, k + 1 the shape k of SHAPES; where shapes overlap, the one in front."""
    objects: Objects
    """The visible part of each shape: its box, its class as an index into SHAPES, its mask."""


def draw_scene(number: int, size: tuple[int, int] = (96, 96), *, seed: int = 0, grey: bool = False) -> Scene:
    """Scene `number` of a seed: one to five shapes, turned and scaled at random, on a texture of two colours.

    >>> scene = draw_scene(0, (64, 80))
    >>> scene.pixels.shape, scene.mask.shape, len(scene.objects) > 0
    ((64, 80, 3), (64, 80), True)
    """
    rng = np.random.default_rng((seed, number))
    ground = texture(rng, size, colour(rng))
    pixels, planes, labels = ground, list[NDArray[np.bool_]](), list[int]()
    for _ in range(rng.integers(1, 6)):
        label = int(rng.integers(len(SHAPES)))
        inside = place_shape(rng, size, list(SHAPES.values())[label])
        pixels = np.where(inside[:, :, None], texture(rng, size, contrasting(rng, pixels, inside)), pixels)
        planes = [plane & ~inside for plane in planes]
        planes.append(inside)
        labels.append(label)
    mask = np.zeros(size, np.uint8)
    for plane, label in zip(planes, labels, strict=True):
        mask[plane] = label + 1
    seen = [i for i, plane in enumerate(planes) if plane.any()]
    boxes = np.array([box_of(planes[i]) for i in seen], np.float32).reshape(-1, 4)
    objects = Objects(boxes, np.array([labels[i] for i in seen], np.int64), np.stack([planes[i] for i in seen]))
    values = pixels.clip(0, 255).round().astype(np.uint8)
    return Scene(values.mean(axis=2).round().astype(np.uint8) if grey else values, mask, objects)


def place_shape(rng: np.random.Generator, size: tuple[int, int], shape: Shape) -> NDArray[np.bool_]:
    """A shape at a random place, turned by a random angle; (H, W). Its centre is in the image."""
    height, width = size
    radius = rng.uniform(SMALLEST, LARGEST) * min(size)
    centre, angle = rng.uniform(0, [height, width]), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width] + 0.5
    y, x = (y - centre[0]) / radius, (x - centre[1]) / radius
    return shape(np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)


def colour(rng: np.random.Generator) -> Grid:
    return rng.uniform(30, 225, 3)


def contrasting(rng: np.random.Generator, pixels: Grid, inside: NDArray[np.bool_]) -> Grid:
    """A colour whose grey differs from that of what it covers."""
    behind = pixels[inside].mean(axis=0) if inside.any() else np.zeros(3)
    for _ in range(TRIES):
        found = colour(rng)
        if abs(found.mean() - behind.mean()) >= CONTRAST:
            break
    return found


def texture(rng: np.random.Generator, size: tuple[int, int], mean: Grid) -> Grid:
    """Four waves and fine noise around a mean colour; (H, W, 3)."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    waves = np.zeros(size)
    for _ in range(4):
        frequency, angle, phase = rng.uniform(0.02, 0.5), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        waves += np.sin(2 * np.pi * frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    noise = rng.normal(0, 8, (*size, 3))
    return np.asarray(mean + waves[:, :, None] * rng.uniform(2, 9) + noise)


def box_of(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def write_scenes(
    folder: Path,
    counts: Mapping[str, int],
    size: tuple[int, int] = (96, 96),
    *,
    seed: int = 0,
    grey: bool = False,
) -> Path:
    """Write scenes as images and masks, whole or not at all; `counts` by split, such as train and test.

    Raises DataError for a folder that exists.
    """
    if folder.exists():
        raise DataError("Scenes are written to a new folder.", received=str(folder), fix="Name another, or remove it.")
    number = 0
    with whole_folder(folder) as made:
        for split, count in counts.items():
            for part in ("images", "masks"):
                (made / split / part).mkdir(parents=True)
            for _ in range(count):
                scene = draw_scene(number, size, seed=seed, grey=grey)
                for part, values in (("images", scene.pixels), ("masks", scene.mask)):
                    buffer = io.BytesIO()
                    Image.fromarray(values).save(buffer, "png")
                    (made / split / part / f"{number:05}.png").write_bytes(buffer.getvalue())
                number += 1
        write_whole(made / "classes.txt", "".join(f"{name}\n" for name in ("background", *SHAPES)))
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write synthetic scenes with masks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grey", action="store_true")
    given = parser.parse_args()
    write_scenes(
        given.folder, {"train": given.train, "test": given.test}, tuple(given.size), seed=given.seed, grey=given.grey
    )
