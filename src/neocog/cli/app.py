"""The program: its verbs, and how errors leave it."""

import os
import signal
import sys
from collections.abc import Sequence

import cyclopts
from rich.console import Console

from neocog import __version__
from neocog.errors import NeocogError

__all__ = ["app", "main"]

MISTAKE = 2  # exit code of everything that the user can mend

app = cyclopts.App(
    name="neocog",
    help="From your own pictures to a convolutional network that is trained, measured, understood and shipped.",
    version=__version__,
    help_epilogue="Begin with: neocog train mnist",
    suppress_keyboard_interrupt=False,  # `main` says how to go on
)
# By name, so that a verb's modules load when it is used.
app.command("neocog.cli.train:train", name="train")
app.command("neocog.cli.evaluate:evaluate", name="eval")
app.command("neocog.cli.predict:predict", name="predict")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, 2 for a mistake that can be mended, 128 + n for signal n."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (NeocogError, cyclopts.CycloptsError) as error:
        errors.print("error: ", style="bold red", end="")
        errors.print(str(error), markup=False)
        return MISTAKE
    except KeyboardInterrupt as stop:
        errors.print(str(stop) or "Stopped.", markup=False)
        return 128 + int(getattr(stop, "signum", signal.SIGINT))
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
