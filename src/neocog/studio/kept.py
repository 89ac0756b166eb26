"""Inputs that were sent to the Studio: in all parts in which a network receives them, with the code that reads them."""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

from neocog.bundle.predictor import Input
from neocog.errors import ConfigError
from neocog.explaining.explainer import Sample
from neocog.studio.state import Opened, Studio

__all__ = ["Kept", "find_input", "input_code", "keep_input", "network_code", "read_code"]

IMPORTS = {
    "Path(": "from pathlib import Path\n\n",
    "match_channels(": "from neocog.runs.channels import match_channels\n\n",
}
"""The beginning of an input's expression, and the import that it needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept(Sample):
    """An input. A large image that reaches the network in tiles has several parts, of which it is the first."""

    network: str = ""
    code: str = ""
    """The Python expression of what `Explainer.samples` takes."""
    parts: tuple[Sample, ...] = ()


def keep_input(studio: Studio, opened: Opened, one: Input, name: str, code: str) -> str:
    """Read an input as this network does, and remember it under the key that is returned.

    Raises DataError if it can't be read.
    """
    with studio.lock:
        parts = tuple(opened.explainer.samples(one, name))
    digest = hashlib.sha256(f"{opened.name}\n{name}\n".encode(errors="surrogateescape"))
    for part in parts:
        digest.update(part.inputs.cpu().numpy().tobytes())
    key = digest.hexdigest()[:16]
    first = {field.name: getattr(parts[0], field.name) for field in fields(Sample)}
    studio.keep_input(key, Kept(**first, network=opened.name, code=code, parts=parts))
    return key


def find_input(studio: Studio, opened: Opened, key: str) -> tuple[Kept, Sample]:
    """An input that was kept, and the part that `KEY:2` names, the first of `KEY`.

    Raises ConfigError if it has been forgotten, was sent for another network, or has no such part.
    """
    base, _, number = key.partition(":")
    kept = studio.input(base)
    part = int(number) if number.isdecimal() else 0
    if not isinstance(kept, Kept) or kept.network != opened.name or part >= len(kept.parts):
        raise ConfigError(
            "An input belongs to the network for which it was read.", received=f"{key!r} for {opened.name}",
            fix="Send it again.", kind="input",
        )  # fmt: skip
    return kept, kept.parts[part]


def network_code(opened: Opened) -> str:
    """The Python code that opens a network."""
    if opened.path.suffix == ".example":  # of the lessons, with random weights
        return "\n".join(
            [
                "from neocog.studio.examples import EXAMPLES, untrained",
                "",
                f"opened = untrained({opened.name!r}, EXAMPLES[{opened.name!r}])",
                "predictor, explainer = opened.predictor, opened.explainer",
            ]
        )
    return "\n".join(
        [
            "import neocog",
            "from neocog.explaining.explainer import Explainer",
            "",
            f"predictor = neocog.load({str(opened.path)!r})",
            "explainer = Explainer.of(predictor)",
        ]
    )


def input_code(opened: Opened, kept: Kept, sample: Sample) -> str:
    """The Python code that opens a network and reads an input: `sample`."""
    part = next(i for i, each in enumerate(kept.parts) if each is sample)
    needed = "".join(line for start, line in IMPORTS.items() if kept.code.startswith(start))
    return f"{needed}{network_code(opened)}\nsample = explainer.samples({kept.code})[{part}]"


def read_code(name: str, text: str | None = None) -> str:
    """The expression of an input that was sent as a file of this name, or typed in.

    >>> read_code("a/seven.png"), read_code("", "A good film")
    ("Path('seven.png')", "'A good film'")
    """
    return repr(text) if text is not None else f"Path({Path(name).name!r})"
