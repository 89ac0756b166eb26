"""Flags of several verbs. Each also has its name in training, so that what an error advises works everywhere."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from cyclopts import Parameter

from neocog.errors import ConfigError

__all__ = ["DATA_FORMAT", "FORMAT", "MAX_PIXELS", "PLAIN", "Reading", "column_names"]

FORMAT = Parameter(name=["--format", "--data.format"])
DATA_FORMAT = Parameter(name=["--data-format", "--data.format"])
MAX_PIXELS = Parameter(name=["--max-pixels", "--image.max_pixels"])


def flag(name: str, section: str, help: str) -> Parameter:
    """A flag that also takes the name of the setting in training."""
    return Parameter(name=[f"--{name.replace('_', '-')}", f"--{section}.{name}"], help=help)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the files of a data set are read, where they leave a choice."""

    window: Annotated[
        int | None, flag("window", "signal", "Cut long recordings into windows of this many samples.")
    ] = None
    step: Annotated[int | None, flag("step", "signal", "Samples from one window's start to the next.")] = None
    columns: Annotated[
        str | None, flag("columns", "signal", "The columns of a table that are channels, such as x,y,z.")
    ] = None
    file_column: Annotated[
        str | None, flag("file_column", "data", "The column of a table that names the images, if it has another name.")
    ] = None
    text_column: Annotated[
        str | None, flag("text_column", "data", "The column of a table that holds the texts, if it has another name.")
    ] = None
    label_column: Annotated[
        str | None, flag("label_column", "data", "The column of a table that holds the labels, if it has another name.")
    ] = None
    class_level: Annotated[
        Literal[1, 2, 3] | None,
        flag("class_level", "data", "The level of the classes' folders: 1 for DATA/CLASS, 2 for DATA/GROUP/CLASS."),
    ] = None
    test_fold: Annotated[
        str | None, flag("test_fold", "data", "The fold for the test, by name or number, if folders are folds.")
    ] = None

    def options(self) -> dict[str, Any]:
        """What `open_source` takes."""
        return {**vars(self), "columns": column_names(self.columns)}


PLAIN = Reading()


def column_names(text: str | None) -> tuple[str, ...] | None:
    """The names that a flag lists; names with commas stand in a list.

    >>> column_names("x, y"), column_names('["x, raw", y]'), column_names(None)
    (('x', 'y'), ('x, raw', 'y'), None)
    """
    if text is None:
        return None
    try:
        names = yaml.safe_load(text) if text.startswith("[") else text.split(",")
    except yaml.YAMLError as error:
        raise ConfigError(f'A list is written as x,y or ["x", "y"]. Received: {text!r}.') from error
    return tuple(str(name).strip() for name in names)
