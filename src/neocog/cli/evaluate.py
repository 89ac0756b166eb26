"""`neocog eval`: measure a bundle on a data set."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog import runs
from neocog.cli.flags import COLUMNS, FORMAT, STEP, WINDOW, column_names
from neocog.cli.output import show_evaluation
from neocog.cli.stdout import write_out
from neocog.data import Views

Switch = Parameter(negative="")


def evaluate(
    bundle: Path,
    data: str,
    *,
    split: str | None = None,
    format: Annotated[str | None, FORMAT] = None,
    file_column: Annotated[str | None, Parameter(name=["--file-column", "--data.file_column"])] = None,
    text_column: Annotated[str | None, Parameter(name=["--text-column", "--data.text_column"])] = None,
    label_column: Annotated[str | None, Parameter(name=["--label-column", "--data.label_column"])] = None,
    class_level: int | None = None,
    test_fold: str | None = None,
    skip_list: Path | None = None,
    tta: Views = "none",
    window: Annotated[int | None, WINDOW] = None,
    step: Annotated[int | None, STEP] = None,
    columns: Annotated[str | None, COLUMNS] = None,
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
    file_column
        The column of a table that names the images, where it has another name than usual.
    text_column
        The column of a table that holds the texts, where it has another name than usual.
    label_column
        The column of a table that holds the labels, where it has another name than usual.
    class_level
        The level below the data set's folder at which the folders of the classes are.
    test_fold
        The name or the number of the fold for the test, where folders are folds; by default that of training.
    skip_list
        Leave out the records that this file of `neocog check` names.
    tta
        Average the predictions for several views of each picture (test-time augmentation).
    window
        Samples of the windows into which long recordings are cut [as in training].
    step
        Samples from one window's start to the next [as in training].
    columns
        The columns of a table that are channels, such as x,y,z [as in training].
    json
        Print all figures as JSON.
    download
        Fetch a known data set if it is not on this machine.
    """
    evaluation = runs.evaluate(
        bundle, data, split=split, format=format, skip_list=skip_list, views=tta, download=download, window=window,
        step=step, columns=column_names(columns), file_column=file_column, text_column=text_column,
        label_column=label_column, class_level=class_level, test_fold=test_fold,
    )  # fmt: skip
    if json:
        write_out(jsonlib.dumps(evaluation.to_json(), indent=1))
    else:
        show_evaluation(evaluation)
