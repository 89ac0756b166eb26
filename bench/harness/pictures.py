"""Pictures with the spectrum of photographs, for rows that decode.

Amplitudes fall with a power of the frequency (Field 1987; Tolhurst, Tadmor & Chao 1992). The lower the power, the finer
the texture, and the more bits per pixel.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["MEDIUM", "TEXTURES", "draw_jpeg", "texture", "write_jpegs"]

TEXTURES = {"smooth": 1.8, "medium": 1.5, "fine": 1.2}
MEDIUM = TEXTURES["medium"]


def texture(size: tuple[int, int], power: float, seed: int) -> NDArray[np.float64]:
    """A random field (H, W) of standard deviation 1 whose amplitudes fall as frequency**-power."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    frequency[0, 0] = np.inf
    waves = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    field = np.fft.irfft2(waves * frequency**-power, size)
    return np.asarray(field / field.std(), np.float64)


def draw_jpeg(size: tuple[int, int], power: float = MEDIUM, *, seed: int = 0, quality: int = 88) -> bytes:
    """A colour JPEG (H, W) with most of its contrast in brightness, as in photographs."""
    light = 45 * texture(size, power, 4 * seed)
    colours = np.stack([light + 15 * texture(size, power, 4 * seed + k) for k in (1, 2, 3)], axis=2)
    file = io.BytesIO()
    Image.fromarray((128 + colours).clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=quality)
    return file.getvalue()


def write_jpegs(folder: Path, count: int, size: tuple[int, int], *, classes: int = 10, different: int = 20) -> None:
    """Write JPEGs of medium texture into a folder for each class; every `different`-th has the same bytes again."""
    payloads = [draw_jpeg(size, seed=seed) for seed in range(min(different, count))]
    for i in range(count):
        path = folder / f"class{i % classes}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payloads[i % len(payloads)])
