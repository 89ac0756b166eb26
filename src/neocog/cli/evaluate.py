"""`neocog eval`: measure a network on a data set, or compare two."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog import runs
from neocog.cli.flags import FORMAT, PLAIN, Backend, Download, Reading, Switch
from neocog.cli.output import show_comparison, show_evaluation
from neocog.cli.stdout import write_out
from neocog.data import TTA
from neocog.errors import ConfigError


def evaluate(
    bundle: Path,
    *data: str,
    against: Annotated[Path | None, Parameter(metavar="BUNDLE")] = None,
    unlike: Annotated[str | None, Parameter(metavar="DATA")] = None,
    split: Annotated[str | None, Parameter(metavar="{train,val,test,all}")] = None,
    format: Annotated[str | None, FORMAT] = None,
    skip_list: Path | None = None,
    tta: TTA | None = None,
    backend: Backend = "eager",
    reading: Reading = PLAIN,
    json: Switch = False,
    download: Download = False,
) -> None:
    """Measure a network on a data set, or compare two networks on it.

    neocog eval runs/mnist-lenet5_relu-1/model.neocog mnist
    neocog eval model.neocog images/ --split val --json > figures.json
    neocog eval model.neocog images/ --against other.neocog
    neocog eval model.neocog mnist --unlike fashion_mnist

    Prints accuracy, loss, F1, AUROC and calibration, each with its 95% interval, then
    the figures of each class and the confusion matrix.
    `neocog eval A.neocog B.neocog DATA` compares, too: is B better, by how much, and
    on which samples do they differ? In Python: neocog.evaluate, neocog.compare.

    Parameters
    ----------
    bundle
        A model.neocog file.
    data
        A data set, by name or path, as for `neocog train`. Classes are matched by name.
    against
        Another model.neocog file to compare with, on the same samples.
    unlike
        Other data of the same kind, whose inputs should be flagged as unusual: how many are, and how well they are told
        from those of DATA.
    split
        The split to measure on; by default the test split.
    format
        The layout of the data, if it can be read in two ways.
    skip_list
        Leave out the samples that this file lists; `neocog check` writes one.
    tta
        Test-time augmentation: average the predictions for several views of each image; by default that of the model.
    backend
        What computes the network: eager PyTorch, or auto for the fastest engine on this machine within the tolerance;
        `neocog bench` lists them all.
    json
        Print all figures as JSON.
    """
    other, source = name_operands(data, against)
    options = {
        "split": split, "format": format, "skip_list": skip_list, "tta": tta, "download": download, **reading.options()
    }  # fmt: skip
    if other is not None:
        if unlike is not None:
            raise ConfigError("--unlike is for one network.", received="two", fix="Leave out one of the networks.")
        if backend != "eager":
            raise ConfigError(
                "--backend is for one network.", received="two",
                fix="Leave it out; neocog bench compares engines of one network.",
            )  # fmt: skip
        comparison = runs.compare(bundle, other, source, **options)
        if json:
            write_out(jsonlib.dumps(comparison.to_json(), indent=1))
        else:
            show_comparison(comparison)
        return
    evaluation = runs.evaluate(bundle, source, unlike=unlike, backend=backend, **options)
    if json:
        write_out(jsonlib.dumps(evaluation.to_json(), indent=1))
    else:
        show_evaluation(evaluation)


def name_operands(data: tuple[str, ...], against: Path | None) -> tuple[Path | None, str]:
    """The other bundle, if there is one, and the data set. Raises ConfigError if it is not clear which is which."""
    from neocog.zoo.weights import is_bundle

    if len(data) == 2 and against is None and is_bundle(Path(data[0])):
        return Path(data[0]), data[1]
    if len(data) == 1:
        return against, data[0]
    raise ConfigError(
        "neocog eval takes a bundle and a data set, or two bundles and a data set.",
        received=f"{len(data)} more names after the bundle" if data else "a bundle alone",
        fix="Write neocog eval model.neocog DATA, or neocog eval A.neocog B.neocog DATA.",
    )
