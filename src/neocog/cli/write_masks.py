"""The files that `neocog predict` writes for masks: a PNG for each input, the classes' names, and COCO's format."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.annotations.outlines import find_regions, trace_outline
from neocog.annotations.run_lengths import run_lengths
from neocog.bundle import Prediction
from neocog.cli.flags import MaskForm
from neocog.cli.target_files import Input, target_files
from neocog.errors import ConfigError
from neocog.evaluation.segmentation import BACKGROUND
from neocog.files import storage_errors, write_whole
from neocog.tasks import BinaryMaskPrediction, SegmentPrediction, Task
from neocog.tasks.colours import class_colours

__all__ = ["CocoMasks", "Input", "MaskFolder", "MaskForm", "mask_png", "mask_writers", "run_lengths", "target_files"]

MASKS = ("segmentation", "multi-label segmentation")
"""Tasks whose predictions are masks."""


def mask_writers(
    task: Task,
    named: Sequence[tuple[str, Input]],
    folders: Sequence[Path],
    *,
    output: Path | None,
    form: MaskForm | None,
    coco: Path | None,
    polygons: bool = False,
) -> list["MaskFolder | BinaryFolder | CocoMasks"]:
    """The writers of each prediction for these inputs; none if nothing is to be written.

    Raises ConfigError for a form without its file or folder, a network that does not predict masks, and what
    `target_files` does.
    """
    if form is not None and output is None:
        raise ConfigError(
            "--mask says how the files of -o are written.", received=f"--mask {form} without -o", fix="Name a folder."
        )
    if polygons and coco is None:
        raise ConfigError(
            "--polygons says how the file of --coco is written.", received="--polygons without --coco",
            fix="Add --coco masks.json.",
        )  # fmt: skip
    writers: list[MaskFolder | BinaryFolder | CocoMasks] = []
    if output is not None:
        check_masks(task, "-o")
        files = target_files(output, named, folders, ".png")
        writers.append(
            MaskFolder(output, files, task, form or "index")
            if task.name == "segmentation"
            else BinaryFolder(output, files, task, form)
        )
    if coco is not None:
        check_masks(task, "--coco")
        writers.append(CocoMasks(coco, task, polygons=polygons))
    return writers


class MaskFolder:
    """Masks as PNG files in a folder, beside a text file with the names of the classes.

    Both forms can be read as the masks of a data set: an index PNG with `classes.txt`, an RGB one with
    `label_colors.txt`. Files are written whole; existing ones are replaced.
    """

    def __init__(self, folder: Path, files: Mapping[str, Path], task: Task, form: MaskForm) -> None:
        """Write the names."""
        self.files, self.form, self.colours = files, form, class_colours(len(task.classes))
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if form == "index":
            write_whole(folder / "classes.txt", "".join(f"{name}\n" for name in task.classes))
        else:
            rows = zip(task.classes, self.colours.tolist(), strict=True)
            lines = [f"{name} {red} {green} {blue}\n" for name, (red, green, blue) in rows]
            write_whole(folder / "label_colors.txt", "".join(lines))

    def add(self, prediction: Prediction) -> None:
        assert isinstance(prediction, SegmentPrediction)
        path = self.files[prediction.name]
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, mask_png(prediction.mask, self.colours, self.form))

    def finish(self) -> None:
        """Everything is written already."""


class BinaryFolder:
    """A folder for each class, with a PNG for each input: 255 where the class is, else 0.

    Beside them are the names of the classes in `classes.txt`, so that the folder can be read as `masks` of a data set.
    """

    def __init__(self, folder: Path, files: Mapping[str, Path], task: Task, form: MaskForm | None) -> None:
        """Write the names. Raises ConfigError for a form, and for a class whose name can't be that of a folder."""
        if form is not None:
            raise ConfigError(
                "--mask is for masks in which each pixel has one class.", received=f"a network for {task.name}",
                fix="Leave --mask out: each class has a mask of its own, 0 and 255.",
            )  # fmt: skip
        for name in task.classes:
            if name in (".", "..") or "/" in name or "\\" in name:
                raise ConfigError(
                    "-o writes a folder for each class.", received=f"the class {name!r}", fix="Use --coco instead."
                )
        self.folder, self.files = folder, files
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "classes.txt", "".join(f"{name}\n" for name in task.classes))

    def add(self, prediction: Prediction) -> None:
        assert isinstance(prediction, BinaryMaskPrediction)
        within = self.files[prediction.name].relative_to(self.folder)
        for name, inside in zip(prediction.classes, prediction.masks, strict=True):
            path = self.folder / name / within
            with storage_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            buffer = io.BytesIO()
            Image.fromarray(inside.astype(np.uint8) * 255).save(buffer, "png")
            write_whole(path, buffer.getvalue())

    def finish(self) -> None:
        """Everything is written already."""


class CocoMasks:
    """Masks in the form of a COCO annotation file: for each image and class one region, as run lengths.

    As polygons, each connected region is an annotation of its own, and one with holes has several polygons.
    Category ids are class numbers plus 1, image ids count from 1, `file_name` is the input as it was named. The class
    background has no region.
    """

    def __init__(self, path: Path, task: Task, *, polygons: bool = False) -> None:
        self.path, self.names, self.polygons = path, task.classes, polygons
        self.images: list[dict[str, Any]] = []
        self.regions: list[dict[str, Any]] = []

    def add(self, prediction: Prediction) -> None:
        assert isinstance(prediction, SegmentPrediction | BinaryMaskPrediction)
        height, width = prediction.size
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": prediction.name, "height": height, "width": width})
        for k, inside in class_regions(prediction):
            for about in describe_polygons(inside) if self.polygons else [describe_region(inside)]:
                region = {"id": len(self.regions) + 1, "image_id": number, "category_id": k + 1}
                self.regions.append(region | about)

    def finish(self) -> None:
        """Write the file, whole."""
        categories = [{"id": k + 1, "name": name} for k, name in enumerate(self.names)]
        content = {"images": self.images, "categories": categories, "annotations": self.regions}
        write_whole(self.path, json.dumps(content, ensure_ascii=False) + "\n")


def check_masks(task: Task, option: str) -> None:
    """Raises ConfigError for a network that does not predict masks."""
    if task.name not in MASKS:
        raise ConfigError(
            f"{option} writes masks.",
            received=f"a network for {task.name}",
            fix=f"Leave {option} out.",
        )


def mask_png(mask: NDArray[np.uint8], colours: NDArray[np.uint8], form: MaskForm) -> bytes:
    """A mask (H, W) as a PNG: class numbers with the classes' colours as palette, or the colours themselves."""
    if form == "colour":
        image = Image.fromarray(colours[mask])
    else:
        image = Image.fromarray(mask)
        image.putpalette(colours.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def class_regions(prediction: SegmentPrediction | BinaryMaskPrediction) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """The number of each class that is there, but for background, and its region (H, W)."""
    if isinstance(prediction, BinaryMaskPrediction):
        yield from ((k, inside) for k, inside in enumerate(prediction.masks) if inside.any())
        return
    for k in np.unique(prediction.mask).tolist():
        if prediction.classes[k].lower() not in BACKGROUND:
            yield k, prediction.mask == k


def describe_polygons(inside: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
    """Each connected region of (H, W) as COCO's fields describe it: polygons, area in pixels, box."""
    for part, (top, left) in find_regions(inside):
        outline = [(ring + np.array([left, top])).ravel().tolist() for ring in trace_outline(part)]
        box = [left, top, part.shape[1], part.shape[0]]
        yield {"segmentation": outline, "area": int(part.sum()), "bbox": box, "iscrowd": 0}


def describe_region(inside: NDArray[np.bool_]) -> dict[str, Any]:
    """A region (H, W) as COCO's fields describe it: run lengths, area, box as x, y, width, height."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "segmentation": {"size": list(inside.shape), "counts": run_lengths(inside)},
        "area": int(inside.sum()), "bbox": [int(value) for value in box], "iscrowd": 1,
    }  # fmt: skip
