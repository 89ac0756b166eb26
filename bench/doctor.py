"""Compare the rate of the data doctor with that of decoding alone, on JPEGs of a photograph's size.

    python bench/doctor.py [IMAGES]

The program creates 2,000 JPEGs of 500x375 in a folder with two classes. Then two passes alternate, in one process and
with the same threads: reading and fully decoding every file, and `check` on the folder. Medians of five passes each.
Target: at least 80% of the rate of decoding alone.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from neocog.data import ImageFolder
from neocog.doctor import check
from neocog.doctor.examine import in_threads
from neocog.modalities.image.decode import decode_image
from neocog.progress import quiet

IMAGES, HEIGHT, WIDTH, PASSES = 2000, 375, 500, 5


def make(root: Path, count: int) -> None:
    """Write smooth noise with grain, in files as large as a photograph's."""
    generator = np.random.default_rng(0)
    for i in range(count):
        rough = generator.integers(0, 256, (20, 26, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
        grain = generator.integers(-8, 9, (HEIGHT, WIDTH, 1), dtype=np.int16)
        path = root / f"class {i % 2}" / f"{i:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path, quality=85)


def decode_all(root: Path) -> None:
    source = ImageFolder(root)

    def decode(index: int) -> int:
        payload = source.read(index).payload
        assert isinstance(payload, bytes)
        return decode_image(payload, source.key(index), max_pixels=40_000_000, convert=False).size

    assert sum(in_threads(decode, range(len(source)))) == len(source) * HEIGHT * WIDTH * 3


def examine_all(root: Path) -> None:
    assert not check(root).findings


def rate(work: Callable[[Path], None], root: Path, count: int) -> float:
    began = time.perf_counter()
    work(root)
    return count / (time.perf_counter() - began)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    with tempfile.TemporaryDirectory() as folder, quiet():
        root = Path(folder)
        make(root, count)
        size = sum(path.stat().st_size for path in root.rglob("*.jpg")) / count
        decoding, doctor = [], []
        for _ in range(PASSES + 1):
            decoding.append(rate(decode_all, root, count))
            doctor.append(rate(examine_all, root, count))
    alone, checked = statistics.median(decoding[1:]), statistics.median(doctor[1:])  # the first pass reads from disk
    print(f"{count:,} JPEGs of {WIDTH}x{HEIGHT}, {size / 1000:.0f} kB each")
    print(f"{'decoding alone':<16}{alone:>8,.0f} images/s")
    print(f"{'data doctor':<16}{checked:>8,.0f} images/s{checked / alone:>8.1%}")


if __name__ == "__main__":
    main()
