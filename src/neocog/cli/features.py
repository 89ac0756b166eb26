"""`neocog features`: what a network computes before its last layer, for each sample of a data set."""

import json as jsonlib
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.cli.flags import FORMAT, PLAIN, Download, Reading, Switch
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.evaluation import Evaluation
from neocog.progress import note
from neocog.runs.compute_features import open_features, write_run
from neocog.transfer.feature_file import check_file


def features(
    model: str,
    data: str,
    *,
    out: Annotated[Path | None, Parameter(name=["-o", "--out"], metavar="FILE")] = None,
    knn: int | None = None,
    probe: Switch = False,
    split: Annotated[str | None, Parameter(metavar="{train,val,test}")] = None,
    pretrained: str = "auto",
    size: Annotated[str | None, Parameter(metavar="HxW")] = None,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    device: str = "auto",
    format: Annotated[str | None, FORMAT] = None,
    skip_list: Path | None = None,
    reading: Reading = PLAIN,
    json: Switch = False,
    download: Download = False,
) -> None:
    """Compute the features of a data set, and how much they tell.

    neocog features model.neocog photos/ -o features.parquet
    neocog features efficientnet_lite0 photos/ --knn 20 --probe

    Features are what a network computes before its last layer, one row for each
    sample. k-NN and probe are fitted to the features of the training split and
    scored on those of the test split, with 95% intervals. In Python: neocog.features.

    Parameters
    ----------
    model
        A model.neocog file, or a network of the zoo with published weights.
    data
        A data set, by name or path, as for `neocog train`.
    out
        The file to write: features.parquet (needs pyarrow) or features.npz.
    knn
        Report k-nearest neighbours with this k.
    probe
        Report a linear probe: logistic regression for classes and labels, ridge regression for numbers.
    split
        Only this split; by default all samples.
    pretrained
        The weights of a network of the zoo: package, torchvision, timm/NAME, or a file; auto: what is installed.
    size
        Height x width to which images are brought for a network of the zoo; by default what it was made for.
    precision
        fp32, or bf16, which is faster on some processors; auto: bf16 if features agree to 15%.
    device
        cpu, cuda or mps; auto: a GPU if there is one.
    format
        The layout of the data, if it can be read in two ways.
    skip_list
        Leave out the samples that this file lists; `neocog check` writes one.
    json
        Print the scores as JSON.
    """
    scores = knn is not None or probe
    if out is None and not scores:
        raise ConfigError("Features are written or scored.", received="neither", fix="Add -o FILE, --knn K or --probe.")
    if scores and split is not None:
        raise ConfigError(
            "k-NN and probe need the training and the test split.", received=f"--split {split}", fix="Leave it out."
        )
    if json and not scores:
        raise ConfigError("A setting must have an effect. --json prints scores.", fix="Add --knn K or --probe.")
    if out is not None:
        check_file(out)
    run = open_features(
        model, data, split=split, scores=scores, pretrained=pretrained, size=size, precision=precision, device=device,
        skip_list=skip_list, format=format, download=download, **reading.options(),
    )  # fmt: skip
    if not scores:
        assert out is not None
        note(f"{write_run(run, out):,} rows in {out}")
        return
    gathered = run.gather()
    if out is not None:
        gathered.save(out)
        note(f"{len(gathered):,} rows in {out}")
    scored_on = "test" if "test" in gathered.splits else "val"
    found: dict[str, Evaluation] = {}
    if knn is not None:
        found[f"k-NN, k={knn}"] = gathered.knn(knn, score=scored_on)
    if probe:
        found["linear probe"] = gathered.probe(score=scored_on)
    show(found, json=json)


def show(found: dict[str, Evaluation], *, json: bool) -> None:
    """Print all metrics with their intervals, a row each."""
    if json:
        write_out(jsonlib.dumps({name: evaluation.to_json() for name, evaluation in found.items()}, indent=1))
        return
    rows = [("", "", "", "95% interval", "method")]
    for name, evaluation in found.items():
        for place, (metric, figure) in enumerate(evaluation.metrics.items()):
            interval = f"{figure.text(figure.low)} to {figure.text(figure.high)}"
            called = f"{name}, {evaluation.count:,} {evaluation.split} samples" if place == 0 else ""
            rows.append((called, metric, figure.text(figure.value), interval, figure.method))
    write_out(table(rows, left=(0, 1, 4)))
