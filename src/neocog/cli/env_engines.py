"""Engines that compute predictions on this machine, and the one that `--backend auto` takes for a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["find_choice", "find_engines", "show_choice", "show_engines"]

Rows = list[tuple[str, str]]


def find_engines() -> dict[str, dict[str, str]]:
    """The engines of this machine with what they are, and those it lacks with the reason."""
    from neocog.engines.make_engine import ENGINES, missing_reason

    reasons = {name: missing_reason(name) for name in ENGINES}
    return {
        "here": {name: ENGINES[name].about for name, reason in reasons.items() if not reason},
        "missing": {name: reason for name, reason in reasons.items() if reason},
    }


def find_choice(bundle: Path) -> dict[str, Any]:
    """The engine that `--backend auto` takes for a bundle on this machine, or None if that is not measured yet.

    Raises CheckpointError for a file that is not a whole bundle.
    """
    from neocog.bundle import load
    from neocog.bundle.use_engine import workshop_of
    from neocog.engines.choose import remembered_choice

    workshop = workshop_of(load(bundle))
    choice, about = remembered_choice(workshop), workshop.about
    return {
        "bundle": str(bundle),
        "engine": choice and choice.name,
        "batch": choice and choice.batch,
        "depends_on": {"shape": list(about["shape"]), "cpu": about["cpu"], "threads": about["threads"]},
    }


def show_engines(engines: Mapping[str, Mapping[str, str]]) -> Rows:
    """
    >>> show_engines({"here": {"eager": "PyTorch as it is"}, "missing": {"openvino": "openvino not installed"}})[1:3]
    [('', '  eager: PyTorch as it is'), ('', '  not openvino: openvino not installed')]
    """
    return [
        ("engines", "predictions are computed by eager, or by another with --backend:"),
        *(("", f"  {name}: {about}") for name, about in engines["here"].items()),
        *(("", f"  not {name}: {reason}") for name, reason in engines["missing"].items()),
        ("", "auto times these once for each network, and takes the fastest within the tolerance; int8 after"),
        ("", "`neocog bench --int8` alone. `neocog env model.neocog` shows what it takes for a bundle"),
    ]


def show_choice(choice: Mapping[str, Any]) -> Rows:
    """Rows on the engine that auto takes for a bundle, and why."""
    about = choice["depends_on"]
    shape = "x".join(map(str, about["shape"]))
    threads = f"{about['threads']} thread" + ("s" if about["threads"] > 1 else "")
    if choice["engine"] is None:
        return [
            ("auto", f"{choice['bundle']}: not measured yet for inputs of {shape} with {threads} here"),
            ("", f"measure now: neocog bench {choice['bundle']}; or the first --backend auto does it"),
        ]
    return [
        ("auto", f"{choice['bundle']}: {choice['engine']}, {choice['batch']} at once"),
        ("", f"the fastest within the tolerance, measured on this CPU with {threads} and these"),
        ("", f"versions, for inputs of {shape}; neocog bench {choice['bundle']} measures again and shows all"),
    ]
