"""Options of `neocog predict`, each with its help: what is printed, what is written, how files are cut, `--out`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.cli.flags import Extra, MaskForm, Switch

__all__ = ["OPTIONS", "Cut", "OutFile", "Printed", "Written", "given_flags"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Printed:
    """How predictions are printed."""

    top: int = 3
    """Number of classes to show per file."""
    json: Switch = False
    """One JSON object per line: file, class, probability, top, unusual (whether the input is unlike the training
    data), and pages if only the first of several was read; or file, error."""
    csv: Switch = False
    """Comma-separated values with a header."""

    @property
    def form(self) -> Literal["json", "csv", "table"]:
        return "json" if self.json else "csv" if self.csv else "table"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Written:
    """Files of masks and boxes that are written for the inputs."""

    output: Annotated[Path | None, Parameter(alias="-o")] = None
    """The folder for masks, one PNG file for each input, with a text file of the classes; or for the images with the
    boxes of their objects. Existing files are replaced, but never an input."""
    mask: MaskForm | None = None
    """index: class numbers, shown in colours by a palette, the default; colour: RGB."""
    coco: Path | None = None
    """The file for masks or boxes in COCO's format: masks as run lengths, one for each image and class; boxes with
    their scores."""
    polygons: Switch = False
    """With --coco, masks as polygons, an annotation for each connected region. Polygons have no holes, so a region
    with holes is cut into several that touch."""
    yolo: Path | None = None
    """The folder for boxes in YOLO's format, a text file for each input, with a text file of the classes."""
    threshold: float | None = None
    """Show and write objects of this score or more, from 0 to 1; by default the score that was best on validation
    data."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Cut:
    """How stacks and recordings are cut into inputs."""

    slices: Switch = False
    """Take each slice of an .npy stack (D, H, W), and each page of a TIFF, as an image of its own."""
    window: str | None = None
    """Predict along a recording (.csv, .tsv or .npy of any length), a line for each window of this length: samples, or
    a time such as 2s, 500ms or 1min. Times are those of the recording. A network that gives each sample its class
    has a line for each event; windows overlap, and are blended."""
    hop: str | None = None
    """From the start of one window to that of the next; by default a window, or three quarters of it for events."""
    rate: float | None = None
    """The samples per second of a recording without a column of times."""
    merge: Switch = False
    """Join windows of equal class that follow each other; events shorter than --shortest with those beside them."""
    shortest: str | None = None
    """Leave out events that are shorter than this: samples, or a time such as 100ms."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class OutFile:
    """One file of predictions for any number of inputs."""

    out: Path | None = None
    """Write a .parquet, .csv or .jsonl file, for any number of inputs: each exactly once, also if the command is
    stopped or killed and given again, or given several times to share the work. See docs/offline.md."""
    listed: Annotated[Path | None, Parameter(name="--list")] = None
    """With --out, a file of paths to predict: one on each line, or the column `file` of a .csv or .parquet file."""
    extras: Annotated[list[Extra] | None, Parameter(name="--with", negative="")] = None
    """With --out, add columns: probabilities (of all classes), logits, masks (COCO's run lengths), masks-png."""
    block: int | None = None
    """With --out, the files that are computed and kept together; by default a minute or two of work, at
    most 4,096."""
    restart: Switch = False
    """With --out, discard what an earlier call has done, and replace its output."""
    ray: str | None = None
    """With --out, the Ray cluster that computes: auto, ray://HOST:PORT, or local for one on this machine."""


NAMES = {"listed": "--list", "extras": "--with"}
"""Flags that are not called like their fields."""
Options = Printed | Written | Cut | OutFile


def flags_of(kind: type[Options]) -> Iterator[tuple[str, str]]:
    """The name of each field, and its flag."""
    return ((field.name, NAMES.get(field.name, f"--{field.name}")) for field in fields(kind))


def given_flags(options: Options) -> list[str]:
    """The flags that a user has given, other than --top.

    >>> given_flags(Cut(window="2s", merge=True)), given_flags(OutFile(listed=Path("files.csv")))
    (['--window', '--merge'], ['--list'])
    """
    found = ((flag, getattr(options, name)) for name, flag in flags_of(type(options)) if name != "top")
    return [flag for flag, value in found if value not in (None, False)]


OPTIONS = (*(flag for kind in (Printed, Written, Cut, OutFile) for _, flag in flags_of(kind)), "--backend", "--help")
