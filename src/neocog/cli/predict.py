"""`neocog predict`: the predictions of a network for files."""

import csv as csvlib
import io
import json as jsonlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from neocog.bundle import Failure, Prediction, Predictor, load
from neocog.cli.flags import Backend, Extra, MaskForm, Switch
from neocog.cli.flags import FileInput as Input
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.dataset.files import list_files as files_in
from neocog.dataset.record import Modality
from neocog.errors import ConfigError, DataError, agree, did_you_mean, some
from neocog.modalities.image.pages import pages_notice
from neocog.modalities.table import MODALITIES
from neocog.progress import note
from neocog.tasks import Task

STDIN = "-"
OPTIONS = (
    "--top", "--json", "--csv", "--output", "--mask", "--coco", "--yolo", "--polygons", "--threshold", "--slices",
    "--window", "--hop", "--rate", "--merge", "--shortest", "--backend", "--out", "--list", "--with", "--block",
    "--restart", "--ray", "--help",
)  # fmt: skip
MANY = 64  # files, for which measuring engines pays
UNUSUAL = "{n} input(|s) (is|are) unlike the training data, so (its prediction|their predictions) may mean nothing"


def predict(
    bundle: Path,
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    top: int = 3,
    json: Switch = False,
    csv: Switch = False,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    mask: MaskForm | None = None,
    coco: Path | None = None,
    polygons: Switch = False,
    yolo: Path | None = None,
    threshold: float | None = None,
    slices: Switch = False,
    window: str | None = None,
    hop: str | None = None,
    rate: float | None = None,
    merge: Switch = False,
    shortest: str | None = None,
    backend: Backend = "eager",
    out: Path | None = None,
    listed: Annotated[Path | None, Parameter(name="--list")] = None,
    extras: Annotated[list[Extra] | None, Parameter(name="--with", negative="")] = None,
    block: int | None = None,
    restart: Switch = False,
    ray: str | None = None,
) -> int:
    """Classify images, signals, audio, texts or Go positions, or predict the masks or the objects of images.

    neocog predict model.neocog seven.png two.png
    neocog predict model.neocog scans/ --csv > scans.csv
    neocog predict model.neocog scans/ -o masks/ --coco masks.json
    neocog predict model.neocog recording.csv --window 2s --hop 500ms --merge
    neocog predict model.neocog archive/ --out predictions.parquet
    cat seven.png | neocog predict model.neocog -

    A file that can't be read is reported on standard error; the others are still
    classified, and the exit code is 2.
    In Python: neocog.load("model.neocog").predict(files).

    Parameters
    ----------
    bundle
        A model.neocog file.
    files
        Files of the kind that the network was trained on, folders of them, or - for standard input.
    top
        Number of classes to show per file.
    json
        One JSON object per line: file, class, probability, top, unusual (whether the input is unlike the training
        data), and pages if only the first of several was read; or file, error.
    csv
        Comma-separated values with a header.
    output
        The folder for masks, one PNG file for each input, with a text file of the classes; or for the images with the
        boxes of their objects. Existing files are replaced, but never an input.
    mask
        index: class numbers, shown in colours by a palette, the default; colour: RGB.
    coco
        The file for masks or boxes in COCO's format: masks as run lengths, one for each image and class; boxes with
        their scores.
    polygons
        With --coco, masks as polygons, an annotation for each connected region. Polygons have no holes, so a region
        with holes is cut into several that touch.
    yolo
        The folder for boxes in YOLO's format, a text file for each input, with a text file of the classes.
    threshold
        Show and write objects of this score or more, from 0 to 1; by default the score that was best on validation
        data.
    slices
        Take each slice of an .npy stack (D, H, W), and each page of a TIFF, as an image of its own.
    window
        Predict along a recording (.csv, .tsv or .npy of any length), a line for each window of this length: samples, or
        a time such as 2s, 500ms or 1min. Times are those of the recording. A network that gives each sample its class
        has a line for each event; windows overlap, and are blended.
    hop
        From the start of one window to that of the next; by default a window, or three quarters of it for events.
    rate
        The samples per second of a recording without a column of times.
    merge
        Join windows of equal class that follow each other; events shorter than --shortest with those beside them.
    shortest
        Leave out events that are shorter than this: samples, or a time such as 100ms.
    backend
        What computes the network: eager PyTorch, or auto for the fastest engine on this machine within the tolerance,
        which `neocog bench` measures once; or one of the engines that it lists.
    out
        Write a .parquet, .csv or .jsonl file, for any number of inputs: each exactly once, also if the command is
        stopped or killed and given again, or given several times to share the work. See docs/offline.md.
    listed
        With --out, a file of paths to predict: one on each line, or the column `file` of a .csv or .parquet file.
    extras
        With --out, add columns: probabilities (of all classes), logits, masks (COCO's run lengths), masks-png.
    block
        With --out, the files that are computed and kept together; by default a minute or two of work, at
        most 4,096.
    restart
        With --out, discard what an earlier call has done, and replace its output.
    ray
        With --out, the Ray cluster that computes: auto, ray://HOST:PORT, or local for one on this machine.
    """
    if out is not None:
        from neocog.cli.predict_out import predict_to_file  # with what few calls need

        others = {
            "--json": json, "--csv": csv, "-o": output, "--mask": mask, "--coco": coco, "--polygons": polygons,
            "--yolo": yolo, "--threshold": threshold, "--slices": slices, "--window": window, "--hop": hop,
            "--rate": rate, "--merge": merge, "--shortest": shortest,
        }  # fmt: skip
        return predict_to_file(bundle, files, out, listed, top, extras, block, restart, ray, others, backend)
    check_without_out({"--list": listed, "--with": extras, "--block": block, "--restart": restart, "--ray": ray})
    check_arguments(files, top, json=json, csv=csv)
    predictor = load_with(bundle, backend, files)
    if window is not None:
        from neocog.cli.timeline import show_timeline  # imports what few calls need

        shape = "json" if json else "csv" if csv else "table"
        paths = list(named_files(files, predictor.preprocess.modality))
        return show_timeline(
            predictor, paths, window=window, hop=hop, rate=rate, merge=merge, shortest=shortest, top=top, form=shape
        )
    if hop is not None or rate is not None or merge or shortest is not None:
        raise ConfigError(
            "--hop, --rate, --merge and --shortest are for windows of a recording.", received="no --window",
            fix="Add --window 2s, or leave them out.",
        )  # fmt: skip
    named: list[tuple[str, Input]] = list(expand(files, predictor.preprocess.modality))
    if slices:
        named = list(expand_stacks(named))
    folders = [Path(file) for file in files if Path(file).is_dir()]
    writers: list[Any] = []
    if predictor.task.dense or polygons or any(value is not None for value in (output, mask, coco, yolo, threshold)):
        from neocog.cli.predict_boxes import box_writers  # with tasks that few calls need
        from neocog.cli.write_masks import mask_writers

        writers = box_writers(
            predictor.task, named, folders, output=output, form=mask, coco=coco, polygons=polygons, yolo=yolo,
            threshold=threshold,
        ) or mask_writers(
            predictor.task, named, folders, output=output, form=mask, coco=coco, polygons=polygons
        )  # fmt: skip
    names, inputs = zip(*named, strict=True)
    results: Results = []
    for result in predictor.predict_each(inputs, top, names):
        if isinstance(result, Prediction):
            for writer in writers:
                writer.add(result)
            result = result.without_places()
        results.append(result)
    for writer in writers:
        writer.finish()
    show(results, predictor.task, json=json, csv=csv)
    return 2 if any(isinstance(result, Failure) for result in results) else 0


Results = list[Prediction | Failure]


def check_without_out(given: Mapping[str, object]) -> None:
    """Raises ConfigError for flags that need --out."""
    names = [name for name, value in given.items() if value not in (None, False)]
    if names:
        raise ConfigError(
            "--list, --with, --block, --restart and --ray are for an output file.",
            received=f"{' '.join(names)} without --out", fix="Add --out predictions.parquet.",
        )  # fmt: skip


def load_with(bundle: Path, backend: str, files: Sequence[str]) -> Predictor:
    """The predictor with this engine. With auto, engines are measured only if that can pay: not for a few files."""
    if backend == "eager":
        return load(bundle)
    from neocog.bundle.use_engine import has_choice  # with what measures engines

    few = len(files) < MANY and not any(Path(file).is_dir() for file in files)
    if backend == "auto" and few:
        predictor = load(bundle)
        if not has_choice(predictor):
            note(f"eager PyTorch computes, since engines were not measured yet: neocog bench {bundle} does that once")
            return predictor
    return load(bundle, backend=backend)


def check_arguments(files: Sequence[str], top: int, *, json: bool, csv: bool) -> None:
    """Raises ConfigError for arguments that are wrong whatever the network."""
    if json and csv:
        raise ConfigError("Predictions have one form.", received="--json and --csv", fix="Choose one.")
    if top < 1:
        raise ConfigError("--top must be at least 1.", received=str(top))
    if not files:
        raise ConfigError("Nothing to predict.", fix="Name files, folders, or - for standard input.")
    for file in files:
        if file.startswith("-") and file != STDIN and not Path(file).exists():
            raise ConfigError(
                f"Unknown option: {file}.",
                fix=did_you_mean(file, OPTIONS),
            )


def show(results: Results, task: Task, *, json: bool, csv: bool) -> None:
    """Report failures and warnings on standard error, and print the predictions in their form."""
    for result in results:
        if isinstance(result, Failure):
            note(f"error: {result.error}")
    several = {one.name: one.pages for one in results if isinstance(one, Prediction) and one.pages > 1}
    if several:
        note(f"warning: {pages_notice(several)}")
    unusual = [one.name for one in results if isinstance(one, Prediction) and one.unusual]
    if unusual:
        note(f"warning: {agree(UNUSUAL, len(unusual))}: {some(unusual)}")
    if csv and task.row_per_object:
        from neocog.cli.predict_boxes import show_boxes_csv

        show_boxes_csv(results)
    elif csv:
        show_csv(results, task.columns, flags_unusual=task.flags_unusual)
    else:
        (show_json if json else show_table)(results)


def expand_stacks(named: Iterable[tuple[str, Input]]) -> Iterator[tuple[str, Input]]:
    """Each slice of a stack as FILE@NUMBER; other inputs as they are."""
    from neocog.modalities.image.stacks import is_stack_file, read_stack

    for name, one in named:
        if isinstance(one, Path) and is_stack_file(one):
            yield from ((f"{name}@{k}", part) for k, part in enumerate(read_stack(one)))
        else:
            yield name, one


def expand(files: Iterable[str], modality: Modality) -> Iterable[tuple[str, Path | bytes]]:
    """Names and inputs: a folder stands for the files in it, - for the content of standard input."""
    for file in files:
        if file == STDIN:
            yield "standard input", sys.stdin.buffer.read()
        elif Path(file).is_dir():
            found = list_files(Path(file), modality)
            if not found:
                raise DataError(f"{file} has no {MODALITIES[modality].plural}.", fix="Name another folder, or files.")
            yield from ((str(path), path) for path in found)
        else:
            yield file, Path(file)


def named_files(files: Iterable[str], modality: Modality) -> Iterator[Path]:
    """The recordings that are named. Raises ConfigError for standard input, which can't be read in pieces."""
    for file in files:
        if file == STDIN:
            raise ConfigError("A recording that is cut into windows is a file.", received="standard input")
        yield from list_files(Path(file), modality) if Path(file).is_dir() else [Path(file)]


def list_files(folder: Path, modality: Modality) -> list[Path]:
    """All files below a folder that can be an input of this kind, sorted."""
    return files_in(folder, MODALITIES[modality].suffixes, Counter())


def show_table(results: Results) -> None:
    """Print a row for each file that could be read."""
    found = [result for result in results if isinstance(result, Prediction)]
    if found:
        flagged = any(result.unusual for result in found)
        head = ("file", *found[0].cells(), *(["unusual"] if flagged else []))
        rows = [
            (one.name, *one.cells().values(), *(["yes" if one.unusual else ""] if flagged else [])) for one in found
        ]
        numbers = {name for name, value in found[0].to_json().items() if isinstance(value, float)}
        write_out(table([head, *rows], left=[k for k, name in enumerate(head) if name not in numbers]))


def show_json(results: Results) -> None:
    """Print a JSON object per line."""
    for result in results:
        if isinstance(result, Failure):
            row: dict[str, object] = {"file": result.name, "error": result.error}
        else:
            row = {"file": result.name, **result.to_json()}
            row |= {} if result.unusual is None else {"unusual": result.unusual}
            row |= {"pages": result.pages} if result.pages > 1 else {}
        write_out(jsonlib.dumps(row, ensure_ascii=False))


def show_csv(results: Results, columns: Sequence[str], *, flags_unusual: bool = False) -> None:
    """Print comma-separated values with a header."""
    columns = [*columns, *(["unusual"] if flags_unusual else [])]
    buffer = io.StringIO()
    writer = csvlib.writer(buffer, lineterminator="\n")
    writer.writerow(["file", *columns, "error"])
    for result in results:
        if isinstance(result, Failure):
            writer.writerow([result.name, *[""] * len(columns), result.error])
        else:
            row = {**result.to_json(), "unusual": result.unusual}
            values = [row[name] for name in columns]
            writer.writerow([result.name, *map(cell, values), ""])
    write_out(buffer.getvalue().rstrip("\n"))


def cell(value: object) -> object:
    """A value as a CSV file holds it: floats with six places, several labels with a semicolon between."""
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, bool):
        return str(value).lower()
    return ";".join(map(str, value)) if isinstance(value, list) else value
