"""Audio files: a folder for each class, or one folder of files that are named after their class.

File names such as `7_jackson_32.wav`, label, speaker and number, are those of the Free Spoken Digit Dataset (Jackson et
al. 2018, https://github.com/Jakobovski/free-spoken-digit-dataset).
"""

import re
from pathlib import Path

import numpy as np

from neocog.dataset.class_files import ClassFolderSource, FileKind, first_file
from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.files import plain_files
from neocog.dataset.labels import number_texts
from neocog.dataset.list_source import FileSource
from neocog.errors import ConfigError, DataError, some

__all__ = ["AudioFolder", "is_audio_folder", "open_audio_folder"]

NAME = re.compile(r"(?P<label>[^_]+)_(?P<speaker>[^_]+)_\d+$")


class AudioFolder(ClassFolderSource):
    """Audio at `train|val|test/CLASS/*.wav` and so on; see `ClassFolderSource`.

    If file names tell class and speaker, `groups` number the speakers; (N,).
    """

    modality, format = "audio", "sound-folder"
    kind = FileKind(SUFFIXES["audio"], "audio files", "*.wav")
    file_noun = "An audio file"

    @classmethod
    def from_names(cls, root: Path, paths: list[Path]) -> "AudioFolder":
        """The source of files that tell label and speaker by their names."""
        matches = [match for path in paths if (match := NAME.match(path.stem))]
        classes, numbers = number_texts({"all": [match["label"] for match in matches]})
        speakers, groups = np.unique([match["speaker"] for match in matches], return_inverse=True)
        notices = [f"file names tell {len(speakers)} speakers: {some(speakers.tolist())}"]
        others = [path.name for path in plain_files(root) if not cls.kind.matches(path.name)]
        if others:
            notices.append(f"files other than audio files were skipped: {some(others)}")
        source = cls.__new__(cls)
        splits = {"all": np.arange(len(paths))}
        FileSource.__init__(source, root, paths, numbers["all"], splits, classes, tuple(notices))
        source.groups, source.group_kind = groups.astype(np.int64), "speakers"
        return source


def is_audio_folder(path: Path) -> bool:
    """Whether a folder has CLASS/*.wav and so on, or such files that are all named LABEL_SPEAKER_NUMBER."""
    return first_file(path, SUFFIXES["audio"]) is not None or (path.is_dir() and bool(named_files(path)))


def open_audio_folder(path: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> AudioFolder:
    """The source that these files make. Raises DataError if there are none, or two ways to read them."""
    named = named_files(path)
    if not named:
        return AudioFolder(path, class_level=class_level, test_fold=test_fold)
    if first_file(path, SUFFIXES["audio"]):
        ways = f"audio in class folders, and audio files that are named after their class, such as {named[0].name}"
        raise DataError(f"{path} can be read in two ways: {ways}.", fix="Move one of the two.")
    if class_level is not None or test_fold is not None:
        held = f"audio files that are named after their class, such as {named[0].name}, not class folders"
        raise ConfigError(f"{path} holds {held}.", fix="Remove --data.class_level and --data.test_fold.")
    return AudioFolder.from_names(path, named)


def named_files(root: Path) -> list[Path]:
    """The audio files of a folder, if all are named LABEL_SPEAKER_NUMBER; else none."""
    paths = [path for path in plain_files(root) if path.suffix.lower() in SUFFIXES["audio"]]
    return paths if all(NAME.match(path.stem) for path in paths) else []
