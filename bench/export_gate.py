"""Measure exported networks beside their bundles on real data: every file of every engine through the gate, int8 too.

    python bench/export_gate.py runs/mnist-lenet5-1 runs/crowns-centernet_lite0-1
    python bench/export_gate.py --train lenet5=mnist densenet121=photos/ unet_lite0=cells/ --runs build/export-runs

A bundle is compared on the data set of its run. `--train NETWORK=DATA` trains one first, for --epochs, unless its run
is there. A row for each file: the metric of the bundle and of the file, their difference in points with the 95%
interval of the pairs, the share of equal answers, the largest difference of an output in units of its spread, the
milliseconds that a sample takes in the engine beside those of `Predictor`, and whether the gate lets it pass.
Target: every float file passes, with the differences of rounding alone; every int8 file loses at most 0.3 points.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neocog
from neocog.bundle import Predictor
from neocog.bundle.interface import answer_tensors
from neocog.cpus import num_threads
from neocog.errors import NeocogError
from neocog.exporting.export import open_data
from neocog.exporting.gate import check_export
from neocog.exporting.gate_report import FLOAT, INT8, GateReport
from neocog.exporting.manifest import interface_of
from neocog.exporting.program import ExportProgram
from neocog.exporting.quantise import Measure, calibration_arrays, network_nodes, quantise_onnx, quantise_openvino
from neocog.exporting.runner import open_exported
from neocog.exporting.write_files import make_onnx, read_openvino, save_onnx, save_openvino, save_torch
from neocog.runs.evaluate_bundle import choose_calibration

HEAD = ("file", "metric", "difference [95%]", "equal", "largest", "ms", "made in s", "gate")
WIDTHS = (24, 26, 26, 9, 10, 16, 9, 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path, help="run folders, or model.neocog files in them")
    parser.add_argument("--train", nargs="+", default=[], metavar="NETWORK=DATA")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("build/export-runs"))
    parser.add_argument("--most", type=int, default=2000, help="validation samples")
    parser.add_argument("--no-int8", action="store_true")
    parser.add_argument("--threads", type=int, default=num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    trained = [train(text, given.epochs, given.runs) for text in given.train]
    passed = True
    for path in [*given.bundles, *trained]:
        bundle = path / "model.neocog" if path.is_dir() else path
        for text, good in compare(bundle, given.most, given.threads, int8=not given.no_int8):
            print(text, flush=True)
            passed = passed and good
    sys.exit(not passed)


def train(text: str, epochs: int, runs: Path) -> Path:
    """The run folder of a network on a data set, NETWORK=DATA; trained now unless it is there."""
    network, _, data = text.partition("=")
    folder = runs / f"{Path(data).stem}-{network}"
    if not (folder / "model.neocog").is_file():
        neocog.train(data, model=network, epochs=epochs, runs=runs, name=folder.name)
    return folder


def compare(bundle: Path, most: int, threads: int, *, int8: bool) -> Iterator[tuple[str, bool]]:
    """A line for each file of a bundle, and whether it passed."""
    predictor = neocog.load(bundle)
    opened, samples = open_data(bundle, predictor, None, {})
    name = predictor.manifest.get("model", {}).get("name", "")
    yield f"\n{name} for {predictor.task.name}, {bundle}", True
    yield row(*HEAD), True
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(predictor, bundle, Path(folder), threads)
        for path, make in maker.steps(opened, samples, int8=int8):
            began = time.monotonic()
            try:
                make()
                made = time.monotonic() - began
                exported = open_exported(path, threads=threads)
                tolerance = INT8 if "int8" in path.stem else FLOAT
                report = check_export(predictor, exported, samples, tolerance, most=most)
            except NeocogError as error:
                yield f"{path.name:<{WIDTHS[0]}}{error}", False
                continue
            yield figures(path.name, report, speeds(predictor, exported, samples), made), report.passed
            if not report.passed:
                yield f"    {report.refusal()}", True


class Maker:
    """Writes the files of one bundle, each when it is asked for."""

    def __init__(self, predictor: Predictor, bundle: Path, folder: Path, threads: int) -> None:
        self.predictor, self.folder, self.threads = predictor, folder, threads
        self.program = ExportProgram(predictor)
        self.interface = interface_of(self.program, predictor, bundle)

    def steps(self, opened: Any, samples: Any, *, int8: bool) -> Iterator[tuple[Path, Callable[[], None]]]:
        plain, openvino, archive = (self.folder / name for name in ("model.onnx", "model.xml", "model.pt2"))
        yield plain, lambda: save_onnx(make_onnx(self.program), plain, self.interface)
        yield openvino, lambda: save_openvino(read_openvino(plain), openvino, self.interface)
        yield archive, lambda: save_torch(self.program, archive, self.interface)
        if not int8:
            return
        import onnx

        training = choose_calibration(self.predictor, opened.data, **opened.reading)
        arrays, measure = calibration_arrays(self.predictor, training), Measure(self.predictor, samples)
        proto, target = onnx.load(plain), self.folder / "model-int8.onnx"
        only, before = network_nodes(proto), measure(open_exported(plain, threads=self.threads))

        def drop(made: Any) -> float:
            save_onnx(made, target, self.interface)
            return before - measure(open_exported(target, threads=self.threads))

        yield target, lambda: save_onnx(quantise_onnx(proto, arrays, only=only, drop=drop), target, self.interface)
        other = self.folder / "model-int8.xml"
        yield (
            other,
            lambda: save_openvino(
                quantise_openvino(read_openvino(plain), arrays, only=only, measure=measure), other, self.interface
            ),
        )


def speeds(predictor: Predictor, exported: Any, samples: Any) -> tuple[float, float]:
    """Milliseconds for each of a batch of samples in the engine and in `Predictor`, in turns; the fastest of three."""
    batch = next(iter(calibration_arrays(predictor, samples, 16)))
    asks: list[Callable[[], Any]] = [lambda: exported(batch)]
    if exported.inputs[0].name in ("ids", "planes"):
        asks.append(lambda: predictor.logits(torch.from_numpy(batch)))
    else:
        asks.append(lambda: answer_tensors(predictor, batch))
    fastest = [np.inf, np.inf]
    for _ in range(4):
        for i, ask in enumerate(asks):
            began = time.perf_counter()
            ask()
            fastest[i] = min(fastest[i], time.perf_counter() - began)
    return fastest[0] * 1e3 / len(batch), fastest[1] * 1e3 / len(batch)


def figures(name: str, report: GateReport, speed: tuple[float, float], made: float) -> str:
    gap, largest = report.difference, max(report.largest.values(), default=np.nan)
    if gap is None or report.bundle is None or report.exported is None:
        return row(name, "not computed", "", "", "", "", f"{made:.0f}", "FAILED")
    scale = 100 if gap.is_share else 1
    return row(
        name, f"{report.metric} {report.bundle:.4f} {report.exported:.4f}",
        f"{scale * gap.value:+.3f} [{scale * gap.low:+.2f}, {scale * gap.high:+.2f}]",
        f"{report.agreement or 0:.2%}", f"{largest:.1e}", f"{speed[0]:.2f} of {speed[1]:.2f}", f"{made:.0f}",
        "passed" if report.passed else "FAILED",
    )  # fmt: skip


def row(*cells: str) -> str:
    return "  " + " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


if __name__ == "__main__":
    main()
