"""A network by its name in the zoo, by a function in a Python file, or from a bundle."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from neocog.bundle.load_bundle import load
from neocog.errors import PlanError, did_you_mean
from neocog.zoo import create_model, list_models, model_info

__all__ = ["Found", "find_model"]


@dataclass(frozen=True, slots=True)
class Found:
    """A network, its name, and the input it was made for, if that is known."""

    model: nn.Module
    name: str
    input_shape: tuple[int, ...] | None
    input_dtype: torch.dtype | None = None
    """Of token ids; None if inputs are numbers of the type of the weights."""


def find_model(what: str, input_shape: Sequence[int] | None = None) -> Found:
    """A network from the zoo (`lenet5`), from a Python file (`nets.py:build`, a function or class that needs no
    arguments), or from a bundle (`model.neocog`).

    Networks of the zoo and of files are built on the meta device if they allow it, so that large ones take no
    memory; a network of the zoo is built for the channels of the input shape. A Python file is run.
    Raises PlanError if there is no such network.
    """
    file, colon, attribute = what.rpartition(":")
    if colon and file.endswith(".py"):
        return Found(build_from_file(Path(file), attribute), attribute, None)
    if what in list_models():
        info = model_info(what)
        channels = input_shape[0] if input_shape and info.input_dtype is None else None
        model = on_meta(lambda: create_model(what, in_channels=channels))
        return Found(model, what, info.input_shape, info.input_dtype)
    if what.endswith(".py"):
        raise PlanError(
            "A network in a Python file is named with the function that builds it.",
            received=repr(what), fix=f"Write {what}:build.",
        )  # fmt: skip
    if Path(what).exists() or what.endswith(".neocog"):
        predictor = load(what)
        assert predictor.model is not None
        return Found(predictor.model, Path(what).name, predictor.preprocess.shape)
    raise PlanError(
        "A network is a name from the zoo, file.py:function, or a bundle.",
        received=repr(what), fix=did_you_mean(what, list_models()),
    )  # fmt: skip


def build_from_file(path: Path, name: str) -> nn.Module:
    """The network that a function or class of a Python file builds."""
    module = run_file(path)
    build = getattr(module, name, None)
    if not callable(build):
        own = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
        fix = did_you_mean(name, own) if own else "It has no functions at all."
        raise PlanError(f"{path} has no function {name!r}.", fix=fix)
    if isinstance(build, nn.Module):  # a network that the file has made
        return build
    needed = [
        p.name
        for p in inspect.signature(build).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise PlanError(
            f"{path}:{name} must build a network without arguments.",
            received=f"one that needs {', '.join(needed)}",
            fix="Give them defaults, or write a function that passes them.",
        )
    try:
        model = on_meta(build)
    except (Exception, SystemExit) as error:
        raise PlanError(f"{path}:{name} did not build a network: {type(error).__name__}: {error}.") from error
    if not isinstance(model, nn.Module):
        raise PlanError(f"{path}:{name} must return an nn.Module.", received=type(model).__name__)
    return model


def run_file(path: Path) -> ModuleType:
    """A Python file as a module, which can import its neighbours."""
    if not path.is_file():
        raise PlanError(f"{path} does not exist.", fix="Name a Python file with a function that builds a network.")
    spec = importlib.util.spec_from_file_location(f"neocog_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    sys.modules[spec.name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise PlanError(f"{path} could not be run: {type(error).__name__}: {error}.") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build on the meta device; a network whose construction needs values is built as usual."""
    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, NotImplementedError):
        return build()
