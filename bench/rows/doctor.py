"""The data doctor: the rate at which it checks a folder of JPEGs of a photograph's size.

The first peer is reading and fully decoding every file with the same threads, which any check must do at least. The
second is CleanVision with all its issues (dark, light, odd sizes, blurry, low information, grey, exact and near
duplicates), whose processes hash and score each image. Both tools must find the file that is there twice.
Target: at least 80% of the rate of decoding alone.
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness import Row, Sides, per_second
from harness.peers import import_peer
from neocog.cpus import num_threads
from neocog.data import ImageFolder
from neocog.doctor import check
from neocog.doctor.examine import in_threads
from neocog.modalities.image.decode import decode_image
from neocog.progress import quiet

__all__ = ["ROWS"]

NUM, FEW, HEIGHT, WIDTH = 800, 160, 375, 500


def write_images(root: Path, num: int) -> None:
    """Write smooth noise with grain, in files as large as a photograph's; the last is a copy of the first."""
    generator = np.random.default_rng(0)
    for i in range(num - 1):
        rough = generator.integers(0, 256, (20, 26, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
        grain = generator.integers(-8, 9, (HEIGHT, WIDTH, 1), dtype=np.int16)
        path = root / f"class {i % 2}" / f"{i:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path, quality=85)
    (root / "class 0" / "copy.jpg").write_bytes((root / "class 0" / "00000.jpg").read_bytes())


def decode_all(root: Path, num: int) -> None:
    source = ImageFolder(root)

    def decode(index: int) -> int:
        payload = source.read(index).payload
        assert isinstance(payload, bytes)
        return decode_image(payload, source.key(index), max_pixels=40_000_000, convert=False).size

    assert sum(in_threads(decode, range(len(source)))) == num * HEIGHT * WIDTH * 3


def examine(root: Path, num: int) -> None:
    with quiet():
        report = check(root)
    assert report.examined == num
    assert [(finding.kind, finding.count) for finding in report.findings] == [("duplicate-within-split", 1)], (
        report.findings
    )


def examine_by_cleanvision(imagelab: Any, root: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = imagelab(data_path=str(root))
        lab.find_issues(n_jobs=num_threads(), verbose=False)
    assert int(lab.issues["is_exact_duplicates_issue"].sum()) == 2  # it counts both


def prepare_beside_decoding(folder: Path) -> Iterator[Sides]:
    write_images(folder, NUM)
    turns = {
        "Neocog": per_second(NUM, partial(examine, folder, NUM)),
        "decoding alone": per_second(NUM, partial(decode_all, folder, NUM)),
    }
    size = sum(path.stat().st_size for path in folder.rglob("*.jpg")) / NUM
    yield Sides(turns, note=f"{size / 1000:.0f} kB each")


def prepare_beside_cleanvision(folder: Path) -> Iterator[Sides]:
    write_images(folder, FEW)
    turns = {"Neocog": per_second(FEW, partial(examine, folder, FEW))}
    cleanvision, reason = import_peer("cleanvision")
    if cleanvision:
        logging.disable(logging.WARNING)
        turns["CleanVision"] = per_second(FEW, partial(examine_by_cleanvision, cleanvision.Imagelab, folder))
    note = "the tools look for different faults; both find the copy"
    yield Sides(turns, note=note, absent={"CleanVision": reason} if reason else {})


WHAT = "JPEGs of 500x375"
ROWS = (
    Row("doctor", "data", f"Check {NUM} {WHAT}", "images/s", "more", prepare_beside_decoding, target=0.8, bound=True),
    Row("doctor-cleanvision", "data", f"Check {FEW} {WHAT}", "images/s", "more", prepare_beside_cleanvision),
)
