"""Flags that several verbs share. Each is also known by the name of the setting, so that the advice of an error works
everywhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from numpy.typing import NDArray

from neocog.errors import ConfigError

__all__ = ["DATA_FORMAT", "FORMAT", "MAX_PIXELS", "PLAIN", "Backend", "Download", "Reading", "Switch", "column_names"]

Switch = Annotated[bool, Parameter(negative="")]
MaskForm = Literal["index", "colour"]
"""How predicted masks are written as images."""
Extra = Literal["probabilities", "logits", "masks", "masks-png"]
"""As `neocog.offline.columns.Extra`, which imports torch."""
FileInput = Path | bytes | NDArray[Any]
"""A file to predict, its content, or a slice of it."""
Download = Annotated[
    bool, Parameter(negative="", help="Download a known data set from its official address if it is not here.")
]

Backend = Annotated[str, Parameter(metavar="NAME")]
"""The engine that computes a network, or auto."""

FORMAT = Parameter(name=["--format", "--data.format"], metavar="LAYOUT")
DATA_FORMAT = Parameter(name=["--data-format", "--data.format"], metavar="LAYOUT")
MAX_PIXELS = Parameter(name=["--max-pixels", "--image.max_pixels"])


def flag(name: str, section: str, help: str, metavar: str | None = None) -> Parameter:
    """A flag that also has the name of the setting in training."""
    return Parameter(name=[f"--{name.replace('_', '-')}", f"--{section}.{name}"], help=help, metavar=metavar)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How the files of a data set are read, if they leave a choice."""

    window: Annotated[int | None, flag("window", "signal", "Cut long recordings into windows of N samples.")] = None
    step: Annotated[int | None, flag("step", "signal", "Samples from the start of one window to the next.")] = None
    columns: Annotated[str | None, flag("columns", "signal", "The columns of a table that are channels.", "X,Y,Z")] = (
        None
    )
    file_column: Annotated[
        str | None,
        flag("file_column", "data", "The column of a table that names the image files, if not detected.", "NAME"),
    ] = None
    text_column: Annotated[
        str | None,
        flag("text_column", "data", "The column of a table that holds the texts, if not detected.", "NAME"),
    ] = None
    label_column: Annotated[
        str | None,
        flag("label_column", "data", "The column of a table with the labels, or several: A,B,C.", "NAME"),
    ] = None
    task: Annotated[
        str | None,
        flag("task", "data", "The task of the labels: classification, multi-label, regression, ...", "TASK"),
    ] = None
    class_level: Annotated[
        Literal[1, 2, 3] | None,
        flag("class_level", "data", "The level of the class folders: 1 for DATA/CLASS, 2 for DATA/GROUP/CLASS."),
    ] = None
    test_fold: Annotated[
        str | None, flag("test_fold", "data", "The fold to test on, by name or number, if folders are folds.", "NAME")
    ] = None

    def options(self) -> dict[str, Any]:
        """As `open_source` takes them."""
        return {**vars(self), "columns": column_names(self.columns)}


PLAIN = Reading()


def column_names(text: str | None) -> tuple[str, ...] | None:
    """The names in a flag; names with commas need a list.

    >>> column_names("x, y"), column_names('["x, raw", y]'), column_names(None)
    (('x', 'y'), ('x, raw', 'y'), None)
    """
    if text is None:
        return None
    import yaml  # where a list is given

    try:
        names = yaml.safe_load(text) if text.startswith("[") else text.split(",")
    except yaml.YAMLError as error:
        raise ConfigError('A list is written as x,y or ["x", "y"].', received=repr(text)) from error
    return tuple(str(name).strip() for name in names)
