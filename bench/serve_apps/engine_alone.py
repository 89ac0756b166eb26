"""The backend alone, without a server: the latency of one decoded image, and the throughput of larger batches.

    python -m serve_apps.engine_alone BUNDLE [--backend eager] [--seconds 3]

Prints a line of JSON: p50 and p99 in milliseconds at a batch of one, with and without reading the file, and images per
second at each batch size.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from serve_apps.network import load_predictor

SIZES = (4, 16, 64)
WARM_UP = 5  # calls


def timings(call: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of each call within this time."""
    for _ in range(WARM_UP):
        call()
    found: list[float] = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        call()
        found.append((time.perf_counter() - begin) * 1e3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    predictor, content = load_predictor(given.bundle, given.backend), given.image.read_bytes()

    def decode() -> Tensor:
        return predictor.preprocess.decode(content, "the image")[None]

    image = decode()
    alone = timings(lambda: predictor.logits(image), given.seconds)
    reading = timings(lambda: predictor.logits(decode()), given.seconds)
    rates = {"1": 1e3 / float(np.median(alone))}
    for size in SIZES:
        batch = torch.cat([image] * size)
        rates[str(size)] = size * 1e3 / float(np.median(timings(partial(predictor.logits, batch), 1.0)))
    print(
        json.dumps({
            "p50": float(np.median(alone)), "p99": float(np.percentile(alone, 99)),
            "p50 with decoding": float(np.median(reading)), "images/s": rates,
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
