"""The program: its verbs, and how errors leave it."""

import ast
import gc
import inspect
import io
import itertools
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import cyclopts
from rich.console import Console

from neocog import __version__
from neocog.cli.help import WrappedHelp
from neocog.cli.stdout import silence_stdout
from neocog.errors import NeocogError
from neocog.light_torch import import_light_torch

__all__ = ["app", "main"]

COLLECT_AFTER = 100_000, 10, 10
"""New objects before Python looks for garbage. Importing makes a million that stay; to search them again and again, as
it does after every 700, takes a fifth of the start."""
MISTAKE = 2  # exit code of everything that the user can fix

app = cyclopts.App(
    name="neocog",
    help="From your own data to a convolutional network that is planned, trained, measured, understood and shipped.",
    version=__version__,
    help_epilogue="Start with: neocog train mnist",
    help_format="plaintext",
    help_formatter=WrappedHelp(),
    suppress_keyboard_interrupt=False,  # `main` says how to resume
)
ORDER = itertools.count()  # of the verbs in the help


def docstring_of(module: str, function: str) -> str:
    """The help of a verb: the docstring of its function up to the parameters, without importing torch to read it."""
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return inspect.cleandoc(ast.get_docstring(found) or "").partition("\n\nParameters\n")[0]


def add(parent: cyclopts.App, name: str, module: str, function: str) -> None:
    """Add a verb, whose module is imported when it is used."""
    parent.command(
        f"neocog.cli.{module}:{function}", name=name, help=docstring_of(module, function), sort_key=next(ORDER)
    )


def add_group(name: str, text: str) -> cyclopts.App:
    group = cyclopts.App(name=name, help=text, help_format="plaintext", sort_key=next(ORDER))
    app.command(group)
    return group


for verb in ("plan", "zoo", "check", "pack"):
    add(app, verb, verb, verb)
FIND = """Find a learning rate or a batch size before a run, by a short trial.

neocog find rate mnist
neocog find batch images/ --model resnet18
"""
find = add_group("find", FIND)
add(find, "rate", "find", "rate")
add(find, "batch", "find", "batch")
add(app, "train", "train", "train")
add(app, "tune", "tune", "tune")
launch = add_group("launch", "Train on a cluster: SLURM or Ray.")
add(launch, "ray", "launch", "launch_ray")
add(launch, "slurm", "launch", "launch_slurm")
add(app, "eval", "evaluate", "evaluate")
add(app, "predict", "predict", "predict")
add(app, "bench", "bench", "bench")
add(app, "explain", "explain", "explain_input")
add(app, "export", "export", "export_bundle")
add(app, "studio", "studio", "studio")
add(app, "serve", "serve", "serve")
add(app, "play", "play", "play")
add(app, "features", "features", "features")
add(app, "filter", "filter", "filter_image")
add(app, "env", "env", "env")

app.register_install_completion_command(help="Install completion of verbs and flags in bash, zsh or fish.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, 2 for a mistake of the user, 128 + n for signal n."""
    gc.set_threshold(*COLLECT_AFTER)
    errors = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)  # a path may hold :b:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no block characters gets question marks
    if list(sys.argv[1:2] if arguments is None else arguments[:1]) == ["predict"]:
        import_light_torch()  # before its module imports torch
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except (NeocogError, cyclopts.CycloptsError) as error:
        errors.print("error: ", style="bold red", end="")
        errors.print(renamed(error) or str(error), markup=False)
        return MISTAKE
    except KeyboardInterrupt as stop:
        errors.print(str(stop) or "Stopped.", markup=False)
        return 128 + int(getattr(stop, "signum", signal.SIGINT))
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        silence_stdout()
        return 0


def renamed(error: Exception) -> str | None:
    """The message for a flag that has another name now."""
    if not isinstance(error, cyclopts.UnknownOptionError):
        return None
    from neocog.runs.config import unknown_setting
    from neocog.runs.earlier_settings import RENAMED

    key = (error.token.keyword or error.token.value or "").removeprefix("--").partition("=")[0]
    return str(unknown_setting(key, "flag", ())) if key in RENAMED else None
