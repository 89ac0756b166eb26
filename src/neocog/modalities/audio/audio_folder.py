"""Sounds in files: a folder for each class, or one folder of files that are named after their class.

File names such as `7_jackson_32.wav`, label, speaker and number, are those of the Free Spoken Digit Dataset (Jackson et
al. 2018, https://github.com/Jakobovski/free-spoken-digit-dataset).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_files import ClassFiles, FileKind, first_file, gather
from neocog.dataset.class_names import number_labels
from neocog.dataset.folders import plain_files, size_bytes
from neocog.dataset.record import Modality, Record
from neocog.dataset.targets import Task
from neocog.errors import ConfigError, DataError, some

__all__ = ["SUFFIXES", "SoundFolder", "is_sound_folder", "open_sound_folder"]

SUFFIXES = frozenset({".wav", ".flac", ".ogg"})
SOUNDS = FileKind(SUFFIXES, "sounds")
NAME = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_\d+$")
MAX_BYTES = 2**30


class SoundFolder:
    """Encoded sounds by index. `groups` number the speakers, where file names tell them, or the folds or folders that
    must not be divided; (N,)."""

    modality: Modality = "audio"
    task: Task = "classification"
    format = "sound-folder"

    def __init__(self, files: ClassFiles, groups: NDArray[np.int64] | None = None) -> None:
        self.files, self.groups = files, files.groups if groups is None else groups
        self.group_kind = files.group_kind if groups is None else "speakers"
        self.name = files.root.resolve().name
        self.classes, self.targets, self.splits = files.classes, files.targets, files.splits
        self.notices, self.folders, self.unlabelled = files.notices, files.folders, files.unlabelled

    def __len__(self) -> int:
        return len(self.files.paths)

    def key(self, index: int) -> str:
        return self.files.key(index)

    def content(self) -> Iterator[bytes]:
        """File sizes: the files themselves may be many gigabytes."""
        return map(size_bytes, self.files.paths)

    def read(self, index: int) -> Record:
        path = self.files.paths[index]
        try:
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise DataError(f"A sound's file may have at most {MAX_BYTES:,} bytes. {path} has {size:,}. Cut it.")
            payload = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror}.") from error
        return Record(self.key(index), payload, int(self.targets[index]))


def is_sound_folder(path: Path) -> bool:
    """Whether a folder has CLASS/*.wav, .flac or .ogg, or such files that are all named LABEL_SPEAKER_NUMBER."""
    return first_file(path, SUFFIXES) is not None or (path.is_dir() and bool(named_sounds(path)))


def open_sound_folder(path: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> SoundFolder:
    """The source that these files make. Raises DataError where there are no sounds, or two ways to read them."""
    named = named_sounds(path)
    if named and first_file(path, SUFFIXES):
        raise DataError(
            f"{path} can be read in two ways: sounds in folders of their classes, and sounds that are named after "
            f"theirs, such as {named[0].name}. Move the one or the other."
        )
    if not named:
        return SoundFolder(gather(path, SOUNDS, class_level=class_level, test_fold=test_fold))
    if class_level is not None or test_fold is not None:
        raise ConfigError(
            f"{path} holds sounds that are named after their class, such as {named[0].name}, not folders of classes. "
            "Remove --data.class_level and --data.test_fold."
        )
    return by_name(path, named)


def named_sounds(root: Path) -> list[Path]:
    """The sounds of a folder, if all are named LABEL_SPEAKER_NUMBER; else none."""
    sounds = [path for path in plain_files(root) if path.suffix.lower() in SUFFIXES]
    return sounds if all(NAME.match(path.stem) for path in sounds) else []


def by_name(root: Path, sounds: list[Path]) -> SoundFolder:
    """The source of files that tell label and speaker by their names."""
    matches = [match for path in sounds if (match := NAME.match(path.stem))]
    classes, numbers = number_labels({"all": [match["label"] for match in matches]})
    speakers, groups = np.unique([match["speaker"] for match in matches], return_inverse=True)
    notices = [f"file names tell {len(speakers)} speakers: {some(speakers.tolist())}"]
    others = [path.name for path in plain_files(root) if path.suffix.lower() not in SUFFIXES]
    if others:
        notices.append(f"files that are no sounds were passed over: {some(others)}")
    files = ClassFiles(root, tuple(sounds), classes, numbers["all"], {"all": np.arange(len(sounds))}, tuple(notices))
    return SoundFolder(files, groups.astype(np.int64))
