"""`neocog predict`: what a network says of pictures, signals, sounds or texts."""

import csv as csvlib
import io
import json as jsonlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog.bundle import Failure, Prediction, load
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.data import Modality, list_images
from neocog.dataset.file_types import SUFFIXES
from neocog.errors import ConfigError, DataError, did_you_mean
from neocog.modalities.image.pages import pages_notice
from neocog.progress import note
from neocog.runs.modality import NOUNS

Switch = Parameter(negative="")
STDIN = "-"


def predict(
    bundle: Path,
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    top: int = 3,
    json: Annotated[bool, Switch] = False,
    csv: Annotated[bool, Switch] = False,
) -> int:
    """Classify files; `neocog.load(bundle).predict(files)` does the same.

    Parameters
    ----------
    bundle
        A model.neocog file.
    files
        Pictures (or signals, sounds, texts: what the network was trained on), folders of them, or - for one on
        standard input.
    top
        How many classes to show for each.
    json
        One JSON object a line: file, class, probability, top, and pages where only the first of several was read; or
        file, error.
    csv
        Comma-separated values with a header.
    """
    if json and csv:
        raise ConfigError("Predictions have one form. Received: --json and --csv. Choose one.")
    if top < 1:
        raise ConfigError(f"--top must be at least 1. Received: {top}.")
    if not files:
        raise ConfigError("Nothing to predict. Name files, folders, or - for standard input.")
    for file in files:
        if file.startswith("-") and file != STDIN and not Path(file).exists():
            raise ConfigError(f"Unknown option: {file}. {did_you_mean(file, ['--top', '--json', '--csv', '--help'])}")
    predictor = load(bundle)
    named = list(expand(files, predictor.preprocess.modality))
    names, inputs = zip(*named, strict=True)
    results = list(predictor.predict_each(inputs, top, names))
    for result in results:
        if isinstance(result, Failure):
            note(f"error: {result.error}")
    several = {one.name: one.pages for one in results if isinstance(one, Prediction) and one.pages > 1}
    if several:
        note(f"warning: {pages_notice(several)}")
    show = show_json if json else show_csv if csv else show_table
    show(results)
    return 2 if any(isinstance(result, Failure) for result in results) else 0


Results = list[Prediction | Failure]


def expand(files: Iterable[str], modality: Modality) -> Iterable[tuple[str, Path | bytes]]:
    """Names and inputs: folders become the files in them, - becomes what comes on standard input."""
    for file in files:
        if file == STDIN:
            yield "standard input", sys.stdin.buffer.read()
        elif Path(file).is_dir():
            found = list_files(Path(file), modality)
            if not found:
                raise DataError(f"{file} holds no {NOUNS[modality]}. Name another folder, or files.")
            yield from ((str(path), path) for path in found)
        else:
            yield file, Path(file)


def list_files(folder: Path, modality: Modality) -> list[Path]:
    """All files below a folder that can hold an input of this kind, sorted."""
    if modality == "image":
        return list_images(folder)
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES[modality] and path.is_file())


def show_table(results: Results) -> None:
    """A row for each picture that could be read."""
    rows: list[tuple[str, ...]] = [("file", "class", "probability", "next")]
    for result in results:
        if isinstance(result, Prediction):
            others = ", ".join(f"{other} {share:.2%}" for other, share in result.top[1:])
            rows.append((result.name, result.class_name, f"{result.probability:.2%}", others))
    if len(rows) > 1:
        write_out(table(rows, left=(0, 1, 3)))


def show_json(results: Results) -> None:
    """A JSON object a line."""
    for result in results:
        if isinstance(result, Failure):
            row: dict[str, object] = {"file": result.name, "error": result.error}
        else:
            top = [{"class": other, "probability": share} for other, share in result.top]
            row = {"file": result.name, "class": result.class_name, "probability": result.probability, "top": top}
            row |= {"pages": result.pages} if result.pages > 1 else {}
        write_out(jsonlib.dumps(row, ensure_ascii=False))


def show_csv(results: Results) -> None:
    """Comma-separated values with a header."""
    buffer = io.StringIO()
    writer = csvlib.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "class", "probability", "error"])
    for result in results:
        if isinstance(result, Failure):
            writer.writerow([result.name, "", "", result.error])
        else:
            writer.writerow([result.name, result.class_name, f"{result.probability:.6f}", ""])
    write_out(buffer.getvalue().rstrip("\n"))
