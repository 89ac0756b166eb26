"""Compare how fast Neocog and Pillow turn JPEGs into network input, on one core.

    taskset -c 0 python bench/decode.py

Both decode to RGB and resize to 224x224. With Pillow: open, convert, resize with the bilinear filter. With Neocog:
ImagePreprocess.decode, which also arranges the channels for torch. The two alternate, a few images at a time, because
a loader uses only one decoder; medians.
The images are synthetic, with the spectrum of photographs: amplitudes that fall with a power of the frequency
(Field 1987; Tolhurst, Tadmor & Chao 1992). The lower the power, the finer the texture, and the more bits per pixel.
Every bit must be read at every scale, so the finest textures gain the least.
Target, at the medium texture: at least 1.25 times the images per second at 500x375, 3 times at 2000x1500.
"""

import io
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.data import ImagePreprocess

SIDE, QUALITY = 224, 88
SIZES = {(375, 500): (30, 10), (1500, 2000): (15, 3)}
"""(height, width): (turns of each decoder, images per turn)."""
TEXTURES = {"smooth": 1.8, "medium": 1.5, "fine": 1.2}
"""The power of frequency with which amplitudes fall."""


def texture(size: tuple[int, int], power: float, seed: int) -> NDArray[np.float64]:
    """A random field (H, W) of standard deviation 1 whose amplitudes fall as frequency**-power."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    frequency[0, 0] = np.inf
    waves = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    field = np.fft.irfft2(waves * frequency**-power, size)
    return np.asarray(field / field.std(), np.float64)


def draw(size: tuple[int, int], power: float) -> bytes:
    """A colour JPEG with most of its contrast in brightness, as in photographs."""
    light = 45 * texture(size, power, 0)
    colours = np.stack([light + 15 * texture(size, power, seed) for seed in (1, 2, 3)], axis=2)
    file = io.BytesIO()
    Image.fromarray((128 + colours).clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=QUALITY)
    return file.getvalue()


def decode_with_pillow(payload: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(payload)).convert("RGB")
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def speed(decode: Callable[[bytes], object], payload: bytes, count: int) -> float:
    """Images per second of processor time, in one turn."""
    began = time.process_time()  # wall-clock time would include other load on the machine
    for _ in range(count):
        decode(payload)
    return count / (time.process_time() - began)


def processor() -> str:
    """The processor's name, if the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    preprocess = ImagePreprocess(size=(SIDE, SIDE), channels=3, resize="squash")
    print(f"{processor()}, Python {platform.python_version()}")
    print(f"{'image':<12}{'texture':<10}{'bits/pixel':>10}{'Neocog /s':>12}{'Pillow /s':>12}{'ratio':>8}")
    for size, (turns, count) in SIZES.items():
        for name, power in TEXTURES.items():
            payload = draw(size, power)
            own, peer = [], []
            for _ in range(turns):
                own.append(speed(preprocess.decode, payload, count))
                peer.append(speed(decode_with_pillow, payload, count))
            mine, other = statistics.median(own), statistics.median(peer)
            bits = 8 * len(payload) / (size[0] * size[1])
            shown = f"{size[1]}x{size[0]}"
            print(f"{shown:<12}{name:<10}{bits:>10.2f}{mine:>12,.1f}{other:>12,.1f}{mine / other:>8.2f}")


if __name__ == "__main__":
    main()
