"""`neocog predict`: the predictions of a network for files."""

import csv as csvlib
import io
import json as jsonlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from neocog.bundle import Failure, Prediction, Predictor, load
from neocog.cli.flags import Backend
from neocog.cli.flags import FileInput as Input
from neocog.cli.output import table
from neocog.cli.predict_options import OPTIONS, Cut, OutFile, Printed, Written, given_flags
from neocog.cli.stdout import write_out
from neocog.dataset.files import list_files as files_in
from neocog.dataset.record import Modality
from neocog.errors import ConfigError, DataError, agree, did_you_mean, some
from neocog.modalities.image.pages import pages_notice
from neocog.modalities.table import MODALITIES
from neocog.progress import note
from neocog.tasks import Task

STDIN = "-"
MANY = 64  # files, for which measuring engines pays
UNUSUAL = "{n} input(|s) (is|are) unlike the training data, so (its prediction|their predictions) may mean nothing"


PRINTED, NOTHING_WRITTEN, WHOLE, NO_FILE = Printed(), Written(), Cut(), OutFile()


def predict(
    bundle: Path,
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    printed: Printed = PRINTED,
    written: Written = NOTHING_WRITTEN,
    cut: Cut = WHOLE,
    backend: Backend = "eager",
    out_file: OutFile = NO_FILE,
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
    backend
        What computes the network: eager PyTorch, or auto for the fastest engine on this machine within the tolerance,
        which `neocog bench` measures once; or one of the engines that it lists.
    """
    if out_file.out is not None:
        return predict_file(bundle, files, out_file.out, out_file, printed, written, cut, backend)
    if flags := given_flags(out_file):
        raise ConfigError(
            "--list, --with, --block, --restart and --ray are for an output file.",
            received=f"{' '.join(flags)} without --out", fix="Add --out predictions.parquet.",
        )  # fmt: skip
    check_arguments(files, printed)
    predictor = load_with(bundle, backend, files)
    if cut.window is not None:
        return predict_recordings(predictor, files, cut.window, cut, printed)
    if any(flag != "--slices" for flag in given_flags(cut)):
        raise ConfigError(
            "--hop, --rate, --merge and --shortest are for windows of a recording.", received="no --window",
            fix="Add --window 2s, or leave them out.",
        )  # fmt: skip
    return predict_inputs(predictor, files, written, printed, slices=cut.slices)


def predict_file(
    bundle: Path,
    files: Sequence[str],
    path: Path,
    out_file: OutFile,
    printed: Printed,
    written: Written,
    cut: Cut,
    backend: str,
) -> int:
    """Write the predictions for all files into one; returns the exit code. Raises as `predict_to_file` does."""
    from neocog.cli.predict_out import predict_to_file  # with what few calls need

    names = ["-o" if flag == "--output" else flag for kind in (printed, written, cut) for flag in given_flags(kind)]
    return predict_to_file(
        bundle, files, path, out_file.listed, printed.top, out_file.extras, out_file.block, out_file.restart,
        out_file.ray, dict.fromkeys(names, True), backend,
    )  # fmt: skip


def predict_recordings(predictor: Predictor, files: Sequence[str], window: str, cut: Cut, printed: Printed) -> int:
    """Print a line for each window or event of the recordings; returns the exit code."""
    from neocog.cli.timeline import show_timeline  # imports what few calls need

    paths = list(named_files(files, predictor.preprocess.modality))
    return show_timeline(
        predictor, paths, window=window, hop=cut.hop, rate=cut.rate, merge=cut.merge, shortest=cut.shortest,
        top=printed.top, form=printed.form,
    )  # fmt: skip


Results = list[Prediction | Failure]


def predict_inputs(
    predictor: Predictor, files: Sequence[str], written: Written, printed: Printed, *, slices: bool
) -> int:
    """Predict each input, write its masks or boxes, and print; returns the exit code."""
    named: list[tuple[str, Input]] = list(expand(files, predictor.preprocess.modality))
    if slices:
        named = list(expand_stacks(named))
    writers = open_writers(predictor.task, named, [Path(file) for file in files if Path(file).is_dir()], written)
    names, inputs = zip(*named, strict=True)
    results: Results = []
    for result in predictor.predict_each(inputs, printed.top, names):
        if isinstance(result, Prediction):
            for writer in writers:
                writer.add(result)
            result = result.without_places()
        results.append(result)
    for writer in writers:
        writer.finish()
    show(results, predictor.task, printed)
    return 2 if any(isinstance(result, Failure) for result in results) else 0


def open_writers(
    task: Task, named: Sequence[tuple[str, Input]], folders: Sequence[Path], written: Written
) -> Sequence[Any]:
    """The writers of masks or boxes; none if nothing is to be written. Raises as `box_writers` and `mask_writers`."""
    if not task.dense and not given_flags(written):
        return ()
    from neocog.cli.predict_boxes import box_writers  # with tasks that few calls need
    from neocog.cli.write_masks import mask_writers

    form, output, coco, polygons = written.mask, written.output, written.coco, written.polygons
    return box_writers(
        task, named, folders, output=output, form=form, coco=coco, polygons=polygons, yolo=written.yolo,
        threshold=written.threshold,
    ) or mask_writers(task, named, folders, output=output, form=form, coco=coco, polygons=polygons)  # fmt: skip


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


def check_arguments(files: Sequence[str], printed: Printed) -> None:
    """Raises ConfigError for arguments that are wrong whatever the network."""
    if printed.json and printed.csv:
        raise ConfigError("Predictions have one form.", received="--json and --csv", fix="Choose one.")
    if printed.top < 1:
        raise ConfigError("--top must be at least 1.", received=str(printed.top))
    if not files:
        raise ConfigError("Nothing to predict.", fix="Name files, folders, or - for standard input.")
    for file in files:
        if file.startswith("-") and file != STDIN and not Path(file).exists():
            raise ConfigError(f"Unknown option: {file}.", fix=did_you_mean(file, OPTIONS))


def show(results: Results, task: Task, printed: Printed) -> None:
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
    if printed.csv and task.row_per_object:
        from neocog.cli.predict_boxes import show_boxes_csv

        show_boxes_csv(results)
    elif printed.csv:
        show_csv(results, task.columns, flags_unusual=task.flags_unusual)
    else:
        (show_json if printed.json else show_table)(results)


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
