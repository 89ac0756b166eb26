"""The layouts of data sets: how each is recognised, and how it is opened."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.annotations.binary_masks import is_class_masks, open_class_masks
from neocog.annotations.coco import is_coco, open_coco
from neocog.annotations.mask_folder import is_mask_folder, open_mask_folder
from neocog.annotations.voc import is_voc, is_voc_masks, open_voc, open_voc_masks
from neocog.annotations.yolo import is_yolo, open_yolo
from neocog.data.known import KNOWN
from neocog.dataset.files import class_folders
from neocog.dataset.record import Modality, Source, Task
from neocog.dataset.targets import LABEL_TASKS
from neocog.errors import DataError
from neocog.modalities.audio.audio_folder import is_audio_folder, open_audio_folder
from neocog.modalities.audio.audio_table import is_audio_table, open_audio_table
from neocog.modalities.go.source import SgfSource, holds_games
from neocog.modalities.image.cifar import is_cifar, open_cifar
from neocog.modalities.image.idx import is_idx, open_idx
from neocog.modalities.image.image_folder import ClassMap, ImageFolder, has_class_map, has_image, holds_images
from neocog.modalities.image.image_table import is_image_table, open_image_table, why_no_image_table
from neocog.modalities.image.npz import is_image_npz, open_npz
from neocog.modalities.signal.csv_windows import is_csv_windows, open_csv_windows
from neocog.modalities.signal.signal_folder import is_signal_folder, open_signal_folder
from neocog.modalities.signal.signal_npz import is_signal_npz, open_signal_npz
from neocog.modalities.signal.ts import is_ts, open_ts
from neocog.modalities.signal.ucr import is_ucr, open_ucr
from neocog.modalities.text.text_folder import TextFolder, holds_texts
from neocog.modalities.text.text_table import is_text_table, open_text_table, why_no_text_table
from neocog.shards import holds_shards, open_shards, why_no_shards

__all__ = ["COLUMNS", "FOLDERS", "FORMATS", "Format", "recognise", "register_format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A layout. `recognises` looks at names and first bytes alone and must be quick; `opens` reads and checks.

    Both take the path, and those of `options` that the user has set; `recognises` takes columns only.
    """

    name: str
    """The value of `--data.format`."""
    description: str
    """The layout in a few words, as a user would say it."""
    recognises: Callable[..., bool]
    opens: Callable[..., Source]
    modality: Modality | None = "image"
    """None if it is known only once the set is opened."""
    options: frozenset[str] = frozenset()
    """Settings that some of its sets need, such as the length of windows."""
    tasks: tuple[Task, ...] = ("classification",)
    """The tasks of its sets; if several, `opens` takes the option `task` and decides by the labels without it. None if
    they are known only once the set is opened."""
    nearly: Callable[..., str | None] | None = None
    """Why data that almost has this layout does not: the rule, what was received, where, and the fix; None if nothing
    comes close. It is asked, with the same arguments as `recognises`, only if no layout is recognised."""


def open_idx_folder(path: Path) -> Source:
    return open_idx(path, KNOWN[path.name].classes if path.name in KNOWN else None)


COLUMNS = frozenset({"file_column", "text_column", "label_column"})
"""Settings that name the columns of tables."""
FILES, TEXTS = COLUMNS - {"text_column"}, COLUMNS - {"file_column"}
CHANNELS = frozenset({"columns"})
WINDOWS = frozenset({"window", "step", "rate", "columns"})
EACH_SAMPLE: Task = "signal segmentation"
OVERLAPPING: Task = "multi-label segmentation"
FOLDERS = frozenset({"class_level", "test_fold"})
BOTH = WINDOWS | FOLDERS
FORMATS = [
    Format("idx", "idx files", is_idx, open_idx_folder),
    Format("cifar", "CIFAR's binary files", is_cifar, open_cifar),
    Format(
        "npz", "images in an .npz file", lambda path: is_image_npz(path) and not is_signal_npz(path), open_npz,
        tasks=LABEL_TASKS,
    ),
    Format("class-map", "images in folders that class_map.txt names", has_class_map, ClassMap, options=FOLDERS),
    Format(
        "class-list", "images that a table names", is_image_table, open_image_table, "image", FILES,
        LABEL_TASKS, why_no_image_table,
    ),
    Format("masks", "images with a mask for each", is_mask_folder, open_mask_folder, tasks=("segmentation",)),
    Format(
        "class-masks", "images with a mask for each class", is_class_masks, open_class_masks, tasks=(OVERLAPPING,)
    ),
    Format("coco", "COCO's JSON of boxes and outlines", is_coco, open_coco, tasks=("detection", OVERLAPPING)),
    Format("voc", "Pascal VOC's boxes", is_voc, open_voc, tasks=("detection",)),
    Format("voc-masks", "Pascal VOC's masks", is_voc_masks, open_voc_masks, tasks=("segmentation",)),
    Format("yolo", "YOLO's labels beside data.yaml", is_yolo, open_yolo, tasks=("detection", OVERLAPPING)),
    Format("shards", "tar or Parquet shards", holds_shards, open_shards, None, tasks=(), nearly=why_no_shards),
    Format(
        "signal-npz", "signals in an .npz or .npy file", is_signal_npz, open_signal_npz, "signal", CHANNELS,
        (*LABEL_TASKS, EACH_SAMPLE),
    ),
    Format("ucr", "the UCR archive's .tsv files", is_ucr, open_ucr, "signal"),
    Format("ts", "the UEA archive's .ts files", is_ts, open_ts, "signal", tasks=("classification", "regression")),
    Format("signal-folder", "signals in a folder for each class", is_signal_folder, open_signal_folder, "signal", BOTH),
    Format(
        "csv-windows", "one long recording, cut into windows", is_csv_windows, open_csv_windows, "signal", WINDOWS,
        ("classification", EACH_SAMPLE),
    ),
    Format("sound-folder", "audio in a folder for each class", is_audio_folder, open_audio_folder, "audio", FOLDERS),
    Format(
        "sound-list", "audio files that a table names", is_audio_table, open_audio_table, "audio", FILES, LABEL_TASKS
    ),
    Format(
        "text-table", "texts in a table", is_text_table, open_text_table, "text", TEXTS, LABEL_TASKS, why_no_text_table
    ),
    Format("text-folder", "texts in a folder for each class", holds_texts, TextFolder, "text", FOLDERS),
    Format("sgf", "games of Go", holds_games, SgfSource, "board", tasks=("next move",)),
    Format("image-folder", "images in a folder for each class", holds_images, ImageFolder, options=FOLDERS),
]  # fmt: skip
"""More than one may recognise a path; then the user has to choose."""


def register_format(layout: Format) -> None:
    """Add a layout to the known ones. Raises DataError if there is another of this name."""
    if any(known.name == layout.name for known in FORMATS):
        raise DataError("A layout needs a name of its own.", received=repr(layout.name), fix="Choose another name.")
    FORMATS.append(layout)


DESCRIBED = {"class-map", "class-list", "masks", "class-masks", "coco", "voc", "voc-masks", "yolo", "shards"}
NO_CLASSES = re.compile(
    r"(images?|imgs?|pictures?|photos?|masks?|labels?|annotations?|jpegimages|segmentation(class|object)|(train|val|valid|"
    r"validation|test)(_?images|_?masks|\d*))$",
    re.IGNORECASE,
)


def recognise(path: Path, columns: Mapping[str, str] | None = None) -> list[Format]:
    """All layouts that a path can be read as; of those that take the named columns, if there are any.

    If a file describes the images, their folders are classes too only if they are named like classes.
    """
    columns = columns or {}
    able = [layout for layout in FORMATS if columns.keys() <= layout.options]
    found = [layout for layout in able if layout.recognises(path, **columns)]
    names = {layout.name for layout in found}
    if "sound-list" in names and "sound-folder" in names:  # as the images of a list
        found = [layout for layout in found if layout.name != "sound-folder"]
    if names & DESCRIBED and ("class-map" in names or not has_classes(path)):
        found = [layout for layout in found if layout.name != "image-folder"]
    return found


def has_classes(path: Path) -> bool:
    """Whether at least two folders hold images whose names are not parts of a layout, such as masks."""
    folders = [folder for folder in class_folders(path) if not NO_CLASSES.match(folder.name)] if path.is_dir() else []
    return sum(map(has_image, folders[:50])) > 1
