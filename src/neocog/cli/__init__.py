"""The command line: one file per verb, a thin shell over the Python function of the same name."""

from neocog.cli.app import main

__all__ = ["main"]
