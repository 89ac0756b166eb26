"""The forms in which `neocog predict` gives boxes: a row for each, COCO's JSON, YOLO's text files, drawn images."""

import csv as csvlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from neocog.bundle import Failure, Prediction
from neocog.cli.stdout import write_out
from neocog.cli.target_files import Input, target_files
from neocog.errors import ConfigError
from neocog.files import storage_errors, write_whole
from neocog.modalities.image.decode import decode_image
from neocog.tasks import BoxPrediction, Detection, Task
from neocog.tasks.draw_boxes import draw_boxes

__all__ = ["BoxFolder", "CocoBoxes", "DrawnFolder", "box_writers", "show_boxes_csv"]

MAX_PIXELS = 2**28
COLUMNS = ("file", "label", "score", "left", "top", "right", "bottom", "error")


class Writer(Protocol):
    """Takes predictions one by one, and writes what is left at the end."""

    def add(self, prediction: Prediction, /) -> None: ...
    def finish(self) -> None: ...


def box_writers(
    task: Task,
    named: Sequence[tuple[str, Input]],
    folders: Sequence[Path],
    *,
    output: Path | None,
    form: str | None,
    coco: Path | None,
    yolo: Path | None,
    threshold: float | None,
    polygons: bool = False,
) -> list[Any]:
    """Writers of the boxes for these inputs; none if nothing is to be written. Sets the threshold of the task.

    Raises ConfigError for a threshold out of range, an option of another task, and what `target_files` does.
    """
    if not isinstance(task, Detection):
        for option, value in (("--yolo", yolo), ("--threshold", threshold)):
            if value is not None:
                raise ConfigError(
                    f"{option} is for boxes.", received=f"a network for {task.name}", fix=f"Leave {option} out."
                )
        return []
    if form is not None:
        raise ConfigError("--mask writes masks.", received=f"a network for {task.name}", fix="Leave --mask out.")
    if polygons:
        raise ConfigError(
            "--polygons is for masks.", received=f"a network for {task.name}", fix="Leave --polygons out."
        )
    if threshold is not None:
        if not 0 <= threshold <= 1:
            raise ConfigError("--threshold is a score from 0 to 1.", received=f"{threshold:g}")
        task.threshold = threshold
    writers: list[Writer] = []
    if output is not None:
        writers.append(DrawnFolder(target_files(output, named, folders, ".png"), dict(named)))
    if yolo is not None:
        writers.append(BoxFolder(yolo, target_files(yolo, named, folders, ".txt"), task))
    if coco is not None:
        writers.append(CocoBoxes(coco, task))
    return writers


class DrawnFolder:
    """Each image with the boxes that were found in it, as a PNG file. Files are written whole."""

    def __init__(self, files: Mapping[str, Path], inputs: Mapping[str, Input]) -> None:
        self.files, self.inputs = files, inputs

    def add(self, prediction: Prediction) -> None:
        assert isinstance(prediction, BoxPrediction)
        one = self.inputs[prediction.name]
        content = one.read_bytes() if isinstance(one, Path) else one
        if isinstance(content, bytes):
            content = decode_image(content, prediction.name, max_pixels=MAX_PIXELS, convert=True)
        shown = prediction.scores >= prediction.threshold
        drawn = draw_boxes(
            np.asarray(content), prediction.boxes[shown], prediction.labels[shown], len(prediction.classes)
        )
        buffer = io.BytesIO()
        Image.fromarray(drawn).save(buffer, "png")
        write_below(self.files[prediction.name], buffer.getvalue())

    def finish(self) -> None:
        """Everything is written already."""


class BoxFolder:
    """A text file for each image as YOLO reads it: class number, centre x and y, width, height, in shares of the image.

    The names of the classes are in `classes.txt`. Scores have no place in this format.
    """

    def __init__(self, folder: Path, files: Mapping[str, Path], task: Task) -> None:
        """Write the names."""
        self.files, self.numbers = files, {name: k for k, name in enumerate(task.classes)}
        write_below(folder / "classes.txt", "".join(f"{name}\n" for name in task.classes).encode())

    def add(self, prediction: Prediction) -> None:
        assert isinstance(prediction, BoxPrediction)
        height, width = prediction.size
        lines = []
        for found in prediction.objects:
            left, top, right, bottom = found.box
            shares = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                      (bottom - top) / height)  # fmt: skip
            lines.append(f"{self.numbers[found.label]} " + " ".join(f"{share:.6f}" for share in shares) + "\n")
        write_below(self.files[prediction.name], "".join(lines).encode())

    def finish(self) -> None:
        """Everything is written already."""


class CocoBoxes:
    """Boxes in the form of a COCO annotation file, each with its score.

    Category ids are class numbers plus 1, image ids count from 1, `file_name` is the input as it was named. The entries
    of `annotations` are also what COCO's evaluation takes as results.
    """

    def __init__(self, path: Path, task: Task) -> None:
        self.path, self.names = path, task.classes
        self.images: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []

    def add(self, prediction: Prediction) -> None:
        assert isinstance(prediction, BoxPrediction)
        height, width = prediction.size
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": prediction.name, "height": height, "width": width})
        for found in prediction.objects:
            left, top, right, bottom = found.box
            sides = (right - left, bottom - top)
            self.boxes.append(
                {
                    "id": len(self.boxes) + 1, "image_id": number, "category_id": self.names.index(found.label) + 1,
                    "bbox": [round(value, 2) for value in (left, top, *sides)], "area": round(sides[0] * sides[1], 2),
                    "iscrowd": 0, "score": round(found.score, 6),
                }
            )  # fmt: skip

    def finish(self) -> None:
        """Write the file, whole."""
        categories = [{"id": k + 1, "name": name} for k, name in enumerate(self.names)]
        content = {"images": self.images, "categories": categories, "annotations": self.boxes}
        write_below(self.path, (json.dumps(content, ensure_ascii=False) + "\n").encode())


def write_below(path: Path, content: bytes) -> None:
    """Write a file whole, and the folders above it."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def show_boxes_csv(results: Sequence[Prediction | Failure]) -> None:
    """Print comma-separated values, a row for each box; an image without any has none."""
    buffer = io.StringIO()
    writer = csvlib.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        if isinstance(result, Failure):
            writer.writerow([result.name, *[""] * (len(COLUMNS) - 2), result.error])
            continue
        assert isinstance(result, BoxPrediction)
        for found in result.objects:
            sides = (f"{side:.2f}" for side in found.box)
            writer.writerow([result.name, found.label, f"{found.score:.6f}", *sides, ""])
    write_out(buffer.getvalue().rstrip("\n"))
