"""Flags of several verbs. Each also has its name in training, so that what an error advises works everywhere."""

import yaml
from cyclopts import Parameter

from neocog.errors import ConfigError

__all__ = ["COLUMNS", "DATA_FORMAT", "FORMAT", "MAX_PIXELS", "STEP", "WINDOW", "column_names"]

FORMAT = Parameter(name=["--format", "--data.format"])
DATA_FORMAT = Parameter(name=["--data-format", "--data.format"])
MAX_PIXELS = Parameter(name=["--max-pixels", "--data.max_pixels"])
WINDOW = Parameter(name=["--window", "--signal.window"])
STEP = Parameter(name=["--step", "--signal.step"])
COLUMNS = Parameter(name=["--columns", "--signal.columns"])


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
