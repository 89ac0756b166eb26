"""`neocog.export` of LeNet-5 to ONNX, with the gate, beside PyTorch's exporter alone.

The gate runs the file by ONNX Runtime on validation data, beside the bundle, in batches of several sizes, in another
order, and at other sizes of the images; resizing and normalising are in the graph. The peer writes the network alone,
whose inputs must be normalised, and checks nothing. `bench/export_gate.py` compares every kind of file of networks that
were trained on real data.
"""

import logging
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch

import neocog
from harness import Row, Sides, seconds_of
from neocog.cpus import num_threads
from neocog.engines.make_engine import missing_reason
from neocog.exporting.export import ExportResult
from neocog.progress import quiet
from serve_apps.networks import draw_images, write_network

__all__ = ["ROWS"]

NETWORK, COUNT, CLASSES = "lenet5_relu", 400, 10


def prepare(folder: Path) -> Iterator[Sides]:
    torch.set_num_threads(num_threads())
    images = draw_images(NETWORK, COUNT)
    bundle, data = folder / "network.neocog", folder / "images"
    predictor = write_network(bundle, NETWORK, images[:32])
    for number, image in enumerate(images):
        path = data / f"class {number % CLASSES}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    assert not missing_reason("onnxruntime"), missing_reason("onnxruntime")
    assert predictor.model is not None
    example = predictor.preprocess.normalise(predictor.preprocess.decode(images[0], "the image")[None])
    model, runs = predictor.model.eval(), count()

    def own() -> ExportResult:
        with quiet():
            return neocog.export(bundle, to="onnx", out=folder / f"export-{next(runs)}", data=data)

    def peer() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model, (example,), folder / "peer.onnx", dynamo=True, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip

    (report,) = own().reports.values()
    assert report.passed
    largest = max(report.largest.values())
    note = f"by the gate {report.agreement:.2%} of the answers agree, outputs within {largest:.1e} of their spread"
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    yield Sides({"Neocog": seconds_of(own), "torch.onnx.export alone": seconds_of(peer)}, note=note)


ROWS = (Row("export", "ship", "Export of LeNet-5 to ONNX, Neocog's with the gate", "s", "less", prepare, bound=True),)
