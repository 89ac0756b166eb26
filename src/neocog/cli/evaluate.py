"""`neocog eval`: measure a network on a data set."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog import runs
from neocog.cli.flags import FORMAT, PLAIN, Download, Reading, Switch
from neocog.cli.output import show_evaluation
from neocog.cli.stdout import write_out
from neocog.data import TTA


def evaluate(
    bundle: Path,
    data: str,
    *,
    split: Annotated[str | None, Parameter(metavar="{train,val,test,all}")] = None,
    format: Annotated[str | None, FORMAT] = None,
    skip_list: Path | None = None,
    tta: TTA | None = None,
    reading: Reading = PLAIN,
    json: Switch = False,
    download: Download = False,
) -> None:
    """Measure a network on a data set.

    neocog eval runs/mnist-lenet5_relu-1/model.neocog mnist
    neocog eval model.neocog images/ --split val --json > figures.json

    Prints accuracy, loss, F1 and calibration, each with its 95% interval, then the
    figures of each class and the confusion matrix. In Python: neocog.evaluate.

    Parameters
    ----------
    bundle
        A model.neocog file.
    data
        A data set, by name or path, as for `neocog train`. Classes are matched by name.
    split
        The split to measure on; by default the test split.
    format
        The layout of the data, if it can be read in two ways.
    skip_list
        Leave out the samples that this file lists; `neocog check` writes one.
    tta
        Test-time augmentation: average the predictions for several views of each image; by default that of the model.
    json
        Print all figures as JSON.
    """
    evaluation = runs.evaluate(
        bundle,
        data,
        split=split,
        format=format,
        skip_list=skip_list,
        tta=tta,
        download=download,
        **reading.options(),
    )
    if json:
        write_out(jsonlib.dumps(evaluation.to_json(), indent=1))
    else:
        show_evaluation(evaluation)
