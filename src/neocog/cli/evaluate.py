"""`neocog eval`: measure a bundle on a data set."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog import runs
from neocog.cli.flags import FORMAT, PLAIN, Reading
from neocog.cli.output import show_evaluation
from neocog.cli.stdout import write_out
from neocog.data import TTA

Switch = Parameter(negative="")


def evaluate(
    bundle: Path,
    data: str,
    *,
    split: str | None = None,
    format: Annotated[str | None, FORMAT] = None,
    skip_list: Path | None = None,
    tta: TTA = "none",
    reading: Reading = PLAIN,
    json: Annotated[bool, Switch] = False,
    download: Annotated[bool, Switch] = False,
) -> None:
    """Measure a network on a data set; `neocog.evaluate` does the same.

    Parameters
    ----------
    bundle
        A model.neocog file.
    data
        A data set, by name or path, as for `neocog train`. Classes are matched by name.
    split
        train, val, test or all; by default the test split.
    format
        The layout of the data, where it can be read in two ways.
    skip_list
        Leave out the records that this file of `neocog check` names.
    tta
        Test-time augmentation: average the predictions for several views of each image.
    json
        Print all figures as JSON.
    download
        Fetch a known data set if it is not on this machine.
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
