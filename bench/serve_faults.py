"""Try to break `neocog serve`: malformed requests, slow and vanishing clients, signals, broken bundles, little memory.

    python bench/serve_faults.py [--only malformed slow ...] [--quick] [--workers 2] --out serve_faults.json

    malformed      10,000 requests: fuzzed headers, paths, shapes, types, values, JSON, binary tensors, compressed
                   bodies, forms and files, bodies cut off; each is answered with 4xx and a reason, and files by what
                   the network itself says of them
    slow           60 clients that send a byte at a time or never read, beside good ones
    disconnects    2,000 clients that vanish at any moment
    terminate      SIGTERM under load: no accepted request is lost, and the exit code is 0
    replaced       a bundle replaced under load by broken ones, removed, and replaced by a good one
    memory limit   large images while the address space may hardly grow
    steady memory  200,000 good requests, memory flat

Every answer to a good request is compared with the network's own. Prints what was sent and answered, and exits with 1
if anything is wrong.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neocog.bundle import Predictor
from serve_apps.connections import Good
from serve_apps.networks import NETWORKS, draw_images, probabilities, write_network
from serve_apps.phases import PHASES, Scene, Verdict
from serve_apps.requests import upload
from serve_apps.running import Server

NETWORK = "lenet5_relu"
FULL = {
    "malformed": 10_000, "slow seconds": 20, "disconnects": 2_000, "terminations": 5, "large images": 5,
    "steady": 200_000,
}  # fmt: skip
QUICK = {
    "malformed": 600, "slow seconds": 4, "disconnects": 200, "terminations": 1, "large images": 2, "steady": 5_000
}  # fmt: skip
MOST_FAULTS = 12


def goods_of(images: Sequence[bytes], predictors: Sequence[Predictor]) -> list[Good]:
    """Right requests with the answers of these networks."""
    found = []
    for image in images:
        expected = [probabilities(predictor, image) for predictor in predictors]
        found.append(
            Good(upload(image, "image.png", "image/png"), tuple(one for one in expected if one is not None))
        )  # fmt: skip
    return found


def build_scene(folder: Path, given: argparse.Namespace) -> Scene:
    """Bundles, requests and a way to start servers."""
    images = draw_images(NETWORK, 32)
    bundle, other = folder / "digits.neocog", folder / "other" / "digits.neocog"
    other.parent.mkdir()
    predictor, second = write_network(bundle, NETWORK, images), write_network(other, NETWORK, images, seed=1)
    size, _, channels, _ = NETWORKS[NETWORK]
    goods = goods_of(images, [predictor])

    def start(served: Path) -> Server:
        more = ["--workers", str(given.workers)] if given.workers > 1 else []
        server = Server("neocog", folder, more, bundle=str(served), backend=given.backend)
        server.wait_until_ready(goods[0].request)
        return server

    def expected(content: bytes) -> dict[str, float] | None:
        return probabilities(predictor, content)

    both = goods_of(images, [predictor, second])
    return Scene(
        folder, bundle, other, goods, both, images[0], (*size, channels), expected, start,
        counts=QUICK if given.quick else FULL,
    )  # fmt: skip


def run_phase(name: str, phase: Callable[[Scene], Verdict], scene: Scene) -> dict[str, Any]:
    """The result of a phase, printed."""
    begin = time.monotonic()
    verdict = phase(scene)
    seconds = time.monotonic() - begin
    print(f"## {name}: {'OK' if not verdict.faults else f'{len(verdict.faults)} FAULTS'}, {seconds:.0f} s\n")
    for key, value in verdict.figures.items():
        shown = ", ".join(f"{k}: {v:,}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"- {key}: {shown}")
    for fault in verdict.faults[:MOST_FAULTS]:
        print(f"- FAULT {fault}")
    print(flush=True)
    return {"phase": name, "seconds": seconds, "figures": verdict.figures, "faults": verdict.faults}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PHASES), default=list(PHASES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--out", type=Path, default=Path("serve_faults.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scene = build_scene(Path(name), given)
        results = [run_phase(one, PHASES[one], scene) for one in given.only]
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    if any(result["faults"] for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
