"""Your own images: the test accuracy that Neocog and fastai reach in the same twelve seconds.

The images are 1,000 digits of MNIST in class folders of PNG files, a hundred for each class, and 2,000 to test. Neocog
runs as a user would run it, `neocog train FOLDER --minutes 0.2`; fastai is told that digits must not be mirrored, and
trains its usual network for as many epochs as fit: see own_images_peers.py. The seconds run from the start of each
process to the end, reading, training and the test included; each turn takes another seed. Twelve seconds are too few
for Neocog's search, so it trains its default network at once.

own_images.py, which is not part of the bench, compares with Keras's example, fine-tuning by fastai and scikit-learn
too, on eight other sets, in one to ten minutes.
"""

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import own_images
from harness import Row, Sides
from harness.row import Turn
from neocog.data import find_data

__all__ = ["ROWS"]

SET, MINUTES = "mnist_1000", 0.2


def prepare(folder: Path) -> Iterator[Sides]:
    settings = own_images.Settings(find_data("mnist").parent, folder, Path(sys.executable), weights=None, before=None)
    results: dict[str, list[own_images.Result]] = {}

    def percent(tool: str) -> Turn:
        seeds, found = itertools.count(), results.setdefault(tool, [])

        def turn() -> float:
            result = own_images.run(own_images.Case(SET, MINUTES, next(seeds), tool), settings)
            assert result.hits is not None, f"{tool}: {result.note}"
            assert result.count, "test images were scored"
            found.append(result)
            return 100 * result.hits / result.count

        return turn

    def note() -> str:
        return "; ".join(
            f"{tool}: {found[-1].note}, {median(result.seconds for result in found):.1f} s"
            for tool, found in results.items()
        )

    turns, absent = {"Neocog": percent("neocog")}, {}
    if importlib.util.find_spec("fastai"):
        turns["fastai"] = percent("fastai")
    else:
        absent["fastai"] = "not installed"
    yield Sides(turns, note=note, absent=absent)


WHAT = f"test accuracy of a network trained on 1,000 digits in {60 * MINUTES:g} s from process start"
ROWS = (Row("own-images", "images", WHAT, "%", "more", prepare, target=1.0, warmup=0),)
