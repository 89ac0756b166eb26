"""`neocog explain`: why a network says what it says about one input."""

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from neocog.bundle import load
from neocog.bundle.predictor import Input
from neocog.cli.flags import Switch
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError, did_you_mean
from neocog.explaining.drawing import short
from neocog.explaining.explain import explain, layer_rows
from neocog.explaining.explainer import Explainer
from neocog.explaining.explanation import Explanation
from neocog.explaining.methods import METHODS
from neocog.files import storage_errors, write_whole
from neocog.modalities.table import MODALITIES
from neocog.progress import note

STDIN = "-"
OPTIONS = (
    "--target", "--method", "--layer", "--channel", "--layers", "--no-twin", "--output", "--html", "--png", "--npz",
    "--json", "--help",
)  # fmt: skip
FOLDER = Path("explanation")
COLUMNS = ("method", "layer", "scale", "complete to", "twin", "reading")
"""Of the table; those that are empty in all rows are left out."""


def explain_input(
    bundle: Path,
    input: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    target: str | None = None,
    method: str | None = None,
    layer: str | None = None,
    channel: int | None = None,
    layers: Switch = False,
    twin: Annotated[bool, Parameter(name="--twin", negative="--no-twin")] = True,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    html: Path | None = None,
    png: Switch = False,
    npz: Path | None = None,
    json: Switch = False,
) -> None:
    """Show what a network's answer for one input depends on, and how far to trust that.

    neocog explain model.neocog scan.png
    neocog explain model.neocog scan.png --target defect --method all
    neocog explain cells.neocog slide.png --target nucleus@120,80
    neocog explain model.neocog scan.png --layer stages.2 --channel 7
    neocog explain model.neocog --layers

    Writes one HTML page and PNG figures, and prints a row for each method: the
    scale of its map, and how similar the map stays if the network's weights are
    random. A map that stays the same does not show what the network has learned.
    The model is not changed. In Python: neocog.explain("model.neocog", "scan.png").

    Parameters
    ----------
    bundle
        A model.neocog file.
    input
        A file of the kind that the network was trained on, - for standard input, or the text itself for a network that
        reads texts.
    target
        What to explain; by default what the network decided for. A class or an output, by name or number: cat. A class
        at a pixel, row and column of the image, or at a sample of a signal: nucleus@120,80. An object: 0 is the
        surest; crown:1 is the second crown.
    method
        One or several, separated by commas, or all: gradient, smoothgrad, integrated, guided, deconvnet, gradcam,
        gradcam++, layercam, scorecam, occlusion. By default gradcam,integrated,occlusion.
    layer
        The layer whose maps Grad-CAM and its relatives weigh; by default the last one with places.
    channel
        Also show the kernel and the map of this channel of --layer, from 0.
    layers
        List the layers instead: name, operator, shape, receptive field.
    twin
        Compare each map with that of the network with random weights; --no-twin is faster.
    output
        The folder for the page and the figures; by default explanation/. Existing files are replaced.
    html
        Write the page to this file.
    png
        Write the figures, into the folder.
    npz
        Write the maps as numbers to this file.
    json
        Print the numbers as JSON.
    """
    check_arguments(input, layers=layers, channel=channel, layer=layer, output=output, html=html, png=png, npz=npz)
    predictor = load(bundle)
    explainer = Explainer.of(predictor)
    if layers:
        show_layers(explainer, json=json)
        return
    assert input is not None
    one, name = read_input(input, explainer)
    methods = method if method in (None, "all") else [part.strip() for part in str(method).split(",")]
    found = explain(explainer, one, target=target, methods=methods, layer=layer, channel=channel, twin=twin, name=name)
    for text in found.notes:
        note(text)
    files = write_files(found, input, output=output, html=html, png=png, npz=npz)
    show(found, files, json=json)


def check_arguments(input: str | None, *, layers: bool, channel: int | None, layer: str | None, **files: Any) -> None:
    """Raises ConfigError for arguments that are wrong whatever the network."""
    given = [f"--{name}" for name, value in files.items() if value]
    if layers:
        if input is not None or given or layer is not None or channel is not None:
            raise ConfigError(
                "--layers lists the layers of a network, and explains nothing.",
                received=", ".join(filter(None, [input and "an input", *given, layer and "--layer"])) or "--channel",
                fix="Leave one of them out.",
            )  # fmt: skip
        return
    if input is None:
        raise ConfigError("Nothing to explain.", fix="Name a file, - for standard input, or add --layers.")
    if input.startswith("-") and input != STDIN and not is_file(input):
        raise ConfigError(f"Unknown option: {input}.", fix=did_you_mean(input, OPTIONS))
    if channel is not None and layer is None:
        raise ConfigError("A channel is one of a layer.", received=f"--channel {channel}", fix="Add --layer NAME.")
    if files["output"] is not None and not files["png"] and (files["html"] or files["npz"]):
        raise ConfigError(
            "A setting must have an effect. --html and --npz name their own files.", received="--output",
            fix="Leave it out, or add --png for figures in the folder.",
        )  # fmt: skip


def read_input(given: str, explainer: Explainer) -> tuple[Input, str]:
    """The input in a form that a predictor takes, and its name."""
    if given == STDIN:
        return sys.stdin.buffer.read(), "standard input"
    assert explainer.preprocess is not None
    if MODALITIES[explainer.preprocess.modality].is_text and not is_file(given):
        note("There is no file of this name, so it is explained as a text.")
        return given, given if len(given) <= 60 else f"{given[:57]}..."
    return Path(given), given


def is_file(name: str) -> bool:
    """Whether there is such a file; a text can be too long for a name."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def write_files(
    found: Explanation, given: str, *, output: Path | None, html: Path | None, png: bool, npz: Path | None
) -> list[Path]:
    """The files that are asked for: by default the page and the figures, in a folder. The input is never replaced."""
    folder, written = output or FOLDER, []
    for path in (html, npz):
        if path is not None and is_file(given) and path.resolve() == Path(given).resolve():
            raise ConfigError("The input is not replaced.", received=str(path), fix="Name another file.")
    if html is None and npz is None and not png:
        return found.save(folder, npz=False)
    for path, content in ((html, found.to_html), (npz, found.npz)):
        if path is not None:
            with storage_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content())
            written.append(path)
    return written + (found.save(folder, html=False, npz=False) if png else [])


def show(found: Explanation, files: list[Path], *, json: bool) -> None:
    """Print the target, a row for each method, and the files."""
    numbers = found.numbers | {"files": [str(path) for path in files]}
    if json:
        write_out(jsonlib.dumps(numbers, indent=1, ensure_ascii=False))
        return
    said = ""
    if found.prediction is not None:
        said = ", ".join(f"{name} {value}" for name, value in found.prediction.cells().items() if value)
    write_out(f"{found.sample.name}: {said}" if said else found.sample.name)
    write_out(f"target: {found.target.text}, logit {short(found.logit)}\n")
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    for row in numbers["methods"]:
        error, twin = row.get("completeness_error"), row.get("twin_similarity")
        cells = (
            METHODS[row["method"]].title, row["layer"] or "", short(row["scale"]),
            f"{error:.2%}" if error is not None else "", f"{twin:.2f}" if twin is not None else "",
            row.get("reading", ""),
        )  # fmt: skip
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    shown = {name: column for name, column in columns.items() if any(column)}
    left = [place for place, name in enumerate(shown) if name in ("method", "layer", "reading")]
    write_out(table([tuple(shown), *zip(*shown.values(), strict=True)], left=left))
    if found.channel is not None:
        view = found.channel
        write_out(
            f"\nchannel {view.channel} of {view.layer.name}: scale {short(view.scale)}, "
            f"of the whole layer {short(view.layer_scale)}"
        )
    write_out("\n" + "\n".join(str(path) for path in files))


def show_layers(explainer: Explainer, *, json: bool) -> None:
    """Print the layers in the order of execution."""
    rows = layer_rows(explainer)
    if json:
        write_out(jsonlib.dumps(rows, indent=1, ensure_ascii=False))
        return
    cells = [
        (row["layer"], row["operator"], " x ".join(map(str, row["shape"])), row["receptive_field"], mark(row))
        for row in rows
    ]
    write_out(table([("layer", "operator", "output", "receptive field", "maps"), *cells], left=(0, 1)))


def mark(row: dict[str, Any]) -> str:
    return "yes" if row["places"] else ""
